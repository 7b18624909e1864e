"""What does a sweep look like as a page? Its folder comes in; `sweep.html` in it goes out, whatever the number of points.

Only `sweep.json` and `points.parquet` are read, so that the page of a finished sweep can be drawn anew. On top stands what
the best point shows once all trials are counted; no number of it is shown without its twin on the hold-out, where there is one.
"""

import math
from pathlib import Path
from typing import Any

import polars as pl
from msgspec.structs import replace

from njord.backtest.page_histogram import Histogram, histogram
from njord.backtest.page_sections import Table
from njord.backtest.page_text import MINUS, Cell, Row, clip, count, duration, percent, undefined, when
from njord.backtest.point import Score, Window
from njord.core.errors import DataError
from njord.core.units import NS_PER_S
from njord.research.axes import Axis
from njord.research.research_page import honesty_rows, number, plural, verdict_of, write
from njord.research.research_page_plot import Curve, Dot, Plot, Rect, Rule, Tick, levels, line, scale_of
from njord.research.sweep_page_map import SweepMap, sweep_map, with_places
from njord.research.sweep_page_metrics import Metric, capital_of, defined, metric_of, metrics_of
from njord.research.sweep_page_stability import AXES_MAX, Slice, rings, slices
from njord.research.sweep_result import TABLE, SweepResult, TwinScore, read_result
from njord.research.sweep_table import PRUNED

PAGE = "sweep.html"
TOP_MAX = 100  # Rows of the table.
SLOPES_MAX = 25
ERRORS_MAX = 20
_SECTIONS = (
    ("map", "Map"), ("stability", "Stability"), ("twins", "In and out of sample"), ("distribution", "All points"),
    ("honesty", "Honesty"), ("failed", "Refused and failed"), ("run", "How it was run"),
)  # fmt: skip


def write_page(folder: Path) -> Path:
    """Write the page of a finished sweep and return its path.

    Raises:
        DataError: The folder holds no finished sweep.
        OSError: The page can not be written.
    """
    result = read_result(folder)
    table = folder / TABLE
    if not table.is_file():
        raise DataError(f"{folder} has lost its {TABLE}", "sweep again, without --resume")
    points = with_places(pl.scan_parquet(table), result.axes)
    capital = capital_of([(twin.inside.final_equity, twin.inside.total_return) for twin in result.top])
    metric = metric_of(result.objective, capital)
    best = _places(result, result.top[0]) if result.top else None
    drawn = sweep_map(points, result.axes, metrics_of(result.objective, capital), best, result.n_points)
    context = _context(result, points, metric, best, drawn)
    return write(folder / PAGE, "sweep_page.html", context, drawn.data, ("sweep_page.js",))


def _context(
    result: SweepResult, points: pl.LazyFrame, metric: Metric, best: tuple[int, ...] | None, drawn: SweepMap
) -> dict[str, Any]:
    is_line = len(result.axes) == 1  # Its map is the walk along it already.
    around: list[Slice] = [] if best is None or is_line else slices(points, result.axes, metric, best)
    return {
        "kind": "sweep",
        "title": clip(f"{result.strategy} on {result.symbol}"),
        "badges": [
            plural(result.n_points, "point"),
            f"searched by {metric.name}",
            clip(result.data),
            plural(len(result.axes), "parameter"),
        ],
        "verdict": verdict_of(result.honesty, "Nobody has counted its trials.", _says(result, metric)),
        "sections": _SECTIONS,
        "metric": metric,
        "tiles_": _tiles(result, metric),
        "map_notes": drawn.notes,
        "is_line": is_line,
        "slices": around,
        "left_out_slices": max(0, len(result.axes) - AXES_MAX) if around else 0,
        "rings": None if best is None else rings(points, result.axes, metric, best),
        "slopes": _slopes(result, metric),
        "top": _top(result, metric),
        "has_twin": result.holdout is not None,
        "label": clip(result.label),
        "distribution_": _distribution(result, points, metric),
        "honesty": [] if result.honesty is None else honesty_rows(result.honesty),
        "ledger_error": clip((result.honesty or {}).get("error", "")),
        "logits": _logits(result.honesty),
        "refused": _refused_rows(result),
        "errors": _errors(points),
        "run": _run_rows(result),
    }


def _places(result: SweepResult, twin: TwinScore) -> tuple[int, ...]:
    values = dict(twin.inside.params)
    return tuple(axis.values.index(values[axis.name]) for axis in result.axes)


def _params(score: Score) -> str:
    return clip(" ".join(f"{name}={value}" for name, value in score.params))


# --- in words ---


def _says(result: SweepResult, metric: Metric) -> list[str]:
    if not result.top:
        return ["No point has a value to rank by."]
    inside, outside = result.top[0].inside, result.top[0].outside
    says = f"The best of {plural(result.n_points, 'point')}, {_params(inside)}, has a {metric.name} of {_figure(inside, metric)} in sample"
    if outside is None:
        return [f"{says}. No part of the data was held out: every number here flatters."]
    if outside.error:
        return [f"{says}; on the hold-out, which the search never saw, it failed."]
    return [f"{says}, and of {_figure(outside, metric)} on the hold-out, which the search never saw."]


