"""Packed orders, fills and round trips are what was recorded, to the last digit."""

from decimal import Decimal
from itertools import accumulate
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.backtest.recorded import OrderRows, SpecialTerms
from njord.backtest.recorded_fills import FillRows, RecordedFill
from njord.core.columns import BATCH
from njord.core.contracts import FillEvent, OrderEvent
from njord.core.filters import INT64_MAX
from njord.core.types import OrderType, Side, TimeInForce
from njord.core.units import ZERO
from njord.performance.trades import RoundTrip
from njord.performance.trip_rows import TripRows

WHOLE = st.integers(0, INT64_MAX)
SIZES = st.integers(1, INT64_MAX)
NAMES = st.text(max_size=4)
MONEY = st.sampled_from(
    [Decimal(text) for text in ("0", "-0.10", "1E+3", "123456789012345678901234567890.123456789", "-1E-30")]
)
EVENTS = st.builds(
    OrderEvent,
    ts_ns=WHOLE, instrument=st.integers(0, 99), account_id=NAMES, strategy_id=NAMES, intent_id=NAMES,
    client_order_id=NAMES, slice_id=NAMES, side=st.sampled_from(Side), type=st.sampled_from(OrderType),
    tif=st.sampled_from(TimeInForce), qty_lots=SIZES, limit_price_ticks=WHOLE, reduce_only=st.booleans(),
    decision_seq=WHOLE, limits_version=st.just(1), expires_ns=WHOLE, post_only=st.booleans(),
    trigger_price_ticks=st.sampled_from((0, 5)), trail_ticks=st.sampled_from((0, 6)),
    expire_ns=st.sampled_from((0, 7)), group_id=st.sampled_from(("", "g")),
    after_client_order_id=st.sampled_from(("", "e")),
)  # fmt: skip
KEPT = (
    "ts_ns", "instrument", "strategy_id", "client_order_id", "slice_id", "side", "type", "tif", "qty_lots",
    "limit_price_ticks", "reduce_only", "decision_seq", "post_only",
)  # fmt: skip
SPECIAL = ("trigger_price_ticks", "trail_ticks", "expire_ns", "group_id", "after_client_order_id")


def fill_event(number: int = 1, **changes: Any) -> FillEvent:
    given: dict[str, Any] = {
        "ts_ns": 100 + number, "instrument": 0, "account_id": "a", "strategy_id": "s", "intent_id": "s-1",
        "client_order_id": "o", "venue_trade_id": f"{number}", "side": Side.BUY, "price_ticks": 10, "qty_lots": number,
        "fee": Decimal("0.01"), "fee_asset": "USDT", "is_maker": False, "ts_venue_ns": number, **changes,
    }  # fmt: skip
    return FillEvent(**given)


def order_event(name: str = "o") -> OrderEvent:
    return OrderEvent(
        ts_ns=1, instrument=0, account_id="a", strategy_id="s", intent_id=name, client_order_id=name, side=Side.BUY,
        type=OrderType.MARKET, tif=TimeInForce.GTC, qty_lots=5, decision_seq=1, limits_version=1, expires_ns=9,
    )  # fmt: skip


@settings(max_examples=20)
@given(st.lists(EVENTS, max_size=5))
def test_orders_come_back_as_they_were_sent(events: list[OrderEvent]) -> None:
    rows = OrderRows(FillRows())
    assert [rows.add(event).order_no for event in events] == list(range(1, len(events) + 1))
    for number, (order, event) in enumerate(zip(rows, events, strict=True), 1):
        assert order.order_no == number
        assert {name: getattr(order, name) for name in KEPT} == {name: getattr(event, name) for name in KEPT}
        assert order.terms == SpecialTerms(*(getattr(event, name) for name in SPECIAL))
        assert (order.accepted_ns, order.end_ns, order.triggered_ns) == (None, None, None)
        assert (order.terminal, order.detail, order.amended, order.fills) == ("", "", None, ())
        assert rows.strategy_at(number - 1) == event.strategy_id


