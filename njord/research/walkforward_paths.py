"""How much does the out-of-sample curve depend on which past one happened to train on? Folds of a combinatorial
cross-validation in; the curve of every whole path, how their Sharpe ratios are distributed, and the middle one, out.

Every group of bars is tested by several splits, so that the tests make several whole curves, none of which uses a test
twice. They share data, and are no independent draws: the deviation between them says how fragile the procedure is, not how
sure its mean is. The path in the middle stands for all, and is what the verdict judges.

Source: López de Prado (2018), "Advances in Financial Machine Learning", Wiley, 12.4-12.5.
"""

import math
from collections.abc import Sequence

import numpy as np

from njord.performance.returns import FloatArray
from njord.research.walkforward import FoldRun
from njord.research.walkforward_result import OutOfSample, PathFigures, Paths, out_of_sample, stitch


def figures_of(paths: Sequence[Sequence[FoldRun]], n_splits: int, capital: float, interval_ns: int) -> Paths:
    """Return the figures of every path and their distribution.

    Args:
        paths: Of each its folds, in order of time; at least one.
        n_splits: Trainings in all.
        capital: At the start of every path.
        interval_ns: Of a bar.
    """
    each = tuple(
        _figures(number, out_of_sample(stitch(runs, capital), runs, capital, interval_ns))
        for number, runs in enumerate(paths, start=1)
    )
    ranked = sorted((path.sharpe, path.number) for path in each if not math.isnan(path.sharpe))
    sharpes: FloatArray = np.array([sharpe for sharpe, _ in ranked])
    return Paths(
        n_splits=n_splits,
        middle=ranked[(len(ranked) - 1) // 2][1] if ranked else 1,
        mean=float(sharpes.mean()) if ranked else math.nan,
        deviation=float(sharpes.std(ddof=1)) if len(ranked) > 1 else math.nan,
        least=ranked[0][0] if ranked else math.nan,
        most=ranked[-1][0] if ranked else math.nan,
        n_positive=int(np.count_nonzero(sharpes > 0)),
        each=each,
    )


def _figures(number: int, outside: OutOfSample) -> PathFigures:
    return PathFigures(
        number=number,
        sharpe=outside.bar.sharpe,
        total_return=outside.total_return,
        max_drawdown=outside.max_drawdown,
        n_fills=outside.n_fills,
    )
