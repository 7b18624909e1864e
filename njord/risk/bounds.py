"""What do all rules together ask of a plain order, in whole numbers? Rules in, one set of limits out, or a rule's name.

The gate's quick way (`plain.py`) and the fused loop collect their limits here: a rule that is new, and says nothing of
its bounds, switches both off.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from njord.core.instrument import Instrument
from njord.core.units import BPS
from njord.kernels.limits import Limits
from njord.risk.rules import RiskRule


class Unbounded(Exception):
    """A rule that can not be said in whole numbers: the text is its name."""


def limits_of(
    rules: Sequence[RiskRule], instrument: Instrument, scale: int, cost_bps: Decimal, may_short: bool
) -> Limits:
    """Return what the rules ask of a plain order (`RiskRule.bounds`); those that are off ask nothing.

    Args:
        rules: All of a gate.
        instrument: The only one.
        scale: Money counts in 10**-scale of the quote asset; at least the decimals of a notional.
        cost_bps: Fee plus slippage to expect on top of a price.
        may_short: Whether the account may sell what it does not hold.

    Raises:
        Unbounded: A rule has no bounds.
    """
    found: dict[str, Any] = {"buffer": Fraction(0)}
    for rule in rules:
        if rule.is_off:
            continue
        bounds = rule.bounds(instrument, scale)
        if bounds is None:
            raise Unbounded(rule.name)
        found |= bounds
    cost = Fraction(cost_bps) * Fraction(BPS) + found.pop("buffer")
    return Limits(
        unit=instrument.unit_multiple * 10 ** (scale - instrument.unit_scale),
        may_short=may_short,
        cost_numerator=cost.numerator,
        cost_denominator=cost.denominator,
        **found,
    )
