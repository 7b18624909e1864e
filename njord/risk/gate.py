"""The gate: the component that decides on every intent. The only maker of RiskDecision, OrderEvent and CancelEvent.

Rules are asked in order and the first refusal ends it. Every intent gets a decision, and only an approved one an
order. There is no switch to turn this off: backtest, paper and live construct the same gate.
"""

from collections.abc import Sequence

from njord.core.component import Handler
from njord.core.contracts import (
    Bar,
    CancelEvent,
    CancelIntent,
    ConfigChanged,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
    TradeEvent,
)
from njord.core.ids import client_order_id
from njord.core.types import RefusalReason
from njord.core.units import NS_PER_S
from njord.risk.exposure import Exposure
from njord.risk.rules import RiskRule
from njord.risk.rules.base import Refusal, refuse
from njord.risk.rules.well_formed import is_text

APPROVAL_TTL_NS = 10 * NS_PER_S
UNKNOWN_INSTRUMENT = -1


class RiskGate:
    """Decides on intents.

    Args:
        rules: Asked in this order; the kill switch is the first.
        exposure: What the rules read; the gate keeps it up to date.
        account_id: Part of every client order id.
        run_id: Part of every client order id.
    """

    def __init__(self, rules: Sequence[RiskRule], exposure: Exposure, account_id: str, run_id: str) -> None:
        self.exposure = exposure
        asked = [rule for rule in rules if not rule.is_off]
        self._checks = tuple((rule.name, rule.check) for rule in asked)
        exposure.follows_losses = any(rule.reads_losses for rule in asked)
        self._account_id = account_id
        self._run_id = run_id
        self._decision_seq = 0
        self._limits_version = 1

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            KillSwitchState: self.exposure.observe_kill_switch,
            ConfigChanged: self._on_config,
            Bar: self.exposure.observe_bar,
            TradeEvent: self._on_trade,
            OrderIntent: self._on_intent,
            CancelIntent: self._on_cancel,
            OrderUpdate: self.exposure.working.update,
            FillEvent: self.exposure.observe_fill,
            PositionSnapshot: self.exposure.observe_position,
        }

    def _on_config(self, change: ConfigChanged) -> None:
        self._limits_version = change.limits_version

    def _on_trade(self, trade: TradeEvent) -> None:
        self.exposure.observe_price(trade.instrument, trade.price_ticks, trade.ts_ns)

    def _on_intent(self, intent: OrderIntent) -> Sequence[Message]:
        self._decision_seq += 1
        if type(intent.ts_ns) is int:
            self.exposure.advance(intent.ts_ns)
        self.exposure.weigh(intent)
        rule, refusal = self._first_refusal(intent)
        self.exposure.weigh(None)
        self._remember(intent.intent_id)
        if refusal is not None:
            return [self._decision(intent, rule, refusal)]
        # Every rule has let it pass, the one on form first: nothing in it needs a second look.
        decision = RiskDecision(
            ts_ns=intent.ts_ns,
            instrument=intent.instrument,
            account_id=intent.account_id,
            strategy_id=intent.strategy_id,
            intent_id=intent.intent_id,
            parent_id=intent.parent_id,
            execution_id=intent.execution_id,
            slice_id=intent.slice_id,
            allowed=True,
            limits_version=self._limits_version,
        )
        order = OrderEvent(
            ts_ns=intent.ts_ns,
            instrument=intent.instrument,
            account_id=intent.account_id,
            strategy_id=intent.strategy_id,
            intent_id=intent.intent_id,
            client_order_id=client_order_id(self._account_id, self._run_id, intent.intent_id),
            parent_id=intent.parent_id,
            execution_id=intent.execution_id,
            slice_id=intent.slice_id,
            side=intent.side,
            type=intent.type,
            tif=intent.tif,
            qty_lots=intent.qty_lots,
            limit_price_ticks=intent.limit_price_ticks,
            reduce_only=intent.reduce_only,
            decision_seq=self._decision_seq,
            limits_version=self._limits_version,
            expires_ns=intent.ts_ns + APPROVAL_TTL_NS,
        )
        self.exposure.reserve(order)
        return [decision, order]

    def _first_refusal(self, intent: OrderIntent) -> tuple[str, Refusal | None]:
        exposure = self.exposure
        for name, check in self._checks:
            refusal = check(intent, exposure)
            if refusal is not None:
                return name, refusal
        return "", None

    def _remember(self, intent_id: object) -> None:
        if isinstance(intent_id, str):
            self.exposure.decided.add(intent_id)

    # A refused intent may hold anything; its decision must be one that can be written and read again.
    def _decision(
        self, intent: OrderIntent | CancelIntent, rule: str, refusal: Refusal | None
    ) -> RiskDecision:
        order = intent if isinstance(intent, OrderIntent) else None
        return RiskDecision(
            ts_ns=intent.ts_ns if type(intent.ts_ns) is int else 0,
            instrument=intent.instrument if self._is_index(intent.instrument) else UNKNOWN_INSTRUMENT,
            account_id=_text(intent.account_id),
            strategy_id=_text(intent.strategy_id),
            intent_id=_text(intent.intent_id),
            parent_id=_text(order.parent_id) if order else "",
            execution_id=_text(order.execution_id) if order else "",
            slice_id=_text(order.slice_id) if order else "",
            allowed=refusal is None,
            reason=refusal.reason if refusal else None,
            rule=rule,
            evidence=refusal.evidence if refusal else (),
            limits_version=self._limits_version,
        )

    # A cancel never adds risk: it passes whatever the kill switch says, and is recorded like everything else.
    def _on_cancel(self, intent: CancelIntent) -> Sequence[Message]:
        self._decision_seq += 1
        self._remember(intent.intent_id)
        wanted = intent.client_order_id
        order = self.exposure.working.get(wanted) if is_text(wanted) else None
        if order is None or order.strategy_id != intent.strategy_id:
            unknown = refuse(RefusalReason.ORDER_NOT_FOUND, client_order_id=_text(wanted))
            return [self._decision(intent, "cancel", unknown)]
        return [
            self._decision(intent, "", None),
            CancelEvent(
                ts_ns=intent.ts_ns,
                instrument=order.instrument,
                account_id=intent.account_id,
                strategy_id=intent.strategy_id,
                intent_id=intent.intent_id,
                client_order_id=intent.client_order_id,
                decision_seq=self._decision_seq,
            ),
        ]

    def _is_index(self, value: object) -> bool:
        return type(value) is int and 0 <= value < len(self.exposure.instruments)


def _text(value: object) -> str:
    return str(value) if is_text(value) else f"({type(value).__name__})"
