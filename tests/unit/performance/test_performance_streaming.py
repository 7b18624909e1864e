"""Streaming statistics: where the curve begins, what is refused, ruin, and memory that does not grow with bars."""

import math
import sys

import numpy as np
import pytest

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.performance.drawdown import Drawdown
from njord.performance.streaming import EquityStatistics


def statistics_of(*equity: float, capital: float = 100.0) -> EquityStatistics:
    statistics = EquityStatistics(capital=capital, interval_ns=NS_PER_DAY)
    statistics.update(np.arange(1, len(equity) + 1, dtype=np.int64) * NS_PER_DAY, np.array(equity))
    return statistics


def test_the_curve_begins_with_the_capital_one_bar_before_the_first_close() -> None:
    statistics = statistics_of(80.0, 120.0)
    assert statistics.start_ns == 0
    assert statistics.elapsed_ns == 2 * NS_PER_DAY
    assert statistics.bar.n_periods == 2
    assert statistics.total_return == pytest.approx(0.2)
    assert statistics.deepest_drawdown == Drawdown(
        depth=0.2, peak_ns=0, trough_ns=NS_PER_DAY, recovery_ns=2 * NS_PER_DAY
    )


def test_without_points_nothing_is_defined() -> None:
    statistics = EquityStatistics(capital=100.0, interval_ns=NS_PER_DAY)
    statistics.update(np.array([], dtype=np.int64), np.array([]))
    assert (statistics.start_ns, statistics.end_ns, statistics.elapsed_ns) == (None, None, 0)
    assert (statistics.best_day, statistics.worst_day, statistics.deepest_drawdown) == (None, None, None)
    assert statistics.monthly_returns() == ()
    assert statistics.longest_under_water_ns == 0
    assert statistics.total_return == 0.0
    assert math.isnan(statistics.cagr)
    assert math.isnan(statistics.max_drawdown)
    assert math.isnan(statistics.bar.sharpe)
    assert math.isnan(statistics.daily.sharpe)


def test_best_and_worst_day_are_named_by_their_date() -> None:
    statistics = statistics_of(110.0, 99.0, 99.0, 148.5)
    assert statistics.best_day is not None
    assert statistics.worst_day is not None
    assert (statistics.best_day.day, statistics.worst_day.day) == (3, 1)
    assert statistics.best_day.value == pytest.approx(0.5)
    assert statistics.worst_day.value == pytest.approx(-0.1)


def test_calmar_is_the_growth_of_a_year_over_the_deepest_fall() -> None:
    # Acceptance T34: +30 % over a year with a drawdown of 10 % is 3.
    equity = np.full(365, 100.0)
    equity[100], equity[-1] = 90.0, 130.0
    assert statistics_of(*equity).calmar == pytest.approx(3.0)


def test_a_fall_over_several_chunks_is_one_fall() -> None:
    statistics = EquityStatistics(capital=100.0, interval_ns=NS_PER_DAY)
    for day, equity in enumerate([120.0, 110.0, 90.0, 119.0, 120.0, 119.0], start=1):
        statistics.update(np.array([day * NS_PER_DAY]), np.array([equity]))
    assert statistics.deepest_drawdown == Drawdown(
        depth=0.25, peak_ns=NS_PER_DAY, trough_ns=3 * NS_PER_DAY, recovery_ns=5 * NS_PER_DAY
    )
    assert statistics.longest_under_water_ns == 4 * NS_PER_DAY


def test_a_recovery_once_found_stays_where_it_was() -> None:
    statistics = EquityStatistics(capital=100.0, interval_ns=NS_PER_DAY)
    for day, equity in enumerate([50.0, 100.0, 101.0, 100.0, 102.0], start=1):
        statistics.update(np.array([day * NS_PER_DAY]), np.array([equity]))
    assert statistics.deepest_drawdown == Drawdown(
        depth=0.5, peak_ns=0, trough_ns=NS_PER_DAY, recovery_ns=2 * NS_PER_DAY
    )


def test_returns_end_at_ruin_and_its_time_is_told() -> None:
    statistics = statistics_of(50.0, 0.0, 40.0, 80.0)
    assert statistics.ruined_ns == 2 * NS_PER_DAY
    assert (statistics.bar.n_periods, statistics.daily.n_periods) == (2, 2)
    assert statistics.max_drawdown == 1.0
    assert statistics.final_equity == 80.0
    statistics.update(np.array([5 * NS_PER_DAY]), np.array([-10.0]))
    assert statistics.ruined_ns == 2 * NS_PER_DAY
    assert statistics.bar.n_periods == 2
    assert statistics.max_drawdown == pytest.approx(1.1)
    assert math.isnan(statistics.cagr)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_refused_chunk_changes_nothing(bad: float, place: int) -> None:
    statistics = statistics_of(110.0, 90.0)
    before = (statistics.bar, statistics.n_points, statistics.end_ns, statistics.deepest_drawdown)
    equity = np.array([100.0, 100.0, 100.0])
    equity[place] = bad
    with pytest.raises(ValueError, match="equity must be finite"):
        statistics.update(np.array([3, 4, 5]) * NS_PER_DAY, equity)
    assert (statistics.bar, statistics.n_points, statistics.end_ns, statistics.deepest_drawdown) == before


@pytest.mark.parametrize("ts_ns", [[2, 3], [3, 3], [4, 3], [1, 5]])
def test_times_must_increase_within_a_chunk_and_after_the_last_one(ts_ns: list[int]) -> None:
    statistics = statistics_of(110.0, 90.0)
    with pytest.raises(ValueError, match="ts_ns must increase strictly"):
        statistics.update(np.array(ts_ns) * NS_PER_DAY, np.array([100.0, 100.0]))
    assert statistics.n_points == 2


def test_times_and_equity_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        statistics_of().update(np.array([1, 2]), np.array([1.0]))
    with pytest.raises(ValueError, match="one dimension"):
        statistics_of().update(np.array([1, 2]), np.ones((1, 2)))


@pytest.mark.parametrize("capital", [0.0, -1.0, math.nan, math.inf])
def test_capital_must_be_a_positive_number(capital: float) -> None:
    with pytest.raises(ValueError, match="capital must be > 0"):
        EquityStatistics(capital=capital, interval_ns=NS_PER_DAY)


def test_memory_is_one_close_per_day_however_many_bars_a_day_has() -> None:
    def held(bars_per_day: int) -> int:
        interval_ns = NS_PER_DAY // bars_per_day
        statistics = EquityStatistics(capital=100.0, interval_ns=interval_ns)
        n_bars = 3 * bars_per_day
        for first in range(0, n_bars, 97):
            index = np.arange(first, min(first + 97, n_bars), dtype=np.int64)
            statistics.update((index + 1) * interval_ns, 100.0 + np.sin(index))
        assert statistics.daily_closes().day.tolist() == [0, 1, 2]
        held_lists = [value for value in vars(statistics).values() if isinstance(value, list)]
        assert not [value for value in vars(statistics).values() if isinstance(value, np.ndarray)]
        return sum(sys.getsizeof(value) for value in held_lists)

    assert held(24) == held(NS_PER_DAY // NS_PER_MINUTE)
