"""Products of two 64-bit numbers, compared and divided exactly although they do not fit into 64 bits.

A float64 estimate says where the answer lies, and the difference modulo 2**64 says exactly how far off the estimate is:
two products that differ by less than 2**63 have the same difference in wrapping arithmetic. Interpreted numbers have no
bounds and give the same answers.
"""

from collections.abc import Callable

import numpy as np
from numba.extending import overload

from njord.kernels._jit import inner_kernel

PRODUCT_MAX = 2**110  # Beyond it an estimate is off by more than a difference of int64 can tell.
DIVISOR_MAX = 2**61
_FAR = 2.0**62


def _difference(a: int, b: int, c: int, d: int) -> int:
    return a * b - c * d


# Signed products would be compiled as if they never wrapped.
@overload(_difference)
def _wrapped_difference(a: int, b: int, c: int, d: int) -> Callable[[int, int, int, int], int]:
    def difference(a: int, b: int, c: int, d: int) -> int:
        return int(np.int64(np.uint64(a) * np.uint64(b) - np.uint64(c) * np.uint64(d)))

    return difference


@inner_kernel
def product_exceeds(a: int, b: int, c: int, d: int) -> bool:
    """Say whether a x b > c x d; every product's magnitude must be below PRODUCT_MAX."""
    estimate = float(a) * float(b) - float(c) * float(d)
    if abs(estimate) > _FAR:
        return estimate > 0.0
    return _difference(a, b, c, d) > 0


def _sum_less(a: int, b: int, c: int, d: int, e: int, f: int) -> int:
    return a * b + c * d - e * f


@overload(_sum_less)
def _wrapped_sum_less(
    a: int, b: int, c: int, d: int, e: int, f: int
) -> Callable[[int, int, int, int, int, int], int]:
    def less(a: int, b: int, c: int, d: int, e: int, f: int) -> int:
        total = np.uint64(a) * np.uint64(b) + np.uint64(c) * np.uint64(d)
        return int(np.int64(total - np.uint64(e) * np.uint64(f)))

    return less


@inner_kernel
def sum_exceeds(a: int, b: int, c: int, d: int, e: int, f: int) -> bool:
    """Say whether a x b + c x d > e x f; every product's magnitude must be below PRODUCT_MAX."""
    estimate = float(a) * float(b) + float(c) * float(d) - float(e) * float(f)
    if abs(estimate) > _FAR:
        return estimate > 0.0
    return _sum_less(a, b, c, d, e, f) > 0


@inner_kernel
def floor_ratio(a: int, b: int, divisor: int) -> int:
    """Return floor(a x b / divisor).

    Args:
        a: At least 0.
        b: At least 0; a x b below PRODUCT_MAX, and the ratio below 2**60.
        divisor: 1 to DIVISOR_MAX.
    """
    quotient = int(float(a) * float(b) / float(divisor))
    rest = _difference(a, b, quotient, divisor)
    while rest < 0:
        quotient -= 1
        rest += divisor
    while rest >= divisor:
        quotient += 1
        rest -= divisor
    return quotient


@inner_kernel
def ceil_ratio(a: int, b: int, divisor: int) -> int:
    """Return ceil(a x b / divisor), with the bounds of `floor_ratio`."""
    quotient = floor_ratio(a, b, divisor)
    return quotient + 1 if _difference(a, b, quotient, divisor) else quotient
