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
from njord.risk.rules.base import Refusal

APPROVAL_TTL_NS = 10 * NS_PER_S


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
        self._rules = tuple(rules)
        self._account_id = account_id
        self._run_id = run_id
        self._decision_seq = 0
        self._limits_version = 1

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            KillSwitchState: self._on_kill_switch,
            ConfigChanged: self._on_config,
            Bar: self.exposure.observe_bar,
            TradeEvent: self._on_trade,
            OrderIntent: self._on_intent,
            CancelIntent: self._on_cancel,
            OrderUpdate: self._on_update,
            FillEvent: self._on_fill,
            PositionSnapshot: self.exposure.observe_position,
        }

    def _on_kill_switch(self, reading: KillSwitchState) -> None:
        self.exposure.kill_switch = reading

    def _on_config(self, change: ConfigChanged) -> None:
        self._limits_version = change.limits_version

    def _on_trade(self, trade: TradeEvent) -> None:
        self.exposure.observe_price(trade.instrument, trade.price_ticks, trade.ts_ns)

    def _on_update(self, update: OrderUpdate) -> None:
        self.exposure.working.update(update)

    def _on_fill(self, fill: FillEvent) -> None:
        self.exposure.working.fill(fill)

    def _on_intent(self, intent: OrderIntent) -> Sequence[Message]:
        self._decision_seq += 1
        rule, refusal = self._first_refusal(intent)
        self.exposure.decided.add(intent.intent_id)
        decision = self._decision(intent, rule, refusal)
        if refusal is not None:
            return [decision]
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
        for rule in self._rules:
            refusal = rule.check(intent, self.exposure)
            if refusal is not None:
                return rule.name, refusal
        return "", None

    def _decision(
        self, intent: OrderIntent | CancelIntent, rule: str, refusal: Refusal | None
    ) -> RiskDecision:
        order = intent if isinstance(intent, OrderIntent) else None
        return RiskDecision(
            ts_ns=intent.ts_ns,
            instrument=intent.instrument,
            account_id=intent.account_id,
            strategy_id=intent.strategy_id,
            intent_id=intent.intent_id,
            parent_id=order.parent_id if order else "",
            execution_id=order.execution_id if order else "",
            slice_id=order.slice_id if order else "",
            allowed=refusal is None,
            reason=refusal.reason if refusal else None,
            rule=rule,
            evidence=refusal.evidence if refusal else (),
            limits_version=self._limits_version,
        )

    # A cancel never adds risk: it passes whatever the kill switch says, and is recorded like everything else.
    def _on_cancel(self, intent: CancelIntent) -> Sequence[Message]:
        self._decision_seq += 1
        order = self.exposure.working.get(intent.client_order_id)
        if order is None or order.strategy_id != intent.strategy_id:
            unknown = Refusal(RefusalReason.ORDER_NOT_FOUND, (("client_order_id", intent.client_order_id),))
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
