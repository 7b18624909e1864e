"""A product and a fused multiply-add give the very bits of a division, also where a quotient lies near a middle."""

import numpy as np
import pytest

from njord.kernels.quotients import quotient, reciprocal

DIVISORS = [
    1,
    2,
    3,
    5,
    7,
    10,
    30,
    49,
    200,
    1_000,
    65_535,
    999_983,
    2**31 - 1,
    2**50 - 1,
    *(10**k for k in range(4, 19)),
]


def near_middles(rng: np.random.Generator, divisor: int) -> list[float]:
    """Return floats whose quotient by a divisor is as near to the middle of two floats as it gets."""
    found = []
    odd = divisor // (divisor & -divisor)
    for shift in range(1, odd.bit_length() + 1):
        # x 2^shift = odd m + rest, for a middle m of 54 bits and a rest of a few: solve for m modulo 2^shift.
        for rest in (-3, -1, 1, 3):
            m = -rest * pow(odd, -1, 2**shift) % 2**shift
            m += 2**shift * int(rng.integers(2**53 >> shift, 2**54 >> shift))
            x = (odd * m + rest) >> shift
            if m % 2 and x < 2**53:
                found.append(float(x))
    return found


@pytest.mark.parametrize("divisor", DIVISORS)
def test_a_quotient_has_the_bits_of_a_division(divisor: int) -> None:
    rng = np.random.default_rng(divisor % 2**32)
    high, low = reciprocal(float(divisor))
    drawn = np.concatenate(
        (
            [0.0, 1.0, float(divisor), 2.0**62, 2.0**53 - 1],
            rng.integers(0, 2**62, 60).astype(float),
            rng.integers(0, 10**7, 60).astype(float),
            rng.random(60) * 10.0 ** rng.integers(-20, 20, 60),
            near_middles(rng, divisor),
        )
    )
    for x in drawn.tolist():
        assert quotient(x, float(divisor), high, low).hex() == (x / divisor).hex()  # The sign of zero, too.
