"""Drawdown: depth, its three times, and time under water."""

import math

import numpy as np
import pytest

from njord.core.units import NS_PER_DAY
from njord.performance.drawdown import (
    Drawdown,
    deepest_drawdown,
    drawdown_curve,
    longest_under_water_ns,
    max_drawdown,
)
from njord.performance.returns import FloatArray, IntArray


def curve(*equity: float) -> FloatArray:
    return np.array(equity, dtype=np.float64)


def days(n_points: int) -> IntArray:
    return np.arange(n_points, dtype=np.int64) * NS_PER_DAY


def test_ten_twelve_nine_thirteen_thousand_falls_by_a_quarter() -> None:
    # Acceptance T34.
    equity = curve(10_000, 12_000, 9_000, 13_000)
    assert max_drawdown(equity) == 0.25
    assert deepest_drawdown(days(4), equity) == Drawdown(
        depth=0.25, peak_ns=NS_PER_DAY, trough_ns=2 * NS_PER_DAY, recovery_ns=3 * NS_PER_DAY
    )


def test_under_water_counts_six_days_until_the_old_peak_is_regained() -> None:
    # Acceptance T34: the rise on day 4 is not yet the old peak.
    equity = curve(100, 120, 110, 100, 115, 105, 119, 120, 125)
    assert longest_under_water_ns(days(9), equity) == 6 * NS_PER_DAY


def test_a_curve_still_under_water_counts_until_its_end() -> None:
    assert longest_under_water_ns(days(5), curve(100, 90, 100, 99, 98)) == 2 * NS_PER_DAY
    assert longest_under_water_ns(days(3), curve(100, 100, 99)) == NS_PER_DAY


def test_standing_still_at_the_peak_is_not_under_water() -> None:
    assert longest_under_water_ns(days(6), curve(100, 100, 100, 100, 99, 100)) == 2 * NS_PER_DAY


def test_a_curve_that_never_falls_has_no_drawdown() -> None:
    equity = curve(100, 100, 101)
    assert max_drawdown(equity) == 0.0
    assert deepest_drawdown(days(3), equity) is None
    assert longest_under_water_ns(days(3), equity) == 0


def test_the_deepest_fall_is_relative_to_its_own_peak() -> None:
    # 50 of 100 is deeper than 60 of 200.
    found = deepest_drawdown(days(5), curve(100, 50, 200, 140, 200))
    assert found == Drawdown(depth=0.5, peak_ns=0, trough_ns=NS_PER_DAY, recovery_ns=2 * NS_PER_DAY)


def test_of_equal_falls_the_first_is_named_and_the_peak_is_its_last_time_there() -> None:
    found = deepest_drawdown(days(7), curve(90, 100, 100, 80, 100, 80, 100))
    assert found == Drawdown(
        depth=0.2, peak_ns=2 * NS_PER_DAY, trough_ns=3 * NS_PER_DAY, recovery_ns=4 * NS_PER_DAY
    )


def test_a_fall_that_is_not_regained_has_no_recovery_time() -> None:
    found = deepest_drawdown(days(3), curve(100, 80, 99))
    assert found is not None
    assert found.recovery_ns is None


def test_debt_is_a_drawdown_of_more_than_everything() -> None:
    assert drawdown_curve(curve(100, 0, -20)).tolist() == [0.0, 1.0, 1.2]


def test_an_empty_curve_has_no_figures() -> None:
    assert math.isnan(max_drawdown(curve()))
    assert deepest_drawdown(days(0), curve()) is None
    assert longest_under_water_ns(days(0), curve()) == 0


@pytest.mark.parametrize("equity", [curve(100, math.nan), curve(math.inf), curve(0, 100)])
def test_a_curve_without_a_positive_finite_start_or_with_nan_is_refused(equity: FloatArray) -> None:
    with pytest.raises(ValueError, match="equity must"):
        max_drawdown(equity)
