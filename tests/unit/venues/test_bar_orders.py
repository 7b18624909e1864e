"""Every order type on bars, by hand: the first price is the open, then high, low and close."""

from typing import Any

import pytest

from njord.core.contracts import BrokerOrderUpdate
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from tests.property.strategies import INTERVAL_NS, START_NS, bar
from tests.unit.venues.venue_case import PERP, canceled, fills, placed, refusal, request, story, venue

SELL, BUY = Side.SELL, Side.BUY
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
PROFIT, PROFIT_LIMIT = OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT
TRAILING = OrderType.TRAILING_STOP


# --- triggers: each line is an order, a bar, and what happens (slippage is 100 bps) ---


@pytest.mark.parametrize(
    ("order", "prices", "happens"),
    [
        # A stop acts at its trigger, moved by the slippage; one that the open has passed acts at the open.
        ({"type": STOP, "side": SELL, "trigger": 200}, (210, 215, 200, 214), ["c1 triggered", "c1 10 at 198"]),
        ({"type": STOP, "side": SELL, "trigger": 200}, (190, 215, 180, 214), ["c1 triggered", "c1 10 at 188"]),
        ({"type": STOP, "side": SELL, "trigger": 200}, (210, 215, 201, 201), []),
        ({"type": STOP, "side": BUY, "trigger": 220}, (210, 220, 205, 210), ["c1 triggered", "c1 10 at 223"]),
        ({"type": STOP, "side": BUY, "trigger": 220}, (230, 230, 205, 210), ["c1 triggered", "c1 10 at 233"]),
        ({"type": STOP, "side": BUY, "trigger": 220}, (210, 219, 205, 210), []),
        # A take-profit is the mirror image, and takes too.
        ({"type": PROFIT, "side": SELL, "trigger": 220}, (210, 220, 205, 210), ["c1 triggered", "c1 10 at 217"]),
        ({"type": PROFIT, "side": SELL, "trigger": 220}, (230, 240, 205, 210), ["c1 triggered", "c1 10 at 227"]),
        ({"type": PROFIT, "side": BUY, "trigger": 200}, (210, 215, 200, 214), ["c1 triggered", "c1 10 at 202"]),
        ({"type": PROFIT, "side": BUY, "trigger": 200}, (210, 215, 201, 214), []),
        # A stop-limit takes where the limit lies beyond the trigger, never worse than the limit.
        ({"type": STOP_LIMIT, "side": SELL, "trigger": 200, "limit": 190}, (210, 215, 180, 185), ["c1 triggered", "c1 10 at 198"]),
        ({"type": STOP_LIMIT, "side": SELL, "trigger": 200, "limit": 199}, (210, 215, 180, 185), ["c1 triggered", "c1 10 at 199"]),
        # Gapped beyond its limit it rests there; the bar's high comes after its open.
        ({"type": STOP_LIMIT, "side": SELL, "trigger": 200, "limit": 190}, (180, 185, 170, 175), ["c1 triggered"]),
        ({"type": STOP_LIMIT, "side": SELL, "trigger": 200, "limit": 190}, (180, 195, 170, 175), ["c1 triggered", "c1 10 at 190"]),
        # A limit above the trigger was passed before; only the close is known to have come after.
        ({"type": STOP_LIMIT, "side": SELL, "trigger": 200, "limit": 205}, (210, 215, 190, 204), ["c1 triggered"]),
        ({"type": STOP_LIMIT, "side": SELL, "trigger": 200, "limit": 205}, (210, 215, 190, 205), ["c1 triggered", "c1 10 at 205"]),
        # A take-profit-limit beyond its trigger is reached on the same way.
        ({"type": PROFIT_LIMIT, "side": SELL, "trigger": 220, "limit": 225}, (210, 225, 205, 206), ["c1 triggered", "c1 10 at 225"]),
        ({"type": PROFIT_LIMIT, "side": SELL, "trigger": 220, "limit": 225}, (210, 224, 205, 206), ["c1 triggered"]),
        ({"type": PROFIT_LIMIT, "side": SELL, "trigger": 220, "limit": 215}, (210, 224, 205, 206), ["c1 triggered", "c1 10 at 217"]),
        # On a bar that contradicts itself only the open is believed.
        ({"type": STOP, "side": SELL, "trigger": 200}, (210, 205, 180, 206), []),
    ],
)  # fmt: skip
def test_a_conditional_order_acts_at_its_trigger_and_never_before(
    order: dict[str, Any], prices: tuple[int, int, int, int], happens: list[str]
) -> None:
    where = placed(venue(PERP, cash="10000"), request(**order))
    assert story(where.on_bar(bar(0, *prices))) == happens


