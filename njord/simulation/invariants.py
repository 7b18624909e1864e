"""What must hold after any run, whatever went wrong in it? Books, journal and the venue's truth in; violations out.

`always` is safety: it must hold at any moment. `converged` is what must come to hold once nothing is in trouble and nothing
is on its way any more. The numbers are those of the invariants in the reliability page. Truth is the exchange's ledger,
which no fault can touch; nothing here reuses what the system itself computes with.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from njord.core.account import Account
from njord.core.contracts import (
    EXTERNAL_OWNER,
    Alert,
    AmendEvent,
    BalanceAdjusted,
    FillEvent,
    Message,
    OrderEvent,
    OrderUpdate,
)
from njord.core.ids import leg_id
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL, TRANSITIONS, WorkingOrders
from njord.core.types import OrderReason, OrderStatus, TradingState
from njord.core.units import EXACT, NS_PER_S, ZERO
from njord.exchange.calls import PLACING
from njord.simulation.shell import SentOrder

KILL_BOUND_NS = NS_PER_S  # Promise R3: from the kill to no new orders.
_OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})
# The host says these only where the broker broke its word on what it tells in which order.
_BROKEN_WORDS = frozenset(
    {
        "a trade came after its order's end",
        "an order filled beyond its quantity",
        "an order ended before all its trades were told",
        "the venue's word on an order contradicts its last one",
    }
)
Row = Mapping[str, Any]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left, at one moment.

    Attributes:
        instruments: What was traded.
        truth: The account in the exchange's truth ledger: balances, orders, trades, requests.
        journal: Of the session.
        sent: What left the host, all its lives.
        opening: By asset, what the account held at first and the books did not begin with.
        account: Our books.
        working: Our open orders.
        suspended: Why strategies were suspended.
        state: What the connection to the venue allows; None if it has not said.
        reason: Its own words.
        tripped_ns: When the kill switch was tripped; None = never.
        position_cap: The gate's limit of one position, in quote.
        measures_exposure: Nobody but us traded on the account, and the venue's clock, by which truth is stamped, never jumped.
    """

    instruments: tuple[Instrument, ...]
    truth: Row
    journal: Sequence[Message]
    sent: Sequence[SentOrder]
    opening: Mapping[str, Decimal]
    account: Account
    working: WorkingOrders
    suspended: Sequence[str]
    state: TradingState | None
    reason: str
    tripped_ns: int | None
    position_cap: Decimal
    measures_exposure: bool


class Leg(NamedTuple):
    """One order at the venue as it was approved.

    Attributes:
        order: Whose leg it is.
        qty_lots: What the whole order may come to with it.
        is_exact: It comes to just that; else to no more.
    """

    order: OrderEvent
    qty_lots: int
    is_exact: bool


def always(evidence: Evidence) -> list[str]:
    """Return what was done that must never be done."""
    return [
        *_trades(evidence, must_be_all=False),
        *_ids(evidence),
        *_approvals(evidence),
        *_kill(evidence),
        *_states(evidence.journal),
        *_exposure(evidence),
        *_said(evidence),
    ]


def converged(evidence: Evidence) -> list[str]:
    """Return where books and truth differ; at rest they do not, to the last unit."""
    return [
        *halted(evidence),
        *_trades(evidence, must_be_all=True),
        *_balances(evidence),
        *_adopted(evidence),
        *_open_orders(evidence),
    ]


def halted(evidence: Evidence) -> list[str]:
    """Return what is wrong with a system that is not ACTIVE: a HALT has a name (I15)."""
    if evidence.state is None:
        return ["I15: the connection to the venue never said anything"]
    if evidence.state is not TradingState.ACTIVE and not evidence.reason:
        return [f"I15: the system is {evidence.state} without a reason"]
    return []


def n_amended(evidence: Evidence) -> int:
    """Return how often an order was amended."""
    return sum(
        isinstance(message, OrderUpdate) and message.reason is OrderReason.AMENDED
        for message in evidence.journal
    )


def n_unknown(evidence: Evidence) -> int:
    """Return how often an order was UNKNOWN."""
    return sum(
        isinstance(message, OrderUpdate) and message.status is OrderStatus.UNKNOWN
        for message in evidence.journal
    )


# --- money ---


# I1, I10: every asset, free and locked together.
def _balances(evidence: Evidence) -> Iterator[str]:
    held = {
        asset: EXACT.add(Decimal(row["free"]), Decimal(row["locked"]))
        for asset, row in evidence.truth["balances"].items()
    }
    ours = evidence.account.balances()
    for asset in sorted(held.keys() | ours.keys()):
        if ours.get(asset, ZERO) != held.get(asset, ZERO):
            yield f"I1: our books have {ours.get(asset, ZERO)} {asset}, the venue {held.get(asset, ZERO)}"


