"""What a run leaves in memory: orders, fills, funding and refusals, in the order in which they happened.

A liquidation has no order of ours: the venue's trade stands as an order line of its own, sent and ended at once.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import Any

import msgspec
import numpy as np

from njord.backtest.recorded import NEVER, Course, OrderRows
from njord.backtest.recorded_fills import FillRows, PositionSteps
from njord.core.contracts import (
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
from njord.core.types import OrderReason, OrderStatus
from njord.core.units import EXACT, plain

LIQUIDATED = "liquidated"
_UNKNOWN, _TRIGGERED = OrderStatus.UNKNOWN, OrderReason.TRIGGERED
_AMENDED, _AMEND_REFUSED = OrderReason.AMENDED, OrderReason.AMEND_REFUSED


class RecordedFunding(msgspec.Struct, frozen=True, gc=False):
    """One funding payment, and how many fills came before it."""

    n_fills: int
    event: FundingEvent


class Recorder:
    """Follows the engine's output; memory grows with orders, not with market data."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = instruments
        self._open: dict[str, Course] = {}  # By client order id.
        self.fills = FillRows()
        self.orders = OrderRows(self.fills)
        self.funding: list[RecordedFunding] = []
        self.refusals: Counter[str] = Counter()
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

    @property
    def endings(self) -> Counter[str]:
        """How orders ended, counted."""
        return self.orders.endings()

    def _order(self, order: OrderEvent) -> None:
        self._open[order.client_order_id] = self.orders.add(order)

    def _fill(self, fill: FillEvent) -> None:
        if fill.strategy_id == VENUE:
            order_no = self.orders.add_unsent(fill, LIQUIDATED)
        else:
            order_no = self._open[fill.client_order_id].order_no
        self.fills.add(fill, order_no)

    def _update(self, update: OrderUpdate) -> None:
        status = update.status
        if status not in TERMINAL:
            self._progress(update)
            return
        reason = update.reason
        course = self._open.pop(update.client_order_id)
        course.end_ns = update.ts_venue_ns
        course.terminal = f"{status}/{reason}" if reason else status
        course.detail = update.detail

    def end(self, client_order_id: str, status: OrderStatus, reason: OrderReason, ts_ns: int) -> None:
        """Note how an open order ended, at the venue's time `ts_ns`, without the venue's word on it."""
        course = self._open.pop(client_order_id)
        course.end_ns = ts_ns
        course.terminal = f"{status}/{reason}" if reason else status

    def accept(self, client_order_id: str, ts_ns: int) -> None:
        """Note when the venue first took an open order."""
        self._open[client_order_id].accepted_ns = ts_ns

    def _progress(self, update: OrderUpdate) -> None:
        course = self._open[update.client_order_id]
        reason = update.reason
        if reason is _TRIGGERED:
            course.triggered_ns = update.ts_venue_ns
        elif reason is _AMENDED or reason is _AMEND_REFUSED:
            self._amended(course, update)
        elif update.status is not _UNKNOWN and course.accepted_ns == NEVER:
            course.accepted_ns = update.ts_venue_ns

    def _amended(self, course: Course, update: OrderUpdate) -> None:
        amended = self.orders.amended(course)
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
        steps = self.fills.steps(instrument, self._instruments[instrument].base)
        now_ns = np.maximum.accumulate(steps.ts_venue_ns)
        is_held = np.fromiter(self._is_held(instrument, steps), dtype=np.bool_, count=len(steps.lots))
        was_held = np.zeros_like(is_held)
        was_held[1:] = is_held[:-1]
        starts = now_ns[is_held & ~was_held].tolist()
        ends = [min(end, end_ns) for end in now_ns[was_held & ~is_held].tolist()]
        return [each for each in zip_longest(starts, ends, fillvalue=end_ns) if each[0] < each[1]]

    def _is_held(self, instrument: int, steps: PositionSteps) -> Iterator[bool]:
        if not steps.fees_in_kind:
            return map(bool, steps.lots)
        traded, paid = self._instruments[instrument], accumulate(steps.fees_in_kind, EXACT.add)
        left = (EXACT.subtract(traded.qty(lots), fees) for lots, fees in zip(steps.lots, paid, strict=True))
        return (qty.copy_abs() >= traded.lot_size for qty in left)

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

    def order_lines(self) -> Iterator[str]:
        """Yield the lines that `order_list_hash` is made of, each ended by a newline."""
        for order in self.orders:
            symbol = self._instruments[order.instrument].symbol
            yield (
                f"O|{order.ts_ns}|{symbol}|{order.side}|{order.type}|{order.tif}|{order.limit_price_ticks}"
                f"|{order.qty_lots}|{order.terminal}\n"
            )
            for fill in order.fills:
                yield (
                    f"F|{fill.ts_venue_ns}|{fill.order_no}|{fill.price_ticks}|{fill.qty_lots}|{plain(fill.fee)}"
                    f"|{fill.fee_asset}|{int(fill.is_maker)}\n"
                )
