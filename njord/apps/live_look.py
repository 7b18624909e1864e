"""What does the venue show before a live session begins? A broker that only reads in; its clock, books and account out.

Only one thing is waited for beyond a few seconds, and said: the next minute of the venue's weight, where it is used up.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from njord.adapters.clock import Stopwatch
from njord.apps.live_locks import VenueSeen
from njord.core.clock import Clock
from njord.core.contracts import BalanceSnapshot
from njord.core.errors import VenueError
from njord.core.types import Severity, TradingState
from njord.venues.binance_outbox import USED_UP
from njord.venues.binance_rounds import STRANGER
from njord.venues.broker_wire import Health, KnownOrder, Notice, UnknownOrder, Word

VENUE_WITHIN_S = 20.0
BUDGET_WITHIN_S = (
    150.0  # Two minutes of the venue's, of which others at this address may use up the first as well.
)
_CLOCK_LOOKS = 3


class Looked(Protocol):
    """The broker that is looked through: of `LiveBroker` what that takes."""

    health: Health

    def start(
        self, known: Sequence[KnownOrder], cursors: Mapping[str, str], on_words: Callable[[], None]
    ) -> None:
        """Connect and reconcile; `on_words` is called from any thread whenever there is something to take."""

    def stop(self) -> bool:
        """Let go of the venue."""

    def take_words(self) -> list[Word]:
        """Return what the broker has said since the last call."""

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        """Return the orders whose outcome nobody knows."""

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        """Return what the account holds now."""

    def server_time(self) -> int:
        """Return the venue's clock, asked now."""

    @property
    def account_uid(self) -> int:
        """The venue's number for the account that must answer."""


def look_at_venue(
    broker: Looked,
    clock: Clock,
    *,
    reads_balances: bool = False,
    on_wait: Callable[[str], None] = lambda why: None,
    within_s: float = VENUE_WITHIN_S,
    budget_within_s: float = BUDGET_WITHIN_S,
) -> VenueSeen:
    """Connect, reconcile, measure the clock, and let go again.

    Args:
        broker: One that only reads, not started; it is stopped.
        clock: The host's.
        reads_balances: Whether what the account holds is asked for as well.
        on_wait: Told once, and why, if the venue's budget has to be waited for.
        within_s: Until the reconciliation counts as not finished; waits for the budget do not count.
        budget_within_s: How long those may take in all.
    """
    spoken = threading.Event()
    broker.start((), {}, spoken.set)
    try:
        offset_ns, doubt_ns, trouble = _measured_clock(broker, clock)
        patience = _Patience(within_s, budget_within_s, on_wait)
        gives_up = is_stranger = False
        while broker.health.state is not TradingState.ACTIVE and not gives_up:
            if not patience.wait(spoken, broker.health.reason):
                break
            spoken.clear()
            words = broker.take_words()
            gives_up = any(_is_final(word) for word in words)
            is_stranger |= any(_is_stranger(word) for word in words)
        is_reconciled = broker.health.state is TradingState.ACTIVE
        return VenueSeen(
            offset_ns=offset_ns,
            doubt_ns=doubt_ns,
            clock_trouble=trouble,
            health=broker.health,
            n_unknown=len(broker.unknown_orders()),
            is_stranger=is_stranger,
            balances=tuple(broker.fetch_balances()) if is_reconciled and reads_balances else (),
            account_uid=broker.account_uid,
        )
    finally:
        broker.stop()


class _Patience:
    # How long the venue is waited for: while it can be asked, and while its budget is used up.
    def __init__(self, within_s: float, budget_within_s: float, on_wait: Callable[[str], None]) -> None:
        self._left_s = {False: within_s, True: budget_within_s}
        self._on_wait = on_wait
        self._has_told = False

    def wait(self, spoken: threading.Event, reason: str) -> bool:
        """Wait until the broker has spoken; return False if the patience is at its end first."""
        is_short = reason.endswith(USED_UP)
        if is_short and not self._has_told:
            self._has_told = True
            self._on_wait(reason)
        watch = Stopwatch()
        has_spoken = spoken.wait(max(0.0, self._left_s[is_short]))
        self._left_s[is_short] -= watch.elapsed_s()
        return has_spoken


# A refused key is told once, as critical: nothing more will come.
def _is_final(word: Word) -> bool:
    return isinstance(word, Notice) and word.severity is Severity.CRITICAL


def _is_stranger(word: Word) -> bool:
    return isinstance(word, Notice) and word.title == STRANGER


def _measured_clock(broker: Looked, clock: Clock) -> tuple[int, int, str]:
    trouble = ""
    best: tuple[int, int] | None = None  # Doubt and offset, of the shortest round trip.
    for _ in range(_CLOCK_LOOKS):
        sent_ns = clock.now_ns()
        try:
            venue_ns = broker.server_time()
        except VenueError as error:
            trouble = str(error)
            continue
        heard_ns = clock.now_ns()
        found = ((heard_ns - sent_ns) // 2, venue_ns - (sent_ns + heard_ns) // 2)
        best = found if best is None else min(best, found)
    return (0, -1, trouble) if best is None else (best[1], best[0], "")
