"""An intent id is decided once, for ever."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Refusal, RiskRule, refuse


class DuplicateIntent(RiskRule):
    """Refuse an intent whose id was decided before, whatever that decision was."""

    name: ClassVar[str] = "duplicate_intent"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the id is known."""
        if intent.intent_id in exposure.decided:
            return refuse(RefusalReason.INTENT_DUPLICATE, intent_id=intent.intent_id)
        return None

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: a plain order is one that it lets pass."""
        return {}

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        yield "intent_id", intent.intent_id
        yield "is_known", intent.intent_id in exposure.decided
