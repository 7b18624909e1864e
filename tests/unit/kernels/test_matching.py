"""The fill rules by hand; each line is a market and what it allows."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.kernels.matching import (
    AT_OPEN,
    INSIDE,
    NO_FILL,
    limit_fill,
    linear_impact,
    reached_after,
    square_root_impact,
    stop_fill,
    worse_ticks,
)


@pytest.mark.parametrize(
    ("sign", "limit", "open_", "high", "low", "expected"),
    [
        (1, 100, 95, 99, 94, (AT_OPEN, 95)),  # Opens below a buying limit: a gap fills at the open.
        (1, 100, 100, 105, 100, (AT_OPEN, 100)),
        (1, 100, 101, 105, 100, (INSIDE, 100)),  # Touched exactly: filled at the limit.
        (1, 100, 101, 105, 90, (INSIDE, 100)),  # Fell through: still the limit, never better.
        (1, 100, 101, 105, 101, (NO_FILL, 0)),
        (-1, 100, 105, 106, 101, (AT_OPEN, 105)),
        (-1, 100, 100, 100, 95, (AT_OPEN, 100)),
        (-1, 100, 99, 100, 95, (INSIDE, 100)),
        (-1, 100, 99, 120, 95, (INSIDE, 100)),
        (-1, 100, 99, 99, 95, (NO_FILL, 0)),
    ],
)
def test_a_limit_fills_at_the_open_or_at_its_own_price(
    sign: int, limit: int, open_: int, high: int, low: int, expected: tuple[int, int]
) -> None:
    assert limit_fill(sign, limit, open_, high, low) == expected


@pytest.mark.parametrize(
    ("ticks", "sign", "bps", "moved"),
    [
        (1000, 1, 0, 1000),
        (1000, 1, 10, 1001),
        (1000, -1, 10, 999),
        (1001, 1, 10, 1003),
        (1, -1, 5, 1),
        (5, -1, 10_000, 1),
    ],
)
def test_slippage_goes_to_the_next_worse_tick_and_never_below_one(
    ticks: int, sign: int, bps: int, moved: int
) -> None:
    assert worse_ticks(ticks, sign, bps, 10_000) == moved


@given(st.integers(1, 2**62), st.sampled_from([1, -1]), st.decimals(0, 10_000, places=3, allow_nan=False))
def test_slippage_is_the_ceiling_of_the_exact_fraction(ticks: int, sign: int, bps: Decimal) -> None:
    numerator, denominator = bps.as_integer_ratio()
    exact = ceil(ticks * Fraction(bps) / 10_000)
    assert worse_ticks(ticks, sign, numerator, denominator * 10_000) == max(1, ticks + sign * exact)


@pytest.mark.parametrize(
    ("sign", "is_profit", "trigger", "open_", "high", "low", "expected"),
    [
        (1, False, 100, 95, 100, 90, (INSIDE, 100)),  # A buying stop waits for the price to rise.
        (1, False, 100, 95, 99, 90, (NO_FILL, 0)),
        (1, False, 100, 101, 105, 90, (AT_OPEN, 101)),
        (-1, False, 100, 105, 106, 100, (INSIDE, 100)),
        (-1, False, 100, 105, 106, 101, (NO_FILL, 0)),
        (-1, False, 100, 99, 106, 90, (AT_OPEN, 99)),
        (1, True, 100, 105, 106, 100, (INSIDE, 100)),  # A buying take-profit waits for it to fall.
        (1, True, 100, 100, 106, 100, (AT_OPEN, 100)),
        (-1, True, 100, 95, 100, 90, (INSIDE, 100)),
        (-1, True, 100, 95, 99, 90, (NO_FILL, 0)),
    ],
)
def test_a_trigger_is_reached_at_the_open_or_at_its_own_price(
    sign: int, is_profit: bool, trigger: int, open_: int, high: int, low: int, expected: tuple[int, int]
) -> None:
    assert stop_fill(sign, is_profit, trigger, open_, high, low) == expected


@pytest.mark.parametrize(
    ("level", "direction", "expected"),
    [
        (100, 0, True),  # Where the price was.
        (110, 1, True),  # Further on the way up: the high was still to come.
        (110, -1, False),  # On the way down the high may have been before.
        (110, 0, False),
        (104, -1, True),  # Between there and the close.
        (95, 1, False),
        (95, -1, True),
        (89, -1, False),
    ],
)
def test_only_what_must_have_come_after_counts(level: int, direction: int, expected: bool) -> None:
    assert reached_after(level, 100, direction, high=110, low=90, close=104) is expected


@given(st.integers(1, 10**9), st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_impact_is_the_ceiling_of_the_exact_product(ticks: int, bps: int, qty: int, volume: int) -> None:
    exact = Fraction(ticks * bps, 10_000)
    assert linear_impact(ticks, bps, 10_000, qty, volume) == ceil(exact * qty / volume)
    root = square_root_impact(ticks, bps, 10_000, qty, volume)
    squared = exact**2 * qty / volume
    assert root**2 >= squared and (root == 0 or (root - 1) ** 2 < squared)
    assert root == pytest.approx(float(exact) * sqrt(qty / volume), abs=1.01, rel=1e-9)
