"""What does a walk-forward say as a whole? Finished folds in; one out-of-sample curve, its ratios, and how the choices
held up and drifted, out.

The curve chains the returns of the tests, bar by bar, from the capital: what an account would have had that compounds from
test to test. Its ratios are those of any equity curve (`njord/performance`).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from njord.backtest.market import IntArray
from njord.backtest.point import Params
from njord.performance.ratios import Ratios
from njord.performance.returns import FloatArray
from njord.performance.streaming import EquityStatistics
from njord.research.axes import Axis
from njord.research.splits import SplitPlan
from njord.research.walkforward import FoldResult, FoldRun, efficiency

SCHEMA = 1


class Stitched(msgspec.Struct, frozen=True):
    """The out-of-sample curve, one value a bar.

    Attributes:
        ts_ns: Closes, rising, shape (n_bars,).
        fold: Number of the fold that the bar is of.
        returns: Of the bar, a fraction; 0 after ruin.
        equity: The capital and all returns so far.
    """

    ts_ns: IntArray
    fold: IntArray
    returns: FloatArray
    equity: FloatArray


class OutOfSample(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of the stitched curve; a float that is not defined is NaN.

    Attributes:
        bar: Ratios of the returns per bar, annualized: like the Sharpe ratios of the folds.
        daily: Ratios of the returns per UTC day.
        n_fills: Of all tests.
    """

    start_ns: int
    end_ns: int
    n_bars: int
    n_fills: int
    final_equity: float
    total_return: float
    cagr: float
    max_drawdown: float
    calmar: float
    longest_under_water_ns: int
    bar: Ratios
    daily: Ratios


class PathFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One whole path out of sample; a float that is not defined is NaN.

    Attributes:
        number: From 1.
        sharpe: Annualized, of the returns per bar.
        n_fills: Of all its tests.
    """

    number: int
    sharpe: float
    total_return: float
    max_drawdown: float
    n_fills: int


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """All paths of a combinatorial cross-validation.

    Attributes:
        n_splits: Choices of test groups, each with a training of its own.
        middle: Number of the path whose Sharpe ratio is the median (of an even number the lower one of the two), the
            first of those that have none if none has.
        mean: Of the Sharpe ratios that are defined; NaN if none is.
        deviation: Likewise, with ddof=1; NaN for fewer than two.
        least: The lowest.
        most: The highest.
        n_positive: Paths with a Sharpe ratio above 0.
        each: In order.
    """

    n_splits: int
    middle: int
    mean: float
    deviation: float
    least: float
    most: float
    n_positive: int
    each: tuple[PathFigures, ...]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How one parameter moved from fold to fold; folds without a choice are left out.

    Attributes:
        values: Chosen, in order of the folds; null where none was.
        n_distinct: How many different values.
        n_changes: How often a fold chose another value than the one before.
        mean_step: Mean distance between successive choices, in places of the axis over its length less one: 0 = never
            moved; NaN for fewer than two choices or an axis of one value.
        random_step: What `mean_step` would be on average if every fold drew its value at random.
    """

    name: str
    values: tuple[str | None, ...]
    n_distinct: int
    n_changes: int
    mean_step: float
    random_step: float


