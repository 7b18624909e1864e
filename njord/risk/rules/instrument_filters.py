"""The venue's own minima and maxima of the time, checked before the venue has to."""

from fractions import Fraction
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.filters import INT64_MAX
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Refusal, RiskRule, refuse


class InstrumentFilters(RiskRule):
    """Refuse what the instrument's smallest and largest quantity, smallest notional or steps of the time do not admit."""

    name: ClassVar[str] = "instrument_filters"

    def bounds(self, instrument: Instrument, scale: int) -> Bounds | None:
        """Return the filters, None where they change."""
        if instrument.filter_changes:
            return None
        least = Fraction(instrument.min_notional) * 10**scale
        return {
            "min_lots": instrument.min_qty_lots,
            "max_lots": instrument.max_qty_lots,
            "min_notional": -(-least.numerator // least.denominator),
        }

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if a filter that is in force is broken; ticks and lots are whole by type."""
        instrument, lots = exposure.instruments[intent.instrument], intent.qty_lots
        filters = instrument.filters_at(intent.ts_ns) if instrument.filter_changes else instrument
        if lots < filters.min_qty_lots:
            least = instrument.qty(filters.min_qty_lots)
            return refuse(RefusalReason.QTY_BELOW_MIN, qty=instrument.qty(lots), min_qty=least)
        if lots > filters.max_qty_lots:
            most = instrument.qty(filters.max_qty_lots)
            return refuse(RefusalReason.QTY_ABOVE_MAX, qty=instrument.qty(lots), max_qty=most)
        if instrument.filter_changes:
            refusal = _off_step(intent, instrument)
            if refusal is not None:
                return refusal
        if not filters.min_notional:
            return None
        own = intent.limit_price_ticks or intent.trigger_price_ticks
        ticks = own or exposure.mark_ticks[intent.instrument]
        if not ticks:
            return refuse(RefusalReason.PRICE_UNKNOWN, symbol=instrument.symbol)
        notional = instrument.notional(ticks, lots)
        if notional < filters.min_notional:
            return refuse(
                RefusalReason.NOTIONAL_BELOW_MIN, notional=notional, min_notional=filters.min_notional
            )
        return None

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        instrument, lots = exposure.instruments[intent.instrument], intent.qty_lots
        filters = instrument.filters_at(intent.ts_ns)
        yield "qty", instrument.qty(lots)
        yield "min_qty", instrument.qty(filters.min_qty_lots)
        if filters.max_qty_lots != INT64_MAX:
            yield "max_qty", instrument.qty(filters.max_qty_lots)
        if instrument.filter_changes:
            for name, steps, multiple in _steps(intent, instrument):
                yield name, steps
                yield "multiple_of", multiple
        if filters.min_notional:
            ticks = intent.limit_price_ticks or intent.trigger_price_ticks
            ticks = ticks or exposure.mark_ticks[intent.instrument]
            if not ticks:
                yield "symbol", instrument.symbol
            yield "notional", instrument.notional(ticks, lots) if ticks else None
            yield "min_notional", filters.min_notional


def _off_step(intent: OrderIntent, instrument: Instrument) -> Refusal | None:
    for name, steps, multiple in _steps(intent, instrument):
        if steps % multiple:
            evidence: dict[str, int] = {name: steps, "multiple_of": multiple}
            return refuse(RefusalReason.INTENT_MALFORMED, **evidence)
    return None


# (what, how many lots or ticks, of which they must be a multiple)
def _steps(intent: OrderIntent, instrument: Instrument) -> tuple[tuple[str, int, int], ...]:
    filters = instrument.filters_at(intent.ts_ns)
    return (
        ("qty_lots", intent.qty_lots, filters.lot_multiple),
        ("limit_price_ticks", intent.limit_price_ticks, filters.tick_multiple),
        ("trigger_price_ticks", intent.trigger_price_ticks, filters.tick_multiple),
    )