def _figure(score: Score, metric: Metric) -> str:
    return metric.say(_value(score, metric)).text


def _value(score: Score | None, metric: Metric) -> float:
    return math.nan if score is None or score.error else float(getattr(score, metric.key))


def _tiles(result: SweepResult, metric: Metric) -> list[Row]:
    twin = result.top[0] if result.top else None
    report = result.honesty
    inside = metric.say(math.nan if twin is None else _value(twin.inside, metric))
    outside = metric.say(math.nan if twin is None else _value(twin.outside, metric))
    rows = [Row(f"Best {metric.name}, in sample", inside, "" if twin is None else _params(twin.inside))]
    if result.holdout is not None:
        rows.append(Row("The same, out of sample", outside, "on the hold-out"))
    if twin is not None:
        rows.append(
            Row(
                "Its neighbors",
                _neighbors(twin, metric),
                f"mean in sample of {plural(twin.n_neighbors, 'neighbor')}",
            )
        )
    rows.append(Row("Median of all points", metric.say(result.median), "in sample"))
    share = result.positive_share
    earned = undefined("No point has a score.") if math.isnan(share) else percent(share, "", decimals=1)
    rows.append(Row("Earned money", earned, "of the points, in sample"))
    if report is not None:
        dsr = number(report["deflated_sharpe"])
        shown = undefined("No Sharpe ratio to judge.") if math.isnan(dsr) else Cell(f"{dsr:.2f}")
        rows.append(
            Row(
                "Deflated Sharpe",
                shown,
                f"after {plural(report['n_trials'], 'trial')}; from 0.95 on it counts",
            )
        )
        if report["n_splits"]:
            rows.append(
                Row(
                    "Overfitting (PBO)",
                    percent(report["pbo"], "", decimals=0),
                    "chance that the choice misleads",
                )
            )
    return rows


# --- twins ---


def _slopes(result: SweepResult, metric: Metric) -> Plot | None:
    pairs = [
        (_value(twin.inside, metric), _value(twin.outside, metric), twin) for twin in result.top[:SLOPES_MAX]
    ]
    known = [pair for pair in pairs if not math.isnan(pair[0] + pair[1])]
    if result.holdout is None or not known:
        return None
    scale = scale_of([value for pair in known for value in pair[:2]])
    drawn = Plot(f"{metric.name} of the best points in sample and out of sample", height=280)
    drawn.ys = levels(scale, lambda value, step: metric.say(value, step).text, 6)
    drawn.hint = "Point at a line's end to see whose it is."
    drawn.xs = [Tick(20, "in sample"), Tick(80, "hold-out")]
    drawn.rules = [Rule(at, 0, at, 100, "split") for at in (20, 80)]
    if metric.middle is not None and scale.low < metric.middle < scale.high:
        drawn.rules.append(Rule(0, scale.down(metric.middle), 100, scale.down(metric.middle), "floor"))
    for place, (inside, outside, twin) in reversed(list(enumerate(known))):
        tone = "main" if place == 0 else "quiet"
        text = f"{_params(twin.inside)}: {metric.say(inside).text} in sample, {metric.say(outside).text} on the hold-out"
        ends = [(20.0, scale.down(inside)), (80.0, scale.down(outside))]
        drawn.paths.append(Curve(line(ends), tone))
        drawn.dots += [
            Dot(x, y, "" if place == 0 else "quiet", text, 6 if place == 0 else 4) for x, y in ends
        ]
    return drawn


def _top(result: SweepResult, metric: Metric) -> Table:
    has_twin = result.holdout is not None
    keys = [
        metric.key,
        *(key for key in ("sharpe", "total_return", "max_drawdown", "n_trips") if key != metric.key),
    ]
    shown = [metric_of(key, metric.middle or math.nan) for key in keys]
    headings = ["", *(clip(axis.name) for axis in result.axes)]
    for each in shown:
        title = each.name[0].upper() + each.name[1:]
        headings += [f"{title}, in", "out"] if has_twin else [title]
    headings.insert(len(result.axes) + (3 if has_twin else 2), "neighbors, in")
    rows = []
    for place, twin in enumerate(result.top[:TOP_MAX], 1):
        row = [Cell(str(place)), *(Cell(clip(value)) for _, value in twin.inside.params)]
        for k, each in enumerate(shown):
            row.append(each.say(_value(twin.inside, each), signed=each.key == "total_return"))
            if has_twin:
                row.append(_outside(twin.outside, each))
            if k == 0:
                row.append(_neighbors(twin, metric))
        rows.append(row)
    left_out = (
        f"The first {TOP_MAX} of {len(result.top)}; all are in sweep.json."
        if len(result.top) > TOP_MAX
        else ""
    )
    return Table(tuple(headings), rows, left_out)


def _neighbors(twin: TwinScore, metric: Metric) -> Cell:
    return (
        metric.say(twin.neighbors) if twin.n_neighbors else undefined("None of its neighbors was evaluated.")
    )