class WalkForward(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a walk-forward says; `walkforward.json`.

    Attributes:
        id: Hash of everything that decides.
        strategy: Its id.
        symbol: What it trades.
        data: Name and hash of each dataset.
        params: What all points share, as typed.
        axes: Names and values that were tried, in order.
        objective: What was maximized, or minimized, in every training.
        plan: Folds, lengths, purge and embargo, in bars.
        n_points: Points of one training.
        engine: What scored the points.
        why_ordered: What the fast engine could not express.
        interval_ns: Of a bar.
        capital: At the start of every run.
        report_asset: What equity is counted in.
        n_bars: Of all data.
        out_of_sample: Of the stitched curve.
        inside_sharpe: Mean of the folds' Sharpe ratios inside.
        efficiency: Walk-forward efficiency of the whole: the stitched curve's Sharpe ratio over `inside_sharpe`.
        n_positive: Folds whose test ended with a profit; of a combinatorial one several have the same bars.
        n_idle: Folds that chose nothing and stayed out.
        drift: Of every axis.
        assumptions: In sentences, what this rests on.
        warnings: What the user should look at first.
        error: The first error that a chosen point raised on its test.
        trial: Which trial of its idea this is, and what is left of the stitched curve's Sharpe ratio once they are
            counted (see `walkforward_trial`); null if nobody counts.
        paths: Of a combinatorial cross-validation, whose stitched curve is the path in the middle; null of a walk-forward,
            which has one path.
    """

    schema: int = SCHEMA
    id: str
    njord_version: str
    strategy: str
    symbol: str
    data: tuple[tuple[str, str], ...]
    params: tuple[str, ...]
    axes: tuple[Axis, ...]
    objective: str
    plan: SplitPlan
    n_points: int
    engine: str
    why_ordered: str
    interval_ns: int
    capital: float
    report_asset: str
    n_bars: int
    start_ns: int
    end_ns: int
    folds: tuple[FoldResult, ...]
    out_of_sample: OutOfSample
    inside_sharpe: float
    efficiency: float
    n_positive: int
    n_idle: int
    drift: tuple[Drift, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    error: str
    trial: dict[str, Any] | None = None
    paths: Paths | None = None


def stitch(runs: Sequence[FoldRun], capital: float) -> Stitched:
    """Chain the tests of all folds from `capital`; ruin ends the curve, what follows stays at nothing."""
    ts_ns = np.concatenate([run.ts_ns for run in runs])
    fold = np.concatenate([np.full(run.ts_ns.size, run.result.number, dtype=np.int64) for run in runs])
    returns = np.concatenate([_padded(run) for run in runs])
    ruined = np.flatnonzero(returns <= -1.0)
    if ruined.size:
        returns[ruined[0]] = max(float(returns[ruined[0]]), -1.0)
        returns[ruined[0] + 1 :] = 0.0
    equity: FloatArray = capital * np.multiply.accumulate(1.0 + returns)
    return Stitched(ts_ns, fold, returns, equity)


def out_of_sample(curve: Stitched, runs: Sequence[FoldRun], capital: float, interval_ns: int) -> OutOfSample:
    """Return the figures of a stitched curve."""
    statistics = EquityStatistics(capital=capital, interval_ns=interval_ns)
    statistics.update(curve.ts_ns, curve.equity)
    return OutOfSample(
        start_ns=statistics.start_ns or 0,
        end_ns=int(curve.ts_ns[-1]),
        n_bars=statistics.n_points,
        n_fills=sum(run.result.outside.n_fills for run in runs if run.result.outside is not None),
        final_equity=statistics.final_equity,
        total_return=statistics.total_return,
        cagr=statistics.cagr,
        max_drawdown=statistics.max_drawdown,
        calmar=statistics.calmar,
        longest_under_water_ns=statistics.longest_under_water_ns,
        bar=statistics.bar,
        daily=statistics.daily,
    )


def drift_of(axes: Sequence[Axis], folds: Sequence[FoldResult]) -> tuple[Drift, ...]:
    """Return how the choice of every axis moved over the folds."""
    return tuple(_drift(axis, [dict(fold.params).get(axis.name) for fold in folds]) for axis in axes)


def mean_inside(folds: Sequence[FoldResult]) -> float:
    """Return the mean Sharpe ratio inside, over the folds that have one; NaN if none has."""
    defined = [fold.inside_sharpe for fold in folds if not math.isnan(fold.inside_sharpe)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def whole_efficiency(folds: Sequence[FoldResult], outside: OutOfSample) -> float:
    """Return the stitched curve's Sharpe ratio over the mean one inside; NaN unless that is positive."""
    return efficiency(mean_inside(folds), outside.bar.sharpe)


def _drift(axis: Axis, values: Sequence[str | None]) -> Drift:
    n = len(axis.values)
    chosen = [value for value in values if value is not None]
    places = [axis.values.index(value) for value in chosen]
    steps = [abs(after - before) for before, after in pairwise(places)]
    return Drift(
        name=axis.name,
        values=tuple(values),
        n_distinct=len(dict.fromkeys(chosen)),
        n_changes=sum(step > 0 for step in steps),
        mean_step=sum(steps) / len(steps) / (n - 1) if steps and n > 1 else math.nan,
        random_step=(n + 1) / (3 * n)
        if n > 1
        else math.nan,  # E|i - j| = (n^2 - 1) / 3n of two uniform draws.
    )


# Returns end with ruin; the bars after it have none.
def _padded(run: FoldRun) -> FloatArray:
    padded = np.zeros(run.ts_ns.size)
    padded[: run.returns.size] = run.returns
    return padded


def chosen(fold: FoldResult) -> str:
    """Return what a fold chose, in words."""
    return words_of(fold.params) or "nothing"


def words_of(params: Params) -> str:
    """Return parameters as they are typed."""
    return " ".join(f"{name}={value}" for name, value in params)
