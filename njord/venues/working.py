"""One order as the simulated venue keeps it, from its acceptance to its end."""

import msgspec

from njord.core.contracts import BrokerOrderReq, BrokerOrderUpdate
from njord.core.types import BUY, LIMIT, MARKET, OrderReason, OrderStatus, OrderType, TimeInForce

TRAILING_STOP = OrderType.TRAILING_STOP
GTC, GTD, IOC, FOK = TimeInForce.GTC, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK
_TAKE_PROFITS = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})


class Working(msgspec.Struct, kw_only=True, gc=False):
    """An order's state at the venue.

    Attributes:
        req: As it was placed.
        venue_order_id: The venue's name for it.
        sign: +1 buy, -1 sell.
        from_ns: It meets bars that open at this time or later.
        qty_lots: All it is for; links and amendments may have shrunk it.
        limit_ticks: Its limit; 0 = none.
        trigger_ticks: Its trigger, 0 = none (yet).
        is_plain: A market or limit order without links, expiry or conditions: most orders.
        filled_lots: Filled so far.
        is_triggered: Works as a market or limit order now; from the start if it has no trigger.
        is_resting: Has seen a bar since it was placed, so that it makes.
        is_open: Has not ended.
        is_asleep: Waits for its entry to fill.
        number: Its place among all orders of the venue, from 0.
    """

    req: BrokerOrderReq
    venue_order_id: str
    sign: int
    from_ns: int
    qty_lots: int
    limit_ticks: int
    trigger_ticks: int = 0
    is_plain: bool = True
    filled_lots: int = 0
    is_triggered: bool = True
    is_resting: bool = False
    is_open: bool = True
    is_asleep: bool = False
    number: int = -1

    @property
    def remaining_lots(self) -> int:
        """What may still fill."""
        return self.qty_lots - self.filled_lots

    def is_exit_or_entry_of(self, other: "Working") -> bool:
        """Whether one of the two waits for the other."""
        mine, its = self.req, other.req
        return (
            mine.after_client_order_id == its.client_order_id
            or its.after_client_order_id == mine.client_order_id
        )

    @property
    def is_take_profit(self) -> bool:
        """Whether it waits for a price that moves for it."""
        return self.req.type in _TAKE_PROFITS

    @property
    def status(self) -> OrderStatus:
        """Accepted, or partially filled."""
        return OrderStatus.PARTIALLY_FILLED if self.filled_lots else OrderStatus.ACCEPTED


def working(req: BrokerOrderReq, venue_order_id: str) -> Working:
    """Return a new order."""
    kind, tif = req.type, req.tif
    order = Working(
        req=req,
        venue_order_id=venue_order_id,
        sign=1 if req.side is BUY else -1,
        from_ns=req.ts_ns,
        qty_lots=req.qty_lots,
        limit_ticks=req.limit_price_ticks,
    )
    is_simple = kind is MARKET or kind is LIMIT
    is_linked = req.group_id or req.after_client_order_id
    if not is_simple or is_linked or req.post_only or not (tif is GTC or tif is IOC):
        order.is_plain = False
        order.is_triggered = is_simple
        order.trigger_ticks = req.trigger_price_ticks
    return order


def told(order: Working, status: OrderStatus, reason: OrderReason, ts_venue_ns: int) -> BrokerOrderUpdate:
    """Return the venue's word on an order."""
    req = order.req
    return BrokerOrderUpdate(
        client_order_id=req.client_order_id,
        venue_order_id=order.venue_order_id,
        symbol=req.symbol,
        side=req.side,
        type=req.type,
        status=status,
        reason=reason,
        qty_lots=order.qty_lots,
        filled_lots=order.filled_lots,
        limit_price_ticks=order.limit_ticks,
        ts_venue_ns=ts_venue_ns,
        trigger_price_ticks=order.trigger_ticks,
    )
