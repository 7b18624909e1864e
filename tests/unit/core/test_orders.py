"""The life of an order: the table and its reducer, by hand."""

import pytest

from njord.core.errors import InvariantError
from njord.core.orders import TERMINAL, TRANSITIONS, WorkingOrders, may_follow
from njord.core.types import OrderStatus, Side
from tests.property.strategies import fill_event, order_event, order_update

S = OrderStatus


def test_the_table_is_closed() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)
    assert all(following <= set(OrderStatus) for following in TRANSITIONS.values())


def test_what_has_ended_stays_ended() -> None:
    assert {S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED} == TERMINAL
    assert not any(TRANSITIONS[status] for status in TERMINAL)


def test_every_status_can_be_reached_and_left_for_an_end() -> None:
    reached = {S.SENT} | {after for following in TRANSITIONS.values() for after in following}
    assert reached == set(OrderStatus)
    for status in set(OrderStatus) - TERMINAL:
        assert TRANSITIONS[status] & TERMINAL


def test_nothing_returns_to_sent_and_a_venue_that_took_an_order_can_not_reject_it() -> None:
    assert not any(S.SENT in following for following in TRANSITIONS.values())
    assert not may_follow(S.ACCEPTED, S.REJECTED)
    assert not may_follow(S.PARTIALLY_FILLED, S.ACCEPTED)
    assert may_follow(S.UNKNOWN, S.REJECTED)


@pytest.mark.parametrize("status", list(OrderStatus))
def test_a_repeated_word_is_harmless(status: OrderStatus) -> None:
    assert may_follow(status, status)


def test_an_order_with_an_unknown_outcome_still_counts() -> None:
    working = WorkingOrders()
    working.apply(order_event())
    working.apply(order_update(S.UNKNOWN))
    assert working.signed_lots(0) == 10
    working.apply(order_update(S.REJECTED))
    assert working.signed_lots(0) == 0


def test_a_filled_order_leaves_with_its_last_word_not_with_its_last_fill() -> None:
    working = WorkingOrders()
    working.apply(order_event())
    working.apply(fill_event(qty_lots=4))
    assert [(order.status, order.remaining_lots) for order in working] == [(S.PARTIALLY_FILLED, 6)]
    working.apply(fill_event(qty_lots=6))
    assert len(working) == 1 and working.signed_lots(0) == 0
    working.apply(order_update(S.FILLED))
    assert len(working) == 0


def test_an_overfill_is_a_broken_promise() -> None:
    working = WorkingOrders()
    working.apply(order_event())
    working.apply(fill_event(qty_lots=10))
    with pytest.raises(InvariantError, match="order c1: a fill of 1 lots, 0 remained"):
        working.apply(fill_event(qty_lots=1))


def test_an_illegal_move_is_a_broken_promise() -> None:
    working = WorkingOrders()
    working.apply(order_event())
    working.apply(order_update(S.ACCEPTED))
    with pytest.raises(InvariantError, match="order c1 can not go from accepted to rejected"):
        working.apply(order_update(S.REJECTED))


def test_lots_are_counted_by_instrument_side_and_strategy() -> None:
    working = WorkingOrders()
    working.apply(order_event("a", qty_lots=5))
    working.apply(order_event("b", qty_lots=7, side=Side.SELL))
    working.apply(order_event("c", qty_lots=11, instrument=1))
    working.apply(order_event("d", qty_lots=13, strategy_id="other"))
    assert working.signed_lots(0) == 5 - 7 + 13
    assert working.signed_lots(0, "s") == 5 - 7
    assert working.signed_lots(1) == 11
    assert (working.side_lots(0, Side.BUY), working.side_lots(0, Side.SELL)) == (18, 7)
    assert [order.client_order_id for order in working] == ["a", "b", "c", "d"]


def test_books_are_equal_if_they_were_told_the_same() -> None:
    one, other = WorkingOrders(), WorkingOrders()
    assert one == other
    one.apply(order_event())
    assert one != other
    other.apply(order_event())
    assert one == other
    other.apply(fill_event(qty_lots=1))
    assert one != other
    assert one != "a book"
