"""PBO against published outputs, with the very random numbers that they were made of.

Source: the R package pbo 1.3.5 (CRAN, M. Barry), an implementation of Bailey et al. (2017): the output of its vignette
(`set.seed(765)`: 100 trials of 2,400 days, each re-centered to no mean, 8 blocks), and what its own tests expect
(`set.seed(852)`). R's generator is public: a Mersenne twister, of which two words make one normal number by inversion.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pytest

from njord.performance.overfitting import pbo_cscv
from njord.performance.returns import FloatArray

RISK_FREE = 0.03 / 252  # What its Sharpe ratios take from each day's return.


def r_normals(seed: int, n: int) -> FloatArray:
    """Return what R's `set.seed(seed); rnorm(n)` returns."""
    words = [seed]
    for _ in range(50 + 625):
        words.append((69_069 * words[-1] + 1) % 2**32)
    twister = np.random.MT19937()
    twister.state = {
        "bit_generator": "MT19937",
        "state": {"key": np.array(words[-624:], dtype=np.uint32), "pos": 624},
    }
    uniform = twister.random_raw(2 * n).astype(np.float64) * 2.3283064365386963e-10
    fine = (np.floor(2**27 * uniform[::2]) + uniform[1::2]) / 2**27
    return np.array([NormalDist().inv_cdf(value) for value in fine.tolist()])


class Published(NamedTuple):
    """What that package says: its line predicts inside from outside, and its "slope" is that line's intercept."""

    pbo: float
    intercept: float
    adjusted_r_squared: float
    probability_of_loss: float


def computed(returns: FloatArray, n_blocks: int) -> Published:
    n_points, n_bars = returns.shape
    parts = (returns - RISK_FREE).reshape(n_points, n_blocks, -1)
    counts = np.full((n_points, n_blocks), float(parts.shape[2]))
    found = pbo_cscv(np.stack([counts, parts.sum(2), (parts**2).sum(2)], axis=2))
    to_ddof_1 = math.sqrt(1 - 2 / n_bars)  # Of a half.
    slope, intercept = np.polyfit(found.outside * to_ddof_1, found.inside * to_ddof_1, 1)
    assert np.sign(slope) == np.sign(found.slope)
    n_splits = found.n_splits
    adjusted = 1 - (1 - found.r_squared) * (n_splits - 1) / (n_splits - 2) if n_splits > 2 else math.nan
    return Published(found.pbo, intercept, adjusted, found.probability_of_loss)


def test_the_random_numbers_are_rs() -> None:
    # The most quoted ones: set.seed(42); rnorm(3).
    assert r_normals(42, 3).tolist() == pytest.approx([1.37095845, -0.56469817, 0.36312841], abs=5e-9)


def test_the_published_example_of_trials_that_were_made_alike() -> None:
    # The vignette prints p_bo 1.0000000, slope -0.0030456, ar^2 0.9700000, p_loss 1.0000000.
    returns = r_normals(765, 100 * 2_400).reshape(100, 2_400)
    returns /= returns.std(axis=1, ddof=1, keepdims=True) * math.sqrt(252)
    found = computed(returns - returns.mean(axis=1, keepdims=True), 8)
    assert (found.pbo, found.probability_of_loss) == (1.0, 1.0)
    assert found.intercept == pytest.approx(-0.0030456, abs=5e-8)
    assert found.adjusted_r_squared == pytest.approx(0.97, abs=5e-3)


def test_the_published_example_of_plain_noise() -> None:
    # Its tests: phi in (0.49, 0.51), slope in (0.19, 0.20), ar2 in (-0.24, -0.22), below_threshold in (0.49, 0.51).
    found = computed(r_normals(852, 40 * 200).reshape(200, 40).T, 4)
    assert (found.pbo, found.probability_of_loss) == (0.5, 0.5)
    assert 0.19 < found.intercept < 0.20
    assert -0.24 < found.adjusted_r_squared < -0.22


def test_the_published_example_of_two_blocks() -> None:
    # Its tests: phi 0, below_threshold 0.5.
    found = computed(r_normals(852, 4 * 20).reshape(20, 4).T, 2)
    assert (found.pbo, found.probability_of_loss) == (0.0, 0.5)
