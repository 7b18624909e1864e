"""What does a sweep say on the terminal? A forecast or a result in, lines of text out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from njord.research.forecast import Forecast
from njord.research.sweep_result import SweepResult, TwinScore

_PERCENT = frozenset(
    {"total_return", "cagr", "max_drawdown", "volatility", "win_rate"}
)  # Objectives that are fractions.


def forecast_line(forecast: Forecast) -> str:
    """Return what a sweep will take."""
    about = "" if forecast.is_counted else "about "
    many = f"{about}{forecast.n_points:,} of {forecast.n_combinations:,} combinations"
    how = f"{forecast.s_per_point * 1e3:.3g} ms a point on the {forecast.engine} engine"
    if math.isnan(forecast.wall_s):
        time = "as fast as the scheduler's workers are"
    else:
        crew = "1 worker" if forecast.n_workers == 1 else f"{forecast.n_workers} workers"
        time = f"about {_duration(forecast.wall_s)} with {crew}"
    return f"forecast {many}, {how}: {time}, {forecast.memory_mib:,} MiB of memory, {forecast.disk_mib:,} MiB on disk"


def result_lines(result: SweepResult) -> list[str]:
    """Return the summary: what was searched, the best with their twins, and how to take them."""
    points = f"{result.n_points:,} points"
    if result.n_refused:
        points += f", {result.n_refused:,} combinations refused by the strategy"
    if result.n_failed:
        points += f", {result.n_failed:,} failed"
    if result.n_pruned:
        points += f", {result.n_pruned:,} given up early"
    engine = f"{result.engine} engine"
    if result.why_ordered:
        engine += f" ({result.why_ordered})"
    lines = [
        f"sweep    {result.strategy} on {result.symbol} by {result.objective} ({result.sampler})",
        f"points   {points}; {engine}",
        f"label    {result.label}",
        f"positive {_percent(result.positive_share)} of the points earned money in sample, median "
        f"{result.objective} {_figure(result.median, result.objective)}",
        "",
        *_table(result),
        "",
        f"table    {result.folder / 'points.parquet'}",
    ]
    if result.honesty is not None:
        lines[4:4] = _honesty(result.honesty)
    return lines


def _honesty(report: Mapping[str, Any]) -> list[str]:
    said = [f"verdict  {report['verdict']}: {report['because']}"]
    n_held_out = report.get("n_held_out", 0)
    if n_held_out:
        looks = "one more trial" if n_held_out == 1 else f"{n_held_out:,} more trials"
        said.append(f"counted  the hold-out is seen now: {looks} for whatever is tried next")
    return said


def _table(result: SweepResult) -> list[str]:
    if not result.top:
        return ["no point has a value to rank by"]
    names = [axis.name for axis in result.axes]
    has_twin = result.holdout is not None
    header = ["", *names, "inside", *(["outside"] if has_twin else []), "neighbors", "return inside"]
    header += ["return outside"] if has_twin else []
    header += ["trips"]
    rows = [_row(place, twin, result, has_twin) for place, twin in enumerate(result.top, 1)]
    return _aligned([header, *rows])


def _row(place: int, twin: TwinScore, result: SweepResult, has_twin: bool) -> list[str]:
    inside, outside, objective = twin.inside, twin.outside, result.objective
    row = [f"{place}", *(value for _, value in inside.params)]
    row.append(_figure(getattr(inside, objective), objective))
    if has_twin:
        value = math.nan if outside is None else getattr(outside, objective)
        row.append("failed" if outside is not None and outside.error else _figure(value, objective))
    row += [_figure(twin.neighbors, objective), _percent(inside.total_return)]
    if has_twin:
        row.append(_percent(math.nan if outside is None else outside.total_return))
    return [*row, f"{inside.n_trips:,}"]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _figure(value: float, objective: str) -> str:
    if objective in _PERCENT:
        return _percent(value)
    return "-" if math.isnan(value) else f"{value:,.2f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    if seconds < 6_000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
