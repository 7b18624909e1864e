"""What does the heat map of a sweep need, whatever the number of points? The table of points in; numbers for a script out.

Few points go onto the page whole, so that every axis can be fixed and every figure chosen. Of many, each pair of axes gets
its own grids, made here; cells hold several values where an axis has more than there is room for. Either way the page holds
at most `NUMBERS_MAX` of these numbers.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import msgspec
import polars as pl

from njord.backtest.page_text import clip, count
from njord.research.axes import Axis
from njord.research.grid import Grid
from njord.research.research_page import finite
from njord.research.sweep_page_metrics import Metric, defined

NUMBERS_MAX = 300_000
CELLS_MAX = 250  # Of one axis.
AXES_MAX = 6  # With pairs of their own.
METRICS_MAX = 3  # Of grids that are made here.
_LABEL_MAX = 40


class SweepMap(msgspec.Struct, frozen=True):
    """The map's numbers, and what they leave out, in sentences."""

    data: dict[str, Any]
    notes: list[str]


def sweep_map(
    points: pl.LazyFrame,
    axes: Sequence[Axis],
    metrics: Sequence[Metric],
    best: Sequence[int] | None,
    n_points: int,
) -> SweepMap:
    """Return the map of a sweep.

    Args:
        points: With the columns `index` and `error` and those of the metrics.
        axes: In order.
        metrics: The objective first.
        best: The place of the best point on every axis; None if there is none.
        n_points: How many rows there are.
    """
    n_axes = len(axes)
    is_whole = n_points * (n_axes + len(metrics)) <= NUMBERS_MAX
    if not is_whole:
        axes, metrics = axes[:AXES_MAX], metrics[:METRICS_MAX]
    n_cells = [_n_cells(axis, len(axes), len(metrics), is_whole) for axis in axes]
    data: dict[str, Any] = {
        "axes": [_axis(axis, n) for axis, n in zip(axes, n_cells, strict=True)],
        "metrics": [_metric(metric) for metric in metrics],
        "best": None
        if best is None
        else [_cell(place, axis, n) for place, axis, n in zip(best, axes, n_cells, strict=False)],
        "near": [] if best is None else _near(best, axes, n_cells),
    }
    if is_whole:
        return SweepMap(data | {"points": _whole(points, axes, n_cells, metrics)}, _joined(axes, n_cells))
    grids = [
        {"pair": list(pair), "grids": _grids(points, axes, n_cells, metrics, best, pair)}
        for pair in (combinations(range(len(axes)), 2) if len(axes) > 1 else [(0,)])
    ]
    notes = [
        f"{count(n_points)} points are more than the page holds one by one: its cells were counted together when it was "
        "drawn. All points are in points.parquet.",
        *(["Other parameters can be fixed at the best point's values only."] if n_axes > 2 else []),
        *_joined(axes, n_cells),
    ]
    if n_axes > AXES_MAX:
        notes.append(f"Maps are of the first {AXES_MAX} axes; {n_axes - AXES_MAX} more have none.")
    return SweepMap(data | {"pairs": grids}, notes)