# I10: the books follow the venue only where money really came or went; else a lost trade would hide behind it.
def _adopted(evidence: Evidence) -> Iterator[str]:
    came: dict[str, list[Decimal]] = {asset: [amount] for asset, amount in evidence.opening.items()}
    for row in evidence.truth["transfers"]:
        came.setdefault(row["asset"], []).append(Decimal(row["amount"]))
    adopted: dict[str, list[Decimal]] = {}
    for message in evidence.journal:
        if isinstance(message, BalanceAdjusted):
            adopted.setdefault(message.asset, []).append(message.amount)
    for asset in sorted(came.keys() | adopted.keys()):
        true, booked = came.get(asset, []), adopted.get(asset, [])
        if _total(true) != _total(booked) or len(booked) > len(true):
            yield f"I10: {_total(true)} {asset} came in {len(true)} times, {_total(booked)} was adopted in {len(booked)}"


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


# --- trades ---


# I3: each of the venue's trades is booked once, as it was, on the order that it belongs to.
def _trades(evidence: Evidence, *, must_be_all: bool) -> Iterator[str]:
    by_symbol = {each.base + each.quote: index for index, each in enumerate(evidence.instruments)}
    true = {(by_symbol[row["symbol"]], str(row["trade_id"])): row for row in evidence.truth["trades"]}
    fills = [message for message in evidence.journal if isinstance(message, FillEvent)]
    for key, n_times in Counter((fill.instrument, fill.venue_trade_id) for fill in fills).items():
        if key not in true:
            yield f"I3: trade {key[1]} was booked and never happened"
        elif n_times > 1:
            yield f"I3: trade {key[1]} was booked {n_times} times"
    ours = _approved(evidence.journal)
    for fill in fills:
        row = true.get((fill.instrument, fill.venue_trade_id))
        if row is not None:
            yield from _fill(fill, row, evidence.instruments[fill.instrument], ours)
    if must_be_all:
        told = {(fill.instrument, fill.venue_trade_id) for fill in fills}
        yield from (f"I3: trade {key[1]} of the venue was never booked" for key in true if key not in told)


def _fill(fill: FillEvent, row: Row, instrument: Instrument, ours: Mapping[str, Leg]) -> Iterator[str]:
    booked = (
        fill.side.value.upper(),
        instrument.price(fill.price_ticks),
        instrument.qty(fill.qty_lots),
        fill.fee,
        fill.fee_asset if fill.fee else "",
    )
    commission = Decimal(row["commission"])
    true = (
        row["side"],
        Decimal(row["price"]),
        Decimal(row["qty"]),
        commission,
        row["commission_asset"] if commission else "",
    )
    if booked != true:
        yield f"I10: trade {fill.venue_trade_id} was {true}, booked as {booked}"
    name, leg = row["client_order_id"], ours.get(row["client_order_id"])
    if (leg is not None) != (fill.strategy_id != EXTERNAL_OWNER):
        yield f"I2: trade {fill.venue_trade_id} of {name} was booked on {fill.strategy_id}"
    elif leg is not None and fill.client_order_id != leg.order.client_order_id:
        yield f"I2: trade {fill.venue_trade_id} of {name} was booked on order {fill.client_order_id}"


# --- orders ---


# I6: one id, one order. A repeated request is legal where the venue refused the first.
def _ids(evidence: Evidence) -> Iterator[str]:
    for client_id, n_times in Counter(row["client_order_id"] for row in evidence.truth["orders"]).items():
        if n_times > 1:
            yield f"I6: order {client_id} was placed {n_times} times"
    approved = _approved(evidence.journal)
    accepted = Counter(row["client_order_id"] for row in _posts(evidence.truth) if row["status"] == 200)
    for client_id, n_times in accepted.items():
        if n_times > 1:
            yield f"I6: the venue took order {client_id} {n_times} times"
        if client_id not in approved:
            yield f"R2: order {client_id} reached the venue without an approval in the journal"


# R2: nothing leaves that the journal does not have.
def _approvals(evidence: Evidence) -> Iterator[str]:
    approved = _approved(evidence.journal)
    for sent in evidence.sent:
        if sent.method == "POST" and sent.client_order_id not in approved:
            yield f"R2: order {sent.client_order_id} was sent without an approval in the journal"
    done: dict[str, Decimal] = {}  # By order: what its legs before have executed.
    for row in evidence.truth["orders"]:
        leg = approved.get(row["client_order_id"])
        if leg is None:
            continue
        order, before = leg.order, done.get(leg.order.client_order_id, ZERO)
        qty = evidence.instruments[order.instrument].qty(leg.qty_lots)
        comes_to = EXACT.add(before, Decimal(row["orig_qty"]))
        if row["side"] != order.side.value.upper() or comes_to > qty or (leg.is_exact and comes_to != qty):
            yield (
                f"R2: order {row['client_order_id']} was approved as {order.side} {qty}, placed as {row['side']} "
                f"{row['orig_qty']} after {before}"
            )
        done[order.client_order_id] = EXACT.add(before, Decimal(row["executed_qty"]))


# I4, R3: nothing is sent after the kill but cancels.
def _kill(evidence: Evidence) -> Iterator[str]:
    if evidence.tripped_ns is None:
        return
    for sent in evidence.sent:
        if sent.method == "POST" and sent.ts_ns > evidence.tripped_ns + KILL_BOUND_NS:
            late_s = (sent.ts_ns - evidence.tripped_ns) / NS_PER_S
            yield f"I4: order {sent.client_order_id} was sent {late_s:.3f} s after the kill"


