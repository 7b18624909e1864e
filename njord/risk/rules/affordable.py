"""What an order would cost must be free, and what it would sell must be held."""

from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import SELL, RefusalReason, Side
from njord.core.units import BPS, EXACT, ZERO
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, LimitUse, Refusal, RiskRule, RuleParams, refuse


class Affordable(RiskRule):
    """Refuse a purchase beyond the free cash, on spot a sale beyond the holding, else what margin can not back.

    What open orders would cost is not free; what they would sell is not held. Fee and slippage are part of the cost.
    An order that flips a position needs backing for what lies beyond flat only.
    """

    name: ClassVar[str] = "affordable"

    class Params(RuleParams, frozen=True):
        """`buffer_bps` on top of the expected cost, for the price moving until the fill."""

        buffer_bps: Decimal = Decimal(0)

        def __post_init__(self) -> None:
            if not self.buffer_bps.is_finite() or self.buffer_bps < 0:
                raise ValueError(f"buffer_bps must be >= 0, was {self.buffer_bps}")

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return the buffer."""
        return {"buffer": Fraction(self.params.buffer_bps) / 10_000}

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if money or inventory is short."""
        index = intent.instrument
        if exposure.reduces(intent):
            return None
        if intent.side is SELL and not exposure.account.may_short(index):
            return refuse(
                RefusalReason.NAKED_SHORT,
                qty=exposure.intent_qty(intent),
                held=exposure.held_qty(index),
                in_open_orders=exposure.working_qty(index, SELL),
            )
        equity, needed = exposure.equity(), exposure.needed_with(intent)
        if equity is None or needed is None:
            return refuse(RefusalReason.PRICE_UNKNOWN)
        if self.params.buffer_bps:
            needed = self._with_buffer(needed, intent, exposure)
        if needed > equity:
            notional = exposure.notional_of(intent) or ZERO
            return refuse(RefusalReason.CASH_INSUFFICIENT, notional=notional, needed=needed, equity=equity)
        return None

    def _with_buffer(self, needed: Decimal, intent: OrderIntent, exposure: Exposure) -> Decimal:
        rate = EXACT.multiply(self.params.buffer_bps, BPS)
        return EXACT.add(needed, EXACT.multiply(exposure.notional_of(intent) or ZERO, rate))

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return what must stand behind all positions and open orders, of the equity there is."""
        equity = exposure.equity()
        # An order for nothing asks what the others of its side need.
        needs = [exposure.needed_with(OrderIntent(side=side, qty_lots=0)) for side in Side]
        known = [needed for needed in needs if needed is not None]
        if equity is None or len(known) != len(needs):
            return ()
        return (LimitUse(self.name, max(known), equity, exposure.account.report_asset),)

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        index = intent.instrument
        yield "only_reduces", exposure.reduces(intent)
        if intent.side is SELL and not exposure.account.may_short(index):
            yield "qty", exposure.intent_qty(intent)
            yield "held", exposure.held_qty(index)
            yield "in_open_orders", exposure.working_qty(index, SELL)
            return
        needed = exposure.needed_with(intent)
        if needed is not None:
            needed = self._with_buffer(needed, intent, exposure)
        yield "notional", exposure.notional_of(intent)
        yield "needed", needed
        yield "equity", exposure.equity()
