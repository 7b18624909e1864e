"""Only so many orders a minute, for the account and for each strategy."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, LimitUse, Refusal, RiskRule, RuleParams, latest_ns, refuse


class OrderRate(RiskRule):
    """Refuse an order once the last 60 s have seen the allowed number of approvals, whatever it would do.

    A flood of exits is a flood too, and the venue counts it as one.
    """

    name: ClassVar[str] = "order_rate"

    class Params(RuleParams, frozen=True):
        """Orders in any 60 s; `per_strategy_per_minute` 0 = only the account's cap counts."""

        per_minute: int = 30
        per_strategy_per_minute: int = 0

        def __post_init__(self) -> None:
            if self.per_minute < 1:
                raise ValueError(f"per_minute must be >= 1, was {self.per_minute}")
            if self.per_strategy_per_minute < 0:
                raise ValueError(f"per_strategy_per_minute must be >= 0, was {self.per_strategy_per_minute}")

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return the counts; a strategy without one of its own has the account's."""
        per_minute: int = self.params.per_minute
        own: int = self.params.per_strategy_per_minute
        return {"per_minute": per_minute, "strategy_per_minute": own or per_minute}

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if a window is full."""
        params = self.params
        recent = exposure.pace.in_last_minute(intent.ts_ns)
        if recent >= params.per_minute:
            return refuse(RefusalReason.ORDER_RATE_EXCEEDED, orders=recent, per_minute=params.per_minute)
        own_cap = params.per_strategy_per_minute
        if own_cap and recent >= own_cap:  # One strategy's approvals are never more than all.
            own = exposure.pace.in_last_minute(intent.ts_ns, intent.strategy_id)
            if own >= own_cap:
                evidence = {"strategy_orders": own, "per_strategy_per_minute": own_cap}
                return refuse(RefusalReason.STRATEGY_RATE_EXCEEDED, **evidence)
        return None

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return the approvals of the last 60 s: of all, and of each strategy if it has a cap of its own."""
        by_strategy = exposure.pace.by_strategy(latest_ns(exposure))
        everyone = Decimal(sum(by_strategy.values()))
        uses = [LimitUse(self.name, everyone, Decimal(self.params.per_minute), "orders/min")]
        own_cap = Decimal(self.params.per_strategy_per_minute)
        if own_cap:
            uses += [
                LimitUse(self.name, Decimal(n_orders), own_cap, "orders/min", strategy_id)
                for strategy_id, n_orders in by_strategy.items()
            ]
        return tuple(uses)

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        by_strategy, params = exposure.pace.by_strategy(intent.ts_ns), self.params
        yield "orders", sum(by_strategy.values())
        yield "per_minute", params.per_minute
        if params.per_strategy_per_minute:
            yield "strategy_orders", by_strategy.get(intent.strategy_id, 0)
            yield "per_strategy_per_minute", params.per_strategy_per_minute
