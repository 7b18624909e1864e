"""The venue's own minima and maxima, checked before the venue has to."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.types import LIMIT, RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Refusal, RiskRule, refuse


class InstrumentFilters(RiskRule):
    """Refuse what the instrument's smallest and largest quantity or smallest notional do not admit."""

    name: ClassVar[str] = "instrument_filters"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if a filter is broken; ticks and lots are whole by type."""
        instrument = exposure.instruments[intent.instrument]
        if intent.qty_lots < instrument.min_qty_lots:
            return refuse(
                RefusalReason.QTY_BELOW_MIN, qty=instrument.qty(intent.qty_lots), min_qty=instrument.min_qty
            )
        if intent.qty_lots > instrument.max_qty_lots:
            return refuse(
                RefusalReason.QTY_ABOVE_MAX, qty=instrument.qty(intent.qty_lots), max_qty=instrument.max_qty
            )
        if not instrument.min_notional:
            return None
        own = intent.limit_price_ticks if intent.type is LIMIT else 0
        ticks = own or exposure.mark_ticks[intent.instrument]
        if not ticks:
            return refuse(RefusalReason.PRICE_UNKNOWN, symbol=instrument.symbol)
        notional = instrument.notional(ticks, intent.qty_lots)
        if notional < instrument.min_notional:
            return refuse(
                RefusalReason.NOTIONAL_BELOW_MIN, notional=notional, min_notional=instrument.min_notional
            )
        return None
