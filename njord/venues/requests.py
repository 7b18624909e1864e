"""What becomes of a request that has reached the venue? An order is admitted or refused, canceled, or amended.

An amendment to less keeps the order's place. More lots or another price lose it: the order is a new one at that price,
seen by what opens after it. What is refused leaves the order as it stands, and the order's own update says so.
"""

from njord.core.contracts import (
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerReject,
    BrokerReply,
)
from njord.core.types import MARKET, OrderReason, OrderStatus
from njord.kernels.triggers import trailed
from njord.venues.desk import Desk
from njord.venues.filters import FilterCheck
from njord.venues.working import TRAILING_STOP, Working


class Requests:
    """Handles the requests about a desk's orders.

    Args:
        desk: Whose orders.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._filters = FilterCheck(desk.instruments, lambda index: len(desk.book[index]))

    def place(self, req: BrokerOrderReq, ts_ns: int) -> Working | OrderReason:
        """Admit an order that arrives at `ts_ns`, or return why it is refused."""
        desk = self._desk
        if req.client_order_id in desk.orders:
            return OrderReason.DUPLICATE_ID
        mark = desk.marks[req.instrument]
        refused = self._filters.order(req, mark)
        if refused is not None:
            return refused
        if req.type is MARKET and not (req.post_only or req.group_id or req.after_client_order_id):
            return desk.add(req)
        if req.post_only and not req.limit_price_ticks:
            return OrderReason.POST_ONLY_WOULD_TAKE
        lots = self._linked_lots(req)
        if isinstance(lots, OrderReason):
            return lots
        order = desk.add(req)
        order.qty_lots = lots
        order.from_ns = ts_ns
        order.is_asleep = bool(req.after_client_order_id) and not desk.filled_lots(req.after_client_order_id)
        if req.type is TRAILING_STOP and mark and not order.is_asleep:
            order.trigger_ticks = trailed(order.sign, order.trigger_ticks, req.trail_ticks, mark)
        return order

    # What is left for an order after what its group and its entry have done already.
    def _linked_lots(self, req: BrokerOrderReq) -> int | OrderReason:
        desk, lots = self._desk, req.qty_lots
        if req.group_id:
            lots -= desk.links.filled_in(req.group_id)
            if lots <= 0:
                return OrderReason.OCO_SIBLING
        if req.after_client_order_id:
            name = req.after_client_order_id
            if name not in desk.orders.working:
                filled_lots = desk.orders.filled_lots(name)
                if filled_lots is not None:
                    lots = min(lots, desk.links.left_to_close(req, 0, filled_lots))
                if filled_lots is None or lots <= 0:
                    return OrderReason.ENTRY_ENDED
        return lots

    def change(self, req: BrokerCancelReq | BrokerAmendReq, ts_ns: int) -> BrokerReply:
        """Cancel or amend a working order; its own update says what holds."""
        order = self._desk.orders.working.get(req.client_order_id)
        if order is None:
            return BrokerReject(
                client_order_id=req.client_order_id,
                reason=OrderReason.NONE,
                detail="no such working order",
                ts_venue_ns=ts_ns,
            )
        if isinstance(req, BrokerAmendReq):
            if not self._amend(order, req, ts_ns):
                return reply(req.client_order_id, OrderReason.AMEND_REFUSED, ts_ns)
        else:
            self._desk.end(order, OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED, ts_ns)
        return reply(req.client_order_id, order, ts_ns)

    def _amend(self, order: Working, req: BrokerAmendReq, ts_ns: int) -> bool:
        qty_lots = req.qty_lots or order.qty_lots
        limit = req.limit_price_ticks or order.limit_ticks
        trigger = req.trigger_price_ticks or order.trigger_ticks
        if not self._may_become(order, qty_lots, limit, trigger, ts_ns):
            self._desk.tell(order, OrderReason.AMEND_REFUSED, ts_ns)
            return False
        keeps_place = qty_lots <= order.qty_lots and limit == order.limit_ticks
        if not keeps_place or trigger != order.trigger_ticks:
            order.from_ns = ts_ns
        if not keeps_place:
            order.is_resting = False
            book = self._desk.book[order.req.instrument]
            book[req.client_order_id] = book.pop(req.client_order_id)  # Behind all others.
        order.qty_lots, order.limit_ticks, order.trigger_ticks = qty_lots, limit, trigger
        self._desk.tell(order, OrderReason.AMENDED, ts_ns)
        self._desk.announce(order)
        return True

    def _may_become(self, order: Working, qty_lots: int, limit: int, trigger: int, ts_ns: int) -> bool:
        if (qty_lots, limit, trigger) == (order.qty_lots, order.limit_ticks, order.trigger_ticks):
            return False
        if qty_lots <= order.filled_lots:
            return False
        if limit != order.limit_ticks and not order.limit_ticks:
            return False
        if trigger != order.trigger_ticks and order.is_triggered:
            return False
        index = order.req.instrument
        mark, side = self._desk.marks[index], order.req.side
        if self._filters.numbers(index, side, ts_ns, qty_lots, limit, trigger, mark) is not None:
            return False
        floor = self._desk.floors.get(index)
        return floor is None or floor.amend(order, qty_lots, limit, trigger)


def reply(client_order_id: str, outcome: Working | OrderReason, ts_venue_ns: int) -> BrokerReply:
    """Return the venue's answer: the order it has, or why it refused."""
    if type(outcome) is Working:
        return BrokerOrderAck(
            client_order_id=client_order_id, venue_order_id=outcome.venue_order_id, ts_venue_ns=ts_venue_ns
        )
    assert isinstance(outcome, OrderReason)
    return BrokerReject(client_order_id=client_order_id, reason=outcome, detail="", ts_venue_ns=ts_venue_ns)
