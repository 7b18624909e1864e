"""Does the best of a sweep stand on a hill or on a needle? The points around it in; a drawing for every axis and a table of
rings around it out.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from njord.backtest.page_curves import extremes
from njord.backtest.page_sections import Table
from njord.backtest.page_text import Cell, clip, count, percent
from njord.research.axes import Axis
from njord.research.research_page_plot import Curve, Dot, Plot, Rule, Scale, Tick, levels, line, scale_of
from njord.research.sweep_page_metrics import Metric, defined

AXES_MAX = 8
RINGS = 5
_STRETCHES_MAX = 150
_DOTS_MAX = 60
_LABELS_MAX = 6
_LABEL_MAX = 12


class Slice(msgspec.Struct, frozen=True):
    """How the objective goes along one axis."""

    title: str
    about: str
    plot: Plot


def slices(points: pl.LazyFrame, axes: Sequence[Axis], metric: Metric, best: Sequence[int]) -> list[Slice]:
    """Return the drawings of the first axes: the objective along each, all others as at the best point.

    Args:
        points: With columns `place0` and so on.
        axes: All of them.
        metric: The objective.
        best: The place of the best point on every axis.
    """
    found = []
    for number in range(min(len(axes), AXES_MAX)):
        others = [other for other in range(len(axes)) if other != number]
        near = points.filter(pl.col(f"place{other}") == best[other] for other in others) if others else points
        frame = near.select(
            pl.col(f"place{number}").alias("place"), defined(metric).alias("value")
        ).drop_nulls()
        found.append(frame.sort("place").collect())
    shared = scale_of(value for frame in found for value in frame["value"].to_list())
    return [
        _slice(axes[number], frame, metric, best[number], shared, len(axes))
        for number, frame in enumerate(found)
    ]


def rings(points: pl.LazyFrame, axes: Sequence[Axis], metric: Metric, best: Sequence[int]) -> Table:
    """Return what lies how many steps around the best point, whichever way."""
    away = pl.max_horizontal((pl.col(f"place{number}") - best[number]).abs() for number in range(len(axes)))
    value = pl.col("value")
    low, high = (value.min(), value.max()) if metric.better > 0 else (value.max(), value.min())
    frame = (
        points.select(away.alias("away"), defined(metric).alias("value"), pl.col("total_return"))
        .filter(pl.col("away") <= RINGS)
        .drop_nulls("value")
        .group_by("away")
        .agg(
            n=pl.len(), high=high, mean=value.mean(), low=low,
            earned=(pl.col("total_return") > 0).mean(),
        )
        .sort("away")
        .collect()
    )  # fmt: skip
    rows = [
        [
            Cell("the best" if row["away"] == 0 else f"{row['away']} away"),
            Cell(count(row["n"])),
            *(metric.say(row[name]) for name in ("high", "mean", "low")),
            percent(row["earned"], "", decimals=0),
        ]
        for row in frame.iter_rows(named=True)
    ]
    title = metric.name[0].upper() + metric.name[1:]
    return Table(("Steps", "Points", f"{title}, best", "mean", "worst", "Earned money"), rows)


def _slice(axis: Axis, frame: pl.DataFrame, metric: Metric, best: int, scale: Scale, n_axes: int) -> Slice:
    places, values = frame["place"].to_numpy(), frame["value"].to_numpy()
    if values.size > 2 * _STRETCHES_MAX:
        kept = np.union1d(extremes(values, -(-values.size // _STRETCHES_MAX)), np.flatnonzero(places == best))
        places, values = places[kept], values[kept]
    across = Scale(-0.5, len(axis.values) - 0.5)
    spots = [
        (across.at(place), scale.down(value))
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
    ]
    said = [
        f"{clip(axis.name)} {_value(axis, place)}: {metric.name} {metric.say(value).text}"
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
    ]
    is_best = (places == best).tolist()
    drawn = Plot(f"{metric.name} along {clip(axis.name)}", height=170)
    drawn.ys = levels(scale, lambda value, step: metric.say(value, step).text)
    drawn.xs = _labels(axis, across)
    if metric.middle is not None and scale.low < metric.middle < scale.high:
        at = scale.down(metric.middle)
        drawn.rules.append(Rule(0, at, 100, at, "floor"))
    drawn.paths = [Curve(line(spots), "main")] if len(spots) > 1 else []
    small = 2.5 if len(spots) > _DOTS_MAX else 4
    drawn.dots = [
        Dot(x, y, "best" if own else "", text, 6 if own else small)
        for (x, y), text, own in zip(spots, said, is_best, strict=True)
    ]
    drawn.dots.sort(key=lambda dot: dot.tone == "best")  # On top.
    others = "" if n_axes == 1 else "; all else as at the best"
    return Slice(clip(axis.name), f"{count(len(frame))} of {count(len(axis.values))} values{others}", drawn)


def _labels(axis: Axis, across: Scale) -> list[Tick]:
    every = -(-len(axis.values) // _LABELS_MAX)
    return [Tick(across.at(place), _value(axis, place)) for place in range(0, len(axis.values), every)]


def _value(axis: Axis, place: int) -> str:
    text = axis.values[place]
    return text if len(text) <= _LABEL_MAX else f"{text[: _LABEL_MAX - 1]}\N{HORIZONTAL ELLIPSIS}"
