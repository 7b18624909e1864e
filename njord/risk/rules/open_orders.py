"""Only so many orders may work at once."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, LimitUse, Refusal, RiskRule, RuleParams, refuse


class OpenOrders(RiskRule):
    """Refuse an order while `cap` orders are working, one that shrinks a position too: a cancel makes room."""

    name: ClassVar[str] = "open_orders"

    class Params(RuleParams, frozen=True):
        """`cap` counts all strategies and instruments."""

        cap: int = 100

        def __post_init__(self) -> None:
            if self.cap < 1:
                raise ValueError(f"cap must be >= 1, was {self.cap}")

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the cap is reached."""
        n_open = len(exposure.working) - exposure.n_replaced
        if n_open >= self.params.cap:
            return refuse(RefusalReason.OPEN_ORDERS_EXCEED_CAP, open_orders=n_open, cap=self.params.cap)
        return None

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: while no order works there is room for one."""
        return {}

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return how many orders are working."""
        n_open = Decimal(len(exposure.working) - exposure.n_replaced)
        return (LimitUse(self.name, n_open, Decimal(self.params.cap), "orders"),)

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        yield "open_orders", len(exposure.working) - exposure.n_replaced
        yield "cap", self.params.cap
