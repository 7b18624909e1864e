"""Quantities and prices must be positive whole lots and ticks of an instrument that exists."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import INT64_MAX
from njord.core.types import LIMIT, OrderType, RefusalReason, Side, TimeInForce
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Refusal, RiskRule, refuse

_SHOWN_CHARS = 40


class WellFormed(RiskRule):
    """Refuse what can not be an order: an untyped number, zero, negative, beyond 64 bits, a limit without price.

    Nothing is guessed and nothing converted: the text "buy" is no side, and 5.0 no number of lots.
    """

    name: ClassVar[str] = "well_formed"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal unless quantity, price, words and ids are what their types promise."""
        # A strategy may have handed in anything; types are checked here, not assumed.
        index, lots, ticks = intent.instrument, intent.qty_lots, intent.limit_price_ticks
        if type(index) is not int or not 0 <= index < len(exposure.instruments):
            return _malformed("instrument", index)
        if type(lots) is not int or not 0 < lots <= INT64_MAX:
            return _malformed("qty_lots", lots)
        if type(ticks) is not int or not 0 <= ticks <= INT64_MAX:
            return _malformed("limit_price_ticks", ticks)
        if type(intent.side) is not Side:
            return _malformed("side", intent.side)
        if type(intent.type) is not OrderType:
            return _malformed("type", intent.type)
        if type(intent.tif) is not TimeInForce:
            return _malformed("tif", intent.tif)
        if not _is_flag(intent.reduce_only):
            return _malformed("reduce_only", intent.reduce_only)
        if (intent.type is LIMIT) is not (ticks > 0):
            return refuse(RefusalReason.INTENT_MALFORMED, type=intent.type, limit_price_ticks=ticks)
        if type(intent.ts_ns) is not int:
            return _malformed("ts_ns", intent.ts_ns)
        return _check_ids(intent)


def _check_ids(intent: OrderIntent) -> Refusal | None:
    if not intent.intent_id or not is_text(intent.intent_id):
        return _malformed("intent_id", intent.intent_id)
    if not intent.strategy_id or not is_text(intent.strategy_id):
        return _malformed("strategy_id", intent.strategy_id)
    for name, value in (
        ("account_id", intent.account_id),
        ("parent_id", intent.parent_id),
        ("execution_id", intent.execution_id),
        ("slice_id", intent.slice_id),
    ):
        if type(value) is not str or (value and not is_text(value)):
            return _malformed(name, value)
    return None


def _is_flag(value: object) -> bool:
    return type(value) is bool


def is_text(value: object) -> bool:
    """Say whether `value` is text that can be written down: half a surrogate pair can not."""
    if type(value) is not str:
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _malformed(name: str, value: object) -> Refusal:
    return refuse(RefusalReason.INTENT_MALFORMED, **{name: _shown(value)})


# Only of plain values is the value shown: another object's text may hold an address, and differ from run to run.
def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) > INT64_MAX:
        return "an int beyond 64 bits"
    kind = type(value)
    if kind in (int, float, str, bool, type(None), Decimal):
        return f"{kind.__name__} {ascii(value)[:_SHOWN_CHARS]}"
    return f"a {kind.__name__}"
