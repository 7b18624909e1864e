"""The venue's budget: cancels find room when everything else has to wait, and the venue's own count is believed."""

from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.venues.binance_budget import Budget
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_outbox import USED_UP
from njord.venues.broker_wire import Health, Lane
from tests.unit.venues.binance_case import CoreCase

T = 1000 * NS_PER_MINUTE


def budget(orders_per_10s: int = 10) -> Budget:
    return Budget(CoreOptions(weight_per_minute=100, orders_per_10s=orders_per_10s))


def test_queries_leave_room_for_orders_and_orders_for_cancels() -> None:
    spent = budget()
    spent.sent(1, 70, False, T)
    assert spent.wait_ns(Lane.QUERY, 1, False, T) == NS_PER_MINUTE
    assert spent.wait_ns(Lane.PLACE, 1, True, T) == 0
    spent.sent(2, 15, False, T)
    assert spent.wait_ns(Lane.PLACE, 1, True, T + NS_PER_S) == 59 * NS_PER_S
    assert spent.wait_ns(Lane.CANCEL, 15, False, T) == 0
    assert spent.wait_ns(Lane.CANCEL, 16, False, T) == NS_PER_MINUTE


def test_the_venues_count_is_believed_and_what_is_under_way_added() -> None:
    spent = budget()
    spent.sent(1, 1, False, T)
    spent.sent(2, 10, False, T)
    spent.answered(1, {"x-mbx-used-weight-1m": "89"}, T)
    assert spent.wait_ns(Lane.CANCEL, 1, False, T) == 0
    assert spent.wait_ns(Lane.CANCEL, 2, False, T) > 0
    # The answer to a question of the last minute says nothing of this one.
    later = T + NS_PER_MINUTE
    spent.answered(2, {"x-mbx-used-weight-1m": "99"}, later)
    assert spent.wait_ns(Lane.QUERY, 50, False, later) == 0


def test_no_ten_seconds_hold_more_orders_than_allowed() -> None:
    spent = budget(orders_per_10s=3)
    for number, at_s in enumerate((0, 4, 8)):
        spent.sent(number, 1, True, T + at_s * NS_PER_S)
    assert spent.wait_ns(Lane.PLACE, 1, True, T + 9 * NS_PER_S) == NS_PER_S
    assert spent.wait_ns(Lane.CANCEL, 1, False, T + 9 * NS_PER_S) == 0
    assert spent.wait_ns(Lane.PLACE, 1, True, T + 10 * NS_PER_S) == 0


def test_a_block_holds_for_everything() -> None:
    spent = budget()
    spent.block(T + 7 * NS_PER_S)
    assert spent.wait_ns(Lane.CANCEL, 1, False, T) == 7 * NS_PER_S


def test_a_core_that_waits_for_the_venues_next_minute_says_so_and_goes_on_with_it() -> None:
    # A first start takes more: questions may use 70 % of 40.
    case = CoreCase(weight_per_minute=40)
    case.to(20)
    assert case.health.reason == f"the venue's books are being read; {USED_UP}"
    said = [each.reason for each in case.words if isinstance(each, Health)]
    assert len(said) == len(set(said)), "the same reason is told once"
    case.to(200)
    assert case.core.is_ready
    assert not case.health.reason
