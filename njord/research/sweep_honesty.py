"""How sure is the best of a sweep? Its rows and the trial ledger in; every evaluation is counted as a trial, and the
selection report of the best point comes out.

What was looked at on the hold-out is counted too: who reads ten results there and goes on with one of them has chosen it.
For the best point itself this sweep's own looks do not count, because they came after the search had chosen it; those of
every other sweep do.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from njord.adapters.clock import WallClock
from njord.backtest.point import Score
from njord.core.errors import DataError
from njord.performance.assessment import SelectionReport, assess
from njord.performance.ratios import Ratios
from njord.performance.returns import FloatArray, periods_per_year
from njord.performance.selection import TrialCount
from njord.performance.summary import to_json_values
from njord.research.grid import Grid, spread
from njord.research.sweep_data import SweepData
from njord.research.sweep_result import SweepPlan
from njord.research.sweep_store import SweepStore
from njord.storage.trials import TRIALS_NAME, Trial, TrialLedger

PBO_POINTS_MAX = (
    2_000  # Every one is ranked in each of 12,870 splits; of more, so many are taken, evenly spread.
)
_RECORD_POINTS = 50_000  # Of one line of the ledger.


def judge(
    plan: SweepPlan, data: SweepData, store: SweepStore, best: Score, held_out: Sequence[Score], state: Path
) -> dict[str, Any]:
    """Count all evaluations as trials, and return the selection report of the best point as JSON values.

    A ledger that can not be used costs no sweep: `error` says why, and the figures that count trials are of this sweep alone.

    Args:
        plan: What was searched.
        data: On what.
        store: All points.
        best: The best of them.
        held_out: Those that were evaluated on the hold-out.
        state: The folder that holds the ledger.

    Returns:
        The report, with `n_held_out`: of the trials in the ledger, so many are this sweep's own looks at the hold-out,
        which `n_trials` leaves out.
    """
    ledger, subject, error = TrialLedger(state / TRIALS_NAME), data.subject, ""
    looks = list(_looks(plan, data, held_out))
    n_looks = len({look.identity for look in looks})
    ts_ns = WallClock().now_ns()
    try:
        points = _trials(plan, data, store)
        while some := list(islice(points, _RECORD_POINTS)):
            ledger.add(subject.record("sweep", ts_ns, data.interval_ns, some))
        if looks:
            ledger.add(subject.record("sweep", ts_ns, data.interval_ns, looks))
        found = ledger.count(subject.idea, data.interval_ns, synthetic=subject.synthetic)
        count = replace(found, n=found.n - n_looks)
    except DataError as failure:
        error, n_looks = str(failure), 0
        sharpes = store.column("sharpe")[~store.has_error()] / _yearly(data)
        sharpes = sharpes[np.isfinite(sharpes)]
        count = TrialCount(
            n=store.n_rows,
            n_compared=sharpes.size,
            mean_sharpe=float(sharpes.mean()) if sharpes.size else math.nan,
            variance_sharpe=float(sharpes.var(ddof=1)) if sharpes.size > 1 else math.nan,
        )
    report = assess(_ratios(best, data), count, _blocks(store))
    return {"idea": subject.idea, **_plain(report), "n_held_out": n_looks, "error": error}


def _plain(report: SelectionReport) -> dict[str, Any]:
    values = to_json_values(report)
    assert isinstance(values, dict)
    return values


def _trials(plan: SweepPlan, data: SweepData, store: SweepStore) -> Iterator[Trial]:
    grid, window, yearly = Grid(plan.axes), plan.window, _yearly(data)
    columns = (store.column("index"), store.column("sharpe"), store.has_error())
    for index, sharpe, has_failed in zip(*(column.tolist() for column in columns), strict=True):
        text = data.canonical(grid.at(index))
        identity = data.subject.identity(text, window.start_ns, window.end_ns)
        yield Trial(identity, math.nan if has_failed else sharpe / yearly)


def _looks(plan: SweepPlan, data: SweepData, held_out: Sequence[Score]) -> Iterator[Trial]:
    if plan.holdout is None:
        return
    start_ns, end_ns = plan.holdout.start_ns, plan.holdout.end_ns
    for score in held_out:
        identity = data.subject.identity(data.canonical(score.params), start_ns, end_ns)
        yield Trial(identity, math.nan if score.error else score.sharpe / _yearly(data))


def _yearly(data: SweepData) -> float:
    return math.sqrt(periods_per_year(data.interval_ns))


def _ratios(best: Score, data: SweepData) -> Ratios:
    return Ratios(
        n_periods=sum(n for n, _, _ in best.blocks),
        periods_per_year=periods_per_year(data.interval_ns),
        volatility=best.volatility,
        sharpe=best.sharpe,
        sortino=best.sortino,
        skew=best.skew,
        kurtosis=best.kurtosis,
    )


# In axis order, so that they do not depend on who was done first.
def _blocks(store: SweepStore) -> FloatArray | None:
    places = np.flatnonzero(~store.has_error())
    places = places[np.argsort(store.column("index")[places], kind="stable")]
    chosen = places[list(spread(places.size, PBO_POINTS_MAX))] if places.size else places
    blocks: FloatArray = store.take(chosen)["blocks"]
    return blocks if blocks.shape[0] > 1 and np.isfinite(blocks).all() else None
