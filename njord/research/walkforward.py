"""Does choosing parameters on the past pay in the future? Points and folds in, what each fold chose and how it did out.

Each fold evaluates every point on its training, takes the best by the objective (the first of equals), and runs it on its
test, flat and with the whole capital at its start, warmed up on the bars before. Where no point has a defined
objective the fold stays out of the market. What is chosen depends on the training alone; what is finished is kept by
`walkforward_store.py`, so that an interrupted walk-forward goes on where it was.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from njord.backtest.market import IntArray
from njord.backtest.point import Params, Score, Window
from njord.backtest.point_curve import PointCurve
from njord.core.errors import ConfigError
from njord.performance.ratios import ReturnMoments, ratios_of
from njord.performance.returns import FloatArray, simple_returns
from njord.research.grid import Grid
from njord.research.splits import Fold, Mode, Range
from njord.research.sweep_result import OBJECTIVES

# What a training of several pieces has as well: the others are not made of those of the pieces.
OF_PIECES = ("sharpe", "total_return")


Windows = tuple[Window, ...]
Inside = tuple[Score, ...]  # Of one point, a score for each range of its training.
Task = tuple[tuple[int, int], tuple[tuple[Params, ...], Windows]]  # (fold, first point), (points, windows).
# Scores the points of every task on its windows; in any order, and on any machine.
Scorer = Callable[[Iterator[Task]], Iterator[tuple[tuple[int, int], Sequence[Inside]]]]


class Curves(Protocol):
    """Runs single points for their equity."""

    def curve(self, params: Params, window: Window) -> PointCurve:
        """Return how a point did on a window, bar by bar."""


class FoldResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one fold chose, and what became of it.

    Attributes:
        number: From 1.
        train: What it was trained on, in order; several where an embargo has left holes.
        test: What it was tested on.
        n_train: Bars.
        n_test: Bars.
        n_points: Points that were evaluated inside.
        n_failed: Of them, those whose parameters the strategy refused, or that raised an error.
        params: The point that was chosen; empty if none had a defined objective, and nothing was traded.
        objective: Its objective inside; NaN if none was chosen.
        inside_sharpe: Its annualized Sharpe ratio inside; NaN if none was chosen.
        median: Of the objective over all points that have one: what an average choice had inside.
        inside: Its scores, one for each range of `train`.
        outside: Its score on the test; null if none was chosen.
    """

    number: int
    train: Windows
    test: Window
    n_train: int
    n_test: int
    n_points: int
    n_failed: int
    params: Params
    objective: float
    inside_sharpe: float
    median: float
    inside: Inside
    outside: Score | None

    @property
    def outside_sharpe(self) -> float:
        """The annualized Sharpe ratio on the test; NaN where there is none."""
        return math.nan if self.outside is None else self.outside.sharpe

    @property
    def degradation(self) -> float:
        """How much less the Sharpe ratio was outside than inside."""
        return self.inside_sharpe - self.outside_sharpe

    @property
    def efficiency(self) -> float:
        """Walk-forward efficiency: the Sharpe ratio outside over the one inside; NaN unless that is positive."""
        return efficiency(self.inside_sharpe, self.outside_sharpe)


