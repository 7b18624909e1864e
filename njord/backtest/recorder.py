"""What a run leaves in memory: orders, fills, funding and refusals, in the order in which they happened.

A liquidation has no order of ours: the venue's trade stands as an order line of its own, sent and ended at once.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from njord.core.contracts import (
    NO_PRICE,
    VENUE,
    AmendEvent,
    FillEvent,
    FundingEvent,
    Message,
    OrderEvent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
)
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.types import BUY, MARKET, OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.core.units import EXACT, ZERO, plain

LIQUIDATED = "liquidated"
_UNKNOWN, _TRIGGERED = OrderStatus.UNKNOWN, OrderReason.TRIGGERED
_AMENDED, _AMEND_REFUSED = OrderReason.AMENDED, OrderReason.AMEND_REFUSED


class RecordedFill(msgspec.Struct, gc=False):
    """One fill, as short as it can be said."""

    ts_venue_ns: int
    ts_ns: int
    instrument: int
    side: Side
    price_ticks: int
    qty_lots: int
    fee: Decimal
    fee_asset: str
    is_maker: bool
    order_no: int


class Amended(msgspec.Struct, gc=False):
    """What became of the amendments of one order.

    Attributes:
        n_done: How often the venue amended it.
        n_refused: How often it would not.
        qty_lots: What holds at the venue.
        limit_price_ticks: Likewise; 0 without a limit.
    """

    qty_lots: int
    limit_price_ticks: int
    n_done: int = 0
    n_refused: int = 0


class RecordedOrder(msgspec.Struct, gc=False):
    """One order that the gate approved, and how it ended.

    Attributes:
        ts_ns: When it was approved, engine time.
        limit_price_ticks: As it was sent; amendments do not change what stands here.
        qty_lots: As it was sent.
        sent: The approved order itself; None for a liquidation, which nobody sent.
        accepted_ns: When the venue took it, venue time; None if it never did.
        end_ns: When it ended, venue time; None while it works.
        terminal: Status, and the reason if there is one: `canceled/IOC_REMAINDER`; empty while it works.
        detail: What the venue said beyond the reason.
        triggered_ns: When its trigger was reached; None if it has none, or was not.
        amended: None if nobody asked for it.
    """

    order_no: int
    ts_ns: int
    instrument: int
    strategy_id: str
    side: Side
    type: OrderType
    tif: TimeInForce
    limit_price_ticks: int
    qty_lots: int
    sent: OrderEvent | None
    accepted_ns: int | None = None
    end_ns: int | None = None
    terminal: str = ""
    detail: str = ""
    triggered_ns: int | None = None
    amended: Amended | None = None
    fills: list[RecordedFill] = []

    @property
    def asked_lots(self) -> int:
        """What it asks for in the end."""
        return self.qty_lots if self.amended is None else self.amended.qty_lots


class RecordedFunding(msgspec.Struct, frozen=True, gc=False):
    """One funding payment, and how many fills came before it."""

    n_fills: int
    event: FundingEvent


class Recorder:
    """Follows the engine's output; memory grows with orders, not with market data."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = instruments
        self._open: dict[str, RecordedOrder] = {}
        self.orders: list[RecordedOrder] = []
        self.fills: list[RecordedFill] = []
        self.funding: list[RecordedFunding] = []
        self.refusals: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.n_intents = 0
        self.n_amendments = 0
        self.suspended: list[StrategySuspended] = []
        self.observers: dict[type[Message], Callable[[Any], None]] = {
            OrderEvent: self._order,
            AmendEvent: self._amendment,
            FillEvent: self._fill,
            FundingEvent: self._funding,
            OrderUpdate: self._update,
            RiskDecision: self._decision,
            ProposalRefused: self._refusal,
            StrategySuspended: self.suspended.append,
        }

    def _decision(self, decision: RiskDecision) -> None:
        self.n_intents += 1
        if decision.reason is not None:
            self.refusals[decision.reason.value] += 1

    def _refusal(self, refused: ProposalRefused) -> None:
        self.refusals[refused.reason.value] += 1

    def _amendment(self, _: AmendEvent) -> None:
        self.n_amendments += 1

    def _funding(self, event: FundingEvent) -> None:
        self.funding.append(RecordedFunding(len(self.fills), event))

    def _order(self, order: OrderEvent) -> None:
        recorded = RecordedOrder(
            len(self.orders) + 1,
            order.ts_ns,
            order.instrument,
            order.strategy_id,
            order.side,
            order.type,
            order.tif,
            order.limit_price_ticks,
            order.qty_lots,
            order,
        )
        self._open[order.client_order_id] = recorded
        self.orders.append(recorded)

    def _fill(self, fill: FillEvent) -> None:
        is_venues = fill.strategy_id == VENUE
        self._add(self._unsent(fill, LIQUIDATED) if is_venues else self._open[fill.client_order_id], fill)

    def _add(self, order: RecordedOrder, fill: FillEvent) -> None:
        recorded = RecordedFill(
            fill.ts_venue_ns,
            fill.ts_ns,
            fill.instrument,
            fill.side,
            fill.price_ticks,
            fill.qty_lots,
            fill.fee,
            fill.fee_asset,
            fill.is_maker,
            order.order_no,
        )
        order.fills.append(recorded)
        self.fills.append(recorded)

    # Of what nobody sent: one order for one trade.
    def _unsent(self, fill: FillEvent, terminal: str) -> RecordedOrder:
        order = RecordedOrder(
            order_no=len(self.orders) + 1,
            ts_ns=fill.ts_ns,
            instrument=fill.instrument,
            strategy_id=fill.strategy_id,
            side=fill.side,
            type=MARKET,
            tif=TimeInForce.IOC,
            limit_price_ticks=NO_PRICE,
            qty_lots=fill.qty_lots,
            sent=None,
            accepted_ns=fill.ts_venue_ns,
            end_ns=fill.ts_venue_ns,
            terminal=terminal,
        )
        self.orders.append(order)
        self.endings[terminal] += 1
        return order

    def _update(self, update: OrderUpdate) -> None:
        if update.status not in TERMINAL:
            self._progress(update)
            return
        order = self._open.pop(update.client_order_id)
        status, reason = update.status, update.reason
        terminal = order.terminal = f"{status}/{reason}" if reason else str(status)
        order.end_ns = update.ts_venue_ns
        order.detail = update.detail
        self.endings[terminal] += 1

    def _progress(self, update: OrderUpdate) -> None:
        order = self._open[update.client_order_id]
        reason = update.reason
        if reason is _TRIGGERED:
            order.triggered_ns = update.ts_venue_ns
        elif reason is _AMENDED or reason is _AMEND_REFUSED:
            self._amended(order, update)
        elif order.accepted_ns is None and update.status is not _UNKNOWN:
            order.accepted_ns = update.ts_venue_ns

    def _amended(self, order: RecordedOrder, update: OrderUpdate) -> None:
        amended = order.amended
        if amended is None:
            amended = order.amended = Amended(order.qty_lots, order.limit_price_ticks)
        if update.reason is _AMEND_REFUSED:
            amended.n_refused += 1
            return
        amended.n_done += 1
        amended.qty_lots = update.qty_lots
        amended.limit_price_ticks = update.limit_price_ticks

    def held_ranges(self, instrument: int, end_ns: int) -> list[tuple[int, int]]:
        """Return when there was a position, as rising [start_ns, end_ns) of the venue's time; none reaches `end_ns`.

        Less than a lot, such as a fee in kind may leave, is none.
        """
        ranges: list[tuple[int, int]] = []
        lots = start_ns = now_ns = 0
        paid = ZERO  # In kind.
        is_held = False
        for fill in self.fills:
            if fill.instrument != instrument:
                continue
            now_ns = max(now_ns, fill.ts_venue_ns)
            lots += fill.qty_lots if fill.side is BUY else -fill.qty_lots
            if fill.fee and fill.fee_asset == self._instruments[instrument].base:
                paid = EXACT.add(paid, fill.fee)
            was_held, is_held = is_held, self._is_held(instrument, lots, paid)
            if is_held and not was_held:
                start_ns = now_ns
            elif was_held and not is_held:
                ranges.append((start_ns, min(now_ns, end_ns)))
        if is_held:
            ranges.append((start_ns, end_ns))
        return [each for each in ranges if each[0] < each[1]]

    def _is_held(self, instrument: int, lots: int, paid: Decimal) -> bool:
        if not paid:
            return lots != 0
        traded = self._instruments[instrument]
        return EXACT.subtract(traded.qty(lots), paid).copy_abs() >= traded.lot_size

    def order_list_hash(self) -> str:
        """Return the SHA-256 over all orders in the order of submission, each followed by its fills.

        Lines are `O|ts_ns|symbol|side|type|tif|price_ticks|qty_lots|terminal` and
        `F|ts_venue_ns|order_no|price_ticks|qty_lots|fee|fee_asset|maker`, each ended by a newline. Prices and
        quantities of an order are those it was sent with. A liquidation is the line
        `O|ts_ns|symbol|side|market|ioc|0|qty_lots|liquidated`, followed by its fill, where it happened.
        """
        digest = hashlib.sha256()
        for line in self.order_lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def order_lines(self) -> list[str]:
        """Return the lines that `order_list_hash` is made of, each ended by a newline."""
        lines: list[str] = []
        for order in self.orders:
            symbol = self._instruments[order.instrument].symbol
            lines.append(
                f"O|{order.ts_ns}|{symbol}|{order.side}|{order.type}|{order.tif}|{order.limit_price_ticks}"
                f"|{order.qty_lots}|{order.terminal}\n"
            )
            lines += [
                f"F|{fill.ts_venue_ns}|{fill.order_no}|{fill.price_ticks}|{fill.qty_lots}|{plain(fill.fee)}"
                f"|{fill.fee_asset}|{int(fill.is_maker)}\n"
                for fill in order.fills
            ]
        return lines
