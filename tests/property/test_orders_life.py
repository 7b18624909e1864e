"""The order state machine as a walk: every legal path ends, and the reducer follows only legal ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from njord.core.errors import InvariantError
from njord.core.orders import TERMINAL, TRANSITIONS, WorkingOrders, may_follow
from njord.core.types import OrderStatus
from tests.property.strategies import fill_event, order_event, order_update


@given(st.data())
def test_every_legal_path_can_still_reach_an_end(data: st.DataObject) -> None:
    status, seen = OrderStatus.SENT, [OrderStatus.SENT]
    while status not in TERMINAL and len(seen) < 50:
        status = data.draw(st.sampled_from(sorted(TRANSITIONS[status])))
        seen.append(status)
    assert status in TERMINAL or TRANSITIONS[status] & TERMINAL


@given(st.sampled_from(OrderStatus), st.sampled_from(OrderStatus))
def test_the_reducer_follows_exactly_the_table(before: OrderStatus, after: OrderStatus) -> None:
    working = WorkingOrders()
    working.approve(order_event())
    order = working.get("c1")
    assert order is not None
    order.status = before
    if may_follow(before, after):
        working.update(order_update(after))
        assert (working.get("c1") is None) == (after in TERMINAL)
    else:
        with pytest.raises(InvariantError, match=f"from {before} to {after}"):
            working.update(order_update(after))


class OrdersMachine(RuleBasedStateMachine):
    """Approvals, fills and endings in any order, beside a model that knows only quantities."""

    def __init__(self) -> None:
        super().__init__()
        self.working = WorkingOrders()
        self.remaining: dict[str, int] = {}
        self.n = 0

    @rule(lots=st.integers(1, 20))
    def approve(self, lots: int) -> None:
        self.n += 1
        name = f"c{self.n}"
        self.working.apply(order_event(name, qty_lots=lots))
        self.remaining[name] = lots

    @rule(data=st.data())
    def approve_again(self, data: st.DataObject) -> None:
        if self.remaining:
            name = data.draw(st.sampled_from(sorted(self.remaining)))
            self.working.apply(order_event(name, qty_lots=999))

    @rule(data=st.data(), lots=st.integers(1, 25))
    def fill(self, data: st.DataObject, lots: int) -> None:
        if not self.remaining:
            return
        name = data.draw(st.sampled_from(sorted(self.remaining)))
        fill = fill_event(name, qty_lots=lots)
        if lots > self.remaining[name]:
            with pytest.raises(
                InvariantError, match=f"a fill of {lots} lots, {self.remaining[name]} remained"
            ):
                self.working.apply(fill)
        else:
            self.working.apply(fill)
            self.remaining[name] -= lots

    @rule(data=st.data(), status=st.sampled_from(sorted(TERMINAL - {OrderStatus.REJECTED})))
    def end(self, data: st.DataObject, status: OrderStatus) -> None:
        if self.remaining:
            name = data.draw(st.sampled_from(sorted(self.remaining)))
            self.working.apply(order_update(status, name))
            del self.remaining[name]

    @rule()
    def a_word_on_a_stranger_changes_nothing(self) -> None:
        self.working.apply(order_update(OrderStatus.FILLED, "stranger"))
        self.working.apply(fill_event("stranger"))

    @invariant()
    def the_same_orders_remain_with_the_same_lots(self) -> None:
        assert {o.client_order_id: o.remaining_lots for o in self.working} == self.remaining
        assert len(self.working) == len(self.remaining)
        assert self.working.signed_lots(0) == sum(self.remaining.values())


TestOrdersMachine = OrdersMachine.TestCase
