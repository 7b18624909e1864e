"""Intervals against the binomial itself, and against published figures."""

import math

import pytest

from njord.research.montecarlo_bounds import interval_ranks, rank_of, wilson


def below(n: int, chance: float, count: int) -> float:
    """P(X <= count), summed term by term."""
    return math.fsum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(count + 1))


@pytest.mark.parametrize("n", [1, 5, 20, 97, 300])
@pytest.mark.parametrize("percent", [1, 5, 25, 50, 75, 95, 99])
def test_ranks_are_as_near_as_they_may_be_and_hold_with_95_percent(n: int, percent: int) -> None:
    low, high = interval_ranks(percent, n)
    chance = percent / 100
    if low is not None:
        assert below(n, chance, low - 1) <= 0.025
    assert below(n, chance, low or 0) > 0.025
    if high is not None:
        assert 1 - below(n, chance, high - 1) <= 0.025 + 1e-12
    assert 1 - below(n, chance, (high or n + 1) - 2) > 0.025


def test_the_median_of_many_values_has_the_interval_of_the_normal_approximation() -> None:
    n = 10_000_000
    low, high = interval_ranks(50, n)
    assert low == pytest.approx(n / 2 - 1.959964 * math.sqrt(n) / 2, abs=2)
    assert high == pytest.approx(n / 2 + 1.959964 * math.sqrt(n) / 2 + 1, abs=2)


def test_a_tail_of_few_values_is_open() -> None:
    assert interval_ranks(1, 100)[0] is None
    assert interval_ranks(99, 100)[1] is None
    assert interval_ranks(50, 5) == (None, None)


@pytest.mark.parametrize(
    ("percent", "n", "rank"), [(1, 10, 1), (5, 10_000, 500), (50, 4, 2), (50, 5, 3), (99, 100, 99)]
)
def test_a_percentile_is_the_first_value_with_so_many_at_or_below_it(percent: int, n: int, rank: int) -> None:
    assert rank_of(percent, n) == rank


# Newcombe (1998), Statistics in Medicine 17, 857-872, table I, the score method without continuity correction.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_probabilities_have_the_published_intervals(hits: int, n: int, low: float, high: float) -> None:
    found = wilson(hits, n)
    assert (found.value, found.n) == (hits / n, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_all_or_none_reach_their_end() -> None:
    assert wilson(10, 10).high == 1.0 and wilson(0, 10).low == 0.0
