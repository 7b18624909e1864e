"""The block length against the rule's own formula on series of known dependence."""

import math

import numpy as np
import pytest

from njord.performance.returns import FloatArray
from njord.research.montecarlo_blocks import automatic_block


def autoregressive(n: int, rho: float, seed: int = 1) -> FloatArray:
    noise = np.random.default_rng(seed).standard_normal(n)
    values = np.empty(n)
    last = noise[0] / math.sqrt(1 - rho * rho)
    for place in range(n):
        last = rho * last + noise[place]
        values[place] = last
    return values


def by_the_rule(returns: FloatArray) -> float:
    """Politis & White (2004), section 3, term by term, with Patton, Politis & White's D = 2 g(0)^2."""
    n = returns.size
    centered = returns - returns.mean()
    quiet = max(5, math.ceil(math.sqrt(math.log10(n))))
    lags = math.ceil(math.sqrt(n)) + quiet
    covariance = [float(centered[k:] @ centered[: n - k]) / n for k in range(lags + 1)]
    band = 2 * math.sqrt(math.log10(n) / n)
    small = [abs(value / covariance[0]) <= band for value in covariance]
    m = next(m for m in range(lags) if all(small[m + 1 : m + 1 + quiet]))
    reach = 2 * m
    if reach == 0:
        return 1.0
    weight = {k: 1.0 if abs(k / reach) <= 0.5 else 2 * (1 - abs(k / reach)) for k in range(-reach, reach + 1)}
    spectrum = sum(w * covariance[abs(k)] for k, w in weight.items())
    bend = sum(w * abs(k) * covariance[abs(k)] for k, w in weight.items())
    return float((2 * bend**2 / (2 * spectrum**2)) ** (1 / 3) * n ** (1 / 3))


@pytest.mark.parametrize("rho", [0.3, 0.7, -0.5])
def test_the_length_is_the_rule_s(rho: float) -> None:
    returns = autoregressive(1_000, rho)
    assert automatic_block(returns) == pytest.approx(max(1.0, by_the_rule(returns)), rel=1e-9)


def test_the_length_nears_what_the_true_spectrum_asks_for() -> None:
    """For an AR(1) the optimum is (2 rho / (1 - rho^2))^(2/3) n^(1/3)."""
    rho, n = 0.5, 20_000
    best = (2 * rho / (1 - rho * rho)) ** (2 / 3) * n ** (1 / 3)
    lengths = [automatic_block(autoregressive(n, rho, seed)) for seed in range(3)]
    assert np.mean(lengths) == pytest.approx(best, rel=0.2)


def test_independent_or_constant_returns_need_no_blocks() -> None:
    assert automatic_block(np.random.default_rng(2).standard_normal(4_000)) == 1.0
    assert automatic_block(np.zeros(50)) == 1.0
    assert automatic_block(np.array([0.1, -0.1])) == 1.0


def test_the_length_has_a_bound() -> None:
    differences = np.diff(np.random.default_rng(0).standard_normal(401))
    assert automatic_block(differences) == 3 * math.sqrt(
        400
    )  # No spectrum at zero: none would be long enough.
    assert automatic_block(differences[:30]) <= 10
