"""Units: nanoseconds, basis points, and Decimal arithmetic that is exact or says so.

`EXACT` is the one decimal context for money. It traps `Inexact`: a sum or product that would lose a digit raises
instead of rounding. Rounding happens only in the functions below that carry the direction in their name. Python's own
operators, minus sign and `abs` included, round to 28 digits without a word: money uses `EXACT.add`, `copy_negate`
and `copy_abs`.
"""

from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
NS_PER_DAY = 86_400 * NS_PER_S
FOREVER_NS = 2**63 - 1  # Later than every time of ours.
NS_PER_YEAR = 365 * NS_PER_DAY

ZERO = Decimal(0)  # What a Decimal is compared with: with a plain 0 that takes four times as long.
BPS = Decimal("0.0001")

EXACT = Context(
    prec=80, rounding=ROUND_HALF_EVEN, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow]
)
_ROUNDING_TRAPS = [InvalidOperation, DivisionByZero, Overflow]
_ROUNDING = Context(prec=80, rounding=ROUND_HALF_EVEN, traps=_ROUNDING_TRAPS)
_DOWN = Context(prec=80, rounding=ROUND_DOWN, traps=_ROUNDING_TRAPS)
_UP = Context(prec=80, rounding=ROUND_UP, traps=_ROUNDING_TRAPS)
_WIDE = Context(prec=400, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
# Bound once, as wherever money is counted often: to look a method up on a context costs as much as the sum it makes.
_quantize_down, _quantize_up, _quantize = _DOWN.quantize, _UP.quantize, _ROUNDING.quantize
_divide, _multiply_wide = _ROUNDING.divide, _WIDE.multiply
_ONE = Decimal(1)


def quantum(scale: int) -> Decimal:
    """Return the smallest amount at `scale` decimals: 10**-scale."""
    return EXACT.scaleb(_ONE, -scale)


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` (a power of ten) whose magnitude does not exceed `value`'s."""
    return _quantize_down(value, step)


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` (a power of ten) whose magnitude is not below `value`'s."""
    return _quantize_up(value, step)


def round_half_even(value: Decimal, step: Decimal) -> Decimal:
    """Return `value` at the nearest multiple of `step` (a power of ten), ties to even."""
    return _quantize(value, step)


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return numerator / denominator to 80 significant digits: for rates and comparisons, never for money kept."""
    return _divide(numerator, denominator)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return amount x part / whole to 80 significant digits; the product in between keeps all of its digits."""
    return _divide(_multiply_wide(amount, part), whole)


def exponent(value: Decimal) -> int:
    """Return the number of decimals that `value` needs: 2 for 0.25, 0 for 300."""
    power = value.normalize(EXACT).as_tuple().exponent
    if not isinstance(power, int):
        raise ValueError(f"value must be finite, was {value}")
    return max(0, -power)


def plain(value: Decimal) -> str:
    """Return `value` without exponent and without trailing zeros, for people and for hashes."""
    text = EXACT.to_sci_string(value)
    if "E" in text:  # Tiny, or a round number said short.
        text = format(value, "f")
    if text.endswith("0") and "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