def test_a_triggered_limit_goes_on_as_a_resting_one() -> None:
    where = placed(venue(PERP), request(type=STOP_LIMIT, side=SELL, trigger=100, limit=99))
    where.on_bar(bar(0, 90, 95, 85, 90))
    reports = where.on_bar(bar(1, 90, 99, 85, 90))
    assert fills(reports) == [("c1", 99, True)]


def test_a_triggered_order_is_told_before_it_fills_and_ends_once() -> None:
    where = placed(venue(PERP), request(type=STOP, side=SELL, trigger=95))
    reports = where.on_bar(bar(0, 100, 100, 95, 98))
    told, _, end = reports
    assert isinstance(told, BrokerOrderUpdate) and isinstance(end, BrokerOrderUpdate)
    assert (told.status, told.reason) == (OrderStatus.ACCEPTED, OrderReason.TRIGGERED)
    assert end.status is OrderStatus.FILLED


# --- trailing stops ---


def trailing(*bars: tuple[int, int, int, int], side: Side = SELL, **given: Any) -> list[list[str]]:
    where = venue(PERP, slippage="0", taker="0")
    where.observe(bar(0, 100, 100, 100, 100))
    placed(where, request(type=TRAILING, side=side, trail=5, ts_ns=START_NS + INTERVAL_NS, **given))
    return [story(where.on_bar(bar(number + 1, *prices))) for number, prices in enumerate(bars)]


def test_a_trailing_stop_starts_from_the_last_price() -> None:
    assert trailing((100, 101, 96, 97)) == [[]]
    assert trailing((100, 100, 95, 97)) == [["c1 triggered", "c1 10 at 95"]]


def test_a_trailing_stop_follows_the_best_price_only_for_later_bars() -> None:
    assert trailing((100, 110, 97, 108), (107, 108, 106, 107), (107, 107, 105, 106)) == [
        [],
        [],
        ["c1 triggered", "c1 10 at 105"],
    ]


def test_a_trailing_stop_follows_the_open_within_its_bar() -> None:
    assert trailing((110, 111, 106, 107)) == [[]]
    assert trailing((110, 111, 105, 107)) == [["c1 triggered", "c1 10 at 105"]]


def test_a_trailing_stop_never_moves_back() -> None:
    assert trailing((100, 104, 100, 101), (101, 101, 100, 100), (100, 100, 99, 99)) == [
        [],
        [],
        ["c1 triggered", "c1 10 at 99"],
    ]


def test_a_buying_trailing_stop_mirrors_it() -> None:
    assert trailing((100, 103, 90, 92), (92, 95, 91, 94), side=BUY) == [[], ["c1 triggered", "c1 10 at 95"]]


def test_a_trailing_stop_that_was_sent_inside_a_bar_follows_its_close_alone() -> None:
    where = venue(PERP, slippage="0")
    placed(where, request(type=TRAILING, side=SELL, trail=5, ts_ns=START_NS + 1))
    where.on_bar(bar(0, 100, 120, 99, 100))
    assert story(where.on_bar(bar(1, 100, 100, 96, 100))) == []


def test_a_trailing_stop_may_start_from_a_trigger_of_its_own() -> None:
    assert trailing((100, 101, 96, 97), trigger=97) == [["c1 triggered", "c1 10 at 97"]]


# --- how long an order works ---


def test_a_post_only_order_that_its_first_open_would_fill_is_canceled_and_others_rest() -> None:
    where = placed(venue(), request("a", limit=100, post_only=True), request("b", limit=99, post_only=True))
    reports = where.on_bar(bar(0, 100, 100, 99, 100))
    assert canceled(reports) == [("a", OrderReason.POST_ONLY_WOULD_TAKE)]
    assert fills(reports) == [("b", 99, True)]


def test_a_triggered_post_only_order_must_rest() -> None:
    order = request(type=STOP_LIMIT, side=SELL, trigger=95, limit=95, post_only=True)
    where = placed(venue(PERP), order)
    reports = where.on_bar(bar(0, 100, 100, 90, 95))
    assert canceled(reports) == [("c1", OrderReason.POST_ONLY_WOULD_TAKE)]


