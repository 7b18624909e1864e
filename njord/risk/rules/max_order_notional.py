"""No single order worth more than the cap."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, CapParams, Compared, Refusal, RiskRule, cap_bound, refuse


class MaxOrderNotional(RiskRule):
    """Refuse an order whose worth, at the highest of the market's and its own prices, exceeds the cap.

    What closes a position is not counted: a cap must never lock anyone into a position. Of an order that flips one,
    the part beyond flat counts.
    """

    name: ClassVar[str] = "max_order_notional"

    class Params(CapParams, frozen=True):
        """Caps in the report asset and as a fraction of equity x leverage."""

    @property
    def is_off(self) -> bool:
        """Whether nothing is limited."""
        return bool(self.params.is_off)

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return the caps."""
        return {"order_notional": cap_bound(self.params, scale)}

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the order is too large, or its worth is not known."""
        qty = exposure.growth_qty(intent)
        if self.params.is_off or not qty:
            return None
        ticks = exposure.reference_ticks(intent)
        cap = self.params.cap(exposure, exposure.leverage[intent.instrument])
        if not ticks or cap is None:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        notional = exposure.worth(intent.instrument, qty, ticks)
        if notional > cap:
            return refuse(RefusalReason.NOTIONAL_EXCEEDS_CAP, notional=notional, cap=cap)
        return None

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if self.params.is_off:
            return
        index, ticks = intent.instrument, exposure.reference_ticks(intent)
        # What closes a position is not counted.
        yield "notional", exposure.worth(index, exposure.growth_qty(intent), ticks) if ticks else None
        yield "cap", self.params.cap(exposure, exposure.leverage[index])
