"""Whole runs on ticks: random markets and strategies through engine, host and venue, with every rule at once.

The oracles know the venue's reports and the market's rows only; those of lives, links, fees and books are shared with
the venue's own property on bars.
"""

from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

from hypothesis import given, settings

from njord.core.codec import encode
from njord.core.contracts import (
    INBOUND,
    BrokerFill,
    BrokerFunding,
    BrokerLiquidation,
    BrokerOrderReq,
    BrokerOrderUpdate,
    FillEvent,
    OrderUpdate,
)
from njord.core.orders import TERMINAL
from njord.core.types import OrderReason, OrderType, Side, TimeInForce
from njord.venues.terms import VenueTerms
from tests.property.strategies import START_NS, MemoryJournal, is_ordered
from tests.property.test_venue_orders import (
    Money,
    _amended,
    _check_books,
    _check_fill,
    _check_links,
    _check_lives,
)
from tests.property.tick_naive import ASK, BID, BUY, SELL, Naive, Row
from tests.property.tick_worlds import WORLDS, Run, World, at_ns, system_of
from tests.property.venue_worlds import TRADED

TAKE_PROFITS = (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)


@given(WORLDS)
def test_a_run_on_ticks_keeps_every_rule_at_once(world: World) -> None:
    run: Any = Run(world)
    _check_lives(run)
    _check_links(run)
    _check_books(run)
    _check_market(run)
    _check_money(run)
    _check_times(run)
    _check_derived_again(run)


@settings(max_examples=6)
@given(WORLDS)
def test_the_same_run_on_ticks_gives_the_same_bytes(world: World) -> None:
    first, second = Run(world), Run(world)
    assert list(map(encode, first.journal.messages)) == list(map(encode, second.journal.messages))


# --- the market: nothing better than it allowed, nothing before its trigger or after its time ---


class Tape:
    """What an instrument's market showed: trades, and the best of both sides after each row."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.touches: list[tuple[int, dict[int, int]]] = []
        naive = Naive("risk_averse", True)
        for row in rows:
            naive.row(row)
            self.touches.append((at_ns(row[1]), {1: naive.touch(ASK), -1: naive.touch(BID)}))
        self.trades = [(at_ns(ts), price) for kind, ts, price, _ in rows if kind in (BUY, SELL)]

    def last(self, before_ns: int) -> int:
        """The last trade's price before a time, 0 if there is none."""
        return next((price for ts, price in reversed(self.trades) if ts < before_ns), 0)

    def prices(self, from_ns: int, until_ns: int) -> list[int]:
        """The last trade before a time, and all from then until another time, included."""
        known = self.last(from_ns)
        within = [price for ts, price in self.trades if from_ns <= ts <= until_ns]
        return [known, *within] if known else within

    def taken(self, sign: int, ts_ns: int) -> list[int]:
        """The prices that a taker could find at a time."""
        before = [touch[sign] for ts, touch in self.touches if ts < ts_ns][-1:]
        at = [touch[sign] for ts, touch in self.touches if ts == ts_ns]
        return [price for price in before + at if price] + [price for ts, price in self.trades if ts == ts_ns]

    def meets(self, sign: int, limit: int, ts_ns: int) -> bool:
        """Whether something at a time could trade with an order of ours that rests at a limit."""
        met = {BUY, BID} if sign < 0 else {SELL, ASK}
        return any(
            at_ns(ts) == ts_ns and kind in met and sign * (limit - price) >= 0
            for kind, ts, price, _ in self.rows
        )


def _check_market(run: Run) -> None:
    tapes = [Tape(rows) for rows in run.world.rows]
    limits = {name: req.limit_price_ticks for name, req in run.placed.items()}
    woken = {name for name, req in run.placed.items() if not req.type.is_conditional}
    arrived: dict[str, int] = {}
    for report, _ in run.seen:
        if isinstance(report, BrokerOrderUpdate):
            name = report.client_order_id
            req = run.placed[name]
            limits[name] = report.limit_price_ticks
            arrived.setdefault(name, report.ts_venue_ns)
            if report.reason is OrderReason.TRIGGERED:
                since_ns = arrived[name] if _is_delayed(run.world.terms) else req.ts_ns
                _check_trigger(run, tapes[req.instrument], report, since_ns)
                woken.add(name)
            elif report.status in TERMINAL and req.tif is TimeInForce.GTD:
                assert report.ts_venue_ns <= max(req.expire_ns, arrived[name])
        elif isinstance(report, BrokerFill):
            req = run.placed[report.client_order_id]
            assert report.client_order_id in woken
            _check_price(run, tapes[req.instrument], req, report, limits[report.client_order_id])


def _is_delayed(terms: VenueTerms) -> bool:
    return bool(terms.entry_latency_ns or terms.response_latency_ns or terms.latency_samples)


def _check_price(run: Run, tape: Tape, req: BrokerOrderReq, fill: BrokerFill, limit: int) -> None:
    sign, price, ts_ns = req.side.sign, fill.price_ticks, fill.ts_venue_ns
    assert ts_ns >= req.ts_ns + run.world.terms.entry_latency_ns
    if limit:
        assert sign * (limit - price) >= 0
    if fill.is_maker:
        assert price == limit
        assert tape.meets(sign, limit, ts_ns)
    else:
        assert not req.post_only
        assert sign * price >= min(sign * found for found in tape.taken(sign, ts_ns))
    if req.tif is TimeInForce.GTD:
        assert ts_ns < req.expire_ns


