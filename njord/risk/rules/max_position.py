"""No position, open orders counted as if filled, worth more than the cap."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, CapParams, Compared, LimitUse, Refusal, RiskRule, cap_bound, refuse


class MaxPosition(RiskRule):
    """Refuse an order that could grow one instrument's |position| beyond the cap."""

    name: ClassVar[str] = "max_position"

    class Params(CapParams, frozen=True):
        """Caps in the report asset and as a fraction of equity x leverage."""

    @property
    def is_off(self) -> bool:
        """Whether nothing is limited."""
        return bool(self.params.is_off)

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return the caps."""
        return {"position": cap_bound(self.params, scale)}

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the worst case is larger than before and beyond the cap."""
        if self.params.is_off:
            return None
        index = intent.instrument
        after = exposure.worst_qty_with(intent)
        if after is None:
            return None  # Before anything that may be unknown: what can not grow must never be locked in.
        ticks, cap = exposure.reference_ticks(intent), self.params.cap(exposure, exposure.leverage[index])
        if not ticks or cap is None:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        worth = exposure.worth(index, after, ticks)
        if worth > cap:
            return refuse(RefusalReason.POSITION_EXCEEDS_CAP, position_notional=worth, cap=cap)
        return None

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return what each instrument's position is worth, open orders counted as if filled."""
        if self.params.is_off:
            return ()
        uses = []
        for index, ticks in enumerate(exposure.mark_ticks):
            cap = self.params.cap(exposure, exposure.leverage[index])
            if ticks and cap is not None:
                worth = exposure.worth(index, exposure.worst_qty(index), ticks)
                asset = exposure.account.report_asset
                uses.append(LimitUse(self.name, worth, cap, asset, instrument=index))
        return tuple(uses)

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if self.params.is_off:
            return
        index, ticks = intent.instrument, exposure.reference_ticks(intent)
        after = exposure.worst_qty_with(intent)
        qty = exposure.worst_qty(index) if after is None else after
        yield "position_notional", exposure.worth(index, qty, ticks) if ticks else None
        yield "cap", self.params.cap(exposure, exposure.leverage[index])
        yield "grows", after is not None
