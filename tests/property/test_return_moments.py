"""Skew and kurtosis from merged moments are those of the whole series, however it is cut."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.performance.ratios import ReturnMoments, moments_of, ratios_of
from njord.performance.returns import FloatArray

RETURNS = st.lists(
    st.floats(-0.5, 0.5, allow_subnormal=False).map(lambda value: round(value, 6)), max_size=60
)


def merged(returns: FloatArray, cuts: list[int]) -> ReturnMoments:
    total = ReturnMoments()
    for part in np.split(returns, cuts):
        total = total.merge(moments_of(part))
    return total


@given(RETURNS, st.sets(st.integers(0, 60)), st.sampled_from([0.0, 0.01, 100.0]))
def test_any_cut_gives_the_moments_of_the_whole(values: list[float], cuts: set[int], shift: float) -> None:
    returns = np.array(values) + shift
    found = merged(returns, sorted(cut for cut in cuts if cut <= len(values)))
    whole = moments_of(returns)
    assert found.n == whole.n
    # The size that rounding is measured by: of the sums if every deviation were as large as the largest.
    size = float(np.abs(returns - whole.mean).max()) if len(values) else 0.0
    noise = max(1.0, abs(shift)) * 1e-14
    for power, ours, theirs in ((3, found.cubes, whole.cubes), (4, found.quartics, whole.quartics)):
        assert ours == pytest.approx(
            theirs, rel=1e-9, abs=len(values) * power * (size + noise) ** (power - 1) * noise
        )


@given(RETURNS.filter(lambda values: len(set(values)) > 1), st.sets(st.integers(0, 60)))
def test_skew_and_kurtosis_are_the_textbook_ones(values: list[float], cuts: set[int]) -> None:
    returns = np.array(values)
    moments = merged(returns, sorted(cut for cut in cuts if cut <= len(values)))
    if math.isnan(moments.skew):  # Nothing but rounding noise.
        return
    standard = (returns - returns.mean()) / returns.std()
    assert moments.skew == pytest.approx(float((standard**3).mean()), rel=1e-8, abs=1e-8)
    assert moments.kurtosis == pytest.approx(float((standard**4).mean()), rel=1e-8)
    assert moments.kurtosis >= 1 + moments.skew**2 - 1e-8
    made = ratios_of(moments, 365.0)
    assert (made.skew, made.kurtosis) == (moments.skew, moments.kurtosis)


def test_a_constant_series_has_no_skew_and_no_kurtosis() -> None:
    for values in ([], [0.1], [0.1] * 50):
        moments = merged(np.array(values), [1] if values else [])
        assert math.isnan(moments.skew) and math.isnan(moments.kurtosis) and math.isnan(moments.sharpe)


def test_two_values_have_the_skew_and_kurtosis_of_their_closed_form() -> None:
    # Of p ones and 1 - p zeros: skew (1 - 2p) / sqrt(p (1 - p)), kurtosis 1 + skew**2.
    moments = merged(np.array([1.0] * 2 + [0.0] * 8), [3, 5, 6])
    assert moments.skew == pytest.approx(1.5)
    assert moments.kurtosis == pytest.approx(3.25)
