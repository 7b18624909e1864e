"""The order manager: it follows orders, and cancels those of a strategy that fell."""

from decimal import Decimal
from typing import Any

from njord.core.account import SpotAccount
from njord.core.contracts import (
    AmendEvent,
    CancelIntent,
    FillEvent,
    Message,
    OrderEvent,
    OrderUpdate,
    StrategySuspended,
)
from njord.core.holdings import Holdings
from njord.core.orders import WorkingOrders
from njord.core.types import OrderStatus
from njord.execution.oms import OrderManager
from tests.property.strategies import START_NS, amend_event, fill_event, instrument, order_event, order_update


def order_manager() -> OrderManager:
    traded = (instrument(), instrument("ETH/USDT"))
    return OrderManager("main", Holdings(SpotAccount(traded, "USDT", Decimal(1_000)), traded))


def tell(manager: OrderManager, message: Message) -> Any:
    return manager.handlers()[type(message)](message)


def test_it_follows_orders_as_the_one_reducer_does() -> None:
    manager, expected = order_manager(), WorkingOrders()
    story: list[OrderEvent | AmendEvent | FillEvent | OrderUpdate] = [
        order_event("a"),
        order_event("b"),
        order_update(OrderStatus.ACCEPTED, "a"),
        amend_event("a", qty_lots=20),
        fill_event("a", qty_lots=3),
        order_update(OrderStatus.CANCELED, "b"),
    ]
    for message in story:
        tell(manager, message)
        expected.apply(message)
        assert manager.working == expected
    assert len(manager.working) == 1


def test_a_suspended_strategys_orders_are_canceled_each_once_and_nobody_elses() -> None:
    manager = order_manager()
    for name, owner, index in (("a", "bad", 0), ("b", "good", 0), ("c", "bad", 1)):
        tell(manager, order_event(name, strategy_id=owner, instrument=index))
    cancels = tell(manager, StrategySuspended(ts_ns=START_NS + 5, strategy_id="bad", error="x"))
    assert cancels == [
        CancelIntent(
            ts_ns=START_NS + 5,
            instrument=index,
            account_id="main",
            strategy_id="bad",
            intent_id=f"@oms-{number}",
            client_order_id=name,
            reason="its strategy was suspended",
        )
        for number, (name, index) in enumerate([("a", 0), ("c", 1)], start=1)
    ]
    assert len(manager.working) == 3  # They work until the venue says otherwise.
