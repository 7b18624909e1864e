"""Amendments, self-trade prevention, dated filters and requests on their way, by hand, on bars."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.contracts import (
    BrokerCancelReq,
    BrokerOrderAck,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReject,
)
from njord.core.filters import FilterChange
from njord.core.types import OrderReason, OrderType, Side
from njord.venues.simulated import SimulatedVenue
from njord.venues.terms import SelfTrade
from tests.property.strategies import INTERVAL_NS, START_NS, bar, instrument
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

AMENDED, AMEND_REFUSED = OrderReason.AMENDED, OrderReason.AMEND_REFUSED


def said(where: SimulatedVenue) -> tuple[OrderReason, int, int, int]:
    """Return what the one waiting update says: reason, lots, limit, trigger."""
    (update,) = where.drain()
    assert isinstance(update, BrokerOrderUpdate)
    return update.reason, update.qty_lots, update.limit_price_ticks, update.trigger_price_ticks


# --- amendments ---


def test_less_keeps_the_place_and_more_or_another_price_loses_it() -> None:
    def first_of(**change: int) -> list[str]:
        where = venue(PERP, slippage="0")
        placed(where, request("old", limit=95), request("new", limit=95))
        assert isinstance(where.amend(amended("old", **change)), BrokerOrderAck)
        return [name for name, _, _ in fills(where.on_bar(bar(0, 100, 100, 95, 96)))]

    assert first_of(lots=9) == ["old", "new"]
    assert first_of(lots=11) == ["new", "old"]
    assert first_of(limit=96) == ["old", "new"]  # The better price comes first, whatever its age.
    assert first_of(limit=94) == ["new"]


def test_an_amendment_says_what_holds_from_then_on() -> None:
    where = placed(venue(PERP), request(limit=95), request("stop", type=OrderType.STOP, trigger=120))
    where.amend(amended(lots=7, limit=96))
    assert said(where) == (AMENDED, 7, 96, 0)
    where.amend(amended("stop", trigger=130))
    assert said(where) == (AMENDED, 10, 0, 130)
    assert lots(where.on_bar(bar(0, 100, 120, 96, 96))) == [("c1", 7)]


def test_a_price_that_was_amended_into_the_market_takes_at_the_next_open() -> None:
    where = placed(venue(slippage="0"), request(limit=90))
    assert where.on_bar(bar(0, 100, 100, 95, 100)) == []
    where.amend(amended(limit=105, ts_ns=START_NS + INTERVAL_NS))
    where.drain()
    assert fills(where.on_bar(bar(1, 100, 100, 100, 100))) == [("c1", 100, False)]


@pytest.mark.parametrize(
    "change",
    [
        {"lots": 10, "limit": 95},  # As it is.
        {"lots": 4},  # As much as has filled.
        {"trigger": 80},  # It has none.
        {"lots": 10**9},  # Beyond the filter.
    ],
)
def test_a_refused_amendment_says_what_still_holds(change: dict[str, Any]) -> None:
    strict = instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"), max_qty=Decimal(10))
    where = placed(venue(strict, slippage="0", max_volume_share=Decimal("0.1")), request(limit=95))
    assert lots(where.on_bar(msgspec.structs.replace(bar(0, 100, 100, 95, 96), volume_lots=40))) == [
        ("c1", 4)
    ]
    assert isinstance(where.amend(amended(**change)), BrokerReject)
    assert said(where) == (AMEND_REFUSED, 10, 95, 0)


def test_a_triggered_order_keeps_its_trigger_and_a_market_order_has_no_limit() -> None:
    stop = request("stop", type=OrderType.STOP_LIMIT, side=Side.SELL, trigger=95, limit=99)
    where = placed(venue(PERP), stop, request("market", ts_ns=START_NS + INTERVAL_NS))
    where.on_bar(bar(0, 100, 100, 95, 95))
    assert isinstance(where.amend(amended("stop", trigger=94)), BrokerReject)
    assert isinstance(where.amend(amended("market", limit=94)), BrokerReject)


def test_what_does_not_work_can_not_be_amended() -> None:
    where = venue()
    assert isinstance(where.amend(amended("nobody", lots=1)), BrokerReject)
    assert where.drain() == []


# --- self-trade prevention ---


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        ("expire_taker", ["buy"]),
        ("expire_maker", ["sell"]),
        ("expire_both", ["sell", "buy"]),
        ("none", []),
    ],
)
def test_two_orders_of_ours_never_trade_with_each_other(policy: SelfTrade, gone: list[str]) -> None:
    where = placed(venue(PERP, self_trade=policy), request("sell", side=Side.SELL, limit=105))
    where.on_bar(bar(0, 100, 100, 100, 100))
    placed(where, request("buy", limit=106, ts_ns=START_NS + INTERVAL_NS))
    reports = where.on_bar(bar(1, 100, 100, 100, 100))
    assert canceled(reports) == [(name, OrderReason.SELF_TRADE) for name in gone]
    assert ("buy", 101, False) in fills(reports) or "buy" in gone


def test_prices_that_do_not_cross_are_no_self_trade_nor_are_an_entry_and_its_exit() -> None:
    where = venue(PERP, slippage="0", max_volume_share=Decimal("0.1"))
    placed(where, request("entry", limit=110), request("exit", side=Side.SELL, limit=105, after="entry"))
    thin = msgspec.structs.replace(bar(0, 100, 100, 100, 100), volume_lots=50)
    assert fills(where.on_bar(thin)) == [("entry", 100, False)]
    placed(where, request("away", side=Side.SELL, limit=111, ts_ns=START_NS + INTERVAL_NS))
    assert canceled(where.on_bar(msgspec.structs.replace(bar(1, 104, 104, 104, 104), volume_lots=0))) == []
    assert where.n_working == 3


# --- filters of the time ---


def test_filters_are_those_of_the_time_of_the_order() -> None:
    later = FilterChange(from_ns=START_NS + 1, min_qty=Decimal(2), tick_multiple=5, lot_multiple=10)
    where = venue(instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"), filter_changes=(later,)))
    placed(where, request("early", qty_lots=3, limit=96))
    where.cancel(BrokerCancelReq(symbol="", client_order_id="early", ts_ns=START_NS))
    now = START_NS + 1
    assert refusal(where, request(qty_lots=10, limit=95, ts_ns=now)) is OrderReason.FILTER_QTY
    assert refusal(where, request(qty_lots=25, limit=95, ts_ns=now)) is OrderReason.FILTER_QTY
    assert refusal(where, request(qty_lots=20, limit=96, ts_ns=now)) is OrderReason.FILTER_PRICE
    stop = request(qty_lots=20, type=OrderType.STOP, trigger=96, ts_ns=now)
    assert refusal(where, stop) is OrderReason.FILTER_TRIGGER
    placed(where, request(qty_lots=20, limit=95, ts_ns=now))


def test_one_market_order_may_be_no_larger_than_the_venue_says_whatever_a_limit_order_may() -> None:
    where = venue(instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"), max_market_qty=Decimal("1.5")))
    assert refusal(where, request(qty_lots=16)) is OrderReason.FILTER_QTY
    placed(where, request("market", qty_lots=15), request("limit", qty_lots=16, limit=90))


def test_no_more_orders_are_open_in_an_instrument_than_the_venue_says() -> None:
    few = instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"), max_open_orders=2)
    where = placed(venue(few), request("a", limit=90), request("b", limit=91))
    reply = where.place(request("c", limit=92))
    assert isinstance(reply, BrokerReject) and reply.reason is OrderReason.RATE_LIMITED
    where.cancel(BrokerCancelReq(symbol="", client_order_id="a", ts_ns=START_NS))
    placed(where, request("c", limit=92))


def test_limits_lie_within_their_sides_band_around_the_last_price_and_stay_there_when_amended() -> None:
    bands: dict[str, Any] = {
        "buy_band": (Decimal("0.5"), Decimal("1.5")),
        "sell_band": (Decimal("0.9"), Decimal(3)),
    }
    where = venue(instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"), **bands))
    placed(where, request("unknown", limit=1))  # No price is known yet.
    where.cancel(BrokerCancelReq(symbol="", client_order_id="unknown", ts_ns=START_NS))
    where.on_bar(bar(0, 100, 100, 100, 100))
    for side, limit in ((Side.BUY, 49), (Side.BUY, 151), (Side.SELL, 89), (Side.SELL, 301)):
        assert refusal(where, request(side=side, limit=limit)) is OrderReason.FILTER_PRICE
    placed(where, request("a", limit=50), request("stop", type=OrderType.STOP, trigger=400))
    where.drain()
    where.amend(amended("a", limit=49))
    where.amend(amended("a", limit=51))
    told = [each for each in where.drain() if isinstance(each, BrokerOrderUpdate)]
    assert [(each.reason, each.limit_price_ticks) for each in told] == [
        (OrderReason.AMEND_REFUSED, 50),
        (OrderReason.AMENDED, 51),
    ]


# --- requests on their way ---


def test_a_cancel_that_takes_bars_to_arrive_may_come_too_late() -> None:
    where = placed(
        venue(slippage="0", entry_latency_ns=INTERVAL_NS), request("a", limit=99), request("b", limit=90)
    )
    where.on_bar(bar(0, 100, 100, 100, 100))
    for name in "ab":
        cancel = BrokerCancelReq(symbol="", client_order_id=name, ts_ns=START_NS + INTERVAL_NS)
        assert isinstance(where.cancel(cancel), BrokerPending)
    assert story(where.on_bar(bar(1, 100, 100, 95, 100))) == ["a 10 at 99"]
    assert story(where.on_bar(bar(2, 80, 80, 80, 80))) == ["b cancel_requested"]


def test_what_a_group_left_open_can_still_be_canceled_as_one_order_each() -> None:
    where = placed(venue(), request("a", limit=9, group="g"), request("b", limit=8, group="g"))
    for name in "ab":
        where.cancel(BrokerCancelReq(symbol="", client_order_id=name, ts_ns=START_NS))
    assert story(where.drain()) == ["a cancel_requested", "b cancel_requested"]
    assert where.n_working == 0
