"""No single order worth more than the cap."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import CapParams, Refusal, RiskRule, refuse


class MaxOrderNotional(RiskRule):
    """Refuse an order whose worth, at the market or at its own limit if that is higher, exceeds the cap.

    An order that only shrinks a position passes: a cap must never lock anyone into a position.
    """

    name: ClassVar[str] = "max_order_notional"

    class Params(CapParams, frozen=True):
        """Caps in the report asset and as a fraction of equity."""

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the order is too large, or its worth is not known."""
        if self.params.is_off or exposure.reduces(intent):
            return None
        notional, cap = exposure.notional_of(intent), self.params.cap(exposure)
        if notional is None or cap is None:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        if notional > cap:
            return refuse(RefusalReason.NOTIONAL_EXCEEDS_CAP, notional=notional, cap=cap)
        return None
