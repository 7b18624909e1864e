"""Quantities and prices must be positive whole lots and ticks of an instrument that exists."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import INT64_MAX
from njord.core.types import OrderType, RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Refusal, RiskRule, refuse


class WellFormed(RiskRule):
    """Refuse what can not be an order: an untyped number, zero, negative, beyond 64 bits, a limit without price."""

    name: ClassVar[str] = "well_formed"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal unless quantity, price and ids are what their types promise."""
        bad = RefusalReason.INTENT_MALFORMED
        # A strategy may have handed in anything; types are checked here, not assumed.
        if type(intent.instrument) is not int or not 0 <= intent.instrument < len(exposure.instruments):
            return refuse(bad, instrument=str(intent.instrument))
        if type(intent.qty_lots) is not int or not 0 < intent.qty_lots <= INT64_MAX:
            return refuse(bad, qty_lots=str(intent.qty_lots))
        if type(intent.limit_price_ticks) is not int or not 0 <= intent.limit_price_ticks <= INT64_MAX:
            return refuse(bad, limit_price_ticks=str(intent.limit_price_ticks))
        if (intent.type is OrderType.LIMIT) is not (intent.limit_price_ticks > 0):
            return refuse(bad, type=intent.type, limit_price_ticks=intent.limit_price_ticks)
        if not intent.intent_id or not intent.strategy_id:
            return refuse(bad, intent_id=intent.intent_id, strategy_id=intent.strategy_id)
        return None
