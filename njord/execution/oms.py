"""Order manager: the component that follows every order from its approval to its end."""

from collections.abc import Sequence

from njord.core.component import Handler
from njord.core.contracts import (
    AmendEvent,
    CancelIntent,
    FillEvent,
    Message,
    OrderEvent,
    OrderUpdate,
    StrategySuspended,
)
from njord.core.ids import Counter
from njord.core.orders import WorkingOrders


class OrderManager:
    """Keeps the open orders; cancels those of a suspended strategy.

    Args:
        account_id: Stamped on the cancels it asks for.
    """

    def __init__(self, account_id: str) -> None:
        self.working = WorkingOrders()
        self._account_id = account_id
        self._ids = Counter("@oms")  # No strategy file can be called so: their ids never meet.

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            OrderEvent: self.working.approve,
            AmendEvent: self.working.amend,
            OrderUpdate: self.working.update,
            FillEvent: self.working.fill,
            StrategySuspended: self._on_suspended,
        }

    def _on_suspended(self, event: StrategySuspended) -> Sequence[CancelIntent]:
        return [
            CancelIntent(
                ts_ns=event.ts_ns,
                instrument=order.instrument,
                account_id=self._account_id,
                strategy_id=order.strategy_id,
                intent_id=self._ids.next(),
                client_order_id=order.client_order_id,
                reason="its strategy was suspended",
            )
            for order in self.working
            if order.strategy_id == event.strategy_id
        ]
