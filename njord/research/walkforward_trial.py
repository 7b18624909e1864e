"""Which trial of an idea is a walk-forward, and is its out-of-sample curve more than luck? A finished one and the ledger in;
the ledger grown, and a verdict on the stitched curve, out.

The ledger takes the stitched curve as one trial, and every point as another, since who goes on with a point has chosen it
among them. For the curve itself those points do not count: they were chosen among inside the trainings alone, which can not
select a test. Everything else that was ever tried of the idea does, earlier walk-forwards included: whoever repeats a
walk-forward until its curve is good has chosen a curve.

Source: López de Prado (2018), "Advances in Financial Machine Learning", 12.2 and 14.7: a walk-forward is overfit by being
repeated, and the Deflated Sharpe ratio counts the repetitions.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from njord.backtest.ordered_points import texts_of
from njord.backtest.simulation import Prepared
from njord.backtest.trial import TrialSubject, params_of, subject_of
from njord.core.errors import DataError, StrategyError
from njord.performance.assessment import assess
from njord.performance.summary import to_json_values
from njord.research.walkforward import FoldRun, Walk
from njord.research.walkforward_result import WalkForward
from njord.storage.trials import TRIALS_NAME, LedgerState, Trial, TrialLedger


def count_walk(
    result: WalkForward, prepared: Prepared, walk: Walk, runs: Sequence[FoldRun], state: Path, ts_ns: int
) -> WalkForward:
    """Count a finished walk-forward in the ledger of the `state` folder and say in it what its curve shows.

    A ledger that can not be used never costs the result: `trial.counted` is false then and `trial.error` says why.
    """
    subject = subject_of(prepared)
    own = Trial(
        subject.identity(f"walk-forward {_asked(result)} {params_of(prepared)}"),
        result.out_of_sample.bar.sharpe / math.sqrt(walk.periods_per_year),
    )
    points = list(_points(subject, prepared, walk, runs))
    ledger = TrialLedger(state / TRIALS_NAME)
    try:
        ledger.add(subject.record("walkforward", ts_ns, result.interval_ns, (own, *points)))
        found = ledger.state(
            subject.idea, result.interval_ns, identity=own.identity, synthetic=subject.synthetic
        )
    except DataError as error:
        trial: dict[str, Any] = {
            "counted": False,
            "idea": subject.idea,
            "says": f"not counted as a trial of {subject.idea}: {error}",
            "report": None,
            "faults": [],
            "error": str(error),
        }
    else:
        trial = _counted(result, subject, found, len(points))
    return msgspec.structs.replace(result, trial=trial)


# What makes it the same walk-forward, whichever engine ran it.
def _asked(result: WalkForward) -> str:
    return msgspec.json.encode((result.plan, result.axes, result.objective)).decode()


# Combinations that the strategy refuses were never tried.
def _points(
    subject: TrialSubject, prepared: Prepared, walk: Walk, runs: Sequence[FoldRun]
) -> Iterator[Trial]:
    trained = [each for fold in walk.folds for each in fold.train]
    window = walk.window(min(start for start, _ in trained), max(end for _, end in trained))
    sharpes = np.array([run.sharpes for run in runs]) / math.sqrt(walk.periods_per_year)
    for index in range(walk.grid.size):
        try:
            params = params_of(prepared, texts_of(walk.grid.at(index)))
        except StrategyError:
            continue
        own = sharpes[:, index]
        defined = own[np.isfinite(own)]
        identity = subject.identity(params, window.start_ns, window.end_ns)
        yield Trial(identity, float(defined.mean()) if defined.size else math.nan)


def _counted(result: WalkForward, subject: TrialSubject, found: LedgerState, n_points: int) -> dict[str, Any]:
    n_all, bar = found.count.n, result.out_of_sample.bar
    report = assess(bar, msgspec.structs.replace(found.count, n=n_all - n_points))
    strictest = assess(bar, found.count).deflated_sharpe
    says = f"{n_all:,} trials of {subject.idea} so far, {n_points:,} of them the points of this walk-forward"
    if not math.isnan(strictest):
        says += f"; were its tests chosen among all of them, its Deflated Sharpe would be {strictest:.2f}"
    return {
        "counted": True,
        "idea": subject.idea,
        "number": found.number,
        "n_all": n_all,
        "n_points": n_points,
        "says": says,
        "report": to_json_values(report),
        "deflated_sharpe_all": to_json_values(strictest),
        "faults": [
            f"line {fault.line} of {TRIALS_NAME} {fault.says} and is not counted" for fault in found.faults
        ],
        "error": "",
    }
