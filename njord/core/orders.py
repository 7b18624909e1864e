"""The life of an order as a table, and the one reducer of open orders.

`WorkingOrders` is fed the engine's messages; the order manager, the gate's exposure, and the strategies together with
the rebalancer each hold one, and all are equal after every step. An order whose outcome is UNKNOWN stays: its
quantity counts until evidence closes it. The venue links orders, and the same links are followed here: a fill of one
member of a group shrinks the others, a fill of an entry wakes as many lots of its exits.
"""

from collections.abc import Iterator

import msgspec

from njord.core.contracts import AmendEvent, FillEvent, OrderEvent, OrderUpdate
from njord.core.errors import InvariantError
from njord.core.types import BUY, OrderReason, OrderStatus, OrderType, Side, TimeInForce

_S = OrderStatus
SENT, PARTIALLY_FILLED = _S.SENT, _S.PARTIALLY_FILLED
_AMENDMENTS = frozenset({OrderReason.AMENDED, OrderReason.AMEND_REFUSED})

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
_MAY_FOLLOW = {before: following | {before} for before, following in TRANSITIONS.items()}


def may_follow(before: OrderStatus, after: OrderStatus) -> bool:
    """Say whether an order in `before` may be reported as `after`."""
    return after in _MAY_FOLLOW[before]


class WorkingOrder(msgspec.Struct, gc=False):
    """One open order; `qty_lots` is what has filled and what may still fill, `remaining_lots` the latter.

    While amendments are under way the largest quantity and the highest prices of them all stand here; `event` is the
    order as it was approved.
    """

    event: OrderEvent
    strategy_id: str
    instrument: int
    side: Side
    qty_lots: int
    remaining_lots: int
    limit_price_ticks: int
    trigger_price_ticks: int
    status: OrderStatus
    entry_lots: int = -1  # What the entry that it waits for has filled; -1 = there is none, or it has ended.
    sibling_lots: int = 0  # What the other members of its group have filled.
    pending: tuple[AmendEvent, ...] = ()  # Amendments that the venue has yet to answer, oldest first.

    @property
    def client_order_id(self) -> str:
        """The id that the venue knows it by."""
        return self.event.client_order_id

    @property
    def intent_id(self) -> str:
        """The intent that it came from."""
        return self.event.intent_id

    @property
    def type(self) -> OrderType:
        """How it is priced."""
        return self.event.type

    @property
    def tif(self) -> TimeInForce:
        """How long it works."""
        return self.event.tif

    @property
    def expire_ns(self) -> int:
        """When it ends, if it is GTD; else 0."""
        return self.event.expire_ns

    @property
    def reduce_only(self) -> bool:
        """Whether it may only shrink a position."""
        return self.event.reduce_only

    @property
    def post_only(self) -> bool:
        """Whether it never takes."""
        return self.event.post_only

    @property
    def trail_ticks(self) -> int:
        """How far a trailing stop's trigger stays behind; else 0."""
        return self.event.trail_ticks

    @property
    def group_id(self) -> str:
        """The group of which only one can fill; empty if it stands alone."""
        return self.event.group_id

    @property
    def after_client_order_id(self) -> str:
        """The entry whose fill wakes it; empty if it waits for none."""
        return self.event.after_client_order_id

    @property
    def filled_lots(self) -> int:
        """Lots that have filled so far."""
        return self.qty_lots - self.remaining_lots

    @property
    def fillable_lots(self) -> int:
        """Lots that could fill now: what remains, of an exit no more than its entry has opened and its group left."""
        if self.entry_lots < 0:
            return self.remaining_lots
        left = self.entry_lots - self.filled_lots - self.sibling_lots
        return max(0, min(self.remaining_lots, left))


