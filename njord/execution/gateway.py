"""Gateway: approved orders to the venue, the venue's words back as messages. The only caller of a broker."""

from collections.abc import Sequence

from njord.core.broker import IBroker
from njord.core.contracts import (
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReject,
    BrokerUnknown,
    CancelEvent,
    FillEvent,
    OrderEvent,
    OrderUpdate,
)
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.types import OrderReason, OrderStatus


class Gateway:
    """Sends approved orders and knows whose order a venue speaks of.

    Args:
        broker: The venue's order side.
        instruments: All instruments of the run.
    """

    def __init__(self, broker: IBroker, instruments: Sequence[Instrument]) -> None:
        self._broker = broker
        self._instruments = instruments
        self._orders: dict[str, OrderEvent] = {}

    def send(self, event: OrderEvent | CancelEvent, now_ns: int) -> OrderUpdate | None:
        """Send one approved order or cancel; return the venue's first word on an order.

        An approval that has expired is not sent: the order ends as EXPIRED. A cancel says nothing here: the order's
        own update tells its outcome.

        Raises:
            InvariantError: The order was sent before and has not ended.
        """
        symbol = self._instruments[event.instrument].symbol
        if isinstance(event, CancelEvent):
            self._broker.cancel(
                BrokerCancelReq(symbol=symbol, client_order_id=event.client_order_id, ts_ns=now_ns)
            )
            return None
        if now_ns > event.expires_ns:
            return _update(event, now_ns, OrderStatus.EXPIRED, OrderReason.APPROVAL_EXPIRED, "", now_ns)
        if event.client_order_id in self._orders:
            raise InvariantError(f"order {event.client_order_id} was sent before; one approval is sent once")
        self._orders[event.client_order_id] = event
        reply = self._broker.place(
            BrokerOrderReq(
                instrument=event.instrument,
                symbol=symbol,
                side=event.side,
                type=event.type,
                tif=event.tif,
                qty_lots=event.qty_lots,
                limit_price_ticks=event.limit_price_ticks,
                reduce_only=event.reduce_only,
                client_order_id=event.client_order_id,
                ts_ns=now_ns,
            )
        )
        if isinstance(reply, BrokerReject):
            del self._orders[event.client_order_id]
            return _update(event, now_ns, OrderStatus.REJECTED, reply.reason, reply.detail, reply.ts_venue_ns)
        if isinstance(reply, BrokerUnknown):
            return _update(
                event,
                now_ns,
                OrderStatus.UNKNOWN,
                OrderReason.OUTCOME_UNKNOWN,
                reply.detail,
                reply.ts_venue_ns,
            )
        return _update(
            event,
            now_ns,
            OrderStatus.ACCEPTED,
            OrderReason.NONE,
            "",
            reply.ts_venue_ns,
            reply.venue_order_id,
        )

    def translate(self, report: BrokerFill | BrokerOrderUpdate, now_ns: int) -> FillEvent | OrderUpdate:
        """Return a venue's report as the engine's message, with the identity of the order it belongs to.

        Raises:
            InvariantError: The order is not one of ours.
        """
        order = self._orders.get(report.client_order_id)
        if order is None:
            raise InvariantError(f"the venue reports order {report.client_order_id}, which was never sent")
        if isinstance(report, BrokerFill):
            return FillEvent(
                ts_ns=now_ns,
                instrument=order.instrument,
                account_id=order.account_id,
                strategy_id=order.strategy_id,
                intent_id=order.intent_id,
                client_order_id=order.client_order_id,
                parent_id=order.parent_id,
                execution_id=order.execution_id,
                slice_id=order.slice_id,
                side=order.side,
                price_ticks=report.price_ticks,
                qty_lots=report.qty_lots,
                fee=report.fee,
                fee_asset=report.fee_asset,
                is_maker=report.is_maker,
                venue_trade_id=report.venue_trade_id,
                ts_venue_ns=report.ts_venue_ns,
            )
        if report.status in TERMINAL:
            del self._orders[report.client_order_id]
        return _update(
            order,
            now_ns,
            report.status,
            report.reason,
            "",
            report.ts_venue_ns,
            report.venue_order_id,
            report.filled_lots,
        )


def _update(
    order: OrderEvent,
    now_ns: int,
    status: OrderStatus,
    reason: OrderReason,
    detail: str,
    ts_venue_ns: int,
    venue_order_id: str = "",
    filled_lots: int = 0,
) -> OrderUpdate:
    return OrderUpdate(
        ts_ns=now_ns,
        instrument=order.instrument,
        account_id=order.account_id,
        strategy_id=order.strategy_id,
        intent_id=order.intent_id,
        client_order_id=order.client_order_id,
        parent_id=order.parent_id,
        execution_id=order.execution_id,
        slice_id=order.slice_id,
        status=status,
        reason=reason,
        detail=detail,
        venue_order_id=venue_order_id,
        filled_lots=filled_lots,
        ts_venue_ns=ts_venue_ns,
    )
