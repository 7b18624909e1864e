"""Groups of which one cancels the other, entries and their exits, by hand."""

from decimal import Decimal

import msgspec

from njord.core.contracts import Bar, BrokerCancelReq, BrokerOrderReq
from njord.core.types import OrderReason, OrderType, Side, TimeInForce
from njord.venues.fees import FeeModel
from njord.venues.simulated import SimulatedVenue
from tests.property.strategies import INTERVAL_NS, START_NS, bar
from tests.unit.venues.venue_case import (
    PERP,
    amended,
    canceled,
    fills,
    lots,
    placed,
    refusal,
    request,
    story,
    venue,
)

SELL, STOP, TRAILING = Side.SELL, OrderType.STOP, OrderType.TRAILING_STOP
SHARE = Decimal("0.1")


def exits(profit: int = 110, stop: int = 90, qty_lots: int = 10) -> tuple[BrokerOrderReq, BrokerOrderReq]:
    return (
        request("profit", side=SELL, limit=profit, group="g", after="entry", reduce_only=True, qty_lots=qty_lots),
        request("stop", side=SELL, type=STOP, trigger=stop, group="g", after="entry", reduce_only=True, qty_lots=qty_lots),
    )  # fmt: skip


def bracket(entry: BrokerOrderReq, **given: int) -> SimulatedVenue:
    return placed(venue(PERP, slippage="0", cash="10000"), entry, *exits(**given))


def traded(number: int, open_: int, high: int, low: int, close: int, volume: int) -> Bar:
    return msgspec.structs.replace(bar(number, open_, high, low, close), volume_lots=volume)


# --- groups ---


def test_of_a_group_one_fill_cancels_the_other() -> None:
    where = venue(PERP, slippage="0")
    placed(
        where, request("a", limit=95, group="g"), request("b", limit=90, group="g"), request("c", limit=90)
    )
    reports = where.on_bar(bar(0, 100, 101, 90, 91))
    assert story(reports) == ["a 10 at 95", "b oco_sibling", "c 10 at 90"]


def test_a_group_never_fills_more_than_one_order_even_at_one_open() -> None:
    where = venue(PERP, slippage="0")
    placed(where, request("a", group="g"), request("b", limit=101, group="g"), request("c", group="h"))
    assert story(where.on_bar(bar(0, 100, 100, 100, 100))) == ["a 10 at 100", "b oco_sibling", "c 10 at 100"]


def test_a_partial_fill_shrinks_the_others_by_as_much() -> None:
    where = venue(PERP, slippage="0", max_volume_share=SHARE)
    placed(where, request("a", limit=95, group="g"), request("b", limit=80, group="g", qty_lots=12))
    assert lots(where.on_bar(traded(0, 100, 100, 95, 96, volume=40))) == [("a", 4)]
    assert [each.qty_lots for each in where.fetch_open_orders(None)] == [10, 8]
    reports = where.on_bar(traded(1, 79, 79, 79, 79, volume=1000))
    assert lots(reports) == [("a", 6), ("b", 2)]
    end = where.fetch_order("", "b")
    assert end is not None and (end.qty_lots, end.filled_lots) == (2, 2)


def test_canceling_one_of_a_group_leaves_the_other() -> None:
    where = placed(venue(), request("a", limit=95, group="g"), request("b", limit=90, group="g"))
    where.cancel(BrokerCancelReq(symbol="", client_order_id="a", ts_ns=START_NS))
    assert where.n_working == 1


# --- entries and exits ---


def test_exits_sleep_until_their_entry_fills() -> None:
    where = bracket(request("entry", limit=50))
    assert where.on_bar(bar(0, 85, 120, 84, 100)) == []
    assert where.n_working == 3


def test_exits_of_an_entry_that_filled_at_the_open_may_fill_in_that_bar() -> None:
    assert story(bracket(request("entry")).on_bar(bar(0, 100, 112, 99, 100))) == [
        "entry 10 at 100",
        "profit 10 at 110",
        "stop oco_sibling",
    ]


def test_of_a_stop_and_a_profit_in_the_entry_bar_the_stop_counts() -> None:
    assert story(bracket(request("entry")).on_bar(bar(0, 100, 112, 88, 100))) == [
        "entry 10 at 100",
        "stop triggered",
        "stop 10 at 90",
        "profit oco_sibling",
    ]


def test_an_entry_that_filled_inside_a_bar_lets_only_its_stop_act_there() -> None:
    low = bracket(request("entry", limit=95))
    assert story(low.on_bar(bar(0, 100, 112, 89, 111))) == [
        "entry 10 at 95",
        "stop triggered",
        "stop 10 at 90",
        "profit oco_sibling",
    ]
    high = bracket(request("entry", limit=95))
    assert story(high.on_bar(bar(0, 100, 112, 91, 111))) == ["entry 10 at 95"]
    assert story(high.on_bar(bar(1, 111, 112, 111, 111))) == ["profit 10 at 111", "stop oco_sibling"]


def test_a_stop_on_the_other_side_of_its_entry_acts_if_the_close_lies_beyond_it() -> None:
    entry = request("entry", type=STOP, trigger=105)
    quiet = bracket(entry, stop=98, profit=130)
    assert fills(quiet.on_bar(bar(0, 100, 106, 90, 99))) == [("entry", 105, False)]
    closed = bracket(entry, stop=98, profit=130)
    assert fills(closed.on_bar(bar(0, 100, 106, 90, 98))) == [("entry", 105, False), ("stop", 98, False)]


def test_a_stop_that_the_entry_price_has_passed_already_acts_at_once() -> None:
    where = bracket(request("entry", limit=95), stop=97)
    assert fills(where.on_bar(bar(0, 100, 100, 94, 100))) == [("entry", 95, True), ("stop", 95, False)]


