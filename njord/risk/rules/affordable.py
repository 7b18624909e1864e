"""What an order would cost must be free, and what it would sell must be held."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.types import RefusalReason, Side
from njord.core.units import BPS, EXACT
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Refusal, RiskRule, RuleParams, refuse


class Affordable(RiskRule):
    """Refuse a purchase beyond the free cash, and on spot a sale beyond the holding.

    What open orders would cost is not free; what they would sell is not held. Fee and slippage are part of the cost.
    """

    name: ClassVar[str] = "affordable"

    class Params(RuleParams, frozen=True):
        """`buffer_bps` on top of the expected cost, for the price moving until the fill."""

        buffer_bps: Decimal = Decimal(0)

        def __post_init__(self) -> None:
            if not self.buffer_bps.is_finite() or self.buffer_bps < 0:
                raise ValueError(f"buffer_bps must be >= 0, was {self.buffer_bps}")

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if money or inventory is short."""
        index = intent.instrument
        if exposure.reduces(intent):
            return None
        if intent.side is Side.SELL and not exposure.account.may_short(index):
            return refuse(
                RefusalReason.NAKED_SHORT,
                qty=exposure.intent_qty(intent),
                held=exposure.held_qty(index),
                in_open_orders=exposure.working_qty(index, Side.SELL),
            )
        notional, free, reserved = exposure.notional_of(intent), exposure.free_margin(), exposure.reserved()
        if notional is None or free is None or reserved is None:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        factor = EXACT.add(exposure.cost_factor, EXACT.multiply(self.params.buffer_bps, BPS))
        cost = EXACT.multiply(notional, factor)
        if EXACT.add(cost, reserved) > free:
            return refuse(RefusalReason.CASH_INSUFFICIENT, cost=cost, free=free, reserved=reserved)
        return None