class FoldRun(msgspec.Struct, frozen=True):
    """A finished fold: its result, and its test bar by bar.

    Attributes:
        ts_ns: Closes of the test, shape (n_test,).
        returns: Of each bar, a fraction; fewer if equity was used up.
        sharpes: Of every point inside, annualized, in the order of the grid; NaN where a point has none.
    """

    result: FoldResult
    ts_ns: IntArray
    returns: FloatArray
    sharpes: FloatArray


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the folds are run with.

    Attributes:
        grid: The points that are tried in every training.
        folds: In order of time.
        times_ns: Every close of the data, rising; folds count in them.
        objective: One of the sweep's `OBJECTIVES`.
        capital: At the start of every run.
        periods_per_year: Bars of a year, to annualize with.
        n_together: Points of one task.
    """

    grid: Grid
    folds: tuple[Fold, ...]
    times_ns: IntArray
    objective: str
    capital: float
    periods_per_year: float
    n_together: int = 1

    def window(self, start: int, end: int) -> Window:
        """Return the bars [start, end) as a window."""
        return Window(int(self.times_ns[start]), int(self.times_ns[end - 1]) + 1)


def check_trainings(objective: str, folds: Sequence[Fold], mode: Mode = "rolling") -> None:
    """Refuse an objective that trainings with holes do not have.

    Raises:
        ConfigError: In one line, which and why.
    """
    if objective not in OF_PIECES and any(len(fold.train) > 1 for fold in folds):
        why, else_ = ("--mode cpcv", "--mode rolling") if mode == "cpcv" else ("--embargo", "--embargo 0")
        raise ConfigError(
            f"{why} leaves trainings of several pieces, which have no {objective} together",
            f"use --objective {' or '.join(OF_PIECES)}, or {else_}",
        )


def run_folds(
    walk: Walk,
    scorer: Scorer,
    curves: Curves,
    done: Mapping[int, FoldRun] | None = None,
    keep: Callable[[FoldRun], None] = lambda run: None,
    progress: Callable[[int, int], None] = lambda n_done, n_total: None,
) -> list[FoldRun]:
    """Run every fold that is not done yet; return all of them in order.

    Args:
        walk: What to run.
        scorer: Scores points inside; the order in which its answers come changes nothing.
        curves: Runs the chosen ones outside.
        done: Folds that were finished before, by number.
        keep: Called with every fold that is finished.
        progress: Told how many points are scored, and how many there are.

    Raises:
        UserError: The data are not fit, or a chosen point can not be run.
    """
    runs = dict(done or {})
    missing = _missing(walk, runs)
    trainings = {number: _Training(walk) for number in missing}
    n_done, n_total = 0, len(missing) * walk.grid.size
    for (number, first), scored in scorer(_tasks(walk, list(missing))):
        training = trainings[number]
        training.take(first, scored)
        n_done += len(scored)
        progress(n_done, n_total)
        if training.is_complete:
            for each in missing[number]:
                runs[each] = _tested(walk, each, training, curves)
                keep(runs[each])
            del trainings[number]
    return [runs[number] for number in range(1, len(walk.folds) + 1)]


# Folds of one training are trained once: numbers by that of the first of them.
def _missing(walk: Walk, runs: Mapping[int, FoldRun]) -> dict[int, list[int]]:
    first: dict[tuple[Range, ...], int] = {}
    missing: dict[int, list[int]] = {}
    for number, fold in enumerate(walk.folds, start=1):
        if number not in runs:
            missing.setdefault(first.setdefault(fold.train, number), []).append(number)
    return missing


def _tasks(walk: Walk, numbers: Sequence[int]) -> Iterator[Task]:
    for number in numbers:
        windows = tuple(walk.window(*each) for each in walk.folds[number - 1].train)
        for first in range(0, walk.grid.size, walk.n_together):
            end = min(first + walk.n_together, walk.grid.size)
            yield (number, first), (tuple(walk.grid.at(index) for index in range(first, end)), windows)


class _Training:
    # What is known of one fold's points so far: their objectives, and all of the best one. Of equals the first in the
    # grid is the best, whatever order they come in.

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._sign = OBJECTIVES[walk.objective]
        self._values = np.full(walk.grid.size, math.nan)
        self.sharpes = np.full(walk.grid.size, math.nan)
        self._n_left = walk.grid.size
        self.n_failed = 0
        self.best: int | None = None
        self.inside: Inside = ()

    @property
    def is_complete(self) -> bool:
        return not self._n_left

    @property
    def objective(self) -> float:
        return math.nan if self.best is None else float(self._values[self.best])

    @property
    def median(self) -> float:
        defined = self._values[~np.isnan(self._values)]
        return float(np.median(defined)) if defined.size else math.nan

    def take(self, first: int, scored: Sequence[Inside]) -> None:
        for index, inside in enumerate(scored, start=first):
            self._n_left -= 1
            self.n_failed += any(score.error for score in inside)
            value = _objective(inside, self._walk)
            self._values[index] = value
            self.sharpes[index] = _sharpe(inside, self._walk.periods_per_year)
            if not math.isnan(value) and self._beats(value, index):
                self.best, self.inside = index, inside

    def _beats(self, value: float, index: int) -> bool:
        if self.best is None:
            return True
        lead = self._sign * (value - float(self._values[self.best]))
        return lead > 0 or (lead == 0 and index < self.best)


def _tested(walk: Walk, number: int, training: _Training, curves: Curves) -> FoldRun:
    fold, best = walk.folds[number - 1], training.best
    test, params = walk.window(*fold.test), () if best is None else walk.grid.at(best)
    ts_ns = walk.times_ns[slice(*fold.test)]
    outside, returns = None, np.zeros(ts_ns.size)
    if best is not None:
        curve = curves.curve(params, test)
        outside, ts_ns = curve.score, curve.ts_ns
        returns = simple_returns(np.concatenate(([walk.capital], curve.equity)))
    result = FoldResult(
        number=number,
        train=tuple(walk.window(*each) for each in fold.train),
        test=test,
        n_train=fold.n_train,
        n_test=fold.n_test,
        n_points=walk.grid.size,
        n_failed=training.n_failed,
        params=params,
        objective=training.objective,
        inside_sharpe=_sharpe(training.inside, walk.periods_per_year),
        median=training.median,
        inside=training.inside,
        outside=outside,
    )
    return FoldRun(result, ts_ns, returns, training.sharpes)


def efficiency(inside: float, outside: float) -> float:
    """Return outside / inside, the walk-forward efficiency; NaN unless `inside` is positive.

    Source: Pardo (2008), "The Evaluation and Optimization of Trading Strategies", 2nd ed., ch. 11, of annualized
    profits; here of annualized Sharpe ratios, so that it does not depend on how much was at risk.
    """
    return outside / inside if inside > 0 else math.nan


# NaN for a point that failed: it may not be chosen.
def _objective(pieces: Sequence[Score], walk: Walk) -> float:
    if any(score.error for score in pieces):
        return math.nan
    if len(pieces) == 1:
        return float(getattr(pieces[0], walk.objective))
    if walk.objective == "sharpe":
        return _sharpe(pieces, walk.periods_per_year)
    return math.prod(1.0 + score.total_return for score in pieces) - 1.0


# Of several pieces: that of all their returns together, from the sums that scores have of them.
def _sharpe(pieces: Sequence[Score], periods_per_year: float) -> float:
    if len(pieces) == 1:
        return pieces[0].sharpe
    moments = ReturnMoments()
    for score in pieces:
        for n, total, squares in score.blocks:
            if n:
                moments = moments.merge(ReturnMoments(n, total / n, max(0.0, squares - total * total / n)))
    return ratios_of(moments, periods_per_year).sharpe
