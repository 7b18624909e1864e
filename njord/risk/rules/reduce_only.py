"""An order that says it only reduces must do so."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Refusal, RiskRule, refuse


class ReduceOnly(RiskRule):
    """Refuse a reduce-only order that could grow or flip the position."""

    name: ClassVar[str] = "reduce_only"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the flag is set and the order does not only shrink."""
        if intent.reduce_only and not exposure.reduces(intent):
            return refuse(
                RefusalReason.REDUCE_ONLY_INCREASES,
                position=exposure.held_qty(intent.instrument),
                qty=exposure.intent_qty(intent),
            )
        return None

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: the flag of a plain order is true."""
        return {}

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if intent.reduce_only:
            yield "position", exposure.held_qty(intent.instrument)
            yield "in_open_orders", exposure.working_qty(intent.instrument, intent.side)
            yield "qty", exposure.intent_qty(intent)
