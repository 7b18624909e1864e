"""All positions together, open orders counted as if filled, worth no more than the cap."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.core.units import EXACT, ZERO
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, CapParams, Compared, LimitUse, Refusal, RiskRule, cap_bound, refuse


class MaxGross(RiskRule):
    """Refuse an order that could grow the sum of all |positions| beyond the cap."""

    name: ClassVar[str] = "max_gross"

    class Params(CapParams, frozen=True):
        """Caps in the report asset and as a fraction of equity x the highest leverage of any instrument."""

    @property
    def is_off(self) -> bool:
        """Whether nothing is limited."""
        return bool(self.params.is_off)

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return the caps."""
        return {"gross": cap_bound(self.params, scale)}

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if this instrument's worst case grows and the sum is beyond the cap."""
        if self.params.is_off:
            return None
        index = intent.instrument
        after = exposure.worst_qty_with(intent)
        if after is None:
            return None  # Before anything that may be unknown: what can not grow must never be locked in.
        cap = self.params.cap(exposure, exposure.max_leverage)
        if cap is None:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        total = ZERO
        for other, instrument in enumerate(exposure.instruments):
            qty = after if other == index else exposure.worst_qty(other)
            if not qty:
                continue
            ticks = exposure.reference_ticks(intent) if other == index else exposure.mark_ticks[other]
            if not ticks:
                return refuse(RefusalReason.PRICE_UNKNOWN, symbol=instrument.symbol)
            worth = exposure.worth(other, qty, ticks)
            total = EXACT.add(total, worth) if total else worth
        if total > cap:
            return refuse(RefusalReason.GROSS_EXCEEDS_CAP, gross_notional=total, cap=cap)
        return None

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return what all positions are worth together, open orders counted as if filled."""
        cap = self.params.cap(exposure, exposure.max_leverage)
        total = _gross(exposure)
        if self.params.is_off or cap is None or total is None:
            return ()
        return (LimitUse(self.name, total, cap, exposure.account.report_asset),)

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if self.params.is_off:
            return
        after = exposure.worst_qty_with(intent)
        if after is not None:
            for other, instrument in enumerate(exposure.instruments):
                if (
                    other != intent.instrument
                    and exposure.worst_qty(other)
                    and not exposure.mark_ticks[other]
                ):
                    yield "symbol", instrument.symbol
        yield "gross_notional", _gross(exposure, intent)
        yield "cap", self.params.cap(exposure, exposure.max_leverage)
        yield "grows", after is not None


# What all is worth, with the intent if one is given; None while a price is missing.
def _gross(exposure: Exposure, intent: OrderIntent | None = None) -> Decimal | None:
    total = ZERO
    for index, ticks in enumerate(exposure.mark_ticks):
        qty, at_ticks = exposure.worst_qty(index), ticks
        if intent is not None and index == intent.instrument:
            qty, at_ticks = exposure.worst_qty_with(intent) or qty, exposure.reference_ticks(intent)
        if not qty:
            continue
        if not at_ticks:
            return None
        total = EXACT.add(total, exposure.worth(index, qty, at_ticks))
    return total
