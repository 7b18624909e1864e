"""Returns: by which fractions did the equity change, per bar, UTC day, month and year?

An equity curve (and its times) comes in; arrays of simple returns, day closes and calendar tables go out. The same
two policies hold in the whole package. NaN and infinity are refused. Ruin ends a series: the return of the period in
which equity first reaches zero or less is its last one (-1 or below), because a fraction of nothing is not defined.
"""

from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.units import NS_PER_DAY, NS_PER_YEAR

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


class DailyCloses(NamedTuple):
    """One close for every UTC day from the first to the last, none left out.

    Attributes:
        day: Days since 1970-01-01, shape (n_days,), consecutive.
        equity: Equity at the end of that day, shape (n_days,).
    """

    day: IntArray
    equity: FloatArray


class MonthReturn(msgspec.Struct, frozen=True, kw_only=True):
    """The return of one UTC calendar month, a fraction; NaN if the month began with no equity left."""

    year: int
    month: int
    value: float


class YearReturn(msgspec.Struct, frozen=True, kw_only=True):
    """The return of one UTC calendar year, a fraction; NaN if the year began with no equity left."""

    year: int
    value: float


def periods_per_year(interval_ns: int) -> float:
    """Return how many intervals make a year of 365 days: crypto trades every day.

    Raises:
        ValueError: `interval_ns` is not positive.
    """
    if interval_ns <= 0:
        raise ValueError(f"interval_ns must be > 0, was {interval_ns}")
    return NS_PER_YEAR / interval_ns


def finite_array(values: FloatArray, name: str) -> FloatArray:
    """Return `values` as a float64 array of one dimension.

    Raises:
        ValueError: Another shape, NaN or infinity; the message calls the values `name`.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, had {array.ndim}")
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, was {array[at]} at index {at}")
    return array


def increasing_times(ts_ns: IntArray, n_points: int) -> IntArray:
    """Return `ts_ns` as an int64 array.

    Raises:
        ValueError: Not `n_points` times, or not strictly increasing.
    """
    times = np.asarray(ts_ns, dtype=np.int64)
    if times.shape != (n_points,):
        raise ValueError(f"ts_ns must have shape ({n_points},) like its values, was {times.shape}")
    if not (times[1:] > times[:-1]).all():
        at = int(np.flatnonzero(times[1:] <= times[:-1])[0]) + 1
        raise ValueError(f"ts_ns must increase strictly, was {times[at]} after {times[at - 1]} at index {at}")
    return times


def simple_returns(equity: FloatArray) -> FloatArray:
    """Return equity[i] / equity[i-1] - 1 for each period.

    Args:
        equity: Shape (n_points,), the starting equity first; NaN and infinity are refused.

    Returns:
        Shape (n_points - 1,), fractions; shorter after ruin: the period that first ends at zero or below is the
        last one. Empty for fewer than two points.

    Raises:
        ValueError: NaN or infinity, or the first equity is not positive.
    """
    curve = finite_array(equity, "equity")
    if curve.size == 0:
        return curve
    if curve[0] <= 0:
        raise ValueError(f"equity must start > 0, was {curve[0]}")
    ruined = np.flatnonzero(curve <= 0)
    if ruined.size:
        curve = curve[: int(ruined[0]) + 1]
    returns: FloatArray = curve[1:] / curve[:-1] - 1.0
    return returns


def utc_day(ts_ns: IntArray) -> IntArray:
    """Return the UTC day (days since 1970-01-01) that each time closes in.

    A point stamped exactly 00:00 is the close of the day that ends there: bars carry their closing time.
    """
    days: IntArray = (ts_ns - 1) // NS_PER_DAY
    return days


def day_ends(days: IntArray) -> IntArray:
    """Return the index of the last point of each day; `days` is sorted and not empty."""
    return np.append(np.flatnonzero(days[1:] != days[:-1]), days.size - 1)


def carry_forward(days: IntArray, closes: FloatArray) -> DailyCloses:
    """Return a close for every day between the first and the last; a day without a point keeps the last close.

    So a day without data is a day with return 0, and 365 days remain a year.
    """
    if days.size == 0:
        return DailyCloses(days, closes)
    every = np.arange(days[0], days[-1] + 1, dtype=np.int64)
    return DailyCloses(every, closes[np.searchsorted(days, every, side="right") - 1])


def daily_closes(ts_ns: IntArray, equity: FloatArray) -> DailyCloses:
    """Return the equity at the end of every UTC day.

    Args:
        ts_ns: Shape (n_points,), strictly increasing, UTC epoch.
        equity: Shape (n_points,); NaN and infinity are refused.

    Raises:
        ValueError: NaN or infinity, times that do not increase, or different lengths.
    """
    curve = finite_array(equity, "equity")
    times = increasing_times(ts_ns, curve.size)
    if curve.size == 0:
        return DailyCloses(times, curve)
    days = utc_day(times)
    ends = day_ends(days)
    return carry_forward(days[ends], curve[ends])


def _calendar_returns(closes: DailyCloses, capital: float, unit: str) -> tuple[IntArray, FloatArray]:
    # Periods are counted since 1970 in `unit` ("M" or "Y"); numpy knows the calendar, so no datetime is needed.
    period = closes.day.astype("datetime64[D]").astype(f"datetime64[{unit}]").astype(np.int64)
    ends = day_ends(period)
    final = closes.equity[ends]
    opening = np.concatenate(([capital], final[:-1]))
    alive = opening > 0
    values = np.full(final.shape, np.nan)
    values[alive] = final[alive] / opening[alive] - 1.0
    return period[ends], values


def monthly_returns(closes: DailyCloses, capital: float) -> tuple[MonthReturn, ...]:
    """Return the return of every UTC month, the first one measured from `capital`; the ends may be part months."""
    if closes.day.size == 0:
        return ()
    months, values = _calendar_returns(closes, capital, "M")
    return tuple(
        MonthReturn(year=1970 + month // 12, month=month % 12 + 1, value=value)
        for month, value in zip(months.tolist(), values.tolist(), strict=True)
    )


def yearly_returns(closes: DailyCloses, capital: float) -> tuple[YearReturn, ...]:
    """Return the return of every UTC year, the first one measured from `capital`; the ends may be part years."""
    if closes.day.size == 0:
        return ()
    years, values = _calendar_returns(closes, capital, "Y")
    return tuple(
        YearReturn(year=1970 + year, value=value)
        for year, value in zip(years.tolist(), values.tolist(), strict=True)
    )
