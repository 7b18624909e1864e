"""Order manager: the component that follows every order from its approval to its end."""

from collections.abc import Sequence

from njord.core.component import Handler
from njord.core.contracts import (
    AmendEvent,
    CancelIntent,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderUpdate,
    StrategySuspended,
)
from njord.core.holdings import Holdings
from njord.core.ids import Counter
from njord.core.orders import WorkingOrder
from njord.core.types import ACTIVE, TradingState


class OrderManager:
    """Keeps the open orders; cancels those of a suspended strategy, and all when the kill switch says so.

    Args:
        account_id: Stamped on the cancels it asks for.
        holdings: What it follows for itself and for all that are asked after it.
    """

    def __init__(self, account_id: str, holdings: Holdings) -> None:
        self.working = holdings.working
        self._follow_fill = holdings.fill
        self._account_id = account_id
        self._ids = Counter("@oms")  # No strategy file can be called so: their ids never meet.

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            OrderEvent: self.working.approve,
            AmendEvent: self.working.amend,
            OrderUpdate: self.working.update,
            FillEvent: self._follow_fill,
            StrategySuspended: self._on_suspended,
            KillSwitchState: self._on_switch,
        }

    def _on_suspended(self, event: StrategySuspended) -> Sequence[CancelIntent]:
        return [
            self._cancel(order, event.ts_ns, "its strategy was suspended")
            for order in self.working
            if order.strategy_id == event.strategy_id
        ]

    # While positions may still be closed what only closes them stays, unless all of it is about to be closed anyhow.
    def _on_switch(self, word: KillSwitchState) -> Sequence[CancelIntent] | None:
        if not word.cancels or word.state is ACTIVE:
            return None
        spares = word.state is TradingState.REDUCE_ONLY and not word.flattens
        reason = f"{word.source} says {word.state}" + (f": {word.reason}" if word.reason else "")
        return [
            self._cancel(order, word.ts_ns, reason)
            for order in self.working
            if not (spares and order.reduce_only)
        ]

    def _cancel(self, order: WorkingOrder, ts_ns: int, reason: str) -> CancelIntent:
        return CancelIntent(
            ts_ns=ts_ns,
            instrument=order.instrument,
            account_id=self._account_id,
            strategy_id=order.strategy_id,
            intent_id=self._ids.next(),
            client_order_id=order.client_order_id,
            reason=reason,
        )
