"""When it wakes, what it quotes, and what it cancels."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.contracts import OrderIntent, TradeEvent
from njord.core.types import OrderStatus, Side
from njord.core.units import NS_PER_MS
from njord.strategies.library.market_maker import MarketMaker
from tests.property.strategies import START_NS
from tests.unit.strategies.library.driver import Driver, lines

MS = NS_PER_MS


def maker(confirms: bool = True, **params: Any) -> Driver:
    values: dict[str, Any] = {"qty": Decimal(1), "position_max": Decimal(2), **params}
    return Driver(MarketMaker(MarketMaker.Params(**values)), confirms=confirms)


def test_it_joins_the_touch_with_one_post_only_order_a_side() -> None:
    driver = maker()
    assert driver.book(1000, 1002) == []
    said = driver.wake()
    assert lines(said) == [("buy", 1000, 100), ("sell", 1002, 100)]
    assert all(isinstance(each, OrderIntent) and each.post_only and each.type == "limit" for each in said)
    assert driver.wake() == []


def test_it_wakes_just_after_a_grid_that_starts_at_the_first_events_venue_time() -> None:
    driver = maker()
    driver.book(1000, 1002, ts_venue_ns=START_NS - 130 * MS)
    assert driver.due is not None
    assert driver.due.due_ns == START_NS + 70 * MS + 1
    driver.wake()
    assert driver.due.due_ns == START_NS + 170 * MS + 1
    driver.book(1000, 1002)
    assert driver.due.due_ns == START_NS + 170 * MS + 1


def test_a_trade_starts_the_clock_too_and_without_a_book_nothing_is_quoted() -> None:
    driver = maker(interval_ms=1)
    trade = TradeEvent(
        ts_ns=START_NS,
        instrument=0,
        price_ticks=1,
        qty_lots=1,
        side=Side.BUY,
        trade_id=1,
        ts_venue_ns=START_NS + 5,
    )
    assert driver.step(trade) == []
    assert driver.due is not None
    assert driver.due.due_ns == START_NS + MS + 1
    assert driver.wake() == []


@pytest.mark.parametrize(("bid", "ask"), [(0, 1002), (1000, 0), (0, 0)])
def test_half_a_book_is_not_quoted(bid: int, ask: int) -> None:
    driver = maker()
    driver.book(bid, ask)
    assert driver.wake() == []


def test_an_order_that_the_touch_has_left_is_canceled_once_and_replaced() -> None:
    driver = maker()
    driver.book(1000, 1002)
    driver.wake()
    driver.book(1001, 1002)
    assert lines(driver.wake()) == [("cancel", "s-1"), ("buy", 1001, 100)]
    assert driver.wake() == []
    driver.book(999, 1002)
    assert lines(driver.wake()) == [("cancel", "s-4"), ("buy", 999, 100)]


def test_an_order_the_touch_came_back_to_stands_although_its_cancel_is_under_way() -> None:
    driver = maker()
    driver.book(1000, 1002)
    driver.wake()
    driver.book(1001, 1003)
    driver.wake()
    driver.book(1000, 1002)
    assert lines(driver.wake()) == [("cancel", "s-5"), ("cancel", "s-6")]


def test_an_order_that_is_not_confirmed_yet_is_not_canceled_but_counts_where_it_will_stand() -> None:
    driver = maker(confirms=False)
    driver.book(1000, 1002)
    assert lines(driver.wake()) == [("buy", 1000, 100), ("sell", 1002, 100)]
    assert driver.wake() == []
    driver.book(1001, 1003)
    assert lines(driver.wake()) == [("buy", 1001, 100), ("sell", 1003, 100)]
    driver.word("s-1", OrderStatus.ACCEPTED)
    assert lines(driver.wake()) == [("cancel", "s-1")]


def test_no_fill_may_carry_the_position_beyond_its_limit() -> None:
    driver = maker()
    driver.book(1000, 1002)
    for _ in range(2):
        driver.wake()
        driver.fill(next(order for order in driver.working() if order.side is Side.BUY))
    assert driver.wake() == []
    driver.fill(driver.working()[0])
    assert lines(driver.wake()) == [("buy", 1000, 100), ("sell", 1002, 100)]


def test_the_limit_holds_on_the_short_side_too() -> None:
    driver = maker(position_max=Decimal(1))
    driver.book(1000, 1002)
    driver.wake()
    driver.fill(next(order for order in driver.working() if order.side is Side.SELL))
    assert driver.wake() == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"qty": Decimal(0)}, "qty must be > 0, was 0"),
        ({"position_max": Decimal("0.5")}, r"position_max must be >= qty \(1\), was 0.5"),
        ({"interval_ms": 0}, "interval_ms must be >= 1, was 0"),
    ],
)
def test_nonsense_is_refused_by_name(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        maker(**params)
