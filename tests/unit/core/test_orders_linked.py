"""Linked and amended orders: groups of which one fills, exits that wait for their entry, changes under way."""

import pytest

from njord.core.errors import InvariantError
from njord.core.orders import WorkingOrder, WorkingOrders
from njord.core.types import OrderReason, OrderStatus, Side
from tests.property.strategies import amend_event, fill_event, order_event, order_update

S, R = OrderStatus, OrderReason
SELL = Side.SELL


def of(working: WorkingOrders, name: str) -> WorkingOrder:
    order = working.get(name)
    assert order is not None
    return order


def group() -> WorkingOrders:
    """Two sells of one group, of 10 and of 6 lots, and a sell that stands alone, of 1."""
    working = WorkingOrders()
    working.apply(order_event("tp", side=SELL, group_id="g"))
    working.apply(order_event("stop", side=SELL, qty_lots=6, group_id="g"))
    working.apply(order_event("alone", side=SELL, qty_lots=1))
    return working


def bracket() -> WorkingOrders:
    """An entry to buy 10 lots, and two exits of one group that wait for it."""
    working = WorkingOrders()
    working.apply(order_event("entry"))
    for name in ("tp", "stop"):
        working.apply(order_event(name, side=SELL, group_id="g", after_client_order_id="entry"))
    return working


def test_of_a_group_only_the_largest_member_counts() -> None:
    working = group()
    assert working.side_lots(0, SELL) == 11
    assert working.signed_lots(0) == -11
    assert working.side_lots(0, SELL, but_group="g") == 1
    assert working.signed_lots(0, "s") == -11 and working.signed_lots(0, "other") == 0


def test_a_fill_of_one_member_shrinks_the_others_by_as_much() -> None:
    working = group()
    working.apply(fill_event("tp", side=SELL, qty_lots=4))
    assert [(order.qty_lots, order.remaining_lots) for order in working] == [(10, 6), (2, 2), (1, 1)]
    working.apply(fill_event("tp", side=SELL, qty_lots=6))
    assert of(working, "stop").remaining_lots == 0
    assert working.side_lots(0, SELL) == 1
    working.apply(order_update(S.CANCELED, "stop", R.OCO_SIBLING))
    assert working.get("stop") is None


def test_an_exit_counts_and_fills_only_as_far_as_its_entry_has_filled() -> None:
    working = bracket()
    assert working.signed_lots(0) == 10
    with pytest.raises(InvariantError, match="a fill of 1 lots, 0 remained"):
        working.apply(fill_event("tp", side=SELL, qty_lots=1))
    working.apply(fill_event("entry", qty_lots=4))
    assert working.signed_lots(0) == 6 - 4
    working.apply(fill_event("stop", side=SELL, qty_lots=3))
    assert [of(working, name).fillable_lots for name in ("tp", "stop")] == [1, 1]
    with pytest.raises(InvariantError, match="a fill of 2 lots, 1 remained"):
        working.apply(fill_event("tp", side=SELL, qty_lots=2))


def test_an_entry_that_ends_partly_filled_leaves_its_exits_with_exactly_that() -> None:
    working = bracket()
    working.apply(fill_event("entry", qty_lots=4))
    working.apply(fill_event("tp", side=SELL, qty_lots=1))
    working.apply(order_update(S.CANCELED, "entry"))
    assert [(order.qty_lots, order.remaining_lots) for order in working] == [(4, 3), (3, 3)]
    assert working.signed_lots(0) == -3


def test_an_entry_that_ends_without_a_fill_leaves_its_exits_with_nothing() -> None:
    working = bracket()
    working.apply(order_update(S.REJECTED, "entry"))
    assert working.signed_lots(0) == 0
    assert [order.remaining_lots for order in working] == [0, 0]
    for name in ("tp", "stop"):
        working.apply(order_update(S.CANCELED, name, R.ENTRY_ENDED))
    assert working == WorkingOrders()


def test_until_the_venue_speaks_the_larger_quantity_and_the_higher_prices_count() -> None:
    working = WorkingOrders()
    working.apply(order_event(type="limit", limit_price_ticks=100))
    working.apply(amend_event(qty_lots=4, limit_price_ticks=120))
    working.apply(amend_event(qty_lots=15, limit_price_ticks=90, intent_id="second"))
    order = of(working, "c1")
    assert (order.remaining_lots, order.limit_price_ticks) == (15, 120)
    working.apply(
        order_update(S.ACCEPTED, "c1", R.AMENDED, qty_lots=4, limit_price_ticks=120)
    )  # The second is still under way.
    assert (order.remaining_lots, order.limit_price_ticks, len(order.pending)) == (15, 120, 1)
    working.apply(order_update(S.ACCEPTED, "c1", R.AMEND_REFUSED, qty_lots=4, limit_price_ticks=120))
    assert (order.remaining_lots, order.limit_price_ticks, order.pending) == (4, 120, ())


def test_what_fills_while_an_amendment_is_under_way_is_not_lost() -> None:
    working = WorkingOrders()
    working.apply(order_event())
    working.apply(amend_event(qty_lots=20))
    working.apply(fill_event(qty_lots=7))
    working.apply(order_update(S.PARTIALLY_FILLED, "c1", R.AMENDED, qty_lots=12))
    assert (of(working, "c1").filled_lots, of(working, "c1").remaining_lots) == (7, 5)


def test_an_amendment_told_twice_counts_once_and_one_of_a_stranger_not_at_all() -> None:
    working, once = WorkingOrders(), WorkingOrders()
    for books in (working, once):
        books.apply(order_event())
        books.apply(amend_event(qty_lots=20))
    working.apply(amend_event(qty_lots=20))
    working.apply(amend_event("stranger", qty_lots=20))
    assert working == once


def test_a_triggered_order_goes_on_as_it_is() -> None:
    working = WorkingOrders()
    working.apply(order_event(type="stop", trigger_price_ticks=90))
    working.apply(order_update(S.ACCEPTED, "c1"))
    working.apply(order_update(S.ACCEPTED, "c1", R.TRIGGERED))
    assert (of(working, "c1").remaining_lots, of(working, "c1").trigger_price_ticks) == (10, 90)


def test_an_open_order_says_what_it_was_approved_as() -> None:
    event = order_event(
        side=SELL, type="take_profit_limit", limit_price_ticks=110, trigger_price_ticks=109, tif="gtd"
    )
    working = WorkingOrders()
    working.apply(event)
    order = of(working, "c1")
    for name in (
        "type",
        "tif",
        "expire_ns",
        "post_only",
        "trail_ticks",
        "reduce_only",
        "group_id",
        "intent_id",
    ):
        assert getattr(order, name) == getattr(event, name)
    assert working.of_intent(event.intent_id) is order and working.of_intent("another") is None
