"""When the UTC day has lost enough, only orders that shrink positions pass."""

from decimal import Decimal
from typing import ClassVar

from njord.core.account import ONE
from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.core.units import ZERO
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, CapParams, Compared, LimitUse, Refusal, RiskRule, cap_bound, refuse


class DailyLoss(RiskRule):
    """Refuse what adds risk once the day's loss, open positions and fees included, reaches the cap."""

    name: ClassVar[str] = "daily_loss"

    class Params(CapParams, frozen=True):
        """Caps in the report asset and as a fraction of the equity that the UTC day began with."""

        def cap(self, exposure: Exposure, leverage: Decimal = ONE) -> Decimal | None:
            """Return the cap in the report asset: fixed for the day, whatever the leverage; None if it can not be known."""
            return self.lower(exposure.day_start_equity)

    @property
    def is_off(self) -> bool:
        """Whether nothing is limited."""
        return bool(self.params.is_off)

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return the caps."""
        return {"daily_loss": cap_bound(self.params, scale, is_reached=True)}

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the loss has reached the cap, or can not be known."""
        if self.params.is_off or exposure.reduces(intent):
            return None
        day_pnl, cap = exposure.day_pnl(), self.params.cap(exposure)
        if day_pnl is None or cap is None:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        if day_pnl.copy_negate() >= cap:
            return refuse(RefusalReason.DAILY_LOSS_EXCEEDED, day_pnl=day_pnl, cap=cap)
        return None

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return the day's loss, 0 while it is a gain; the market may carry it beyond the cap."""
        day_pnl, cap = exposure.day_pnl(), self.params.cap(exposure)
        if self.params.is_off or day_pnl is None or cap is None:
            return ()
        loss = max(ZERO, day_pnl.copy_negate())
        return (LimitUse(self.name, loss, cap, exposure.account.report_asset),)

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if not self.params.is_off:
            yield "day_pnl", exposure.day_pnl()
            yield "cap", self.params.cap(exposure)
            yield "only_reduces", exposure.reduces(intent)