class WorkingOrders:
    """All open orders, in the order in which they were approved.

    Attributes:
        by_id: By client order id; only to be looked at.
    """

    __slots__ = ("_n_linked", "by_id")

    def __init__(self) -> None:
        self.by_id: dict[str, WorkingOrder] = {}
        self._n_linked = 0  # Of a group or an entry: with none of them the sums below are plain.

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[WorkingOrder]:
        return iter(self.by_id.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkingOrders) and self.by_id == other.by_id

    __hash__ = None  # type: ignore[assignment]  # Mutable: never a key.

    def get(self, client_order_id: str) -> WorkingOrder | None:
        """Return the open order of that id, or None."""
        return self.by_id.get(client_order_id)

    def of_intent(self, intent_id: str) -> WorkingOrder | None:
        """Return the open order that came from that intent, or None."""
        return next((order for order in self.by_id.values() if order.intent_id == intent_id), None)

    # --- following the engine's messages ---

    def approve(self, order: OrderEvent) -> None:
        """Add an approved order; adding the same id again changes nothing, since a gate reserves before it tells."""
        if order.client_order_id in self.by_id:
            return
        working = self.by_id[order.client_order_id] = WorkingOrder(
            order,
            order.strategy_id,
            order.instrument,
            order.side,
            order.qty_lots,
            order.qty_lots,
            order.limit_price_ticks,
            order.trigger_price_ticks,
            SENT,
        )
        if order.group_id or order.after_client_order_id:
            self._n_linked += 1
            entry = self.by_id.get(order.after_client_order_id)
            if entry is not None:
                working.entry_lots = entry.filled_lots

    def amend(self, amendment: AmendEvent) -> None:
        """Count the larger quantity and the higher prices until the venue says what holds."""
        order = self.by_id.get(amendment.client_order_id)
        if order is not None and amendment not in order.pending:  # A gate reserves before it tells.
            order.pending = (*order.pending, amendment)
            _widen(order, amendment)

    def fill(self, fill: FillEvent) -> None:
        """Reduce what remains; the order leaves with its terminal update, not with its last fill.

        Raises:
            InvariantError: More was filled than could fill.
        """
        order = self.by_id.get(fill.client_order_id)
        if order is None:
            return
        lots, left = fill.qty_lots, order.remaining_lots
        if lots > (left if order.entry_lots < 0 else order.fillable_lots):
            raise InvariantError(
                f"order {order.client_order_id}: a fill of {lots} lots, {order.fillable_lots} remained"
            )
        order.remaining_lots = left - lots
        order.status = PARTIALLY_FILLED
        if self._n_linked:
            self._follow_links(order, lots)

    def _follow_links(self, filled: WorkingOrder, lots: int) -> None:
        for order in self.by_id.values():
            if order.after_client_order_id == filled.client_order_id:
                order.entry_lots += lots
            if filled.group_id and order.group_id == filled.group_id and order is not filled:
                order.sibling_lots += lots
                _shrink(order, lots)

    def update(self, update: OrderUpdate) -> None:
        """Follow the venue's word; a terminal status removes the order.

        Raises:
            InvariantError: The move is not in the table.
        """
        order = self.by_id.get(update.client_order_id)
        if order is None:
            return
        status = update.status
        if status not in _MAY_FOLLOW[order.status]:
            raise InvariantError(f"order {order.client_order_id} can not go from {order.status} to {status}")
        if status in TERMINAL:
            del self.by_id[update.client_order_id]
            if self._n_linked:
                self._unlink(order)
            return
        order.status = status
        if update.reason in _AMENDMENTS:
            _settle(order, update)

    def _unlink(self, ended: WorkingOrder) -> None:
        if ended.group_id or ended.after_client_order_id:
            self._n_linked -= 1
        # An entry that has ended wakes nothing any more: what waited for it will never fill.
        for order in self.by_id.values():
            if order.after_client_order_id == ended.client_order_id:
                _shrink(order, order.remaining_lots - order.fillable_lots)
                order.entry_lots = -1

    def apply(self, message: OrderEvent | AmendEvent | FillEvent | OrderUpdate) -> None:
        """Follow any message that changes an order."""
        if isinstance(message, OrderEvent):
            self.approve(message)
        elif isinstance(message, FillEvent):
            self.fill(message)
        elif isinstance(message, AmendEvent):
            self.amend(message)
        else:
            self.update(message)

    # --- what could fill ---

    def open_lots(
        self, instrument: int, strategy_id: str | None = None, *, but_group: str = ""
    ) -> tuple[int, int]:
        """Return the lots that all open buys, and all open sells, of `instrument` could fill.

        Of a group only the largest member counts, of an exit only what its entry has filled.

        Args:
            instrument: Index.
            strategy_id: Only this strategy's orders, if given.
            but_group: A group to leave out.
        """
        buys = sells = 0
        largest: dict[str, int] = {}
        for order in self.by_id.values():
            if order.instrument != instrument:
                continue
            if strategy_id is not None and order.strategy_id != strategy_id:
                continue
            lots = order.remaining_lots
            if self._n_linked:
                lots = order.fillable_lots
                group_id = order.group_id
                if group_id:
                    if group_id == but_group:
                        continue
                    counted = largest.get(group_id, 0)
                    largest[group_id] = max(lots, counted)
                    lots = max(0, lots - counted)
            if order.side is BUY:
                buys += lots
            else:
                sells += lots
        return buys, sells

    def signed_lots(self, instrument: int, strategy_id: str | None = None) -> int:
        """Return the net lots that would be added if every open order of `instrument` filled."""
        if not self.by_id:
            return 0
        buys, sells = self.open_lots(instrument, strategy_id)
        return buys - sells

    def side_lots(self, instrument: int, side: Side, *, but_group: str = "") -> int:
        """Return the lots that one side of `instrument` could fill."""
        if not self.by_id:
            return 0
        buys, sells = self.open_lots(instrument, but_group=but_group)
        return buys if side is BUY else sells


# A member of a group whose sibling filled, or an exit whose entry has ended: so much of it will never fill.
def _shrink(order: WorkingOrder, lots: int) -> None:
    gone = min(lots, order.remaining_lots)
    order.qty_lots -= gone
    order.remaining_lots -= gone
    for amendment in order.pending:
        _widen(order, amendment)


def _widen(order: WorkingOrder, amendment: AmendEvent) -> None:
    more = max(0, amendment.qty_lots - order.qty_lots)
    order.qty_lots += more
    order.remaining_lots += more
    order.limit_price_ticks = max(order.limit_price_ticks, amendment.limit_price_ticks)
    order.trigger_price_ticks = max(order.trigger_price_ticks, amendment.trigger_price_ticks)


# The venue answers amendments in the order in which they were sent.
def _settle(order: WorkingOrder, update: OrderUpdate) -> None:
    order.pending = order.pending[1:]
    if update.qty_lots:
        filled = order.filled_lots
        order.qty_lots = max(update.qty_lots, filled)
        order.remaining_lots = order.qty_lots - filled
        order.limit_price_ticks = update.limit_price_ticks
        order.trigger_price_ticks = update.trigger_price_ticks
    for amendment in order.pending:
        _widen(order, amendment)


__all__ = ["TERMINAL", "TRANSITIONS", "WorkingOrder", "WorkingOrders", "may_follow"]
