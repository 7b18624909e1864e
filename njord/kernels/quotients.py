"""Division by a number that is known beforehand: the very bits of `x / y`, by a product and a fused multiply-add.

With h = 1 / y rounded and l = 1 / y - h rounded, h x x + l x x is off by less than 2**-105 of x / y before its only rounding
that counts. A quotient by a whole number whose odd part is below 2**50 is never that near to the middle between two
floats, and never the middle itself, so that the rounding is the division's. Source: Brisebarre, Muller and Raina (2004),
"Accelerating Correctly Rounded Floating-Point Division when the Divisor Is Known in Advance", IEEE Transactions on
Computers 53(8). Where nothing is compiled it is a division.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic, overload

from njord.kernels._jit import inner_kernel


def _quotient(x: float, divisor: float, high: float, low: float) -> float:
    return x / divisor


def _rest(divisor: float, high: float) -> float:
    return 0.0


def _fused_typed(typing_context: Any, x: Any, y: Any, more: Any) -> tuple[Any, Callable[..., Any]]:
    return types.float64(types.float64, types.float64, types.float64), _emit


def _emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.fma(*arguments)


_fused: Any = intrinsic(_fused_typed)
overload(_quotient)(lambda x, divisor, high, low: lambda x, divisor, high, low: _fused(x, high, x * low))
overload(_rest)(lambda divisor, high: lambda divisor, high: _fused(-divisor, high, 1.0) / divisor)


@inner_kernel
def reciprocal(divisor: float) -> tuple[float, float]:
    """Return what `quotient` needs of a divisor: a whole number, at least 1, whose odd part is below 2**50."""
    high = 1.0 / divisor
    return high, _rest(divisor, high)


@inner_kernel
def quotient(x: float, divisor: float, high: float, low: float) -> float:
    """Return x / divisor, bit for bit.

    Args:
        x: 0, or of a magnitude from 1e-200 to 1e300.
        divisor: See `reciprocal`, which returned `high` and `low`.
    """
    return _quotient(x, divisor, high, low)
