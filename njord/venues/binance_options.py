"""How patient, how careful and how fast is the live broker's core? Its settings, and which user stream it wishes for.

All spans are nanoseconds on the host's clock.
"""

from enum import StrEnum

import msgspec

from njord.core.errors import ConfigError
from njord.core.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S


class StreamKind(StrEnum):
    """By which door the account's own events come."""

    NONE = "none"
    SIGNATURE = "signature"  # Subscribed with a signature on the WebSocket API.
    LISTEN_KEY = "listen_key"  # At an address that a REST call gives out.


class StreamWish(msgspec.Struct, frozen=True, kw_only=True):
    """Which user stream the shell should have open.

    Attributes:
        kind: NONE = none at all.
        listen_key: The last part of the address, for LISTEN_KEY; a secret of the account.
        generation: Another number than before means: close what is open, open anew.
    """

    kind: StreamKind = StreamKind.NONE
    listen_key: str = ""
    generation: int = 0

    def __repr__(self) -> str:
        return f"StreamWish(kind={self.kind.value!r}, generation={self.generation})"


class CoreOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the core waits for, how long, and when it stops trading.

    `absent_ns`: a request carries its timestamp, and the venue refuses it once `recv_window_ns` have passed by its own
    clock. So an order can not be accepted later than recv_window_ns + clock_tolerance_ns after it was sent (5 s + 1 s).
    The rest of the 60 s is for a venue whose queries lag behind its engine, and for a venue's clock that is set back
    meanwhile; a step back that is seen is added.

    Attributes:
        venue: Its name in instruments.
        stream: Kind of the user stream.
        account_uid: The account that must answer; 0 = the one that answers three times in a row first.
        request_timeout_ns: Until a request without an answer is given up.
        recv_window_ns: For how long the venue may still act on a request.
        place_wait_ns: How long an order may wait for the venue's budget, or be repeated, before it is refused as
            RATE_LIMITED: far below an approval's life. 0 = not at all.
        amend_wait_ns: How long an amendment may wait until the venue has canceled an order that has begun to fill;
            later nothing takes its place, and it ends as APPROVAL_EXPIRED.
        absent_ns: After the sending, until when "no such order" is not believed.
        absent_votes: How many such answers, asked for after that, end the order as NEVER_ARRIVED.
        poll_open_ns: Between two looks at orders and trades while orders are open.
        poll_idle_ns: Between two full reconciliations.
        rules_every_ns: Between two looks at the symbols' rules.
        clock_every_ns: Between two measurements of the venue's clock.
        clock_tolerance_ns: Largest uncertainty of the venue's time that is traded with.
        clock_offset_max_ns: Largest distance of the two clocks that is traded with.
        unreachable_ns: Without a usable answer while asking, until trading stops.
        stream_open_ns: Until an opening stream is given up.
        stream_late_ns: How much later than a REST answer the stream may tell the same; beyond, it is taken for dead.
        listen_key_renew_ns: Between two renewals of a listen key (it lives an hour).
        backoff_first_ns: First wait before something failed is tried again; doubled each time.
        backoff_max_ns: Longest such wait.
        weight_per_minute: Until the venue's rules are read.
        orders_per_10s: Likewise.
        orders_per_day: Likewise.
        budget_share: Of the weight, what queries may use up; orders may use half of the rest, cancels all of it.
        ended_kept: How many ended orders are remembered, for late reports.

    Raises:
        ConfigError: A span is negative, or they do not fit together.
    """

    venue: str = "binanceus"
    stream: StreamKind = StreamKind.SIGNATURE
    account_uid: int = 0
    request_timeout_ns: int = 5 * NS_PER_S
    recv_window_ns: int = 5 * NS_PER_S
    place_wait_ns: int = NS_PER_S
    amend_wait_ns: int = 10 * NS_PER_S
    absent_ns: int = 60 * NS_PER_S
    absent_votes: int = 2
    poll_open_ns: int = 10 * NS_PER_S
    poll_idle_ns: int = 60 * NS_PER_S
    rules_every_ns: int = 60 * NS_PER_S
    clock_every_ns: int = 60 * NS_PER_S
    clock_tolerance_ns: int = NS_PER_S
    clock_offset_max_ns: int = 60 * NS_PER_S
    unreachable_ns: int = 15 * NS_PER_S
    stream_open_ns: int = 15 * NS_PER_S
    stream_late_ns: int = 5 * NS_PER_S
    listen_key_renew_ns: int = 20 * NS_PER_MINUTE
    backoff_first_ns: int = 250 * NS_PER_MS
    backoff_max_ns: int = 30 * NS_PER_S
    weight_per_minute: int = 1200
    orders_per_10s: int = 10
    orders_per_day: int = 200_000
    budget_share: float = 0.7
    ended_kept: int = 10_000

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith("_ns") and value < 0:
                raise ConfigError(f"{name} must be >= 0, was {value}")
        if self.absent_ns < self.recv_window_ns + 2 * self.clock_tolerance_ns:
            raise ConfigError(
                f"absent_ns must cover recv_window_ns and twice clock_tolerance_ns, was {self.absent_ns}",
                "an order could still arrive: raise absent_ns",
            )
        if not 0 < self.budget_share < 1:
            raise ConfigError(f"budget_share must be between 0 and 1, was {self.budget_share}")
