"""What may a real venue's words mean to the engine? Reports as they come in; messages that the engine can always book out.

A live venue's words come twice, late, or in another order than they happened. Here each trade is told once, an order
moves only along the legal graph (`core/orders.py`), and a fill that comes after its order's end, or beyond its
quantity, is money all the same: it is booked, and a person is told. What belongs to no order of ours is the account
owner's (`EXTERNAL_OWNER`). The state here follows from the journal: `follow` rebuilds it.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from njord.core.contracts import (
    EXTERNAL_OWNER,
    Alert,
    AmendEvent,
    BrokerFill,
    BrokerOrderUpdate,
    FillEvent,
    Message,
    OrderEvent,
    OrderUpdate,
)
from njord.core.orders import TERMINAL, may_follow
from njord.core.types import OrderReason, OrderStatus, Severity, Side
from njord.core.units import ZERO
from njord.execution.gateway import AMENDMENTS, fill_of, update_of

_S = OrderStatus
_PARTLY = {_S.ACCEPTED: _S.PARTIALLY_FILLED, _S.SENT: _S.PARTIALLY_FILLED}
_SAID_AGAIN = AMENDMENTS | {OrderReason.TRIGGERED}


class LiveLeg(msgspec.Struct):
    """An order at the venue behind one of ours, and what has been told of it.

    Attributes:
        revision: How many amendments were sent up to it; 0 = the first.
        qty_lots: Of it alone.
        filled_lots: Told, overfills left out.
        trade_ids: Told, oldest first.
        venue_order_id: Empty until the venue has named it.
    """

    revision: int
    qty_lots: int
    filled_lots: int = 0
    trade_ids: list[str] = []
    venue_order_id: str = ""


class LiveOrder(msgspec.Struct):
    """One order of this session and what has been told of it.

    Attributes:
        event: As it was approved.
        qty_lots: What holds, as the next two.
        limit_price_ticks: 0 = none.
        trigger_price_ticks: 0 = none.
        legs: Oldest first; the last one holds.
        status: Last told.
        n_amendments: That were sent.
        pending: Of these the ones without an answer, by revision; the venue answers in order.
    """

    event: OrderEvent
    qty_lots: int
    limit_price_ticks: int
    trigger_price_ticks: int
    legs: list[LiveLeg]
    status: OrderStatus = _S.SENT
    n_amendments: int = 0
    pending: dict[int, AmendEvent] = {}

    @property
    def has_ended(self) -> bool:
        """Whether its terminal update was told."""
        return self.status in TERMINAL

    @property
    def filled_lots(self) -> int:
        """Lots that were told, overfills left out."""
        return sum(leg.filled_lots for leg in self.legs)

    @property
    def venue_order_id(self) -> str:
        """The venue's name of the leg that holds; empty until it has named it."""
        return self.legs[-1].venue_order_id

    @property
    def may_fill_lots(self) -> int:
        """The most lots that it can come to, whichever amendments the venue takes."""
        return max(self.qty_lots, *(each.qty_lots for each in self.pending.values()), 0)

    def amended(self, update: OrderUpdate) -> None:
        """Take the venue's answer to the oldest amendment without one: with AMENDED another leg begins."""
        if not self.pending:
            return
        revision = next(iter(self.pending))
        del self.pending[revision]
        if update.reason is OrderReason.AMENDED:
            self.legs.append(LiveLeg(revision, update.qty_lots - self.filled_lots))
            self.qty_lots = update.qty_lots
            self.limit_price_ticks = update.limit_price_ticks
            self.trigger_price_ticks = update.trigger_price_ticks