def _outside(score: Score | None, metric: Metric) -> Cell:
    if score is not None and score.error:
        return Cell("failed", "warn", clip(score.error))
    return metric.say(_value(score, metric), signed=metric.key == "total_return")


# --- all points ---


def _distribution(result: SweepResult, points: pl.LazyFrame, metric: Metric) -> Histogram | None:
    column = points.select(defined(metric).alias("value")).drop_nulls().collect(engine="streaming")["value"]
    middle = metric.middle or 0.0
    values = column.to_numpy() - middle
    marks = []
    if result.top:
        marks.append((_value(result.top[0].inside, metric), "the best"))
    luck = number((result.honesty or {}).get("expected_max_sharpe_annual"))
    if metric.key == "sharpe":
        marks.append(
            (luck, f"best by luck of {count(int(result.honesty['n_trials']))}" if result.honesty else "")
        )
    known = [
        (value - middle, f"{what}: {metric.say(value).text}")
        for value, what in marks
        if not math.isnan(value)
    ]
    drawn = histogram(values, lambda value, step: metric.say(value + middle, step), sorted(known))
    if drawn is None:
        return None
    names = ("points", "lowest", "median", "mean", "highest")
    facts = [(name, cell) for name, (_, cell) in zip(names, drawn.facts, strict=True)]
    return replace(drawn, facts=facts)


# Of the splits of time: where the best of one half was ranked in the other.
def _logits(report: dict[str, Any] | None) -> Plot | None:
    found = [] if report is None else [(number(edge), int(n)) for edge, n in report["logits"]]
    known = [(edge, n) for edge, n in found if not math.isnan(edge)]
    if len(known) < 2:
        return None
    width = known[1][0] - known[0][0]
    across = scale_of((known[0][0], known[-1][0] + width), 0.0, margin=0.0)
    most = max(n for _, n in known) or 1
    drawn = Plot("Where the best of one half of time was ranked in the other half", height=150)
    drawn.ys = [Tick(8, count(most)), Tick(54, count(round(most / 2)))]
    for edge, n in known:
        if n:
            at, height = across.at(edge), max(0.6, 92 * n / most)
            text = f"{plural(n, 'split')} at logits from {edge:.2f} to {edge + width:.2f}".replace("-", MINUS)
            drawn.rects.append(Rect(at, 100 - height, across.at(edge + width) - at, height, "plain", text))
    middle = across.at(0.0)
    drawn.rules = [Rule(0, 100, 100, 100, "floor"), Rule(middle, 0, middle, 100, "border")]
    drawn.xs = [Tick(0, "last"), Tick(middle, "middle"), Tick(100, "first")]
    return drawn


# --- what else there is to say ---


def _refused_rows(result: SweepResult) -> list[Row]:
    return [
        Row("Combinations", Cell(count(result.n_combinations)), "of all values of all parameters"),
        Row("Refused", Cell(count(result.n_refused)), "by the strategy itself, and never run"),
        Row("Evaluated", Cell(count(result.n_points))),
        Row("Failed", Cell(count(result.n_failed), "warn" if result.n_failed else ""), "with an error"),
        Row("Given up early", Cell(count(result.n_pruned)), "by the pruner"),
    ]


def _errors(points: pl.LazyFrame) -> list[tuple[str, str]]:
    said = pl.col("error")
    failed = points.filter((said != "") & ~said.str.starts_with(PRUNED)).group_by("error").len()
    frame = failed.sort("len", "error", descending=[True, False]).head(ERRORS_MAX).collect(engine="streaming")
    return [(count(n), clip(error)) for error, n in frame.select("error", "len").iter_rows()]


def _run_rows(result: SweepResult) -> list[tuple[str, str]]:
    axes = [(axis.name, _values(axis)) for axis in result.axes]
    shared = " ".join(result.shared)
    engine = f"{result.engine} engine" + (f": {result.why_ordered}" if result.why_ordered else "")
    found = [
        ("strategy", result.strategy),
        ("symbol", result.symbol),
        ("data", result.data),
        *axes,
        *([("not varied", shared)] if shared else []),
        (
            "searched by",
            f"{result.objective}, sampler {result.sampler}, pruner {result.pruner}, seed {result.seed}",
        ),
        ("in sample", _window(result.window)),
        ("hold-out", "none" if result.holdout is None else _window(result.holdout)),
        ("engine", engine),
        ("took", duration(result.wall_s * NS_PER_S) if math.isfinite(result.wall_s) else "unknown"),
    ]
    return [(clip(name), clip(text)) for name, text in found]


def _values(axis: Axis) -> str:
    n = len(axis.values)
    return (
        ", ".join(axis.values)
        if n <= 8
        else f"{n:,} values, {axis.values[0]}, {axis.values[1]} to {axis.values[-1]}"
    )


def _window(window: Window) -> str:
    start = "the data's start" if window.start_ns is None else f"{when(window.start_ns)}"
    end = "the data's end" if window.end_ns is None else f"{when(window.end_ns)}"
    return f"{start} to {end}"
