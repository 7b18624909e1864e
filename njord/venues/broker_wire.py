"""Between a live broker's core and the world: what it asks of the wire, what the wire answers, what it says to its host.

The core (`binance_core.py`) decides and does no I/O; a shell carries its requests: over sockets by CCXT
(`binanceus.py`), or inside the simulation on a virtual clock. Times are epoch ns, on the host's clock.
"""

from enum import StrEnum

import msgspec

from njord.core.contracts import BalanceSnapshot, BrokerFill, BrokerOrderReq, BrokerOrderUpdate
from njord.core.types import Severity, Side, TradingState


class Lane(StrEnum):
    """Which queue a request waits in: a place or query never keeps a cancel waiting."""

    CANCEL = "cancel"
    PLACE = "place"
    QUERY = "query"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request that is to be sent now.

    Attributes:
        request_id: Of the core; comes back with the answer.
        lane: Its queue.
        method: GET, POST, PUT or DELETE.
        path: Below the API's root, such as `order` or `myTrades`.
        params: In order, as text; without timestamp and signature.
        is_signed: Whether timestamp, recvWindow and signature are added by the shell.
        ts_ms: The timestamp to sign with: venue time as the core estimates it.
        recv_window_ms: How long after it the venue may still act on it.
        deadline_ns: When the shell gives up: the answer then is `NoAnswer`.
    """

    request_id: int
    lane: Lane
    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    is_signed: bool = True
    ts_ms: int = 0
    recv_window_ms: int = 5000
    deadline_ns: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: the body as the venue sent it; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class NoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing usable came back. `was_sent` is False only where not a byte can have left."""

    was_sent: bool
    detail: str


class ExternalFill(msgspec.Struct, frozen=True, kw_only=True):
    """An execution of an order that is not ours: the account's owner trades too."""

    fill: BrokerFill
    symbol: str
    side: Side


class Balances(msgspec.Struct, frozen=True, kw_only=True):
    """The account's balances at a moment when nothing was under way and all trades up to then had been told."""

    balances: tuple[BalanceSnapshot, ...]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """May orders be sent? `reason` names why not; ACTIVE after REDUCE_ONLY or HALTED is said once all is reconciled."""

    state: TradingState
    reason: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know; becomes an `Alert` of category `execution` or `system`."""

    severity: Severity
    title: str  # One line without numbers.
    message: str = ""
    labels: tuple[tuple[str, str], ...] = ()


class KnownLeg(msgspec.Struct, frozen=True, kw_only=True):
    """An order at the venue behind one of ours: the first, or one that replaced it (`core/ids.py`: `leg_id`).

    Attributes:
        revision: How many amendments were sent up to it; 0 = the first.
        qty_lots: Of it alone.
        venue_order_id: Empty if the venue's answer was never journaled.
        filled_lots: By the fills in the journal.
        trade_ids: Of those fills.
    """

    revision: int = 0
    qty_lots: int
    venue_order_id: str = ""
    filled_lots: int = 0
    trade_ids: tuple[str, ...] = ()


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is to become; 0 = unchanged.

    Attributes:
        revision: Of the leg that it makes.
        is_of_before: It was asked for before a restart: nobody knows whether it was sent.
    """

    revision: int
    qty_lots: int
    limit_price_ticks: int
    trigger_price_ticks: int
    is_of_before: bool = False


class KnownOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order of ours, from the journal, when a session goes on.

    Attributes:
        req: As it was sent, or was about to be; after amendments with what holds now.
        legs: At the venue, oldest first; the last one holds.
        has_ended: Whether its terminal update is journaled.
        n_amendments: That were ever asked for.
        amendments: Of these the ones without an answer, oldest first.
    """

    req: BrokerOrderReq
    legs: tuple[KnownLeg, ...]
    has_ended: bool
    n_amendments: int = 0
    amendments: tuple[Amendment, ...] = ()


class UnknownOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order whose outcome nobody knows, for an operator's screen.

    Attributes:
        since_ns: When it became so.
        asks_ns: When the venue is asked again.
        absent_ns: Until when "no such order" is not believed, because it may still arrive.
        evidence: What has been tried and heard, oldest first, one line each.
    """

    client_order_id: str
    symbol: str
    since_ns: int
    asks_ns: int
    absent_ns: int
    evidence: tuple[str, ...]


Word = BrokerFill | BrokerOrderUpdate | ExternalFill | Balances | Health | Notice
