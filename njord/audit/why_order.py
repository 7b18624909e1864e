"""What happened to one order? The messages of a run that is run again come in; all that belongs to it is kept.

Kept is what a story needs and the journal does not hold: the event that set it off, what the strategy held, how the
target was sized, every rule's answer in the moment before the gate decided, the price at each fill.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from njord.audit.why_find import Kind, Subject
from njord.audit.why_rerun import Heard
from njord.audit.why_state import Standing, standing
from njord.core.contracts import (
    AmendEvent,
    AmendIntent,
    CancelEvent,
    CancelIntent,
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
    StrategySuspended,
    Target,
)
from njord.core.orders import TERMINAL
from njord.portfolio.rebalance import Sizing
from njord.risk.rules.base import Answer
from njord.system import System


class Wanted(msgspec.Struct, frozen=True):
    """A target as the rebalancer met it; `event` is what the strategy answered with it."""

    heard: Heard
    event: Heard
    stood: Standing
    sizing: Sizing


class Asked(msgspec.Struct, frozen=True):
    """The intent just before the gate decided."""

    heard: Heard
    event: Heard
    stood: Standing
    answers: tuple[Answer, ...]
    wanted: Wanted | None


class Noted(msgspec.Struct, frozen=True):
    """One later message about the order.

    Attributes:
        event: What came from outside and led to it.
        mark_ticks: The market's price then; 0 while unknown.
        realized_pnl: Of the instrument, before it.
        answers: Of an amendment, what the rules said.
        is_relative: It is about an order that it is linked to.
    """

    heard: Heard
    event: Heard
    mark_ticks: int
    realized_pnl: Decimal
    answers: tuple[Answer, ...] = ()
    is_relative: bool = False


class OrderWatch:
    """Listens for one subject.

    Args:
        subject: What the journal's index found.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._event: Heard | None = None
        self._wanted: Wanted | None = None
        self._asks: set[str] = set()  # Intents to cancel or amend it.
        self._fills: set[int] = set()
        self._relatives: set[str] = {subject.after_client_order_id} - {""}
        self._seq = 0
        self.asked: Asked | None = None
        self.before: Standing | None = None  # Of a liquidation.
        self.noted: list[Noted] = []
        self._handlers: dict[type[Message], Callable[[Heard, Any, System], None]] = {
            Target: self._on_target,
            OrderIntent: self._on_intent,
            CancelIntent: self._on_ask,
            AmendIntent: self._on_ask,
            RiskDecision: self._on_decision,
            OrderEvent: self._on_order,
            CancelEvent: self._on_own,
            AmendEvent: self._on_own,
            OrderUpdate: self._on_update,
            FillEvent: self._on_fill,
            PositionSnapshot: self._on_position,
            StrategySuspended: self._on_suspended,
        }

    @property
    def is_done(self) -> bool:
        """Whether the last message about it, and all that it caused, was told."""
        return self._seq >= self._subject.last_seq

    def note(self, heard: Heard, system: System) -> None:
        """Take note of a message that nobody has acted on yet."""
        self._seq = heard.seq
        if not heard.by:
            self._event = heard
        handler = self._handlers.get(type(heard.message))
        if handler is not None:
            handler(heard, heard.message, system)

    def _on_target(self, heard: Heard, target: Target, system: System) -> None:
        subject = self._subject
        if (target.strategy_id, target.instrument) == (subject.strategy_id, subject.instrument) and (
            heard.seq < subject.first_seq
        ):
            stood = standing(system, target.strategy_id, target.instrument)
            self._wanted = Wanted(heard, self._cause(heard), stood, system.rebalancer.sizing(target))

    def _on_intent(self, heard: Heard, intent: OrderIntent, system: System) -> None:
        if intent.intent_id != self._subject.intent_id or self.asked is not None:
            return
        self.asked = Asked(
            heard,
            self._cause(heard),
            standing(system, intent.strategy_id, self._subject.instrument),
            system.gate.hear(intent),
            self._wanted if heard.by == "rebalancer" else None,
        )

    def _on_ask(self, heard: Heard, intent: CancelIntent | AmendIntent, system: System) -> None:
        subject = self._subject
        is_own = subject.kind is Kind.CANCEL and intent.intent_id == subject.intent_id
        if is_own or intent.client_order_id == subject.client_order_id:
            self._asks.add(intent.intent_id)
            answers = system.gate.hear(intent) if isinstance(intent, AmendIntent) else ()
            self._keep(heard, system, answers)

    def _on_decision(self, heard: Heard, decision: RiskDecision, system: System) -> None:
        if decision.intent_id == self._subject.intent_id or decision.intent_id in self._asks:
            self._keep(heard, system)

    def _on_order(self, heard: Heard, order: OrderEvent, system: System) -> None:
        subject = self._subject
        if order.client_order_id == subject.client_order_id:
            self._keep(heard, system)
        elif (subject.group_id and order.group_id == subject.group_id) or (
            order.after_client_order_id and order.after_client_order_id == subject.client_order_id
        ):
            self._relatives.add(order.client_order_id)
            self._keep(heard, system, is_relative=True)
        elif order.client_order_id in self._relatives:
            self._keep(heard, system, is_relative=True)

    def _on_own(self, heard: Heard, message: CancelEvent | AmendEvent, system: System) -> None:
        if message.client_order_id == self._subject.client_order_id:
            self._keep(heard, system)

    def _on_update(self, heard: Heard, update: OrderUpdate, system: System) -> None:
        if update.client_order_id == self._subject.client_order_id:
            self._keep(heard, system)
        elif update.client_order_id in self._relatives and update.status in TERMINAL:
            self._keep(heard, system, is_relative=True)

    def _on_fill(self, heard: Heard, fill: FillEvent, system: System) -> None:
        subject = self._subject
        if subject.kind is Kind.LIQUIDATION:
            if heard.seq != subject.first_seq:
                return
            self.before = standing(system, fill.strategy_id, fill.instrument)
        elif fill.client_order_id != subject.client_order_id:
            if fill.client_order_id in self._relatives:
                self._keep(heard, system, is_relative=True)
            return
        self._fills.add(heard.seq)
        self._keep(heard, system)

    def _on_position(self, heard: Heard, snapshot: PositionSnapshot, system: System) -> None:
        if heard.cause_seq in self._fills and snapshot.instrument == self._subject.instrument:
            self._keep(heard, system)

    def _on_suspended(self, heard: Heard, event: StrategySuspended, system: System) -> None:
        if event.strategy_id == self._subject.strategy_id and self.asked is not None:
            self._keep(heard, system)

    def _keep(
        self, heard: Heard, system: System, answers: tuple[Answer, ...] = (), is_relative: bool = False
    ) -> None:
        index = self._subject.instrument
        exposure = system.gate.exposure
        # The ledger has booked a fill before its snapshot is told: what was realized before it stands beside the fill.
        realized_pnl = system.ledger.account.position(index).realized_pnl
        self.noted.append(
            Noted(heard, self._cause(heard), exposure.mark_ticks[index], realized_pnl, answers, is_relative)
        )

    def _cause(self, heard: Heard) -> Heard:
        return self._event if self._event is not None else heard