def with_places(points: pl.LazyFrame, axes: Sequence[Axis]) -> pl.LazyFrame:
    """Add the place on every axis, as columns `place0` and so on."""
    lengths = Grid(axes).lengths
    strides = [math.prod(lengths[number + 1 :]) for number in range(len(lengths))]
    places = [
        (pl.col("index") // stride % length).alias(f"place{number}")
        for number, (stride, length) in enumerate(zip(strides, lengths, strict=True))
    ]
    return points.with_columns(places)


def _n_cells(axis: Axis, n_axes: int, n_metrics: int, is_whole: bool) -> int:
    side = CELLS_MAX
    if not is_whole and n_axes > 1:
        n_modes = 2 if n_axes == 2 else 3
        side = min(side, math.isqrt(NUMBERS_MAX // (math.comb(n_axes, 2) * n_metrics * n_modes)))
    return min(len(axis.values), side)


def _cell(place: int, axis: Axis, n_cells: int) -> int:
    return place * n_cells // len(axis.values)


def _axis(axis: Axis, n_cells: int) -> dict[str, Any]:
    size = len(axis.values)
    firsts = [-(-cell * size // n_cells) for cell in range(n_cells + 1)]
    return {
        "name": clip(axis.name),
        "labels": [_short(axis.values[first]) for first in firsts[:-1]],
        "ends": [_short(axis.values[after - 1]) for after in firsts[1:]] if n_cells < size else None,
    }


def _short(value: str) -> str:
    return value if len(value) <= _LABEL_MAX else f"{value[: _LABEL_MAX - 1]}\N{HORIZONTAL ELLIPSIS}"


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "kind": metric.kind,
        "better": metric.better,
        "middle": finite(metric.middle),
    }


# Cells of the grid's neighbors of the best point, on every axis.
def _near(best: Sequence[int], axes: Sequence[Axis], n_cells: Sequence[int]) -> list[list[int]]:
    near = []
    for place, axis, n in zip(best, axes, n_cells, strict=False):
        cells = [_cell(each, axis, n) for each in (place - 1, place + 1) if 0 <= each < len(axis.values)]
        near.append([cell for cell in cells if cell != _cell(place, axis, n)])
    return near


def _joined(axes: Sequence[Axis], n_cells: Sequence[int]) -> list[str]:
    return [
        f"{count(len(axis.values))} values of {clip(axis.name)} share {count(n)} cells."
        for axis, n in zip(axes, n_cells, strict=True)
        if n < len(axis.values)
    ]


def _whole(
    points: pl.LazyFrame, axes: Sequence[Axis], n_cells: Sequence[int], metrics: Sequence[Metric]
) -> dict[str, Any]:
    frame = (
        _celled(points, axes, n_cells)
        .select(
            *(f"cell{number}" for number in range(len(axes))),
            *(defined(metric).alias(f"m{k}") for k, metric in enumerate(metrics)),
        )
        .collect()
    )
    return {
        "cells": [frame[f"cell{number}"].to_list() for number in range(len(axes))],
        "values": [_numbers(frame[f"m{k}"].to_list()) for k in range(len(metrics))],
    }


def _celled(points: pl.LazyFrame, axes: Sequence[Axis], n_cells: Sequence[int]) -> pl.LazyFrame:
    return points.with_columns(
        (pl.col(f"place{number}") * n // len(axis.values)).alias(f"cell{number}")
        for number, (axis, n) in enumerate(zip(axes, n_cells, strict=True))
    )


# Of one pair: for every way to see the other axes, and every metric, rows of cells; the second axis turns fastest.
def _grids(
    points: pl.LazyFrame,
    axes: Sequence[Axis],
    n_cells: Sequence[int],
    metrics: Sequence[Metric],
    best: Sequence[int] | None,
    pair: tuple[int, ...],
) -> dict[str, list[list[float | None]]]:
    celled = _celled(points, axes, n_cells)
    keys = [f"cell{number}" for number in pair]
    wishes = []
    for k, metric in enumerate(metrics):
        value = defined(metric)
        wishes += [
            (value.max() if metric.better > 0 else value.min()).alias(f"best{k}"),
            value.mean().alias(f"mean{k}"),
        ]
    made = {"": celled.group_by(keys).agg(wishes).collect(engine="streaming")}
    others = [number for number in range(len(axes)) if number not in pair]
    if best is not None and others:
        at_best = pl.all_horizontal(pl.col(f"place{number}") == best[number] for number in others)
        made["at"] = celled.filter(at_best).group_by(keys).agg(wishes).collect(engine="streaming")
    shape = [n_cells[number] for number in pair]
    found = {
        mode: [_filled(made[""], keys, shape, f"{mode}{k}") for k in range(len(metrics))]
        for mode in ("best", "mean")
    }
    if "at" in made:
        found["at"] = [_filled(made["at"], keys, shape, f"best{k}") for k in range(len(metrics))]
    return found


def _filled(
    frame: pl.DataFrame, keys: Sequence[str], shape: Sequence[int], column: str
) -> list[float | None]:
    cells: list[float | None] = [None] * math.prod(shape)
    columns = [frame[key].to_list() for key in keys]
    for places, value in zip(zip(*columns, strict=True), _numbers(frame[column].to_list()), strict=True):
        at = places[0] if len(places) == 1 else places[0] * shape[1] + places[1]
        cells[at] = value
    return cells


def _numbers(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.5g}") for value in values]
