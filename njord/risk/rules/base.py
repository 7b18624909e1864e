"""What a risk rule is: typed parameters, and one pure question about an intent.

To add one: write a file here with a `RiskRule`, and name it in `njord/risk/rules/__init__.py`. It is then
configured by its name, tested against the properties that hold for all rules, and listed in the docs.
"""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from njord.core.account import ONE
from njord.core.contracts import OrderIntent
from njord.core.types import RefusalReason
from njord.core.units import EXACT, ZERO, plain
from njord.risk.exposure import Exposure


class Refusal(msgspec.Struct, frozen=True):
    """Why not, and the numbers that show it."""

    reason: RefusalReason
    evidence: tuple[tuple[str, str], ...] = ()


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
        of_equity = max(ZERO, equity)
        return min(of_equity, self.cap_notional) if self.cap_notional else of_equity


def refuse(reason: RefusalReason, **evidence: Decimal | int | str) -> Refusal:
    """Return a refusal with its numbers as plain text."""
    shown = (
        (key, plain(value) if isinstance(value, Decimal) else str(value)) for key, value in evidence.items()
    )
    return Refusal(reason, tuple(shown))