def test_a_triggered_immediate_order_fills_at_once_or_ends() -> None:
    orders = [
        request("far", type=STOP_LIMIT, side=SELL, trigger=95, limit=96, tif=TimeInForce.IOC),
        request("near", type=STOP_LIMIT, side=SELL, trigger=95, limit=94, tif=TimeInForce.FOK),
    ]
    reports = placed(venue(PERP), *orders).on_bar(bar(0, 100, 100, 90, 99))
    assert canceled(reports) == [("far", OrderReason.IOC_REMAINDER)]
    assert fills(reports) == [("near", 94, False)]


@pytest.mark.parametrize(
    ("expires", "prices", "happens"),
    [
        (60, (99, 99, 99, 99), ["c1 10 at 99"]),  # In seconds after the order: the bar's close.
        (60, (101, 101, 99, 99), ["c1 10 at 100"]),
        (30, (99, 99, 99, 99), ["c1 10 at 99"]),
        (30, (101, 101, 99, 99), ["c1 gtd_expired"]),
        (60, (101, 101, 101, 101), ["c1 gtd_expired"]),
        (61, (101, 101, 101, 101), []),
    ],
)
def test_an_order_with_an_expiry_may_fill_inside_no_bar_that_outlives_it(
    expires: int, prices: tuple[int, int, int, int], happens: list[str]
) -> None:
    where = venue(slippage="0")
    order = request(limit=100, tif=TimeInForce.GTD, expire_ns=START_NS + expires * 10**9)
    assert story(placed(where, order).on_bar(bar(0, *prices))) == happens


def test_an_expired_order_ends_before_the_open() -> None:
    where = placed(venue(), request(limit=100, tif=TimeInForce.GTD, expire_ns=START_NS + INTERVAL_NS + 1))
    assert where.on_bar(bar(0, 101, 101, 101, 101)) == []
    reports = where.on_bar(bar(2, 100, 100, 100, 100))
    assert story(reports) == ["c1 gtd_expired"]
    assert reports[0].ts_venue_ns == START_NS + INTERVAL_NS + 1


def test_what_can_not_be_an_order_is_refused() -> None:
    where = venue()
    assert refusal(where, request(type=STOP)) is OrderReason.FILTER_TRIGGER
    assert refusal(where, request(type=STOP, trigger=-5)) is OrderReason.FILTER_TRIGGER
    assert refusal(where, request(trigger=100)) is OrderReason.FILTER_TRIGGER
    assert refusal(where, request(type=TRAILING)) is OrderReason.FILTER_TRIGGER
    assert refusal(where, request(type=STOP, trigger=5, trail=5)) is OrderReason.FILTER_TRIGGER
    assert refusal(where, request(type=STOP_LIMIT, trigger=5)) is OrderReason.FILTER_PRICE
    assert refusal(where, request(type=STOP, trigger=5, limit=5)) is OrderReason.FILTER_PRICE
    assert refusal(where, request(post_only=True)) is OrderReason.POST_ONLY_WOULD_TAKE
    late = request(limit=5, tif=TimeInForce.GTD, expire_ns=START_NS)
    assert refusal(where, late) is OrderReason.GTD_EXPIRED


# --- who comes first inside a bar ---


def test_a_stop_counts_before_a_profit_that_the_same_bar_touched() -> None:
    where = venue(PERP, slippage="0")
    placed(where, request("profit", side=SELL, limit=105), request("stop", side=SELL, type=STOP, trigger=95))
    assert story(where.on_bar(bar(0, 100, 106, 94, 100))) == ["stop triggered", "stop 10 at 95", "profit 10 at 105"]  # fmt: skip


def test_a_limit_that_lies_before_the_stop_is_passed_first() -> None:
    where = venue(PERP, slippage="0")
    placed(where, request("stop", side=SELL, type=STOP, trigger=95), request("buy", limit=97))
    assert story(where.on_bar(bar(0, 100, 101, 94, 100)))[0] == "buy 10 at 97"


# --- latency ---


@pytest.mark.parametrize(("latency_s", "first"), [(59, 1), (60, 2), (125, 3)])
def test_latency_waits_whole_bars_and_below_one_changes_nothing(latency_s: int, first: int) -> None:
    where = venue(slippage="0", entry_latency_ns=latency_s * 10**9)
    where.on_bar(bar(0, 100, 100, 100, 100))
    placed(where, request(ts_ns=START_NS + INTERVAL_NS))
    filled_on = next(number for number in range(1, 9) if fills(where.on_bar(bar(number, 100, 100, 100, 100))))
    assert filled_on == first