def _check_trigger(run: Any, tape: Tape, told: BrokerOrderUpdate, since_ns: int) -> None:
    req, now_ns = run.placed[told.client_order_id], told.ts_venue_ns
    is_above = (req.side is Side.BUY) is not (req.type in TAKE_PROFITS)
    reached = max(tape.prices(now_ns, now_ns)) if is_above else min(tape.prices(now_ns, now_ns))
    if req.type is not OrderType.TRAILING_STOP:
        assert reached >= told.trigger_price_ticks if is_above else reached <= told.trigger_price_ticks
    elif told.client_order_id not in _amended(run):
        seen = tape.prices(since_ns, now_ns)
        best = min(seen) if is_above else max(seen)
        assert abs(reached - best) >= req.trail_ticks


# --- money: fees, funding and liquidations to the last unit, none forgotten ---


class TickMoney(Money):
    """Money at the last trades of a moment; another market's is known up to one step of the host."""

    tapes: list[Tape]
    now_ns = 0
    step_ns = 0

    def equity(self, index: int, ticks: int) -> tuple[Fraction, Fraction]:
        for other, tape in enumerate(self.tapes):
            if other != index:
                found = tape.prices(self.now_ns - self.step_ns, self.now_ns + self.step_ns)
                self.marks[other] = (max if self.held[other] > 0 else min)(found) if found else 0
        return super().equity(index, ticks)


def _check_money(run: Run) -> None:
    any_run: Any = run
    money = TickMoney(any_run.world)
    money.tapes = [Tape(rows) for rows in run.world.rows]
    times = [message.ts_ns for message in run.market.messages]
    money.step_ns = max((after - before for before, after in pairwise([START_NS, *times])), default=0)
    before_ns = START_NS
    for report, _ in run.seen:
        _check_nothing_was_due(money, before_ns, report.ts_venue_ns)
        before_ns = money.now_ns = report.ts_venue_ns
        if isinstance(report, BrokerFill):
            _check_fill(money, any_run, report)
        elif isinstance(report, BrokerFunding):
            _check_funding(money, report)
        elif isinstance(report, BrokerLiquidation):
            _check_liquidation(money, report)
    _check_nothing_was_due(money, before_ns, times[-1])
    assert abs(Fraction(run.venue.cash) - money.cash) < Fraction(1, 10**16)
    assert [Fraction(run.venue.held_qty(index)) for index in range(2)] == money.held


# Between two reports the venue had no reason to speak of money: no funding fell due, and no trade ruined a position.
def _check_nothing_was_due(money: TickMoney, after_ns: int, before_ns: int) -> None:
    for index, tape in enumerate(money.tapes):
        if money.is_contract(index) and money.held[index]:
            assert not any(after_ns < ts < before_ns for ts, _ in money.world.terms.funding.rates)
            for ts_ns, price in tape.trades:
                if after_ns < ts_ns < before_ns:
                    assert money.excess(index, price) > 0


def _check_funding(money: TickMoney, paid: BrokerFunding) -> None:
    index, traded = paid.instrument, TRADED[paid.instrument]
    assert money.is_contract(index) and money.held[index]
    assert paid.rate == dict(money.world.terms.funding.rates)[paid.ts_venue_ns]
    last = money.tapes[index].last(paid.ts_venue_ns)
    assert not last or paid.mark_ticks == last
    owed = -Fraction(paid.rate) * money.held[index] * paid.mark_ticks * Fraction(traded.tick_size)
    quantum = 10**traded.money_scale
    assert Fraction(paid.amount) == Fraction(floor(owed * quantum), quantum)
    money.cash += Fraction(paid.amount)


def _check_liquidation(money: TickMoney, closed: BrokerLiquidation) -> None:
    index, sign = closed.instrument, closed.side.sign
    assert money.is_contract(index) and money.held[index] * sign < 0
    assert money.excess(index, closed.price_ticks) <= 0
    prices = money.tapes[index].prices(closed.ts_venue_ns, closed.ts_venue_ns)
    assert not prices or closed.price_ticks in prices
    money.trade(index, sign * closed.qty_lots, closed.price_ticks, Fraction(closed.fee), False)
    assert money.held[index] == 0


# --- time and derivation ---


def _check_times(run: Run) -> None:
    inbound = [message for message in run.journal.messages if type(message) in INBOUND]
    assert is_ordered([message.ts_ns for message in inbound])
    for message in inbound:
        if isinstance(message, FillEvent | OrderUpdate) and message.ts_ns < run.market.end_ns:
            assert message.ts_ns >= message.ts_venue_ns + run.world.terms.response_latency_ns


def _check_derived_again(run: Run) -> None:
    again = MemoryJournal()
    system = system_of(run.world, again)
    for message in run.journal.messages:
        if type(message) in INBOUND:
            system.engine.step(message)
    assert list(map(encode, again.messages)) == list(map(encode, run.journal.messages))
    assert len(run.system.oms.working) == 0
