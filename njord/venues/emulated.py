"""How does a venue take orders of a type that it lacks? We keep such an order, and send a plain one at its trigger.

The order was approved before it came here, and is sent under the same id, so that for everyone else it is one order
with one life. Prices come in through `on_price`; the trigger is the same function as the simulated venue's. While it is
held it is as safe as this process: a venue's own stop still works when we do not. Orders with links are refused, because
nobody here sees what the linked ones do.
"""

from collections.abc import Sequence

import msgspec

from njord.core.broker import IBroker
from njord.core.contracts import (
    NO_PRICE,
    BalanceSnapshot,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReject,
    BrokerReply,
    BrokerReport,
    BrokerUnknown,
)
from njord.core.instrument import Instrument
from njord.core.types import LIMIT, MARKET, OrderReason, OrderStatus, OrderType
from njord.kernels.triggers import is_triggered, trailed
from njord.venues.working import GTD, TRAILING_STOP, Working, told, working

_CANCELED, _EXPIRED, _UNKNOWN = OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.UNKNOWN


class EmulatingBroker:
    """A broker with the order types that another one lacks.

    Args:
        inner: Where plain orders go.
        lacks: The types that are kept here until their trigger.

    Raises:
        ValueError: `lacks` names a type that has no trigger.
    """

    def __init__(self, inner: IBroker, lacks: frozenset[OrderType]) -> None:
        plain = sorted(kind for kind in lacks if not kind.is_conditional)
        if plain:
            raise ValueError(f"{', '.join(plain)} orders have no trigger to wait for")
        self._inner = inner
        self._lacks = lacks
        self._held: dict[str, Working] = {}
        self._ended: dict[str, BrokerOrderUpdate] = {}  # Of those that were never sent.
        self._outbox: list[BrokerReport] = []

    # --- prices ---

    def on_price(self, instrument: int, ticks: int, ts_ns: int) -> list[BrokerReport]:
        """Follow a trade's price; return what became known about held orders."""
        for order in list(self._held.values()):
            if order.req.tif is GTD and order.req.expire_ns <= ts_ns:
                self._end(order, _EXPIRED, OrderReason.GTD_EXPIRED, ts_ns)
            elif order.req.instrument == instrument:
                self._follow(order, ticks, ts_ns)
        return self.drain()

    def drain(self) -> list[BrokerReport]:
        """Return what became known since the last call: the ends and amendments of held orders."""
        reports, self._outbox = self._outbox, []
        return reports

    def _follow(self, order: Working, ticks: int, ts_ns: int) -> None:
        if order.req.type is TRAILING_STOP:
            order.trigger_ticks = trailed(order.sign, order.trigger_ticks, order.req.trail_ticks, ticks)
        if is_triggered(order.sign, order.is_take_profit, order.trigger_ticks, ticks):
            self._send(order, ts_ns)

    # The venue hears of the order for the first time; for us it was accepted long ago.
    def _send(self, order: Working, ts_ns: int) -> None:
        del self._held[order.req.client_order_id]
        reply = self._inner.place(
            msgspec.structs.replace(
                order.req,
                type=LIMIT if order.limit_ticks else MARKET,
                qty_lots=order.qty_lots,
                limit_price_ticks=order.limit_ticks,
                trigger_price_ticks=NO_PRICE,
                trail_ticks=0,
                ts_ns=ts_ns,
            )
        )
        if isinstance(reply, BrokerReject):
            self._end(order, _CANCELED, reply.reason, ts_ns)
        elif isinstance(reply, BrokerUnknown):
            self._outbox.append(told(order, _UNKNOWN, OrderReason.OUTCOME_UNKNOWN, ts_ns))
        else:
            self._outbox.append(told(order, OrderStatus.ACCEPTED, OrderReason.TRIGGERED, ts_ns))

    def _end(self, order: Working, status: OrderStatus, reason: OrderReason, ts_ns: int) -> None:
        name = order.req.client_order_id
        self._held.pop(name, None)
        self._ended[name] = told(order, status, reason, ts_ns)
        self._outbox.append(self._ended[name])

    # --- IBroker ---

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        """Keep an order of a type that the venue lacks; send any other on."""
        if req.type not in self._lacks:
            return self._inner.place(req)
        name = req.client_order_id
        if name in self._held or name in self._ended:
            return _reject(name, OrderReason.DUPLICATE_ID, "", req.ts_ns)
        if req.group_id or req.after_client_order_id:
            return _reject(
                name, OrderReason.NONE, f"a {req.type} order with links is not emulated", req.ts_ns
            )
        has_trigger = req.trail_ticks > 0 if req.type is TRAILING_STOP else req.trigger_price_ticks > 0
        if not has_trigger:
            return _reject(name, OrderReason.FILTER_TRIGGER, "", req.ts_ns)
        self._held[name] = working(req, "")
        return BrokerOrderAck(client_order_id=name, venue_order_id="", ts_venue_ns=req.ts_ns)

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        """Cancel an order, held or sent; the update of a held one is in `drain`."""
        order = self._held.get(req.client_order_id)
        if order is None:
            return self._inner.cancel(req)
        self._end(order, _CANCELED, OrderReason.CANCEL_REQUESTED, req.ts_ns)
        return BrokerOrderAck(client_order_id=req.client_order_id, venue_order_id="", ts_venue_ns=req.ts_ns)

    def amend(self, req: BrokerAmendReq) -> BrokerReply:
        """Change an order, held or sent; the update of a held one is in `drain`."""
        order = self._held.get(req.client_order_id)
        if order is None:
            return self._inner.amend(req)
        if req.limit_price_ticks and not order.limit_ticks:
            self._outbox.append(told(order, order.status, OrderReason.AMEND_REFUSED, req.ts_ns))
            return _reject(req.client_order_id, OrderReason.AMEND_REFUSED, "it has no limit", req.ts_ns)
        order.qty_lots = req.qty_lots or order.qty_lots
        order.limit_ticks = req.limit_price_ticks or order.limit_ticks
        order.trigger_ticks = req.trigger_price_ticks or order.trigger_ticks
        self._outbox.append(told(order, order.status, OrderReason.AMENDED, req.ts_ns))
        return BrokerOrderAck(client_order_id=req.client_order_id, venue_order_id="", ts_venue_ns=req.ts_ns)

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return one order as we or the venue know it."""
        order = self._held.get(client_order_id)
        if order is not None:
            return _state(order)
        return self._ended.get(client_order_id) or self._inner.fetch_order(symbol, client_order_id)

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        """Return the account's fills, as the venue tells them."""
        return self._inner.fetch_trades(symbol, after_trade_id)

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        """Return all working orders, those held here first."""
        held = [_state(order) for order in self._held.values() if symbol in (None, order.req.symbol)]
        return [*held, *self._inner.fetch_open_orders(symbol)]

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        """Return what the account holds; a held order locks nothing."""
        return self._inner.fetch_balances()

    def server_time(self) -> int:
        """Return the venue's clock."""
        return self._inner.server_time()

    def exchange_rules(self) -> Sequence[Instrument]:
        """Return the instruments."""
        return self._inner.exchange_rules()


def _state(order: Working) -> BrokerOrderUpdate:
    return told(order, order.status, OrderReason.NONE, order.req.ts_ns)


def _reject(name: str, reason: OrderReason, detail: str, ts_ns: int) -> BrokerReject:
    return BrokerReject(client_order_id=name, reason=reason, detail=detail, ts_venue_ns=ts_ns)
