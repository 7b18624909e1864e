"""What does a walk-forward say on the terminal? A result in, lines of text out: the tests first, then how they compare with
the trainings, then what it rests on.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from njord.backtest.utc import at
from njord.research.walkforward_result import Drift, Paths, WalkForward, chosen

PATHS_MAX = 20
VALUES_MAX = 8  # Of a parameter, where splits have no order in time.


def lines_of(result: WalkForward, folder: Path) -> list[str]:
    """Return the summary."""
    outside, plan, paths = result.out_of_sample, result.plan, result.paths
    engine = f"{result.engine} engine" + (f" ({result.why_ordered})" if result.why_ordered else "")
    held = f"purge {plan.purge}, embargo {plan.embargo}"
    folds = f"{plan.n_folds} folds, {plan.mode}"
    if paths is not None:
        folds = f"{paths.n_splits:,} splits that test {plan.n_test_folds} of {plan.n_folds} groups (cpcv)"
    lines = [
        f"walk     {result.strategy} on {result.symbol}: {folds}, {held}; "
        f"{result.n_points:,} points each by {result.objective}; {engine}",
        *(_table(result) if paths is None else _path_lines(paths)),
        f"outside  {_whose(paths)}Sharpe {_figure(outside.bar.sharpe)}, return {_percent(outside.total_return)}, drawdown "
        f"{_percent(outside.max_drawdown)}, {outside.n_fills:,} fills in {outside.n_bars:,} bars, "
        f"{result.n_positive} of {len(result.folds)} tests with a profit",
        f"inside   Sharpe {_figure(result.inside_sharpe)} on average; efficiency (outside / inside) "
        f"{_percent(result.efficiency)}",
    ]
    lines += [_drift(each) if paths is None else _choices(each) for each in result.drift]
    lines += _honesty(result)
    lines += [f"assumed  {sentence}" for sentence in result.assumptions]
    lines += [f"look     {warning}" for warning in result.warnings]
    return [*lines, f"folder   {folder}"]


def _honesty(result: WalkForward) -> list[str]:
    trial = result.trial
    if trial is None:
        return []
    if trial["report"] is None:
        return [f"trial    {trial['says']}"]
    report = trial["report"]
    return [f"trial    {trial['says']}", f"verdict  {report['verdict']}: {report['because']}"]


def _drift(drift: Drift) -> str:
    return f"drift    {drift.name} {' '.join(value or '-' for value in drift.values)}"


# Splits have no order in time: how often each value was chosen.
def _choices(drift: Drift) -> str:
    counted = Counter(value or "nothing" for value in drift.values).most_common()
    said = ", ".join(f"{value} in {n:,}" for value, n in counted[:VALUES_MAX])
    more = f", {len(counted) - VALUES_MAX:,} more values" if len(counted) > VALUES_MAX else ""
    return f"chosen   {drift.name} {said}{more} of {len(drift.values):,} splits"


def _whose(paths: Paths | None) -> str:
    return "" if paths is None else f"path {paths.middle:,}, the one in the middle: "


def _path_lines(paths: Paths) -> list[str]:
    rows = [["path", "outside", "return", "drawdown", "fills"]]
    for path in paths.each[:PATHS_MAX]:
        rows.append(
            [
                f"{path.number:,}",
                _figure(path.sharpe),
                _percent(path.total_return),
                _percent(path.max_drawdown),
                f"{path.n_fills:,}",
            ]
        )
    more = [f"{len(paths.each) - PATHS_MAX:,} more paths are in walkforward.json"]
    return [
        *_aligned(rows),
        *(more if len(paths.each) > PATHS_MAX else []),
        f"paths    Sharpe {_figure(paths.mean)} on average, deviation {_figure(paths.deviation)}, from "
        f"{_figure(paths.least)} to {_figure(paths.most)}; {paths.n_positive:,} of {len(paths.each):,} above 0",
    ]


def _table(result: WalkForward) -> list[str]:
    rows = [["fold", "test from", "bars", "inside", "outside", "return", "fills", "choice"]]
    for fold in result.folds:
        outside = fold.outside
        rows.append(
            [
                f"{fold.number}",
                at((fold.test.start_ns or 0) - result.interval_ns),  # Its first bar's open.
                f"{fold.n_test:,}",
                _figure(fold.inside_sharpe),
                _figure(fold.outside_sharpe),
                _percent(math.nan if outside is None else outside.total_return),
                f"{0 if outside is None else outside.n_fills:,}",
                chosen(fold),
            ]
        )
    return [
        f"{line}  {row[-1]}" for line, row in zip(_aligned([row[:-1] for row in rows]), rows, strict=True)
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.2f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"
