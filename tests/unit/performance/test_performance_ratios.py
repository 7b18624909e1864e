"""Ratios against the textbook formula, and every case in which a ratio is not defined."""

import math
import statistics

import numpy as np
import pytest

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_YEAR
from njord.performance.ratios import (
    ReturnMoments,
    annual_volatility,
    cagr,
    calmar_ratio,
    moments_of,
    sharpe_ratio,
    sortino_ratio,
    total_return,
)
from njord.performance.returns import periods_per_year

RETURNS = np.array([0.01, -0.02, 0.03, 0.005, -0.01])


def test_sharpe_is_the_mean_over_the_sample_deviation_times_the_root_of_a_year() -> None:
    values = RETURNS.tolist()
    expected = math.sqrt(365) * statistics.mean(values) / statistics.stdev(values)
    assert sharpe_ratio(RETURNS, 365) == pytest.approx(expected, rel=1e-14)


def test_sharpe_counts_only_what_exceeds_the_risk_free_rate() -> None:
    excess = [value - 0.001 for value in RETURNS.tolist()]
    expected = math.sqrt(365) * statistics.mean(excess) / statistics.stdev(excess)
    assert sharpe_ratio(RETURNS, 365, risk_free=0.001) == pytest.approx(expected, rel=1e-14)


def test_minute_returns_are_annualized_with_minutes_and_not_with_days() -> None:
    # Pitfall W43: sqrt(365) on minutes reported 0.83 where 31.6 was right, a factor of sqrt(1440) = 38.
    minutes = sharpe_ratio(RETURNS, periods_per_year(NS_PER_MINUTE))
    assert minutes / sharpe_ratio(RETURNS, 365) == pytest.approx(math.sqrt(1440))


def test_sortino_divides_by_the_downside_over_all_periods() -> None:
    downside = math.sqrt((0.02**2 + 0.01**2) / 5)
    assert sortino_ratio(RETURNS, 365) == pytest.approx(math.sqrt(365) * 0.003 / downside, rel=1e-12)


def test_sortino_measures_against_its_target() -> None:
    downside = math.sqrt((0.03**2 + 0.005**2 + 0.02**2) / 5)
    expected = math.sqrt(365) * (0.003 - 0.01) / downside
    assert sortino_ratio(RETURNS, 365, target=0.01) == pytest.approx(expected, rel=1e-12)


def test_volatility_is_the_sample_deviation_times_the_root_of_a_year() -> None:
    expected = statistics.stdev(RETURNS.tolist()) * math.sqrt(365)
    assert annual_volatility(RETURNS, 365) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("returns", [[], [0.01]])
def test_fewer_than_two_returns_have_no_ratio(returns: list[float]) -> None:
    series = np.array(returns)
    assert math.isnan(sharpe_ratio(series, 365))
    assert math.isnan(sortino_ratio(series, 365))
    assert math.isnan(annual_volatility(series, 365))


@pytest.mark.parametrize("value", [0.0, 0.1, -0.1])
def test_constant_returns_have_no_volatility_and_no_sharpe(value: float) -> None:
    series = np.full(1000, value)
    assert annual_volatility(series, 365) == 0.0
    assert math.isnan(sharpe_ratio(series, 365))


def test_rounding_noise_of_steady_growth_makes_no_enormous_sharpe() -> None:
    equity = 10_000.0 * 1.0001 ** np.arange(500)
    returns = equity[1:] / equity[:-1] - 1
    assert returns.std(ddof=1) > 0
    assert math.isnan(sharpe_ratio(returns, 365))


def test_a_real_deviation_far_below_any_return_still_counts() -> None:
    assert math.isfinite(sharpe_ratio(np.array([1e-12, 2e-12, 3e-12]), 365))


def test_sortino_without_a_losing_period_is_not_defined() -> None:
    assert math.isnan(sortino_ratio(np.array([0.01, 0.02, 0.0]), 365))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_returns_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="returns must be finite"):
        sharpe_ratio(np.array([0.01, bad]), 365)


@pytest.mark.parametrize("periods", [0.0, -365.0, math.nan, math.inf])
def test_periods_per_year_must_be_a_positive_number(periods: float) -> None:
    with pytest.raises(ValueError, match="periods_per_year must be > 0"):
        sharpe_ratio(RETURNS, periods)


def test_total_return_is_a_fraction_of_the_start() -> None:
    assert total_return(100.0, 130.0) == pytest.approx(0.3)
    assert total_return(100.0, -20.0) == pytest.approx(-1.2)


@pytest.mark.parametrize(("initial", "final"), [(0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_total_return_needs_a_positive_start_and_finite_equity(initial: float, final: float) -> None:
    with pytest.raises(ValueError, match="equity must be finite and start > 0"):
        total_return(initial, final)


def test_cagr_is_the_yearly_rate_that_compounds_to_the_result() -> None:
    assert cagr(100.0, 121.0, 2 * NS_PER_YEAR) == pytest.approx(0.1)
    assert cagr(100.0, 110.0, NS_PER_YEAR // 2) == pytest.approx(0.21)


def test_cagr_of_ruin_is_minus_one_and_of_debt_not_defined() -> None:
    assert cagr(100.0, 0.0, NS_PER_YEAR) == -1.0
    assert math.isnan(cagr(100.0, -1.0, NS_PER_YEAR))


def test_cagr_without_time_or_beyond_a_float_is_not_defined() -> None:
    assert math.isnan(cagr(100.0, 110.0, 0))
    assert math.isnan(cagr(100.0, 150.0, NS_PER_MINUTE))
    assert cagr(100.0, 50.0, NS_PER_MINUTE) == -1.0


def test_calmar_of_thirty_percent_a_year_with_ten_percent_drawdown_is_three() -> None:
    # Acceptance T34.
    assert calmar_ratio(cagr(100.0, 130.0, 365 * NS_PER_DAY), 0.10) == pytest.approx(3.0)


def test_calmar_without_drawdown_is_not_defined() -> None:
    assert math.isnan(calmar_ratio(0.3, 0.0))
    assert math.isnan(calmar_ratio(math.nan, 0.1))


def test_merging_an_empty_series_changes_nothing() -> None:
    moments = moments_of(RETURNS)
    assert ReturnMoments().merge(moments) == moments
    assert moments.merge(ReturnMoments()) == moments
    assert ReturnMoments().merge(ReturnMoments()) == ReturnMoments()


def test_merging_loses_no_deviation_to_a_large_mean() -> None:
    # The textbook sum of squares minus squared mean would return nothing but noise here.
    values = 1e9 + np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    merged = moments_of(values[:2]).merge(moments_of(values[2:]))
    assert merged.squares == pytest.approx(17.5, rel=1e-12)
    assert merged.mean == 1e9 + 3.5
