"""The simulated venue on random bars: no fill that the bar does not allow, no money from nowhere, one end per order."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from math import ceil

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from njord.core.contracts import (
    Bar,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerOrderUpdate,
)
from njord.core.orders import TERMINAL
from njord.core.types import InstrumentKind, OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.venues.fees import FeeModel
from njord.venues.simulated import Report, SimulatedVenue
from njord.venues.terms import VenueTerms
from tests.property.strategies import INTERVAL_NS, START_NS, bar_series, instrument

TRADED = (
    instrument("BTC/USDT", tick_size=Decimal("0.5"), lot_size=Decimal("0.01"), max_qty=Decimal(20)),
    instrument("ETH/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal("0.25"), lot_size=Decimal("0.1")),
)
CAPITAL = Decimal(500)
SLIPPAGE_BPS = Decimal(150)
FEES = FeeModel(maker_bps=Decimal(-5), taker_bps=Decimal(20))


class Wish(msgspec.Struct):
    """An order before it has an id: `at` is when it is sent, in thirds of a bar from the start."""

    at: int
    instrument: int
    side: Side
    type: OrderType
    tif: TimeInForce
    qty_lots: int
    limit_ticks: int
    reduce_only: bool
    cancel_at: int


WISHES = st.lists(
    st.builds(
        Wish,
        at=st.integers(0, 18),
        instrument=st.integers(0, 1),
        side=st.sampled_from(Side),
        type=st.sampled_from([OrderType.LIMIT] * 3 + [OrderType.MARKET]),
        tif=st.sampled_from([TimeInForce.GTC] * 3 + [TimeInForce.IOC]),
        qty_lots=st.one_of(st.integers(1, 20), st.integers(1, 150)),
        limit_ticks=st.integers(86, 116),
        reduce_only=st.sampled_from([False] * 9 + [True]),
        cancel_at=st.integers(0, 90).map(lambda thirds: 90 - thirds),
    ),
    min_size=3,
    max_size=14,
)
MARKETS = st.booleans().flatmap(lambda honest: bar_series(n_instruments=2, honest=honest))


class Seen(msgspec.Struct):
    """One report, and the bar that brought it (None: a cancel or the end)."""

    report: BrokerFill | BrokerOrderUpdate
    bar: Bar | None


class Run:
    """Places wishes at their times, feeds bars, and keeps an oracle of the balances in fractions."""

    def __init__(self, bars: list[Bar], wishes: list[Wish]) -> None:
        self.venue = SimulatedVenue(TRADED, FEES, VenueTerms(slippage_bps=SLIPPAGE_BPS), CAPITAL, "USDT")
        self.placed: dict[str, BrokerOrderReq] = {}
        self.seen: list[Seen] = []
        self.cash, self.held = Fraction(CAPITAL), [Fraction(0), Fraction(0)]
        waiting = sorted(enumerate(wishes), key=lambda pair: pair[1].at)
        for current in bars:
            while waiting and self._time(waiting[0][1].at) < current.ts_ns:
                self._place(*waiting.pop(0))
            for number, wish in enumerate(wishes):
                if current.ts_ns - INTERVAL_NS <= self._time(wish.cancel_at) < current.ts_ns:
                    self.venue.cancel(
                        BrokerCancelReq(
                            symbol="", client_order_id=f"c{number}", ts_ns=self._time(wish.cancel_at)
                        )
                    )
                    self._take_in(self.venue.drain(), None)
            self._take_in(self.venue.on_bar(current), current)
        self._take_in(self.venue.expire_all(bars[-1].ts_ns), None)

    @staticmethod
    def _time(thirds: int) -> int:
        return START_NS + thirds * (INTERVAL_NS // 3)

    def _place(self, number: int, wish: Wish) -> None:
        req = BrokerOrderReq(
            instrument=wish.instrument,
            symbol=TRADED[wish.instrument].symbol,
            side=wish.side,
            type=wish.type,
            tif=wish.tif,
            qty_lots=wish.qty_lots,
            limit_price_ticks=wish.limit_ticks if wish.type is OrderType.LIMIT else 0,
            reduce_only=wish.reduce_only,
            client_order_id=f"c{number}",
            ts_ns=self._time(wish.at),
        )
        if isinstance(self.venue.place(req), BrokerOrderAck):
            self.placed[req.client_order_id] = req

    def _take_in(self, reports: Iterable[Report], current: Bar | None) -> None:
        for report in reports:
            assert isinstance(report, BrokerFill | BrokerOrderUpdate)
            self.seen.append(Seen(report, current))
            if isinstance(report, BrokerFill):
                req = self.placed[report.client_order_id]
                traded = TRADED[req.instrument]
                signed = req.side.sign * Fraction(traded.lot_size) * report.qty_lots
                self.cash -= signed * Fraction(traded.tick_size) * report.price_ticks + Fraction(report.fee)
                self.held[req.instrument] += signed
        assert Fraction(self.venue.cash) == self.cash
        assert [Fraction(self.venue.held_qty(index)) for index in range(2)] == self.held

    def fills(self) -> list[tuple[BrokerOrderReq, BrokerFill, Bar]]:
        """Every fill with its order and its bar."""
        return [
            (self.placed[seen.report.client_order_id], seen.report, seen.bar)
            for seen in self.seen
            if isinstance(seen.report, BrokerFill) and seen.bar is not None
        ]


def believed(current: Bar) -> tuple[int, int]:
    """(low, high) of a bar; only the open of one that contradicts itself."""
    if current.low <= min(current.open, current.close) and current.high >= max(current.open, current.close):
        return current.low, current.high
    return current.open, current.open


def slipped(ticks: int, sign: int) -> int:
    """The price moved by the slippage to the next worse tick, in fractions."""
    return max(1, ticks + sign * ceil(ticks * Fraction(SLIPPAGE_BPS) / 10_000))


@given(MARKETS, WISHES)
def test_no_fill_is_better_than_the_bar_or_worse_than_the_limit(bars: list[Bar], wishes: list[Wish]) -> None:
    for req, fill, current in Run(bars, wishes).fills():
        sign, (low, high) = req.side.sign, believed(current)
        best, worst = (low, high) if sign > 0 else (high, low)
        assert sign * fill.price_ticks >= sign * best
        assert sign * fill.price_ticks <= sign * slipped(worst, sign)
        if req.type is OrderType.MARKET:
            assert fill.price_ticks == slipped(current.open, sign)
            continue
        limit = req.limit_price_ticks
        assert sign * fill.price_ticks <= sign * limit
        opens_inside = sign * current.open <= sign * limit
        if not opens_inside:
            assert fill.price_ticks == limit and fill.is_maker and low <= limit <= high
        elif fill.is_maker:
            assert fill.price_ticks == current.open
        else:
            assert sign * fill.price_ticks == min(sign * slipped(current.open, sign), sign * limit)


@given(MARKETS, WISHES)
def test_no_order_fills_on_a_bar_that_opened_before_it_was_sent(bars: list[Bar], wishes: list[Wish]) -> None:
    for req, fill, current in Run(bars, wishes).fills():
        assert req.ts_ns <= current.ts_open_ns <= fill.ts_venue_ns <= current.ts_ns
        assert fill.ts_venue_ns in (current.ts_open_ns, current.ts_ns)


@given(MARKETS, WISHES)
def test_every_accepted_order_ends_exactly_once_and_fills_whole_or_not_at_all(
    bars: list[Bar], wishes: list[Wish]
) -> None:
    run = Run(bars, wishes)
    ends = [seen.report for seen in run.seen if isinstance(seen.report, BrokerOrderUpdate)]
    assert all(end.status in TERMINAL for end in ends)
    assert sorted(end.client_order_id for end in ends) == sorted(run.placed)
    filled = {fill.client_order_id: fill for _, fill, _ in run.fills()}
    assert len(filled) == len(run.fills())
    for end in ends:
        is_filled = end.status is OrderStatus.FILLED
        assert is_filled == (end.client_order_id in filled)
        assert end.filled_lots == (end.qty_lots if is_filled else 0)
        assert is_filled is (end.reason is OrderReason.NONE)
    assert run.venue.n_working == 0
    assert run.venue.fetch_open_orders(None) == []


@given(MARKETS, WISHES)
def test_makers_have_rested_and_immediate_orders_never_rest(bars: list[Bar], wishes: list[Wish]) -> None:
    run = Run(bars, wishes)
    for req, fill, current in run.fills():
        is_first_look = current.ts_open_ns - req.ts_ns < INTERVAL_NS
        if fill.ts_venue_ns == current.ts_open_ns:
            assert fill.is_maker is not is_first_look
        else:
            assert fill.is_maker
        if req.tif is TimeInForce.IOC or req.type is OrderType.MARKET:
            assert not fill.is_maker and is_first_look
        traded = TRADED[req.instrument]
        rate = FEES.maker_bps if fill.is_maker else FEES.taker_bps
        owed = Fraction(traded.notional(fill.price_ticks, fill.qty_lots)) * Fraction(rate) / 10_000
        assert 0 <= Fraction(fill.fee) - owed < Fraction(1, 10**8)
        assert fill.fee_asset == "USDT"


@given(MARKETS, WISHES)
def test_nothing_is_bought_on_credit_and_spot_is_never_short(bars: list[Bar], wishes: list[Wish]) -> None:
    cash, held = Fraction(CAPITAL), [Fraction(0), Fraction(0)]
    run = Run(bars, wishes)
    for seen in run.seen:
        if seen.bar is not None and isinstance(seen.report, BrokerFill):
            fill, req = seen.report, run.placed[seen.report.client_order_id]
            index, traded = req.instrument, TRADED[req.instrument]
            signed = req.side.sign * Fraction(traded.lot_size) * fill.qty_lots
            before = held[index]
            price = Fraction(traded.tick_size) * fill.price_ticks
            cash -= signed * price + Fraction(fill.fee)
            held[index] += signed
            assert held[0] >= 0
            shrinks = abs(held[index]) <= abs(before) and held[index] * before >= 0
            assert shrinks or not req.reduce_only
            if not shrinks:
                other = 1 - index
                marked = price if index == 1 else Fraction(TRADED[1].tick_size) * _last(bars, other, seen.bar)
                assert cash >= 2 * max(Fraction(0), -held[1]) * marked


def _last(bars: list[Bar], index: int, now: Bar) -> int:
    closes = [each.close for each in bars[: bars.index(now)] if each.instrument == index]
    return closes[-1] if closes else 0


@given(MARKETS, WISHES)
def test_older_orders_fill_first_but_inside_a_bar_the_nearer_of_one_side(
    bars: list[Bar], wishes: list[Wish]
) -> None:
    run = Run(bars, wishes)
    rank = {name: number for number, name in enumerate(run.placed)}
    by_bar: dict[Bar, list[tuple[BrokerOrderReq, BrokerFill]]] = {}
    for req, fill, current in run.fills():
        by_bar.setdefault(current, []).append((req, fill))
    for current, fills in by_bar.items():
        at_open = [rank[req.client_order_id] for req, fill in fills if fill.ts_venue_ns == current.ts_open_ns]
        assert at_open == sorted(at_open)
        assert all(fill.ts_venue_ns == current.ts_open_ns for _, fill in fills[: len(at_open)])
        for side in Side:
            inside = [
                (abs(fill.price_ticks - current.open), rank[req.client_order_id])
                for req, fill in fills[len(at_open) :]
                if req.side is side
            ]
            assert inside == sorted(inside)
