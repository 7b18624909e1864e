"""Windows by hand, and what happens at their edges."""

import math

import numpy as np
import pytest

from njord.kernels import rolling as plain
from njord.kernels import rolling_batch as batch
from njord.kernels.rolling import NO_LINE, NO_SUMS, Line, Sums
from njord.kernels.rolling_extreme import extreme


def sums(values: list[int], window: int) -> Sums:
    state = NO_SUMS
    for row, value in enumerate(values):
        state = plain.sums_step(state, value, values[row - window] if row >= window else 0, window)
    return state


def line(values: list[int], window: int) -> Line:
    state = NO_LINE
    for row, value in enumerate(values):
        state = plain.line_step(state, value, values[row - window] if row >= window else 0, window)
    return state


def test_mean_and_population_deviation_of_a_known_sample() -> None:
    state = sums([99, 2, 4, 4, 4, 5, 5, 7, 9], 8)
    assert (plain.mean_value(state, 8), plain.deviation_value(state, 8)) == (5.0, 2.0)


def test_bollinger_bands_stand_so_many_deviations_around_the_mean() -> None:
    assert plain.bollinger_value(sums([2, 4, 4, 4, 5, 5, 7, 9], 8), 8, 1.5) == (2.0, 5.0, 8.0)


def test_a_deviation_far_from_zero_loses_no_digits() -> None:
    near = plain.deviation_value(sums([0, 1, 0, 1, 1], 5), 5)
    assert plain.deviation_value(sums([10**15, 10**15 + 1, 10**15, 10**15 + 1, 10**15 + 1], 5), 5) == near


def test_equal_values_have_no_deviation_and_bands_without_width() -> None:
    assert plain.bollinger_value(sums([7] * 9, 4), 4, 2.0) == (7.0, 7.0, 7.0)


def test_a_trend_line_through_points_on_a_line_is_that_line() -> None:
    state = line([50, 1, 4, 7, 10], 4)
    numerator, denominator = plain.ahead_value(state, 4)
    assert plain.slope_value(state, 4) == 3.0
    assert (numerator % denominator, numerator // denominator) == (0, 13)


def test_a_trend_line_is_the_least_squares_one() -> None:
    # Places 0 1 2, values 1 2 4: slope 3/2, mean 7/3, so 16/3 at place 3.
    state = line([1, 2, 4], 3)
    assert plain.slope_value(state, 3) == 1.5
    assert plain.ahead_value(state, 3) == (32, 6)


def test_nothing_is_said_before_the_window_is_full() -> None:
    state = sums([1, 2], 3)
    said = [
        plain.mean_value(state, 3),
        plain.deviation_value(state, 3),
        *plain.bollinger_value(state, 3, 2.0),
    ]
    assert all(
        map(math.isnan, [*said, plain.slope_value(line([1, 2], 3), 3), plain.slope_value(line([1], 1), 1)])
    )
    assert plain.ahead_value(line([1, 2], 3), 3) == plain.ahead_value(line([1], 1), 1) == (0, 1)


@pytest.mark.parametrize(("sign", "expected"), [(1, [3, 3, 4, 4, 4, 2, 2]), (-1, [3, 1, 1, 1, 2, 2, 2])])
def test_extremes_leave_with_their_row(sign: int, expected: list[int]) -> None:
    xs = [3, 1, 4, 2, 2, 2, 2]
    rows, values, head, n, said = [0] * 3, [0] * 3, 0, 0, []
    for row, x in enumerate(xs):
        head, n = plain.extreme_step(rows, values, head, n, row, x, sign)
        said.append(values[head])
    assert said == expected
    out = np.empty(len(xs), np.int64)
    extreme(np.array(xs), 3, sign, out)
    assert out.tolist() == expected


def test_what_an_int64_can_not_sum_is_refused_and_what_it_can_is_not() -> None:
    assert batch.check_range(np.array([10**12, 10**12 + 5]), 1000) == 10**12
    assert batch.check_range(np.array([], np.int64), 3) == 0
    for xs, window in (([0, 2**31], 1), ([0, 2**22], 2**9), ([2**61], 2), ([-(2**63), 2**63 - 1], 1)):
        with pytest.raises(ValueError, match="MONEY_RANGE"):
            batch.check_range(np.array(xs), window)
    with pytest.raises(ValueError, match="window must be >= 1, was 0"):
        batch.check_range(np.array([1]), 0)


def test_a_batch_says_what_the_steps_say() -> None:
    xs = np.array([99, 2, 4, 4, 4, 5, 5, 7, 9])
    out = np.empty(xs.size)
    batch.mean(xs, 8, out)
    assert out[8] == 5.0
    batch.deviation(xs, 8, batch.check_range(xs, 8), out)
    assert out[8] == 2.0
    batch.slope(xs, 2, batch.check_range(xs, 2), out)
    assert out[1:].tolist() == [-97, 2, 0, 0, 1, 0, 2, 2]
