"""A price of the order's own far from the market is a mistake until shown otherwise."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import MARKET, RefusalReason
from njord.core.units import EXACT
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Refusal, RiskRule, RuleParams, refuse


class PriceCollar(RiskRule):
    """Refuse a limit or trigger price further from the reference than a fraction of it, on either side.

    A trailing stop may not trail by more either.
    """

    name: ClassVar[str] = "price_collar"

    class Params(RuleParams, frozen=True):
        """The largest distance as a fraction: 0.1 = 10 %."""

        max_distance_fraction: Decimal = Decimal("0.1")

        def __post_init__(self) -> None:
            if not self.max_distance_fraction.is_finite() or self.max_distance_fraction <= 0:
                raise ValueError(f"max_distance_fraction must be > 0, was {self.max_distance_fraction}")

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if a price is outside the collar, or no reference is known."""
        if intent.type is MARKET:
            return None
        mark = exposure.mark_ticks[intent.instrument]
        if not mark:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        furthest = EXACT.multiply(self.params.max_distance_fraction, Decimal(mark))
        for name, ticks in _own_prices(intent, mark):
            if ticks and abs(ticks - mark) > furthest:
                instrument = exposure.instruments[intent.instrument]
                evidence = {
                    name: instrument.price(ticks),
                    "reference": instrument.price(mark),
                    "max_distance_fraction": self.params.max_distance_fraction,
                }
                return refuse(RefusalReason.PRICE_OUTSIDE_COLLAR, **evidence)
        return None

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: a plain order is one that it lets pass."""
        return {}

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if intent.type is MARKET:
            return
        instrument, mark = exposure.instruments[intent.instrument], exposure.mark_ticks[intent.instrument]
        for name, ticks in _own_prices(intent, mark):
            if ticks:
                yield name, instrument.price(ticks)
        yield "reference", instrument.price(mark) if mark else None
        yield "max_distance_fraction", self.params.max_distance_fraction


# (what, ticks or 0): every price that the order names, a trailing stop's by how far it trails.
def _own_prices(intent: OrderIntent, mark: int) -> tuple[tuple[str, int], ...]:
    return (
        ("limit_price", intent.limit_price_ticks),
        ("trigger_price", intent.trigger_price_ticks),
        ("trailed_price", intent.trail_ticks and mark + intent.trail_ticks),
    )