def test_a_profit_that_waits_for_a_trigger_does_not_act_in_the_bar_of_its_entry_either() -> None:
    where = venue(PERP, slippage="0")
    profit = request("profit", side=SELL, type=OrderType.TAKE_PROFIT, trigger=105, after="entry")
    placed(where, request("entry", limit=95), profit)
    assert fills(where.on_bar(bar(0, 100, 112, 95, 111))) == [("entry", 95, True)]


def test_a_stop_that_was_sent_or_expires_inside_the_bar_does_not_act_in_it() -> None:
    sent = venue(PERP, slippage="0")
    stop = request("stop", side=SELL, type=STOP, trigger=90, after="entry", ts_ns=START_NS + 1)
    placed(sent, request("entry", limit=95), stop)
    assert fills(sent.on_bar(bar(0, 100, 100, 85, 85))) == [("entry", 95, True)]
    expires = venue(PERP, slippage="0")
    dated = {"tif": TimeInForce.GTD, "expire_ns": START_NS + 1}
    stop = request("stop", side=SELL, type=STOP, trigger=90, after="entry", **dated)
    placed(expires, request("entry", limit=95), stop)
    assert story(expires.on_bar(bar(0, 100, 100, 85, 85))) == ["entry 10 at 95", "stop gtd_expired"]


def test_a_trailing_exit_starts_from_the_price_of_its_entry() -> None:
    where = venue(PERP, slippage="0")
    trail = request("trail", side=SELL, type=TRAILING, trail=4, after="entry", reduce_only=True)
    placed(where, request("entry", limit=95), trail)
    assert fills(where.on_bar(bar(0, 100, 100, 92, 96))) == [("entry", 95, True)]
    reports = where.on_bar(bar(1, 96, 97, 92, 96))  # It followed the close before, and this open.
    assert fills(reports) == [("trail", 92, False)]


def test_exits_end_with_an_entry_that_never_filled() -> None:
    where = bracket(request("entry", limit=50))
    where.cancel(BrokerCancelReq(symbol="", client_order_id="entry", ts_ns=START_NS))
    assert canceled(where.drain()) == [
        ("entry", OrderReason.CANCEL_REQUESTED),
        ("profit", OrderReason.ENTRY_ENDED),
        ("stop", OrderReason.ENTRY_ENDED),
    ]
    assert where.n_working == 0


def test_exits_close_what_their_entry_has_filled_and_no_more() -> None:
    where = venue(PERP, slippage="0", max_volume_share=SHARE)
    placed(where, request("entry", limit=100), *exits())
    assert lots(where.on_bar(traded(0, 100, 100, 100, 100, volume=60))) == [("entry", 6)]
    where.cancel(BrokerCancelReq(symbol="", client_order_id="entry", ts_ns=START_NS))
    where.drain()
    assert [(each.client_order_id, each.qty_lots) for each in where.fetch_open_orders(None)] == [
        ("profit", 6),
        ("stop", 6),
    ]
    reports = where.on_bar(traded(1, 110, 110, 110, 110, volume=1000))
    assert story(reports) == ["profit 6 at 110", "stop oco_sibling"]
    assert where.held_qty(0) == 0


def test_exits_of_an_entry_still_filling_grow_with_it() -> None:
    where = venue(PERP, slippage="0", max_volume_share=SHARE)
    placed(where, request("entry", limit=100), *exits())
    where.on_bar(traded(0, 100, 100, 100, 100, volume=60))
    assert lots(where.on_bar(traded(1, 111, 111, 111, 111, volume=200))) == [("profit", 6)]
    assert lots(where.on_bar(traded(2, 99, 99, 99, 99, volume=200))) == [("entry", 4)]
    assert lots(where.on_bar(traded(3, 85, 85, 85, 85, volume=200))) == [("stop", 4)]
    assert (where.held_qty(0), where.n_working) == (Decimal(0), 0)


def test_exits_of_an_entry_paid_in_kind_sell_what_arrived() -> None:
    fees = FeeModel(maker_bps=Decimal(10), taker_bps=Decimal(10), fee_asset="received")
    where = placed(venue(fees=fees, slippage="0", cash="10000"), request("entry"), *exits())
    where.on_bar(bar(0, 100, 100, 100, 100))
    assert where.held_qty(0) == Decimal("0.999")
    reports = where.on_bar(bar(1, 80, 80, 80, 80))
    assert lots(reports) == [("stop", 9)]
    assert where.held_qty(0) == Decimal("0.099")


def test_an_exit_needs_an_entry() -> None:
    where = venue()
    assert refusal(where, request(side=SELL, limit=9, after="nobody")) is OrderReason.ENTRY_ENDED
    placed(where, request("entry", limit=50))
    where.expire_all(START_NS)
    assert refusal(where, request(side=SELL, limit=9, after="entry")) is OrderReason.ENTRY_ENDED


def test_an_order_that_joins_late_finds_what_its_group_and_entry_have_left() -> None:
    where = placed(venue(PERP, slippage="0"), request("entry"), exits()[0])
    where.on_bar(bar(0, 100, 110, 100, 100))
    late = request("late", side=SELL, limit=9, group="g", after="entry", ts_ns=START_NS + INTERVAL_NS)
    assert refusal(where, late) is OrderReason.OCO_SIBLING


def test_an_amended_entry_wakes_the_exits_that_stand_before_it() -> None:
    where = bracket(request("entry", limit=50))
    where.amend(amended("entry", limit=100))
    where.drain()
    assert story(where.on_bar(bar(0, 100, 100, 89, 95)))[0::2] == ["entry 10 at 100", "stop 10 at 90"]