class LiveWords:
    """Turns reports of a live venue into messages.

    Args:
        account_id: Whose account it is.

    Attributes:
        orders: Every order of the session, by client order id.
        told_trades: Instrument and venue trade id of every trade that was told.
    """

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self.orders: dict[str, LiveOrder] = {}
        self.told_trades: set[tuple[int, str]] = set()

    # --- what has been told ---

    def sent(self, event: OrderEvent | AmendEvent) -> None:
        """Remember an order or an amendment that is about to be sent; the journal has it already."""
        if isinstance(event, OrderEvent):
            prices = event.limit_price_ticks, event.trigger_price_ticks
            order = LiveOrder(event, event.qty_lots, *prices, [LiveLeg(0, event.qty_lots)])
            self.orders.setdefault(event.client_order_id, order)
            return
        known = self.orders.get(event.client_order_id)
        if known is not None and not known.has_ended:
            known.n_amendments += 1
            known.pending[known.n_amendments] = event

    def follow(self, message: Message) -> None:
        """Take note of what the engine was told, now or before a restart."""
        if isinstance(message, FillEvent):
            self.told_trades.add((message.instrument, message.venue_trade_id))
            order = self.orders.get(message.client_order_id)
            if order is not None and message.strategy_id != EXTERNAL_OWNER:
                order.legs[-1].filled_lots += message.qty_lots
                order.legs[-1].trade_ids.append(message.venue_trade_id)
                if not order.has_ended:
                    order.status = _S.PARTIALLY_FILLED
        elif isinstance(message, OrderUpdate):
            order = self.orders.get(message.client_order_id)
            if order is not None:
                order.status = message.status
                if message.reason in AMENDMENTS:
                    order.amended(message)
                leg = order.legs[-1]
                leg.venue_order_id = message.venue_order_id or leg.venue_order_id

    # --- what comes in ---

    def update(self, report: BrokerOrderUpdate, now_ns: int) -> list[Message]:
        """Return what the engine is to be told of a report on an order's state; nothing where it knows."""
        order = self.orders.get(report.client_order_id)
        if order is None:
            return []  # The owner's own order: its trades count, its states do not.
        status = report.status
        if order.filled_lots and status in _PARTLY:
            status = _PARTLY[status]
        if order.has_ended or (status is order.status and report.reason not in _SAID_AGAIN):
            return []
        if not may_follow(order.status, status):
            return [self._illegal(order, status, now_ns)]
        told: list[Message] = []
        if status in TERMINAL and report.filled_lots > order.filled_lots:
            told.append(self._early_end(order, report, now_ns))
        update = update_of(
            order.event,
            now_ns,
            status,
            report.reason,
            "",
            report.ts_venue_ns,
            report.venue_order_id or order.venue_order_id,
            order.filled_lots,
            report if report.reason in AMENDMENTS else None,
        )
        return [*told, update]

    def fill(self, report: BrokerFill, instrument: int, side: Side, now_ns: int) -> Iterator[Message]:
        """Yield what the engine is to be told of a trade on the account; nothing where it was told before.

        Each message is told before the next is asked for. A trade of an order that has ended, or of more than it
        asked for, is booked as far as the order goes on the strategy, and beyond that on the account's owner.

        Args:
            report: The trade.
            instrument: Index.
            side: Of the trade.
            now_ns: When it became known.
        """
        if (instrument, report.venue_trade_id) in self.told_trades:
            return
        order = self.orders.get(report.client_order_id)
        if order is None:
            yield self._external(report, instrument, side, report.qty_lots, now_ns)
            return
        left = order.may_fill_lots - order.filled_lots
        if order.has_ended:
            yield self._alert(
                now_ns,
                Severity.ERROR,
                "a trade came after its order's end",
                f"trade {report.venue_trade_id} of {report.client_order_id}, which was {order.status}; it is booked",
            )
        if report.qty_lots <= left:
            yield fill_of(order.event, report, now_ns)
            return
        yield self._alert(
            now_ns,
            Severity.CRITICAL,
            "an order filled beyond its quantity",
            f"trade {report.venue_trade_id} of {report.client_order_id}: {report.qty_lots} lots, {left} were left",
        )
        if left > 0:
            yield fill_of(order.event, replace(report, qty_lots=left), now_ns)
            report = replace(report, fee=ZERO)
        # Under our order's id it would count against an order that has no room for it.
        report = replace(report, client_order_id=f"OVERFILL-{report.venue_trade_id}")
        yield self._external(report, instrument, side, report.qty_lots - max(left, 0), now_ns)

    # --- what they become ---

    def _external(
        self, report: BrokerFill, instrument: int, side: Side, qty_lots: int, now_ns: int
    ) -> FillEvent:
        return FillEvent(
            ts_ns=now_ns,
            instrument=instrument,
            account_id=self._account_id,
            strategy_id=EXTERNAL_OWNER,
            intent_id="",
            client_order_id=report.client_order_id,
            side=side,
            price_ticks=report.price_ticks,
            qty_lots=qty_lots,
            fee=report.fee,
            fee_asset=report.fee_asset,
            is_maker=report.is_maker,
            venue_trade_id=report.venue_trade_id,
            ts_venue_ns=report.ts_venue_ns,
        )

    def _illegal(self, order: LiveOrder, status: OrderStatus, now_ns: int) -> Alert:
        return self._alert(
            now_ns,
            Severity.WARNING,
            "the venue's word on an order contradicts its last one",
            f"{order.event.client_order_id} is {order.status}, the venue says {status}; it is left as it is",
        )

    # The core sees to it that fills are told first; if it ever fails to, no lot may be lost in silence.
    def _early_end(self, order: LiveOrder, report: BrokerOrderUpdate, now_ns: int) -> Alert:
        return self._alert(
            now_ns,
            Severity.ERROR,
            "an order ended before all its trades were told",
            f"{report.client_order_id}: {report.filled_lots} lots filled, {order.filled_lots} were told",
        )

    def _alert(self, now_ns: int, severity: Severity, title: str, message: str) -> Alert:
        return Alert(
            ts_ns=now_ns,
            severity=severity,
            category="execution",
            source="gateway",
            title=title,
            message=message,
        )


def unanswered(orders: Sequence[LiveOrder], now_ns: int) -> list[OrderUpdate]:
    """Return that nobody knows what became of the orders whose first answer was never journaled."""
    return [
        update_of(
            order.event,
            now_ns,
            _S.UNKNOWN,
            OrderReason.OUTCOME_UNKNOWN,
            "the session stopped before an answer was journaled",
            now_ns,
        )
        for order in orders
        if order.status is _S.SENT
    ]
