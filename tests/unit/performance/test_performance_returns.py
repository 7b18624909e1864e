"""Returns, day closes and calendar tables, on numbers worked out by hand."""

import math

import numpy as np
import pytest

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.performance.returns import (
    DailyCloses,
    carry_forward,
    daily_closes,
    monthly_returns,
    periods_per_year,
    simple_returns,
    yearly_returns,
)


def day_of(date: str) -> int:
    return int(np.datetime64(date, "D").astype(np.int64))


def test_a_year_has_365_days_of_bars() -> None:
    assert periods_per_year(NS_PER_DAY) == 365
    assert periods_per_year(NS_PER_MINUTE) == 525_600


@pytest.mark.parametrize("interval_ns", [0, -1])
def test_an_interval_that_is_not_positive_is_refused(interval_ns: int) -> None:
    with pytest.raises(ValueError, match="interval_ns must be > 0"):
        periods_per_year(interval_ns)


def test_simple_returns_are_fractions_of_the_equity_before() -> None:
    assert simple_returns(np.array([100.0, 110.0, 99.0])).tolist() == pytest.approx([0.1, -0.1])


@pytest.mark.parametrize("n_points", [0, 1])
def test_fewer_than_two_points_have_no_return(n_points: int) -> None:
    assert simple_returns(np.full(n_points, 100.0)).size == 0


def test_returns_end_with_the_period_of_ruin() -> None:
    assert simple_returns(np.array([100.0, 50.0, 0.0, 70.0])).tolist() == [-0.5, -1.0]
    assert simple_returns(np.array([100.0, -20.0, -30.0])).tolist() == [-1.2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_place(bad: float) -> None:
    with pytest.raises(ValueError, match=r"equity must be finite, was -?(nan|inf) at index 1"):
        simple_returns(np.array([100.0, bad, 100.0]))


def test_a_curve_that_starts_without_equity_is_refused() -> None:
    with pytest.raises(ValueError, match="equity must start > 0"):
        simple_returns(np.array([0.0, 100.0]))


def test_a_table_is_not_an_equity_curve() -> None:
    with pytest.raises(ValueError, match="one dimension"):
        simple_returns(np.ones((2, 2)))


def test_a_bar_that_closes_at_midnight_belongs_to_the_day_it_ends() -> None:
    day = day_of("2024-03-01") * NS_PER_DAY
    ts_ns = np.array([day + NS_PER_MINUTE, day + NS_PER_DAY, day + NS_PER_DAY + 1])
    closes = daily_closes(ts_ns, np.array([1.0, 2.0, 3.0]))
    assert closes.day.tolist() == [day_of("2024-03-01"), day_of("2024-03-02")]
    assert closes.equity.tolist() == [2.0, 3.0]


def test_a_day_without_data_keeps_the_last_close() -> None:
    closes = carry_forward(np.array([10, 13]), np.array([100.0, 120.0]))
    assert closes.day.tolist() == [10, 11, 12, 13]
    assert closes.equity.tolist() == [100.0, 100.0, 100.0, 120.0]


def test_no_points_have_no_days_and_no_months() -> None:
    closes = daily_closes(np.array([], dtype=np.int64), np.array([]))
    assert closes.day.size == 0
    assert monthly_returns(closes, 100.0) == ()
    assert yearly_returns(closes, 100.0) == ()


@pytest.mark.parametrize("ts_ns", [[5, 5], [5, 4]])
def test_times_that_do_not_increase_are_refused(ts_ns: list[int]) -> None:
    with pytest.raises(ValueError, match=r"ts_ns must increase strictly, was [45] after 5 at index 1"):
        daily_closes(np.array(ts_ns), np.array([1.0, 2.0]))


def test_times_and_values_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        daily_closes(np.array([1, 2, 3]), np.array([1.0, 2.0]))


def test_months_follow_the_calendar_over_new_year_and_leap_day() -> None:
    dates = ["2023-12-30", "2023-12-31", "2024-01-01", "2024-01-31", "2024-02-29", "2024-03-01"]
    closes = carry_forward(
        np.array([day_of(date) for date in dates]), np.array([105.0, 110.0, 120.0, 121.0, 60.5, 121.0])
    )
    months = monthly_returns(closes, 100.0)
    assert [(month.year, month.month) for month in months] == [(2023, 12), (2024, 1), (2024, 2), (2024, 3)]
    assert [month.value for month in months] == pytest.approx([0.10, 0.10, -0.5, 1.0])
    years = yearly_returns(closes, 100.0)
    assert [year.year for year in years] == [2023, 2024]
    assert [year.value for year in years] == pytest.approx([0.10, 0.10])


def test_days_before_1970_have_months_too() -> None:
    closes = DailyCloses(np.array([day_of("1969-12-31"), 0]), np.array([50.0, 75.0]))
    assert [(month.year, month.month, month.value) for month in monthly_returns(closes, 100.0)] == [
        (1969, 12, -0.5),
        (1970, 1, 0.5),
    ]


def test_a_month_that_began_without_equity_has_no_return() -> None:
    closes = carry_forward(np.array([day_of("2024-01-31"), day_of("2024-02-01")]), np.array([-5.0, 10.0]))
    january, february = monthly_returns(closes, 100.0)
    assert january.value == pytest.approx(-1.05)
    assert math.isnan(february.value)