@settings(max_examples=20)
@given(st.lists(st.builds(
    fill_event, ts_ns=WHOLE, instrument=st.integers(0, 3), side=st.sampled_from(Side), price_ticks=SIZES, qty_lots=SIZES,
    fee=MONEY, fee_asset=st.sampled_from(("USDT", "BTC")), is_maker=st.booleans(), ts_venue_ns=WHOLE,
), max_size=6))  # fmt: skip
def test_fills_come_back_to_the_last_digit_of_their_fee(events: list[FillEvent]) -> None:
    rows = FillRows()
    for number, event in enumerate(events, 1):
        rows.add(event, number)
    for number, (fill, event) in enumerate(zip(rows, events, strict=True), 1):
        names = [name for name in RecordedFill.__struct_fields__ if name != "order_no"]
        assert {name: getattr(fill, name) for name in names} == {name: getattr(event, name) for name in names}
        assert (str(fill.fee), fill.order_no) == (str(event.fee), number)
    for instrument in range(4):
        own, steps = [fill for fill in rows if fill.instrument == instrument], rows.steps(instrument, "BTC")
        signed = [fill.qty_lots if fill.side is Side.BUY else -fill.qty_lots for fill in own]
        assert steps.lots == [sum(signed[:n]) for n in range(1, len(own) + 1)]
        assert steps.ts_ns.tolist() == [fill.ts_ns for fill in own]
        assert steps.ts_venue_ns.tolist() == [fill.ts_venue_ns for fill in own]
        in_kind = [fill.fee if fill.fee_asset == "BTC" else ZERO for fill in own]
        assert steps.fees_in_kind == (in_kind if any(in_kind) else [])
    assert rows.column("price_ticks").tolist() == [event.price_ticks for event in events]


def test_fills_that_come_between_those_of_other_orders_are_found_again() -> None:
    fills = FillRows()
    orders = OrderRows(fills)
    for name in ("unfilled", "one", "other", "third"):
        orders.add(order_event(name))
    for number, order_no in enumerate((2, 3, 2, 3, 2), 1):
        fills.add(fill_event(number), order_no)
    own = [(), (1, 3, 5), (2, 4), ()]
    assert [tuple(fill.qty_lots for fill in order.fills) for order in orders] == own
    assert [tuple(fill.qty_lots for fill in orders[index].fills) for index in range(4)] == own
    assert orders.n_never_filled() == 2
    assert [fill.order_no for fill in fills] == [2, 3, 2, 3, 2]
    fills.add(fill_event(6), 4)
    assert [fill.qty_lots for fill in orders[3].fills] == [6]


@pytest.mark.parametrize("n_others", [0, BATCH - 2, BATCH - 1, BATCH, 2 * BATCH])
@pytest.mark.parametrize("is_read", [False, True])
def test_what_becomes_of_an_order_touches_no_other(n_others: int, is_read: bool) -> None:
    orders = OrderRows(FillRows())
    course = [orders.add(order_event(name)) for name in ("a", "b", "c")][1]
    course.accepted_ns = 11
    if is_read:
        assert (orders[1].accepted_ns, orders[1].triggered_ns, orders[1].end_ns) == (11, None, None)
    for number in range(n_others):
        orders.add(order_event(f"{number}")).end_ns = number
    course.triggered_ns = 13
    orders.amended(course).n_done += 1
    course.end_ns = 14
    course.terminal, course.detail = "canceled/CANCEL_REQUESTED", "as asked"
    order = orders[1]
    assert (order.accepted_ns, order.triggered_ns, order.end_ns) == (11, 13, 14)
    assert (order.terminal, order.detail) == ("canceled/CANCEL_REQUESTED", "as asked")
    assert order.amended is not None
    assert (order.amended.n_done, order.asked_lots) == (1, 5)
    for index, name in ((0, "a"), (2, "c")):
        other = orders[index]
        assert (other.client_order_id, other.accepted_ns, other.end_ns, other.terminal) == (
            name,
            None,
            None,
            "",
        )
    assert [order.end_ns for order in orders][3:] == list(range(n_others))
    assert [order.order_no for order in orders] == list(range(1, n_others + 4))
    assert orders.endings() == {"canceled/CANCEL_REQUESTED": 1}


