"""Streaming: every figure of an equity curve without keeping the curve.

Chunks of (time, equity at that bar's close) come in, in order and in any size; returns, ratios, drawdown and calendar
tables go out at any moment, the same as the batch functions give for the whole curve. Memory is one close per UTC day
and nothing per bar. The curve is taken to begin with the capital, one bar interval before the first point.
"""

import math

import msgspec
import numpy as np

from njord.core.units import NS_PER_DAY
from njord.performance.drawdown import Drawdown
from njord.performance.ratios import (
    Ratios,
    ReturnMoments,
    cagr,
    calmar_ratio,
    moments_of,
    ratios_of,
    total_return,
)
from njord.performance.returns import (
    DailyCloses,
    FloatArray,
    IntArray,
    MonthReturn,
    YearReturn,
    carry_forward,
    day_ends,
    increasing_times,
    monthly_returns,
    periods_per_year,
    simple_returns,
    utc_day,
    yearly_returns,
)


class DayReturn(msgspec.Struct, frozen=True, kw_only=True):
    """The return of one UTC day, a fraction.

    Attributes:
        day: Days since 1970-01-01.
    """

    day: int
    value: float


class EquityStatistics:
    """Figures of an equity curve that arrives in chunks.

    Gaps are not filled within a day: a bar that is missing makes the next bar's return one of a longer period, still
    counted as one bar. Days without a point keep the last close. After ruin (equity at zero or below) no more returns
    are counted; drawdown and closes go on.
    """

    def __init__(self, *, capital: float, interval_ns: int) -> None:
        """Begin with `capital` (> 0) on bars of `interval_ns` (> 0).

        Raises:
            ValueError: One of them is not positive or not finite.
        """
        if not (math.isfinite(capital) and capital > 0):
            raise ValueError(f"capital must be > 0, was {capital}")
        self.capital = capital
        self.interval_ns = interval_ns
        self.periods_per_year = periods_per_year(interval_ns)
        self.n_points = 0
        self.start_ns: int | None = None
        self.end_ns: int | None = None
        self.final_equity = capital
        self.ruined_ns: int | None = None
        self._moments = ReturnMoments()
        self._deepest: Drawdown | None = None
        self._longest_ns = 0
        self._peak = capital
        self._peak_ns = 0
        self._under_water = False
        self._days: list[int] = []
        self._closes: list[float] = []

    def update(self, ts_ns: IntArray, equity: FloatArray) -> None:
        """Take the next points of the curve; a refused chunk changes nothing.

        Args:
            ts_ns: Shape (n,), int64, strictly increasing, after everything seen before.
            equity: Shape (n,), float64; NaN and infinity are refused.

        Raises:
            ValueError: NaN or infinity, another shape, or times that do not increase.
        """
        points = np.asarray(equity, dtype=np.float64)
        if points.ndim != 1:
            raise ValueError(f"equity must have one dimension, had {points.ndim}")
        times = increasing_times(ts_ns, points.size)
        if points.size == 0:
            return
        lowest = float(points.min())  # NaN if any point is.
        if not math.isfinite(lowest) or float(points.max()) == math.inf:
            raise ValueError("equity must be finite, the chunk holds NaN or infinity")
        if self.end_ns is not None and times[0] <= self.end_ns:
            raise ValueError(f"ts_ns must increase strictly, was {times[0]} after {self.end_ns}")
        if self.start_ns is None:
            self.start_ns = self._peak_ns = int(times[0]) - self.interval_ns
        self._add_returns(times, points, lowest)
        self._add_drawdown(times, points)
        self._add_closes(times, points)
        self.n_points += points.size
        self.end_ns = int(times[-1])
        self.final_equity = float(points[-1])

    def _add_returns(self, times: IntArray, points: FloatArray, lowest: float) -> None:
        if self.ruined_ns is not None:
            return
        if lowest <= 0:
            first = int(np.argmax(points <= 0))
            self.ruined_ns = int(times[first])
            points = points[: first + 1]
        returns = np.empty_like(points)
        returns[0] = points[0] / self.final_equity
        np.divide(points[1:], points[:-1], out=returns[1:])
        returns -= 1.0
        self._moments = self._moments.merge(moments_of(returns))

    def _add_drawdown(self, times: IntArray, points: FloatArray) -> None:
        peaks = np.maximum.accumulate(points)
        np.maximum(peaks, self._peak, out=peaks)
        at_peak = np.flatnonzero(points == peaks)
        if self._deepest is not None and self._deepest.recovery_ns is None and at_peak.size:
            self._deepest = msgspec.structs.replace(self._deepest, recovery_ns=int(times[at_peak[0]]))
        self._measure_depth(times, (peaks - points) / peaks, at_peak)
        # The peak of earlier chunks joins as one more point at the peak, next to this chunk or further away.
        marks = np.concatenate(([-2 if self._under_water else -1], at_peak))
        spells = np.diff(np.concatenate(([self._peak_ns], times[at_peak])))[np.diff(marks) > 1]
        self._longest_ns = max(self._longest_ns, int(spells.max(initial=0)))
        if at_peak.size:
            self._peak_ns = int(times[at_peak[-1]])
            self._peak = float(peaks[-1])
        self._under_water = at_peak.size == 0 or int(at_peak[-1]) != points.size - 1

    def _measure_depth(self, times: IntArray, depths: FloatArray, at_peak: IntArray) -> None:
        trough = int(depths.argmax())
        if depths[trough] <= (self._deepest.depth if self._deepest else 0.0):
            return
        after = int(np.searchsorted(at_peak, trough))
        self._deepest = Drawdown(
            depth=float(depths[trough]),
            peak_ns=int(times[at_peak[after - 1]]) if after else self._peak_ns,
            trough_ns=int(times[trough]),
            recovery_ns=int(times[at_peak[after]]) if after < at_peak.size else None,
        )

    def _add_closes(self, times: IntArray, points: FloatArray) -> None:
        first, last = (int(day) for day in utc_day(times[[0, -1]]))
        if self._days and self._days[-1] == first:
            self._days.pop()
            self._closes.pop()
        if first == last:  # The common case for short bars: no day ends inside the chunk.
            self._days.append(last)
            self._closes.append(float(points[-1]))
            return
        days = utc_day(times)
        ends = day_ends(days)
        self._days += days[ends].tolist()
        self._closes += points[ends].tolist()

    @property
    def elapsed_ns(self) -> int:
        """Time from the opening of the first bar to the last close; 0 before any point."""
        return 0 if self.start_ns is None or self.end_ns is None else self.end_ns - self.start_ns

    @property
    def total_return(self) -> float:
        """Final equity over capital, minus 1."""
        return total_return(self.capital, self.final_equity)

    @property
    def cagr(self) -> float:
        """Compound annual growth rate; NaN as `ratios.cagr` says."""
        return cagr(self.capital, self.final_equity, self.elapsed_ns)

    @property
    def calmar(self) -> float:
        """CAGR over the maximum drawdown per bar; NaN if either is not defined."""
        return calmar_ratio(self.cagr, self.max_drawdown)

    @property
    def moments(self) -> ReturnMoments:
        """The moments of the returns per bar."""
        return self._moments

    @property
    def bar(self) -> Ratios:
        """The ratios of the returns per bar, annualized with the bar interval."""
        return ratios_of(self._moments, self.periods_per_year)

    @property
    def daily(self) -> Ratios:
        """The ratios of the returns per UTC day close, annualized with 365 days."""
        return ratios_of(moments_of(self.daily_returns()), periods_per_year(NS_PER_DAY))

    @property
    def max_drawdown(self) -> float:
        """Depth of the deepest fall, a fraction; 0 if equity never fell, NaN before any point."""
        if self._deepest is not None:
            return self._deepest.depth
        return 0.0 if self.n_points else math.nan

    @property
    def deepest_drawdown(self) -> Drawdown | None:
        """The deepest fall with its times; None if equity never fell."""
        return self._deepest

    @property
    def longest_under_water_ns(self) -> int:
        """Longest time until an old peak was regained, or until now."""
        open_ns = self.end_ns - self._peak_ns if self._under_water and self.end_ns is not None else 0
        return max(self._longest_ns, open_ns)

    def daily_closes(self) -> DailyCloses:
        """Return the equity at the end of every UTC day; the last day may still be running."""
        return carry_forward(np.array(self._days, dtype=np.int64), np.array(self._closes, dtype=np.float64))

    def daily_returns(self) -> FloatArray:
        """Return the return of every UTC day, the first one measured from the capital; ends at ruin."""
        return simple_returns(np.concatenate(([self.capital], self.daily_closes().equity)))

    def monthly_returns(self) -> tuple[MonthReturn, ...]:
        """Return the return of every UTC month."""
        return monthly_returns(self.daily_closes(), self.capital)

    def yearly_returns(self) -> tuple[YearReturn, ...]:
        """Return the return of every UTC year."""
        return yearly_returns(self.daily_closes(), self.capital)

    @property
    def best_day(self) -> DayReturn | None:
        """The UTC day with the highest return, the first of equals; None before any point."""
        returns = self.daily_returns()
        return self._day(int(returns.argmax()), returns) if returns.size else None

    @property
    def worst_day(self) -> DayReturn | None:
        """The UTC day with the lowest return, the first of equals; None before any point."""
        returns = self.daily_returns()
        return self._day(int(returns.argmin()), returns) if returns.size else None

    def _day(self, index: int, returns: FloatArray) -> DayReturn:
        return DayReturn(day=self._days[0] + index, value=float(returns[index]))
