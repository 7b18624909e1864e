"""What a run leaves in memory: orders, fills and refusals, in the order in which they happened."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from njord.core.contracts import (
    FillEvent,
    Message,
    OrderEvent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
)
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.types import OrderType, Side, TimeInForce
from njord.core.units import plain


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


class RecordedOrder(msgspec.Struct):
    """One order that the gate approved, and how it ended."""

    order_no: int
    ts_ns: int
    instrument: int
    strategy_id: str
    side: Side
    type: OrderType
    tif: TimeInForce
    limit_price_ticks: int
    qty_lots: int
    terminal: str = ""
    fills: list[RecordedFill] = []


class Recorder:
    """Follows the engine's output; memory grows with orders, not with market data."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = instruments
        self._open: dict[str, RecordedOrder] = {}
        self.orders: list[RecordedOrder] = []
        self.fills: list[RecordedFill] = []
        self.refusals: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.n_intents = 0
        self.suspended: list[StrategySuspended] = []
        self.observers: dict[type[Message], Callable[[Any], None]] = {
            OrderEvent: self._order,
            FillEvent: self._fill,
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

    def _order(self, order: OrderEvent) -> None:
        recorded = RecordedOrder(
            order_no=len(self.orders) + 1,
            ts_ns=order.ts_ns,
            instrument=order.instrument,
            strategy_id=order.strategy_id,
            side=order.side,
            type=order.type,
            tif=order.tif,
            limit_price_ticks=order.limit_price_ticks,
            qty_lots=order.qty_lots,
        )
        self._open[order.client_order_id] = recorded
        self.orders.append(recorded)

    def _fill(self, fill: FillEvent) -> None:
        order = self._open[fill.client_order_id]
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

    def _update(self, update: OrderUpdate) -> None:
        if update.status not in TERMINAL:
            return
        order = self._open.pop(update.client_order_id)
        order.terminal = f"{update.status}/{update.reason}" if update.reason else str(update.status)
        self.endings[order.terminal] += 1

    def held_ranges(self, instrument: int, end_ns: int) -> list[tuple[int, int]]:
        """Return when there was a position, as rising [start_ns, end_ns) of the venue's time; none reaches `end_ns`."""
        ranges: list[tuple[int, int]] = []
        lots = start_ns = now_ns = 0
        for fill in self.fills:
            if fill.instrument != instrument:
                continue
            now_ns = max(now_ns, fill.ts_venue_ns)
            before, lots = lots, lots + (fill.qty_lots if fill.side is Side.BUY else -fill.qty_lots)
            if not before:
                start_ns = now_ns
            elif not lots:
                ranges.append((start_ns, min(now_ns, end_ns)))
        if lots:
            ranges.append((start_ns, end_ns))
        return [each for each in ranges if each[0] < each[1]]

    def order_list_hash(self) -> str:
        """Return the SHA-256 over all orders in the order of submission, each followed by its fills.

        Lines are `O|ts_ns|symbol|side|type|tif|price_ticks|qty_lots|terminal` and
        `F|ts_venue_ns|order_no|price_ticks|qty_lots|fee|fee_asset|maker`, each ended by a newline.
        """
        digest = hashlib.sha256()
        for order in self.orders:
            symbol = self._instruments[order.instrument].symbol
            digest.update(
                f"O|{order.ts_ns}|{symbol}|{order.side}|{order.type}|{order.tif}|{order.limit_price_ticks}"
                f"|{order.qty_lots}|{order.terminal}\n".encode()
            )
            for fill in order.fills:
                digest.update(
                    f"F|{fill.ts_venue_ns}|{fill.order_no}|{fill.price_ticks}|{fill.qty_lots}|{plain(fill.fee)}"
                    f"|{fill.fee_asset}|{int(fill.is_maker)}\n".encode()
                )
        return digest.hexdigest()
