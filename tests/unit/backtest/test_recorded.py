"""Packed orders, fills and round trips are what was recorded, to the last digit."""

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.backtest.recorded import FillRows, OrderRows, RecordedFill, SpecialTerms
from njord.core.contracts import FillEvent, OrderEvent
from njord.core.filters import INT64_MAX
from njord.core.types import OrderType, Side, TimeInForce
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
    assert [rows.add(event) for event in events] == list(range(len(events)))
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
        rows.add(event, number, -1)
    for number, (fill, event) in enumerate(zip(rows, events, strict=True), 1):
        names = [name for name in RecordedFill.__struct_fields__ if name != "order_no"]
        assert {name: getattr(fill, name) for name in names} == {name: getattr(event, name) for name in names}
        assert (str(fill.fee), fill.order_no) == (str(event.fee), number)
    for instrument in range(4):
        assert list(rows.of(instrument)) == [fill for fill in rows if fill.instrument == instrument]
    assert rows.column("price_ticks").tolist() == [event.price_ticks for event in events]


def test_fills_that_come_between_those_of_other_orders_are_found_again() -> None:
    fills = FillRows()
    orders = OrderRows(fills)
    one, other, third = (orders.add(order_event(name)) for name in ("one", "other", "third"))
    for number, index in enumerate((one, other, one, other, one), 1):
        orders.fill(index, fill_event(number))
    assert [fill.qty_lots for fill in orders[one].fills] == [1, 3, 5]
    assert [fill.qty_lots for fill in orders[other].fills] == [2, 4]
    assert orders[third].fills == ()
    assert orders.n_never_filled() == 1
    assert [fill.order_no for fill in fills] == [1, 2, 1, 2, 1]


def test_what_becomes_of_an_order_touches_no_other() -> None:
    orders = OrderRows(FillRows())
    for name in ("a", "b", "c"):
        orders.add(order_event(name))
    before = orders[0], orders[2]
    orders.accept(1, 11)
    orders.accept(1, 12)
    orders.trigger(1, 13)
    orders.amended(1).n_done += 1
    orders.end(1, 14, "canceled/CANCEL_REQUESTED", "as asked")
    order = orders[1]
    assert (order.accepted_ns, order.triggered_ns, order.end_ns) == (11, 13, 14)
    assert (order.terminal, order.detail) == ("canceled/CANCEL_REQUESTED", "as asked")
    assert order.amended is not None
    assert (order.amended.n_done, order.asked_lots) == (1, 5)
    assert (orders[0], orders[2]) == before


def test_an_order_is_found_by_its_id_and_the_newest_first() -> None:
    orders = OrderRows(FillRows())
    for name in ("a", "b", "a"):
        orders.add(order_event(name))
    assert [orders.find(name) for name in ("a", "b", "c")] == [2, 1, -1]


def test_only_orders_that_others_wait_for_are_entries() -> None:
    orders = OrderRows(FillRows())
    orders.add(order_event("entry"))
    assert orders.entries() == {}
    orders.add(msgspec.structs.replace(order_event("exit"), after_client_order_id="entry"))
    orders.add(msgspec.structs.replace(order_event("lost"), after_client_order_id="never"))
    assert orders.entries() == {"entry": 1}


def test_what_nobody_sent_has_ended_at_once() -> None:
    orders = OrderRows(FillRows())
    event = fill_event(3, side=Side.SELL)
    orders.fill(orders.add_unsent(event, "liquidated"), event)
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
    assert [rows.text_at(index).strategy_id for index in range(len(rows))] == [
        f"s{i}" for i in range(len(closed))
    ]
