"""Probabilistic and Deflated Sharpe, minimum track record length, expected maximum: against published numbers.

Sources of the numbers:
  SEF   Bailey and Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier", J. Risk 15(2): a hedge fund's record of
        24 months (mean 0.036, deviation 0.079, skew -2.448, kurtosis 10.164); the lengths needed to tell 2 from 1.
  DSR   Bailey and Lopez de Prado (2014), "The Deflated Sharpe Ratio", J. Portfolio Management 40(5): the numerical
        example (annual Sharpe 2.5 over 1,250 days of 250 a year, variance across trials 1/2 a year, skew -3, kurtosis 10).
  PMFC  Bailey, Borwein, Lopez de Prado and Zhu (2014), "Pseudo-Mathematics and Financial Charlatanism", Notices AMS 61(5).
        and its account in Bailey and Lopez de Prado (2021), "How backtest overfitting in finance leads to false
        discoveries", Significance 18(6): 7 trials for 2 years, 45 for 5.
  MTC   Lopez de Prado (2019), "A Data Science Solution to the Multiple-Testing Crisis in Financial Research", J.
        Financial Data Science 1(1): the best of 1,000 independent backtests.
Everything else is checked by a closed form or by simulation, and says so.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest

from njord.performance.selection import (
    TrialCount,
    deflated_sharpe,
    expected_max_sharpe,
    luck_benchmark,
    min_track_record_length,
    normal_cdf,
    probabilistic_sharpe,
    sharpe_error,
)

MONTHS, WEEKS, DAYS = 12, 52, 252
HEDGE_FUND = (-0.72, 5.78)  # Skew and kurtosis that SEF takes as those of hedge fund returns.


def tried(n: int, annual_variance: float = 0.5, days: int = 250) -> TrialCount:
    return TrialCount(n=n, n_compared=n, mean_sharpe=0.0, variance_sharpe=annual_variance / days)


@pytest.mark.parametrize(("shape", "published"), [((0.0, 3.0), 0.982), ((-2.448, 10.164), 0.913)])
def test_the_probabilistic_sharpe_of_the_published_hedge_fund(
    shape: tuple[float, float], published: float
) -> None:  # SEF: 0.982 if returns were normal, 0.913 with their true skew and tails.
    assert probabilistic_sharpe(0.458, 24, *shape) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize(
    ("per_year", "shape", "published_years"),
    [(DAYS, (0.0, 3.0), 2.73), (WEEKS, (0.0, 3.0), 2.83), (MONTHS, (0.0, 3.0), 3.24), (MONTHS, HEDGE_FUND, 4.99)],
)  # fmt: skip
def test_the_years_it_takes_to_tell_a_sharpe_of_2_from_1(
    per_year: int, shape: tuple[float, float], published_years: float
) -> None:  # SEF: daily, weekly and monthly normal returns, then monthly hedge fund returns.
    yearly = math.sqrt(per_year)
    length = min_track_record_length(2 / yearly, *shape, benchmark=1 / yearly)
    assert length / per_year == pytest.approx(published_years, abs=5e-3)


def test_the_best_expected_of_a_hundred_trials_in_the_published_example() -> None:
    # DSR: "SR0 = 0.1132" per day.
    assert luck_benchmark(tried(100), 1250) == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize(
    ("n_trials", "shape", "published"),
    [(100, (-3.0, 10.0), 0.9004), (46, (-3.0, 10.0), 0.9505), (88, (0.0, 3.0), 0.9505)],
)  # fmt: skip
def test_the_deflated_sharpe_of_the_published_example(
    n_trials: int, shape: tuple[float, float], published: float
) -> None:  # DSR: 100 trials are too many, 46 would have passed, and 88 if the returns had been normal.
    deflated = deflated_sharpe(2.5 / math.sqrt(250), 1250, *shape, tried(n_trials))
    assert deflated == pytest.approx(published, abs=5e-5)


def test_ten_trials_of_a_year_are_expected_to_show_the_published_sharpe() -> None:
    assert expected_max_sharpe(10, 1.0) == pytest.approx(1.57, abs=5e-3)  # PMFC


@pytest.mark.parametrize(("years", "published_trials"), [(5, 45), (2, 7)])
def test_the_published_number_of_trials_that_make_a_sharpe_of_one_out_of_nothing(
    years: int, published_trials: int
) -> None:  # PMFC: with 5 (2) years of data no more than 45 (7) trials should be tried.
    assert expected_max_sharpe(published_trials, 1 / years) <= 1.0
    assert expected_max_sharpe(published_trials + 1, 1 / years) > 1.0


def test_a_thousand_trials_are_expected_to_show_the_published_sharpe() -> None:
    assert expected_max_sharpe(1000, 1.0) == pytest.approx(3.26, abs=6e-3)  # MTC


def test_a_record_of_the_minimum_length_has_exactly_the_confidence() -> None:
    # A closed form: MinTRL solves PSR = confidence for n.
    for confidence in (0.9, 0.95, 0.99):
        length = min_track_record_length(0.05, -1.0, 7.0, 0.01, confidence)
        below, above = (
            probabilistic_sharpe(0.05, n, -1.0, 7.0, 0.01) for n in (math.floor(length), math.ceil(length))
        )
        assert below <= confidence <= above


def test_the_expected_maximum_agrees_with_the_mean_of_simulated_maxima() -> None:
    random = np.random.default_rng(6)
    for n_trials, far in ((10, 0.05), (100, 0.03), (1000, 0.02)):
        simulated = random.normal(0.3, 2.0, (400_000 // n_trials, n_trials)).max(axis=1)
        mean, error = simulated.mean(), simulated.std() / math.sqrt(simulated.size)
        stated = expected_max_sharpe(n_trials, 4.0, mean=0.3)
        assert abs(stated - mean) < far * mean + 3 * error


def test_the_error_of_a_sharpe_agrees_with_its_spread_over_simulated_records() -> None:
    random = np.random.default_rng(7)
    records = (
        0.2 + random.standard_exponential((4000, 400)) - 1.0
    )  # Skew 2, kurtosis 9, deviation 1, Sharpe 0.2.
    sharpes = records.mean(axis=1) / records.std(axis=1, ddof=1)
    assert sharpe_error(0.2, 400, 2.0, 9.0) == pytest.approx(sharpes.std(), rel=0.04)
    assert (
        sharpe_error(0.2, 400) > 1.2 * sharpes.std()
    )  # Without its skew it would look less sure than it is.


def test_the_normal_distribution_is_exact_in_both_tails() -> None:
    assert normal_cdf(0.0) == 0.5
    # Abramowitz and Stegun, table 26.2 and its asymptotic expansion 26.2.12.
    assert normal_cdf(1.0) == pytest.approx(0.841344746068543, rel=1e-14)
    assert normal_cdf(-10.0) == pytest.approx(7.619853024160527e-24, rel=1e-12)
    for p in (1e-300, 1e-12, 0.001, 0.3, 0.5, 0.999):
        assert normal_cdf(NormalDist().inv_cdf(p)) == pytest.approx(p, rel=1e-12)


def test_the_expected_maximum_keeps_its_digits_for_more_trials_than_one_minus_one_over_n_can_hold() -> None:
    assert expected_max_sharpe(1e17, 1.0) > expected_max_sharpe(1e16, 1.0) > 8.0


def test_one_trial_has_no_luck_to_take_away() -> None:
    assert luck_benchmark(TrialCount(n=1), 100) == 0.0
    assert deflated_sharpe(0.1, 250, -1.0, 5.0, TrialCount(n=1)) == probabilistic_sharpe(0.1, 250, -1.0, 5.0)


def test_trials_that_can_not_be_compared_have_the_variance_of_chance() -> None:
    assert luck_benchmark(TrialCount(n=10, n_compared=1), 101) == expected_max_sharpe(10, 0.01)
    assert math.isnan(luck_benchmark(TrialCount(n=10), 1))


def test_more_trials_fatter_tails_and_shorter_records_make_less_of_the_same_sharpe() -> None:
    base = deflated_sharpe(0.1, 1000, 0.0, 3.0, tried(10))
    assert deflated_sharpe(0.1, 1000, 0.0, 3.0, tried(11)) < base
    assert deflated_sharpe(0.1, 1000, 0.0, 9.0, tried(10)) < base
    assert deflated_sharpe(0.1, 1000, -1.0, 3.0, tried(10)) < base
    assert deflated_sharpe(0.1, 900, 0.0, 3.0, tried(10)) < base


def test_what_is_not_defined_is_nan_and_what_never_comes_is_infinite() -> None:
    assert math.isnan(probabilistic_sharpe(0.1, 1))
    assert math.isnan(probabilistic_sharpe(math.nan, 100))
    assert math.isnan(min_track_record_length(math.nan))
    assert math.isinf(min_track_record_length(0.0))
    assert math.isinf(min_track_record_length(0.1, benchmark=0.1))


def test_returns_of_two_values_are_certain_at_the_limit_of_skew_and_kurtosis() -> None:
    # kurtosis = 1 + skew**2 and skew * sharpe = 2: the numerator is a square, and here it is zero.
    assert probabilistic_sharpe(1.0, 10, 2.0, 5.0) == 1.0
    assert probabilistic_sharpe(1.0, 10, 2.0, 5.0, benchmark=1.0) == 0.5
    assert probabilistic_sharpe(1.0, 10, 2.0, 5.0, benchmark=2.0) == 0.0


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="kurtosis must be"):
        probabilistic_sharpe(1.0, 10, skew=3.0, kurtosis=3.0)
    with pytest.raises(ValueError, match="confidence"):
        min_track_record_length(0.1, confidence=0.5)
    with pytest.raises(ValueError, match="n_trials"):
        expected_max_sharpe(0, 1.0)
