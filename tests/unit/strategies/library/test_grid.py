"""What works after each fill, and how a grid is left."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.types import OrderStatus
from njord.strategies.library.grid import Grid
from tests.unit.strategies.library.driver import Driver, lines

PARAMS: dict[str, Any] = {"levels": 3, "step_bps": 100, "qty": Decimal(1)}


def opened(**params: Any) -> Driver:
    driver = Driver(Grid(Grid.Params(**{**PARAMS, **params})))
    assert lines(driver.bar(0, 10_000)) == [("buy", 9_900, 100), ("buy", 9_800, 100), ("buy", 9_700, 100)]
    return driver


def book(driver: Driver) -> list[tuple[str, int, int]]:
    """Return the working orders, the highest price first."""
    orders = [(order.side.value, order.limit_price_ticks, order.remaining_lots) for order in driver.working()]
    return sorted(orders, key=lambda order: -order[1])


def test_a_bought_slot_is_offered_one_step_higher_and_a_sold_one_is_bid_for_again() -> None:
    driver = opened()
    assert lines(driver.fill(driver.working()[0])) == [("sell", 10_000, 100)]
    assert lines(driver.fill(driver.working()[0])) == [("sell", 9_900, 100)]
    assert book(driver) == [("sell", 10_000, 100), ("sell", 9_900, 100), ("buy", 9_700, 100)]
    assert lines(driver.fill(driver.working()[-1])) == [("buy", 9_800, 100)]
    assert book(driver) == [("sell", 10_000, 100), ("buy", 9_800, 100), ("buy", 9_700, 100)]


def test_offers_only_reduce() -> None:
    driver = opened()
    (offer,) = driver.fill(driver.working()[0])
    assert (offer.reduce_only, offer.reason) == (True, "grid offer")


def test_a_part_of_a_slot_is_offered_as_it_fills_and_never_twice() -> None:
    driver = opened()
    assert lines(driver.fill(driver.working()[0], lots=30)) == [("sell", 10_000, 30)]
    assert lines(driver.bar(1, 9_950)) == []
    assert lines(driver.fill(driver.working()[0])) == [("sell", 10_000, 70)]
    assert lines(driver.bar(2, 9_950)) == []


def test_a_fill_at_a_better_price_than_asked_fills_the_slot_all_the_same() -> None:
    driver = opened()
    assert lines(driver.fill(driver.working()[0], price_ticks=9_850)) == [("sell", 10_000, 100)]


def test_no_more_is_ever_held_than_all_slots() -> None:
    driver = opened()
    for _ in range(3):
        driver.fill(next(order for order in driver.working() if order.side == "buy"))
    assert book(driver) == [("sell", 10_000, 100), ("sell", 9_900, 100), ("sell", 9_800, 100)]


def test_what_the_venue_took_away_is_placed_again_at_the_next_bar() -> None:
    driver = opened()
    driver.word(driver.working()[1].client_order_id, OrderStatus.CANCELED)
    assert lines(driver.bar(1, 10_000)) == [("buy", 9_800, 100)]


def test_a_close_out_of_the_band_ends_the_grid_and_the_next_opens_around_a_later_close() -> None:
    driver = opened()
    driver.fill(driver.working()[0])
    assert lines(driver.bar(1, 9_600)) == []  # Four steps below: the edge is inside.
    left = driver.bar(2, 9_599)
    assert lines(left) == [("cancel", "s-2"), ("cancel", "s-3"), ("cancel", "s-4")]
    driver.cancel(left)
    sale = driver.bar(3, 9_500)
    assert [(each.side, each.type, each.qty_lots, each.reduce_only) for each in sale] == [
        ("sell", "market", 100, True)
    ]
    assert driver.fill(driver.working()[0], price_ticks=9_500) == []
    assert lines(driver.bar(4, 20_000)) == [("buy", 19_800, 100), ("buy", 19_600, 100), ("buy", 19_400, 100)]


def test_a_close_above_the_band_moves_the_grid_up() -> None:
    driver = opened()
    left = driver.bar(1, 10_401)
    assert [kind for kind, _ in lines(left)] == ["cancel"] * 3
    driver.cancel(left)
    assert lines(driver.bar(2, 10_400))[0] == ("buy", 10_296, 100)


def test_without_a_quantity_the_slots_share_the_weight_of_equity() -> None:
    driver = Driver(Grid(Grid.Params(levels=4, step_bps=100, weight=0.5)))
    # 10 000 x 0.5 / 4 at a price of 100.00.
    assert [lots for _, _, lots in lines(driver.bar(0, 10_000))] == [1250] * 4


def test_two_symbols_have_a_grid_each() -> None:
    driver = Driver(*(Grid(Grid.Params(levels=1, step_bps=100, qty=Decimal(1))) for _ in range(2)))
    assert lines(driver.bar(0, 10_000)) == [("buy", 9_900, 100)]
    assert lines(driver.bar(0, 500, index=1)) == [("buy", 495, 100)]
    assert lines(driver.fill(driver.working(1)[0])) == [("sell", 500, 100)]
    assert book(driver) == [("buy", 9_900, 100)]
    assert lines(driver.bar(1, 10_000)) == []


def test_a_malformed_bar_is_passed_over() -> None:
    assert opened().bar(1, 20_000, high=10) == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"levels": 0}, "levels must be 1 to 100, was 0"),
        ({"step_bps": 0}, "step_bps must be >= 1, was 0"),
        ({"levels": 99, "step_bps": 100}, r"\(levels \+ 1\) x step_bps must be < 10000, was 10000"),
        ({"weight": 1.0}, r"weight must be in \(0, 1\), to leave room for fees, was 1.0"),
        ({"qty": Decimal(0)}, "qty must be > 0, was 0"),
    ],
)
def test_nonsense_is_refused_by_name(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grid.Params(**params)
