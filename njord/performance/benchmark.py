"""Benchmark: would holding have done better?

The streaming statistics of a strategy and of buy and hold over the same points come in; the benchmark's figures and
what the strategy added to them go out.
"""

import math
from typing import Literal

import msgspec

from njord.performance.streaming import EquityStatistics


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """Buy and hold: equal parts of the capital in every instrument at its first price, without costs.

    Attributes:
        final_equity: In the report asset.
        total_return: A fraction.
        cagr: Per year of 365 days; NaN as the run's own.
        max_drawdown: A fraction >= 0, at the same moments as the run's.
        volatility: Annualized, on the run's basis.
        sharpe: Annualized, on the run's basis.
        added_return: The run's total return minus this one's.
        added_sharpe: Likewise; NaN if either is not defined.
        correlation: Of the returns of both per UTC day; NaN for fewer than three days or without deviation.
    """

    final_equity: float
    total_return: float
    cagr: float
    max_drawdown: float
    volatility: float
    sharpe: float
    added_return: float
    added_sharpe: float
    correlation: float


def compare(run: EquityStatistics, hold: EquityStatistics, basis: Literal["daily", "bar"]) -> Benchmark:
    """Return buy and hold's figures beside the run's, both fed with the same times.

    Source: correlation after Pearson, with the sums of `numpy.mean`; all else as `njord.performance.ratios` says.
    """
    ratios, own = (hold.daily, run.daily) if basis == "daily" else (hold.bar, run.bar)
    return Benchmark(
        final_equity=hold.final_equity,
        total_return=hold.total_return,
        cagr=hold.cagr,
        max_drawdown=hold.max_drawdown,
        volatility=ratios.volatility,
        sharpe=ratios.sharpe,
        added_return=run.total_return - hold.total_return,
        added_sharpe=own.sharpe - ratios.sharpe,
        correlation=_correlation(run, hold),
    )


def _correlation(run: EquityStatistics, hold: EquityStatistics) -> float:
    ours, theirs = run.daily_returns(), hold.daily_returns()
    n = min(ours.size, theirs.size)
    if n < 3:
        return math.nan
    ours, theirs = ours[:n] - ours[:n].mean(), theirs[:n] - theirs[:n].mean()
    size = math.sqrt(float((ours * ours).sum()) * float((theirs * theirs).sum()))
    return float((ours * theirs).sum()) / size if size > 1e-18 else math.nan