# I8: along the graph; I7: nothing after the end.
def _states(journal: Iterable[Message]) -> Iterator[str]:
    states: dict[str, OrderStatus] = {}
    for message in journal:
        if isinstance(message, OrderEvent):
            if message.client_order_id in states:
                yield f"I6: order {message.client_order_id} was approved twice"
            states[message.client_order_id] = OrderStatus.SENT
        elif isinstance(message, OrderUpdate):
            before, after = states.get(message.client_order_id), message.status
            if before is None:
                yield f"R2: order {message.client_order_id} is {after} and was never approved"
            elif before in TERMINAL or (after is not before and after not in TRANSITIONS[before]):
                yield f"I8: order {message.client_order_id} went from {before} to {after}"
            states[message.client_order_id] = after
        elif isinstance(message, FillEvent) and message.client_order_id in states:
            if states[message.client_order_id] in TERMINAL:
                yield f"I7: order {message.client_order_id} filled after its end"
            else:
                states[message.client_order_id] = OrderStatus.PARTIALLY_FILLED


def _open_orders(evidence: Evidence) -> Iterator[str]:
    ours = {order.client_order_id for order in evidence.working}
    approved = _approved(evidence.journal)
    theirs = Counter(
        approved[row["client_order_id"]].order.client_order_id
        for row in evidence.truth["orders"]
        if row["status"] in _OPEN and row["client_order_id"] in approved
    )
    yield from (f"I6: order {each} works {n_times} times" for each, n_times in theirs.items() if n_times > 1)
    yield from (
        f"I1: order {each} works in our books and not at the venue" for each in ours if each not in theirs
    )
    yield from (
        f"I1: order {each} works at the venue and not in our books" for each in theirs if each not in ours
    )
    if evidence.tripped_ns is not None and theirs:
        yield f"R3: {len(theirs)} orders work although the kill switch had them canceled"


# I5: what the venue has of ours, held and resting, at every moment. The gate measured it at the price of that moment, so
# it is measured here at the lowest of them all.
def _exposure(evidence: Evidence) -> Iterator[str]:
    if not evidence.measures_exposure:
        return
    instrument = evidence.instruments[0]
    symbol = instrument.base + instrument.quote
    trades = [row for row in evidence.truth["trades"] if row["symbol"] == symbol]
    first_legs = {message.client_order_id for message in evidence.journal if isinstance(message, OrderEvent)}
    steps: list[tuple[int, int, Decimal]] = []
    for row in evidence.truth["orders"]:
        if row["symbol"] == symbol and row["side"] == "BUY":
            # A leg that took another one's place in one request came when that one was gone.
            rank = 0 if row["client_order_id"] in first_legs else 3
            steps.append((row["placed_ns"], rank, Decimal(row["orig_qty"])))
            if row["status"] not in _OPEN:
                left = EXACT.subtract(Decimal(row["orig_qty"]), Decimal(row["executed_qty"]))
                steps.append((row["ended_ns"], 2, left.copy_negate()))
    for row in trades:
        if row["side"] == "SELL":
            steps.append((row["ts_ns"], 1, Decimal(row["qty"]).copy_negate()))
        if row["commission_asset"] == instrument.base:
            steps.append((row["ts_ns"], 1, Decimal(row["commission"]).copy_negate()))
    lowest = min((Decimal(row["price"]) for row in trades), default=ZERO)
    could_hold = ZERO
    for ts_ns, _, change in sorted(steps):
        could_hold = EXACT.add(could_hold, change)
        if EXACT.multiply(could_hold, lowest) > evidence.position_cap:
            yield f"I5: at {ts_ns} {could_hold} {instrument.base} could be held, worth more than {evidence.position_cap}"
            return


# --- what was said ---


def _said(evidence: Evidence) -> Iterator[str]:
    yield from (f"C7: a strategy was suspended: {why}" for why in evidence.suspended)
    for message in evidence.journal:
        if isinstance(message, Alert) and message.title in _BROKEN_WORDS:
            yield f"I9: {message.title}: {message.message}"


# What may be at the venue, by its name there: an order as it was approved, and each amendment of it.
def _approved(journal: Iterable[Message]) -> dict[str, Leg]:
    legs: dict[str, Leg] = {}
    n_amended: Counter[str] = Counter()
    most: dict[str, int] = {}
    for message in journal:
        if isinstance(message, OrderEvent):
            name = message.client_order_id
            legs[name] = Leg(message, message.qty_lots, True)
            most[name] = message.qty_lots
        elif isinstance(message, AmendEvent) and message.client_order_id in legs:
            name = message.client_order_id
            n_amended[name] += 1
            most[name] = max(most[name], message.qty_lots)
            lots = message.qty_lots or most[name]
            legs[leg_id(name, n_amended[name])] = Leg(legs[name].order, lots, message.qty_lots > 0)
    return legs


def _posts(truth: Row) -> Iterator[Row]:
    for row in truth["requests"]:
        if (row["method"], row["path"]) in PLACING:
            yield row
