"""Gateway: approved orders to the venue, the venue's words back as messages. The only caller of a broker.

Python passes up to 15 keywords straight to a call and packs more into a dictionary, which takes three times as long as
all the rest of making a message. So what only few orders have is filled in by a second step.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from njord.core.broker import IBroker
from njord.core.contracts import (
    VENUE,
    AmendEvent,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerFunding,
    BrokerLiquidation,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReject,
    BrokerReport,
    CancelEvent,
    FillEvent,
    FundingEvent,
    OrderEvent,
    OrderUpdate,
)
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.types import OrderReason, OrderStatus

_NONE, _ACCEPTED = OrderReason.NONE, OrderStatus.ACCEPTED  # Looked up once: of an enumeration that is slow.
AMENDMENTS = frozenset({OrderReason.AMENDED, OrderReason.AMEND_REFUSED})


class Gateway:
    """Sends approved orders and knows whose order a venue speaks of.

    Args:
        broker: The venue's order side.
        instruments: All instruments of the run.
        account_id: Whose account it is: stamped on what the venue does on its own.
    """

    def __init__(self, broker: IBroker, instruments: Sequence[Instrument], account_id: str = "") -> None:
        self._broker = broker
        self._instruments = instruments
        self._account_id = account_id
        self._orders: dict[str, OrderEvent] = {}

    def send(self, event: OrderEvent | CancelEvent | AmendEvent, now_ns: int) -> OrderUpdate | None:
        """Send one approved order, amendment or cancel; return the venue's first word on an order.

        An approval that has expired is not sent: the order ends as EXPIRED. None where the venue has yet to speak; a
        cancel and an amendment never say anything here: the order's own update does.

        Raises:
            InvariantError: The order was sent before and has not ended.
        """
        symbol = self._instruments[event.instrument].symbol
        if isinstance(event, OrderEvent):
            return self._place(event, symbol, now_ns)
        if isinstance(event, AmendEvent):
            self._amend(event, symbol, now_ns)
            return None
        self._broker.cancel(
            BrokerCancelReq(symbol=symbol, client_order_id=event.client_order_id, ts_ns=now_ns)
        )
        return None

    def _place(self, event: OrderEvent, symbol: str, now_ns: int) -> OrderUpdate | None:
        if now_ns > event.expires_ns:
            return update_of(event, now_ns, OrderStatus.EXPIRED, OrderReason.APPROVAL_EXPIRED, "", now_ns)
        if event.client_order_id in self._orders:
            raise InvariantError(f"order {event.client_order_id} was sent before; one approval is sent once")
        self._orders[event.client_order_id] = event
        reply = self._broker.place(request_of(event, symbol, now_ns))
        if isinstance(reply, BrokerOrderAck):
            return update_of(event, now_ns, _ACCEPTED, _NONE, "", reply.ts_venue_ns, reply.venue_order_id)
        if isinstance(reply, BrokerPending):
            return None
        if isinstance(reply, BrokerReject):
            del self._orders[event.client_order_id]
            return update_of(
                event, now_ns, OrderStatus.REJECTED, reply.reason, reply.detail, reply.ts_venue_ns
            )
        return update_of(
            event, now_ns, OrderStatus.UNKNOWN, OrderReason.OUTCOME_UNKNOWN, reply.detail, reply.ts_venue_ns
        )

    def adopt(self, event: OrderEvent) -> None:
        """Know an order that was sent before a restart: it can be amended, and is not sent again."""
        self._orders[event.client_order_id] = event

    def forget(self, client_order_id: str) -> None:
        """Forget an order whose end did not come through `translate`; nothing where it is not known."""
        self._orders.pop(client_order_id, None)

    # An order that has ended meanwhile has said so in its terminal update.
    def _amend(self, event: AmendEvent, symbol: str, now_ns: int) -> None:
        if event.client_order_id not in self._orders:
            return
        self._broker.amend(
            BrokerAmendReq(
                symbol=symbol,
                client_order_id=event.client_order_id,
                qty_lots=event.qty_lots,
                limit_price_ticks=event.limit_price_ticks,
                trigger_price_ticks=event.trigger_price_ticks,
                ts_ns=now_ns,
            )
        )

    def translate(self, report: BrokerReport, now_ns: int) -> FillEvent | OrderUpdate | FundingEvent:
        """Return a venue's report as the engine's message, with the identity of the order it belongs to.

        Raises:
            InvariantError: The order is not one of ours.
        """
        # `isinstance` of a struct costs five times as much where the answer is no.
        if type(report) is BrokerFill:
            order = self._orders.get(report.client_order_id)
            if order is not None:
                return fill_of(order, report, now_ns)
        elif type(report) is BrokerOrderUpdate:
            order = self._orders.get(report.client_order_id)
            if order is not None:
                return self._follow(order, report, now_ns)
        elif isinstance(report, BrokerFunding):
            return self._funding(report, now_ns)
        else:
            assert isinstance(report, BrokerLiquidation)
            return self._liquidation(report, now_ns)
        raise InvariantError(f"the venue reports order {report.client_order_id}, which was never sent")

    def _follow(self, order: OrderEvent, report: BrokerOrderUpdate, now_ns: int) -> OrderUpdate:
        if report.status in TERMINAL:
            del self._orders[report.client_order_id]
        return update_of(
            order,
            now_ns,
            report.status,
            report.reason,
            "",
            report.ts_venue_ns,
            report.venue_order_id,
            report.filled_lots,
            report if report.reason in AMENDMENTS else None,
        )

    def _funding(self, report: BrokerFunding, now_ns: int) -> FundingEvent:
        return FundingEvent(
            ts_ns=now_ns,
            instrument=report.instrument,
            account_id=self._account_id,
            rate=report.rate,
            mark_ticks=report.mark_ticks,
            amount=report.amount,
            asset=report.asset,
            ts_venue_ns=report.ts_venue_ns,
        )

    def _liquidation(self, report: BrokerLiquidation, now_ns: int) -> FillEvent:
        return FillEvent(
            ts_ns=now_ns,
            instrument=report.instrument,
            account_id=self._account_id,
            strategy_id=VENUE,
            intent_id="",
            client_order_id=f"LIQUIDATION-{report.venue_trade_id}",
            side=report.side,
            price_ticks=report.price_ticks,
            qty_lots=report.qty_lots,
            fee=report.fee,
            fee_asset=report.fee_asset,
            is_maker=False,
            venue_trade_id=report.venue_trade_id,
            ts_venue_ns=report.ts_venue_ns,
        )


def request_of(event: OrderEvent, symbol: str, now_ns: int) -> BrokerOrderReq:
    """Return an approved order as a broker is handed it."""
    request = BrokerOrderReq(
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
    has_terms = event.post_only or event.trigger_price_ticks or event.trail_ticks or event.expire_ns
    if not has_terms and not event.group_id and not event.after_client_order_id:
        return request
    return replace(
        request,
        post_only=event.post_only,
        trigger_price_ticks=event.trigger_price_ticks,
        trail_ticks=event.trail_ticks,
        expire_ns=event.expire_ns,
        group_id=event.group_id,
        after_client_order_id=event.after_client_order_id,
    )


def fill_of(order: OrderEvent, report: BrokerFill, now_ns: int) -> FillEvent:
    """Return an execution as the engine's message, with the identity of its order."""
    fill = FillEvent(
        ts_ns=now_ns,
        instrument=order.instrument,
        account_id=order.account_id,
        strategy_id=order.strategy_id,
        intent_id=order.intent_id,
        client_order_id=order.client_order_id,
        side=order.side,
        price_ticks=report.price_ticks,
        qty_lots=report.qty_lots,
        fee=report.fee,
        fee_asset=report.fee_asset,
        is_maker=report.is_maker,
        venue_trade_id=report.venue_trade_id,
        ts_venue_ns=report.ts_venue_ns,
    )
    parent_id, execution_id, slice_id = order.parent_id, order.execution_id, order.slice_id
    if not parent_id and not execution_id and not slice_id:
        return fill
    return replace(fill, parent_id=parent_id, execution_id=execution_id, slice_id=slice_id)


def update_of(
    order: OrderEvent,
    now_ns: int,
    status: OrderStatus,
    reason: OrderReason,
    detail: str,
    ts_venue_ns: int,
    venue_order_id: str = "",
    filled_lots: int = 0,
    holds: BrokerOrderUpdate | None = None,
) -> OrderUpdate:
    """Return the venue's word on an order as the engine's message; `holds` says what is true after an amendment."""
    update = OrderUpdate(
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
    if holds is None:
        return update
    return replace(
        update,
        qty_lots=holds.qty_lots,
        limit_price_ticks=holds.limit_price_ticks,
        trigger_price_ticks=holds.trigger_price_ticks,
    )
