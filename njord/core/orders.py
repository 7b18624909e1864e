"""The life of an order as a table, and the one reducer of open orders.

`WorkingOrders` is fed the engine's messages; the order manager, the gate's exposure, the rebalancer and the
strategies' context each hold one, and all are equal after every step. An order whose outcome is UNKNOWN stays: its
quantity counts until evidence closes it.
"""

from collections.abc import Iterator

import msgspec

from njord.core.contracts import FillEvent, OrderEvent, OrderUpdate
from njord.core.errors import InvariantError
from njord.core.types import BUY, OrderStatus, OrderType, Side

_S = OrderStatus

# From a status to those that may follow. Repeats of the same status are harmless and allowed.
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.SENT: frozenset(
        {_S.ACCEPTED, _S.REJECTED, _S.UNKNOWN, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED}
    ),
    _S.ACCEPTED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.UNKNOWN}),
    _S.PARTIALLY_FILLED: frozenset({_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset(
        {_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}
    ),
    _S.FILLED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
}
TERMINAL: frozenset[OrderStatus] = frozenset(
    status for status, following in TRANSITIONS.items() if not following
)


def may_follow(before: OrderStatus, after: OrderStatus) -> bool:
    """Say whether an order in `before` may be reported as `after`."""
    return after is before or after in TRANSITIONS[before]


class WorkingOrder(msgspec.Struct, kw_only=True, gc=False):
    """One open order; `remaining_lots` is what may still fill."""

    client_order_id: str
    intent_id: str
    strategy_id: str
    instrument: int
    side: Side
    type: OrderType
    qty_lots: int
    remaining_lots: int
    limit_price_ticks: int
    reduce_only: bool
    status: OrderStatus

    @property
    def signed_remaining(self) -> int:
        """Remaining lots, negative for a sell."""
        return self.remaining_lots if self.side is BUY else -self.remaining_lots


class WorkingOrders:
    """All open orders, by client order id, in the order in which they were approved."""

    __slots__ = ("_orders",)

    def __init__(self) -> None:
        self._orders: dict[str, WorkingOrder] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[WorkingOrder]:
        return iter(self._orders.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkingOrders) and self._orders == other._orders

    __hash__ = None  # type: ignore[assignment]  # Mutable: never a key.

    def get(self, client_order_id: str) -> WorkingOrder | None:
        """Return the open order of that id, or None."""
        return self._orders.get(client_order_id)

    def approve(self, order: OrderEvent) -> None:
        """Add an approved order; adding the same id again changes nothing, since a gate reserves before it tells."""
        if order.client_order_id not in self._orders:
            self._orders[order.client_order_id] = WorkingOrder(
                client_order_id=order.client_order_id,
                intent_id=order.intent_id,
                strategy_id=order.strategy_id,
                instrument=order.instrument,
                side=order.side,
                type=order.type,
                qty_lots=order.qty_lots,
                remaining_lots=order.qty_lots,
                limit_price_ticks=order.limit_price_ticks,
                reduce_only=order.reduce_only,
                status=OrderStatus.SENT,
            )

    def fill(self, fill: FillEvent) -> None:
        """Reduce what remains; the order leaves with its terminal update, not with its last fill.

        Raises:
            InvariantError: More was filled than ordered.
        """
        order = self._orders.get(fill.client_order_id)
        if order is None:
            return
        if fill.qty_lots > order.remaining_lots:
            raise InvariantError(
                f"order {order.client_order_id}: a fill of {fill.qty_lots} lots, {order.remaining_lots} remained"
            )
        order.remaining_lots -= fill.qty_lots
        order.status = OrderStatus.PARTIALLY_FILLED

    def update(self, update: OrderUpdate) -> None:
        """Follow the venue's word; a terminal status removes the order.

        Raises:
            InvariantError: The move is not in the table.
        """
        order = self._orders.get(update.client_order_id)
        if order is None:
            return
        if not may_follow(order.status, update.status):
            raise InvariantError(
                f"order {order.client_order_id} can not go from {order.status} to {update.status}"
            )
        if update.status in TERMINAL:
            del self._orders[update.client_order_id]
        else:
            order.status = update.status

    def apply(self, message: OrderEvent | FillEvent | OrderUpdate) -> None:
        """Follow any message that changes an order."""
        if isinstance(message, OrderEvent):
            self.approve(message)
        elif isinstance(message, FillEvent):
            self.fill(message)
        else:
            self.update(message)

    def signed_lots(self, instrument: int, strategy_id: str | None = None) -> int:
        """Return the net lots that would be added if every open order of `instrument` filled."""
        if not self._orders:
            return 0
        return sum(
            order.signed_remaining
            for order in self._orders.values()
            if order.instrument == instrument and (strategy_id is None or order.strategy_id == strategy_id)
        )

    def side_lots(self, instrument: int, side: Side) -> int:
        """Return the remaining lots of one side of `instrument`."""
        if not self._orders:
            return 0
        return sum(
            order.remaining_lots
            for order in self._orders.values()
            if order.instrument == instrument and order.side is side
        )


__all__ = ["TERMINAL", "TRANSITIONS", "WorkingOrder", "WorkingOrders", "may_follow"]
