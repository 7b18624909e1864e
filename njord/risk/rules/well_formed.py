"""Quantities and prices must be positive whole lots and ticks of an instrument that exists."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.filters import INT64_MAX
from njord.core.instrument import Instrument
from njord.core.types import MARKET, OrderType, RefusalReason, Side, TimeInForce
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Numbers, Refusal, RiskRule, as_text, refuse

_SHOWN_CHARS = 40
_LINKS = ("parent_id", "execution_id", "slice_id", "group_id", "after_intent_id")
_NO_LINKS = ("",) * len(_LINKS)
_GTD, _TRAILING_STOP = TimeInForce.GTD, OrderType.TRAILING_STOP
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class WellFormed(RiskRule):
    """Refuse what can not be an order: an untyped number, zero, beyond 64 bits, a price that its type lacks, an expiry past.

    Nothing is guessed and nothing converted: the text "buy" is no side, and 5.0 no number of lots.
    """

    name: ClassVar[str] = "well_formed"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal unless quantity, price, words and ids are what their types promise."""
        # A strategy may have handed in anything; types are checked here, not assumed.
        index, lots, ticks = intent.instrument, intent.qty_lots, intent.limit_price_ticks
        if type(index) is not int or not 0 <= index < len(exposure.instruments):
            return malformed("instrument", index)
        if type(lots) is not int or not 0 < lots <= INT64_MAX:
            return malformed("qty_lots", lots)
        if type(ticks) is not int or not 0 <= ticks <= INT64_MAX:
            return malformed("limit_price_ticks", ticks)
        if type(intent.side) is not Side:
            return malformed("side", intent.side)
        if type(intent.type) is not OrderType:
            return malformed("type", intent.type)
        if type(intent.tif) is not TimeInForce:
            return malformed("tif", intent.tif)
        if not _is_flag(intent.reduce_only):
            return malformed("reduce_only", intent.reduce_only)
        if not _is_flag(intent.post_only):
            return malformed("post_only", intent.post_only)
        trigger, trail, expire_ns = intent.trigger_price_ticks, intent.trail_ticks, intent.expire_ns
        if type(trigger) is not int or not 0 <= trigger <= INT64_MAX:
            return malformed("trigger_price_ticks", trigger)
        if type(trail) is not int or not 0 <= trail <= INT64_MAX:
            return malformed("trail_ticks", trail)
        if type(expire_ns) is not int or not 0 <= expire_ns <= INT64_MAX:
            return malformed("expire_ns", expire_ns)
        if type(intent.ts_ns) is not int:
            return malformed("ts_ns", intent.ts_ns)
        is_plain = intent.type is MARKET and intent.tif is not _GTD
        if not is_plain or ticks or trigger or trail or expire_ns or intent.post_only:
            refusal = _check_terms(intent)
            if refusal is not None:
                return refusal
        return _check_ids(intent)

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: a plain order is one that it lets pass."""
        return {}

    def numbers(self, intent: OrderIntent, exposure: Exposure) -> Numbers:
        """Return the order's own words and numbers, or what of any intent is wrong."""
        refusal = self.check(intent, exposure)
        return as_text(self._compared(intent, exposure)) if refusal is None else refusal.evidence

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        yield "side", intent.side
        yield "type", intent.type
        yield "tif", intent.tif
        yield "qty_lots", intent.qty_lots
        for name in ("limit_price_ticks", "trigger_price_ticks", "trail_ticks", "expire_ns"):
            if getattr(intent, name):
                yield name, getattr(intent, name)


# Each number must be there where the order's words need it, and nowhere else.
def _check_terms(intent: OrderIntent) -> Refusal | None:
    kind, trigger = intent.type, intent.trigger_price_ticks
    for name, ticks, is_needed in (
        ("limit_price_ticks", intent.limit_price_ticks, kind.has_limit),
        ("trigger_price_ticks", trigger, kind.has_trigger or (kind is _TRAILING_STOP and trigger > 0)),
        ("trail_ticks", intent.trail_ticks, kind is _TRAILING_STOP),
    ):
        if is_needed is not (ticks > 0):
            return refuse(RefusalReason.INTENT_MALFORMED, type=kind, **{name: ticks})
    if intent.post_only and (not kind.has_limit or intent.tif in _AT_ONCE):
        return refuse(RefusalReason.INTENT_MALFORMED, post_only="true", type=kind, tif=intent.tif)
    if (intent.tif is _GTD) is not (intent.expire_ns > 0):
        return refuse(RefusalReason.INTENT_MALFORMED, tif=intent.tif, expire_ns=intent.expire_ns)
    if intent.expire_ns and intent.expire_ns <= intent.ts_ns:
        return refuse(RefusalReason.EXPIRY_PAST, expire_ns=intent.expire_ns, ts_ns=intent.ts_ns)
    return None


def _check_ids(intent: OrderIntent) -> Refusal | None:
    if not intent.intent_id or not is_text(intent.intent_id):
        return malformed("intent_id", intent.intent_id)
    if not intent.strategy_id or not is_text(intent.strategy_id):
        return malformed("strategy_id", intent.strategy_id)
    if not is_text(intent.account_id):
        return malformed("account_id", intent.account_id)
    links = (intent.parent_id, intent.execution_id, intent.slice_id, intent.group_id, intent.after_intent_id)
    if links == _NO_LINKS:
        return None
    for name, value in zip(_LINKS, links, strict=True):
        if not is_text(value):
            return malformed(name, value)
    return None


def _is_flag(value: object) -> bool:
    return type(value) is bool


def is_text(value: object) -> bool:
    """Say whether `value` is text that can be written down: half a surrogate pair can not."""
    if type(value) is not str:
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def malformed(name: str, value: object) -> Refusal:
    """Return the refusal of a value that is not what its name promises."""
    return refuse(RefusalReason.INTENT_MALFORMED, **{name: _shown(value)})


# Only of plain values is the value shown: another object's text may hold an address, and differ from run to run.
def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) > INT64_MAX:
        return "an int beyond 64 bits"
    kind = type(value)
    if kind in (int, float, str, bool, type(None), Decimal):
        return f"{kind.__name__} {ascii(value)[:_SHOWN_CHARS]}"
    return f"a {kind.__name__}"