def test_an_order_that_works_when_later_ones_are_packed_ends_in_its_own_row() -> None:
    fills = FillRows()
    orders = OrderRows(fills)
    for number in range(3 * BATCH):
        course = orders.add(order_event(f"{number}"))
        assert course.order_no == number + 1
        if number == BATCH + 7:
            late = course
        else:
            course.end_ns = number
    assert orders[late.order_no - 1].end_ns is None
    late.end_ns = 99_999
    fills.add(fill_event(5), late.order_no)
    ends = [*range(BATCH + 7), 99_999, *range(BATCH + 8, 3 * BATCH)]
    assert [order.end_ns for order in orders] == ends
    assert [order.order_no for order in orders if order.fills] == [BATCH + 8]


@pytest.mark.parametrize("n_fills", [BATCH - 1, BATCH, BATCH + 1])
def test_fills_are_whole_at_any_number(n_fills: int) -> None:
    rows = FillRows()
    for number in range(n_fills):
        assert len(rows) == number
        rows.add(fill_event(number + 1, instrument=number % 2), 1 + number // 2)
    assert [fill.qty_lots for fill in rows] == list(range(1, n_fills + 1))
    assert rows.column("qty_lots").tolist() == list(range(1, n_fills + 1))
    assert rows.steps(1, "BTC").lots == list(accumulate(range(2, n_fills + 1, 2)))
    assert [len(each) for each in rows.of_orders(range(1, 1 + n_fills // 2))] == [2] * (n_fills // 2)


def test_an_order_is_found_by_its_id_and_the_newest_first() -> None:
    orders = OrderRows(FillRows())
    for name in ("a", "b", "a"):
        orders.add(order_event(name))
    assert [orders.find(name) for name in ("a", "b", "c")] == [3, 2, 0]


def test_only_orders_that_others_wait_for_are_entries() -> None:
    orders = OrderRows(FillRows())
    orders.add(order_event("entry"))
    assert orders.entries() == {}
    orders.add(msgspec.structs.replace(order_event("exit"), after_client_order_id="entry"))
    orders.add(msgspec.structs.replace(order_event("lost"), after_client_order_id="never"))
    assert orders.entries() == {"entry": 1}


def test_what_nobody_sent_has_ended_at_once() -> None:
    fills = FillRows()
    orders = OrderRows(fills)
    event = fill_event(3, side=Side.SELL)
    fills.add(event, orders.add_unsent(event, "liquidated"))
    order = orders[0]
    assert (order.client_order_id, order.terminal, order.side, order.qty_lots) == (
        "",
        "liquidated",
        Side.SELL,
        3,
    )
    assert (order.type, order.tif, order.limit_price_ticks) == (OrderType.MARKET, TimeInForce.IOC, 0)
    assert (order.ts_ns, order.accepted_ns, order.end_ns) == (103, 3, 3)
    assert [fill.qty_lots for fill in order.fills] == [3]


@settings(max_examples=20)
@given(st.lists(st.builds(
    RoundTrip, instrument=st.integers(0, 9), side=st.sampled_from(Side), ts_open_ns=WHOLE, ts_close_ns=WHOLE,
    qty=MONEY, entry_price=MONEY, exit_price=MONEY, fees=MONEY, pnl=MONEY,
    return_fraction=st.floats(allow_nan=False), duration_ns=st.just(0),
), max_size=4))  # fmt: skip
def test_round_trips_come_back_as_they_were_closed(trips: list[RoundTrip]) -> None:
    closed = [msgspec.structs.replace(trip, duration_ns=trip.ts_close_ns - trip.ts_open_ns) for trip in trips]
    rows = TripRows()
    for number, trip in enumerate(closed):
        rows.add(f"s{number}", trip)
    assert rows == closed
    assert [trip.strategy_id for trip in rows.texts(range(len(rows)))] == [
        f"s{i}" for i in range(len(closed))
    ]


def test_orders_with_a_limit_are_those_that_were_sent_with_one() -> None:
    orders = OrderRows(FillRows())
    assert list(orders.with_limit()) == []
    for number in range(BATCH + 2):
        order = order_event(f"{number}")
        orders.add(msgspec.structs.replace(order, limit_price_ticks=7) if number % 100 == 1 else order)
    assert [order.order_no for order in orders.with_limit()] == [2 + 100 * n for n in range(6)]
