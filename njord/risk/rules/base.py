"""What a risk rule is: typed parameters, and one pure question about an intent.

What it compared to answer, and how much of its limit is used, it tells those who ask (`njord why`, the views); the
gate never does, so that an approval costs nothing more.

To add one: write a file here with a `RiskRule`, and name it in `njord/risk/rules/__init__.py`. It is then
configured by its name, tested against the properties that hold for all rules, and listed in the docs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec

from njord.core.account import ONE
from njord.core.contracts import OrderIntent
from njord.core.filters import INT64_MAX
from njord.core.instrument import Instrument
from njord.core.types import OrderType, RefusalReason, Side, TimeInForce
from njord.core.units import EXACT, ZERO, plain
from njord.kernels.limits import CapLimit
from njord.risk.exposure import Exposure

Value = Decimal | int | str | bool | None  # None is shown as unknown.
Compared = Iterator[tuple[str, Value]]
Numbers = tuple[tuple[str, str], ...]
# Of `kernels.limits.Limits`, by name; `buffer` is a part of the notional that must be free besides its costs.
Bounds = Mapping[str, int | Fraction | CapLimit]


class Refusal(msgspec.Struct, frozen=True):
    """Why not, and the numbers that show it."""

    reason: RefusalReason
    evidence: Numbers = ()


class Answer(msgspec.Struct, frozen=True):
    """What one rule says of an intent when it is asked behind the gate's back: nothing is decided by it.

    It is not asked where it is off, because its parameters limit nothing, nor behind a refusal of a malformed intent.
    """

    rule: str
    is_asked: bool = True
    is_off: bool = False
    refusal: Refusal | None = None
    numbers: Numbers = ()


class LimitUse(msgspec.Struct, frozen=True):
    """What of one limit is used now; no strategy and instrument -1 where it counts all of them.

    `unit` is what both are counted in: the report asset, `orders`, `orders/min` or `s`.
    """

    rule: str
    used: Decimal
    cap: Decimal
    unit: str
    strategy_id: str = ""
    instrument: int = -1


class RuleParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule's parameters; a subclass refuses nonsense in `__post_init__` by a ValueError."""


class RiskRule(ABC):
    """One question: may this intent pass? Pure, and fail-closed: what is not known is a refusal."""

    name: ClassVar[str]
    reads_losses: ClassVar[bool] = False  # Whether it asks when an instrument last closed at a loss.

    class Params(RuleParams, frozen=True):
        """No parameters unless a subclass declares them."""

    def __init__(self, params: RuleParams) -> None:
        self.params: Any = params

    @property
    def is_off(self) -> bool:
        """Whether these parameters let every intent pass: the gate then need not ask."""
        return False

    @abstractmethod
    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return why the intent must not pass, or None."""

    def bounds(self, instrument: Instrument, scale: int) -> Bounds | None:
        """Return in whole numbers all that it asks of a plain order, None if it can not be said so.

        Plain is a well-formed market order, good till canceled, with an id of its own and without links, sent at a
        fresh close while the kill switch is ACTIVE and nothing works, on an account that pays in full and trades one
        instrument. Where a rule has no bounds such orders are asked of all rules one by one, and the fused loop refuses
        the run by the rule's name. Empty = it never refuses a plain order.

        Args:
            instrument: The one that is traded.
            scale: Money counts in 10**-scale of the quote asset.
        """
        return None

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return what of its limit is used now; nothing if no limit runs, or a price to measure it by is missing."""
        return ()

    def numbers(self, intent: OrderIntent, exposure: Exposure) -> Numbers:
        """Return what it compares, by name and as plain text, also where it lets the intent pass.

        The evidence of its refusal is among them. Nothing of an intent whose fields are not what their types promise.
        """
        return as_text(self._compared(intent, exposure)) if is_readable(intent, exposure) else ()

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        yield from ()


class CapParams(RuleParams, frozen=True):
    """A cap in money, a cap as a fraction of equity x leverage, or both; 0 = that one is off. The lower one counts."""

    cap_notional: Decimal = ZERO
    cap_equity_fraction: Decimal = ZERO

    def __post_init__(self) -> None:
        for name in ("cap_notional", "cap_equity_fraction"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value < 0:
                raise ValueError(f"{name} must be >= 0, was {value}")

    @property
    def is_off(self) -> bool:
        """Whether neither cap is set."""
        return not self.cap_notional and not self.cap_equity_fraction

    def cap(self, exposure: Exposure, leverage: Decimal = ONE) -> Decimal | None:
        """Return the cap in the report asset that counts now; None if it can not be known."""
        if not self.cap_equity_fraction:
            return self.cap_notional
        equity = exposure.equity()
        if leverage is not ONE and equity is not None:
            equity = EXACT.multiply(equity, leverage)
        return self.lower(equity)

    def lower(self, equity: Decimal | None) -> Decimal | None:
        """Return the lower of the caps that are set; equity below zero counts as zero, unknown equity as no answer."""
        if not self.cap_equity_fraction:
            return self.cap_notional
        if equity is None:
            return None
        if self.cap_equity_fraction != 1:
            equity = EXACT.multiply(equity, self.cap_equity_fraction)
        of_equity = equity if equity > 0 else ZERO
        return min(of_equity, self.cap_notional) if self.cap_notional else of_equity


def cap_bound(params: CapParams, scale: int, *, is_reached: bool = False) -> CapLimit:
    """Return a cap whose money counts in 10**-scale, for worths that may not exceed it, or may not reach it."""
    notional, fraction = Fraction(params.cap_notional) * 10**scale, Fraction(params.cap_equity_fraction)
    # One between two whole numbers is reached by the next, and exceeded by it.
    whole = -(-notional.numerator // notional.denominator) if is_reached else int(notional)
    return CapLimit(not params.is_off, bool(notional), whole, fraction.numerator, fraction.denominator)


def refuse(reason: RefusalReason, **evidence: Decimal | int | str) -> Refusal:
    """Return a refusal with its numbers as plain text."""
    return Refusal(reason, tuple((key, _text(value)) for key, value in evidence.items()))


def as_text(compared: Compared) -> Numbers:
    """Return what a rule compared, each value as plain text."""
    return tuple((name, _text(value)) for name, value in compared)


def _text(value: Value) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if value is None:
        return "unknown"
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def is_readable(intent: OrderIntent, exposure: Exposure) -> bool:
    """Say whether every field that a rule computes with is of its type: a strategy may have handed in anything."""
    index = intent.instrument
    if type(index) is not int or not 0 <= index < len(exposure.instruments):
        return False
    sizes = (intent.qty_lots, intent.limit_price_ticks, intent.trigger_price_ticks, intent.trail_ticks)
    words = (intent.strategy_id, intent.intent_id, intent.group_id, intent.after_intent_id)
    return (
        type(intent.ts_ns) is int
        and all(type(size) is int and 0 <= size <= INT64_MAX for size in sizes)
        and all(type(word) is str for word in words)
        and type(intent.side) is Side
        and type(intent.type) is OrderType
        and type(intent.tif) is TimeInForce
        and type(intent.reduce_only) is bool
    )


def latest_ns(exposure: Exposure) -> int:
    """Return the time of the last known price: what `usage` counts the seconds to, for nothing is asked of it."""
    return max(exposure.mark_ts_ns, default=0)
