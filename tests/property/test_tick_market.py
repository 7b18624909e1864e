"""Random books, trades and orders through the compiled exchange: equal to the plain one, and within what markets allow."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from njord.core.types import TimeInForce
from njord.venues.tick_market import ENDED, FILLED, TRIGGERED, Happening, MarketRows, TickMarket, TickOrder
from tests.property.tick_naive import ASK, BID, BUY, CLEAR, SELL, Naive, Row

LOW, HIGH = 90, 110
PRICES = st.integers(LOW, HIGH)
MODELS = st.sampled_from(["risk_averse", "probability"])
TIFS = st.sampled_from([TimeInForce.GTC] * 3 + [TimeInForce.IOC, TimeInForce.FOK])

Act = tuple[object, ...]  # Its name, then its arguments.


@st.composite
def rows_of(draw: st.DrawFn, with_book: bool = True) -> list[Row]:
    """Rows of a market with gaps, ties in time, crossed books and snapshots; trades alone if it has no book."""
    kinds = [BID, BID, ASK, ASK, BUY, SELL, CLEAR] if with_book else [BUY, SELL]
    found, now = [], 0
    steps = st.tuples(st.sampled_from(kinds), st.integers(0, 2), PRICES, st.integers(0, 12))
    for kind, gap, price, lots in draw(st.lists(steps, min_size=5, max_size=60)):
        now += gap
        if kind == BID:
            price -= 6
        elif kind == ASK:
            price += 6
        found.append((kind, now, price, max(lots, kind in (BUY, SELL))))
    return found


@st.composite
def orders(draw: st.DrawFn, number: int) -> TickOrder:
    """Any order."""
    limit = draw(st.one_of(st.just(0), PRICES))
    trail = draw(st.sampled_from([0, 0, 0, 2, 5]))
    has_trigger = draw(st.booleans()) if not trail else draw(st.integers(0, 3)) == 0
    return TickOrder(
        number=number,
        sign=draw(st.sampled_from([1, -1])),
        remaining_lots=draw(st.integers(1, 15)),
        limit_ticks=limit,
        trigger_ticks=draw(PRICES) if has_trigger else 0,
        is_take_profit=has_trigger and not trail and draw(st.booleans()),
        trail_ticks=trail,
        post_only=bool(limit) and draw(st.integers(0, 3)) == 0,
        tif=draw(TIFS),
    )


@st.composite
def acts_of(draw: st.DrawFn) -> list[Act]:
    """What a venue does with a market, and how far it goes on between."""
    found: list[Act] = []
    for number in range(1, draw(st.integers(2, 14))):
        found.append(("advance", draw(st.integers(0, 12))))
        found.append(("add", draw(orders(number))))
        known = st.integers(1, number)
        change = draw(st.integers(0, 5))
        if change == 0:
            found.append(("withdraw", draw(known)))
        elif change == 1:
            found.append(("shrink", draw(known), draw(st.integers(1, 8))))
        elif change == 2:
            zero_or = [st.one_of(st.just(0), each) for each in (st.integers(1, 15), PRICES, PRICES)]
            found.append(("amend", draw(known), *(draw(each) for each in zero_or)))
    return [*found, ("advance", 200)]


def blocks(rows: list[Row], cuts: list[int]) -> Iterator[MarketRows]:
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    for begin, end in pairwise(edges):
        yield MarketRows(*columns[:, begin:end])


def through_market(market: TickMarket, acts: list[Act], step: int = 10**9) -> Iterator[object]:
    """Yield all that a market answers; times are reached in steps of at most `step`."""
    now = 0
    for name, *arguments in acts:
        if name == "advance":
            (gap,) = arguments
            assert isinstance(gap, int)
            goal = now + gap
            while True:
                now = min(goal, now + step)
                while happened := market.advance(now):
                    yield from happened
                if now == goal:
                    break
            assert market.now_ns == goal
        elif name == "add":
            (order,) = arguments
            assert isinstance(order, TickOrder)
            yield from market.add(order)
        elif name == "amend":
            yield market.amend(*(int(str(each)) for each in arguments))
            yield from market.advance(now) if market.n_orders >= 0 else ()
        else:
            yield getattr(market, str(name))(*arguments)
        yield market.best_bid_ticks, market.best_ask_ticks, market.last_ticks, market.n_orders


def through_naive(naive: Naive, rows: list[Row], acts: list[Act]) -> Iterator[object]:
    now, at = 0, 0
    for name, *arguments in acts:
        if name == "advance":
            (gap,) = arguments
            assert isinstance(gap, int)
            now += gap
            naive.told = []
            while at < len(rows) and rows[at][1] <= now:
                naive.row(rows[at])
                at += 1
            yield from naive.told
            naive.now = now
        elif name == "add":
            (order,) = arguments
            assert isinstance(order, TickOrder)
            yield from naive.add(order)
        elif name == "amend":
            is_done, told = naive.amend(*(int(str(each)) for each in arguments))
            yield is_done
            yield from told
        else:
            yield getattr(naive, str(name))(*arguments)
        yield naive.touch(BID), naive.touch(ASK), naive.last, len(naive.mine)


CUTS = st.lists(st.integers(0, 60), max_size=4)


@given(st.booleans().flatmap(rows_of), acts_of(), MODELS, st.booleans(), CUTS, st.integers(1, 30))
def test_the_compiled_exchange_equals_the_plain_one_however_it_is_cut(
    rows: list[Row], acts: list[Act], model: str, is_partial: bool, cuts: list[int], step: int
) -> None:
    market = TickMarket(blocks(rows, cuts), queue_model=model, partial_fills=is_partial)
    ours = list(through_market(market, acts, step))
    assert ours == list(through_naive(Naive(model, is_partial), rows, acts))


@given(rows_of(), acts_of(), MODELS, st.booleans())
def test_no_order_gets_more_than_it_asked_or_a_better_price_than_there_was(
    rows: list[Row], acts: list[Act], model: str, is_partial: bool
) -> None:
    acts = [act for act in acts if act[0] in ("advance", "add")]
    market = TickMarket(blocks(rows, []), queue_model=model, partial_fills=is_partial)
    placed: dict[int, TickOrder] = {}
    filled: dict[int, int] = {}
    ended: set[int] = set()
    triggered: set[int] = set()
    now = 0
    for name, argument in acts:
        touch = {1: market.best_ask_ticks, -1: market.best_bid_ticks}
        if name == "advance":
            assert isinstance(argument, int)
            now, happened = now + argument, []
            while more := market.advance(now):
                assert market.now_ns == more[0].ts_ns <= now
                happened += more
        else:
            assert isinstance(argument, TickOrder)
            placed[argument.number] = argument
            happened = market.add(argument)
        for each in happened:
            order = placed[each.number]
            assert each.number not in ended
            if each.what is TRIGGERED:
                triggered.add(each.number)
                _assert_reached(order, each)
            elif each.what is ENDED:
                ended.add(each.number)
            else:
                filled[each.number] = filled.get(each.number, 0) + each.qty_lots
                assert order.trigger_ticks + order.trail_ticks == 0 or each.number in triggered
                _assert_allowed(order, each, touch, rows, is_arrival=name == "add")
    assert all(lots <= placed[number].remaining_lots for number, lots in filled.items())


def _assert_reached(order: TickOrder, each: Happening) -> None:
    if order.trigger_ticks and not order.trail_ticks:
        is_up = (order.sign > 0) != order.is_take_profit
        assert each.price_ticks >= order.trigger_ticks if is_up else each.price_ticks <= order.trigger_ticks


# A maker's price is its limit, and its market was there in that instant; a taker paid no less than the touch before it.
def _assert_allowed(
    order: TickOrder, each: Happening, touch: dict[int, int], rows: list[Row], is_arrival: bool
) -> None:
    sign, price = order.sign, each.price_ticks
    if order.limit_ticks:
        assert sign * (order.limit_ticks - price) >= 0
    if not each.is_maker:
        if is_arrival and touch[sign]:
            assert sign * (price - touch[sign]) >= 0
        return
    assert price == order.limit_ticks
    met = {BUY, BID} if sign < 0 else {SELL, ASK}
    assert any(ts == each.ts_ns and kind in met and sign * (price - at) >= 0 for kind, ts, at, _ in rows)


@given(
    rows_of(),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from([1, -1]), st.integers(98, 102)), max_size=12),
    MODELS,
    st.booleans(),
)
def test_better_prices_fill_first_and_at_one_price_earlier_orders(
    rows: list[Row], quotes: list[tuple[int, int, int]], model: str, is_partial: bool
) -> None:
    market = TickMarket(blocks(rows, []), queue_model=model, partial_fills=is_partial)
    left: dict[int, int] = {}
    resting: dict[int, tuple[int, int]] = {}  # Side and price.
    now = 0

    def go(until: int) -> None:
        while happened := market.advance(until):
            for each in happened:
                assert each.what is FILLED
                assert each.is_maker
                sign, price = resting[each.number]
                for other in left:
                    if resting[other][0] == sign and other != each.number:
                        ahead = sign * (resting[other][1] - price)
                        assert ahead < 0 or (ahead == 0 and other > each.number)
                left[each.number] -= each.qty_lots
                if not left[each.number]:
                    del left[each.number]

    # Something on both sides first, so that every quote meets a book; then quotes that only make.
    for number, (gap, sign, price) in enumerate(quotes):
        now += gap
        go(now)
        order = TickOrder(number=number, sign=sign, remaining_lots=5, limit_ticks=price, post_only=True)
        if market.has_book and not market.add(order):
            left[number], resting[number] = 5, (sign, price)
    go(200)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 20)), min_size=1, max_size=20),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    MODELS,
)
def test_with_partial_fills_our_orders_share_each_trade_in_their_order(
    changes: list[tuple[bool, int]], wanted: list[int], model: str
) -> None:
    rows: list[Row] = [(BID, 0, 100, 4), (ASK, 0, 102, 4)]
    rows += [(SELL if trades else BID, 1 + at, 100, lots) for at, (trades, lots) in enumerate(changes)]
    market = TickMarket(blocks(rows, []), queue_model=model, partial_fills=True)
    market.advance(0)
    for number, lots in enumerate(wanted):
        market.add(TickOrder(number=number, sign=1, remaining_lots=lots, limit_ticks=100))
    left = list(wanted)
    while happened := market.advance(100):
        kind, _, _, lots = rows[1 + happened[0].ts_ns]
        assert kind == SELL
        assert sum(each.qty_lots for each in happened) <= lots
        for each in happened:
            assert not any(left[: each.number])
            left[each.number] -= each.qty_lots
    assert min(left) >= 0
