"""What have all points together to say? The rows that a sweep kept in; `points.parquet` in axis order, the best points,
how their neighbors do, and what share earned money, out.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.backtest.point import Score
from njord.research.axes import Axis
from njord.research.grid import Grid
from njord.research.sweep_result import OBJECTIVES, TABLE, SweepPlan
from njord.research.sweep_store import COUNTS, FLOATS, Rows, SweepStore, score_of

_BATCH_ROWS = 4096
BLOCKS = ("block_n", "block_sum", "block_squares")
PRUNED = "pruned"  # How the error of a row begins that was given up early.


class Best(msgspec.Struct, frozen=True):
    """One of the best points, in sample."""

    score: Score
    neighbors: float
    n_neighbors: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows amount to; the fields are those of `SweepResult`."""

    n_points: int
    n_failed: int
    n_pruned: int
    positive_share: float
    median: float
    best: tuple[Best, ...]


class Finisher:
    """Reads the rows of a sweep; memory is a few numbers for each row.

    Args:
        store: The rows.
        plan: What they are of.
    """

    def __init__(self, store: SweepStore, plan: SweepPlan) -> None:
        self._store, self._plan = store, plan
        self._grid = Grid(plan.axes)
        index = store.column("index")
        self._order = np.argsort(index, kind="stable")
        self._index = index[self._order]

    def overview(self) -> Overview:
        """Return the figures of all rows."""
        has_failed = self._store.has_error()[self._order]
        is_pruned = self._store.has_error(PRUNED)[self._order]
        values = self._store.column(self._plan.objective)[self._order]
        good = np.where(has_failed, np.nan, values * OBJECTIVES[self._plan.objective])
        known = np.flatnonzero(~np.isnan(good))
        earned = self._store.column("total_return")[self._order][~has_failed] > 0
        ranked = known[np.lexsort((known, -good[known]))][: self._plan.n_top]
        rows = self._store.take(self._order[ranked])
        return Overview(
            n_points=self._order.size,
            n_failed=int(np.count_nonzero(has_failed & ~is_pruned)),
            n_pruned=int(np.count_nonzero(is_pruned)),
            positive_share=float(earned.mean()) if earned.size else math.nan,
            median=float(np.median(values[known])) if known.size else math.nan,
            best=tuple(self._best(row, np.where(has_failed, np.nan, values)) for row in rows),
        )

    def write(self, folder: Path) -> None:
        """Write the table, whole or not at all; the same rows give the same bytes in whatever order they came."""
        schema = table_schema(self._plan)

        def source(
            with_columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            for first in range(0, self._order.size, _BATCH_ROWS):
                places = self._order[first : first + _BATCH_ROWS]
                frame = self._frame(self._store.take(places), schema)
                yield frame if with_columns is None else frame.select(with_columns)

        lazy = pl.io.plugins.register_io_source(source, schema=schema)
        temporary = folder / f"{TABLE}.part"
        lazy.sink_parquet(temporary, compression="zstd", row_group_size=_BATCH_ROWS)
        os.replace(temporary, folder / TABLE)

    def _best(self, row: Any, values: NDArray[np.float64]) -> Best:
        index = int(row["index"])
        near = np.array(sorted(self._grid.neighbors(index)), dtype=np.uint64)
        at = np.searchsorted(self._index, near)
        at = at[(at < self._index.size) & (self._index[np.minimum(at, self._index.size - 1)] == near)]
        found = values[at][~np.isnan(values[at])]
        return Best(
            score_of(row, self._grid.at(index)), float(found.mean()) if found.size else math.nan, found.size
        )

    def _frame(self, rows: Rows, schema: pl.Schema) -> pl.DataFrame:
        points = [self._grid.places(int(index)) for index in rows["index"]]
        columns: dict[str, Any] = {"index": rows["index"].astype(np.int64)}
        for number, axis in enumerate(self._plan.axes):
            convert = _converter(axis)
            columns[column_name(axis)] = [convert(axis.values[places[number]]) for places in points]
        columns |= {name: rows[name] for name in (*COUNTS, *FLOATS)}
        for place, name in enumerate(BLOCKS):
            columns[name] = np.ascontiguousarray(rows["blocks"][:, :, place])
        columns["engine"] = np.where(rows["is_fast"], "fast", "ordered").tolist()
        columns["error"] = [error.decode(errors="ignore") for error in rows["error"].tolist()]
        return pl.DataFrame(columns, schema=schema)


def write_csv(folder: Path, objective: str, path: Path) -> None:
    """Write the points of a finished sweep as CSV, the best first, those without a value last; blocks are left out.

    Raises:
        OSError: The file can not be written.
    """
    table = pl.scan_parquet(folder / TABLE).drop(BLOCKS)
    good = pl.when(pl.col("error") == "").then(pl.col(objective) * OBJECTIVES[objective]).fill_nan(None)
    table.sort(good, pl.col("index"), descending=[True, False], nulls_last=True).sink_csv(path)


def table_schema(plan: SweepPlan) -> pl.Schema:
    """Return the columns of `points.parquet`: `index` in the grid, the axes, the figures, blocks, engine and error."""
    blocks = pl.Array(pl.Float64, plan.n_blocks)
    return pl.Schema(
        {"index": pl.Int64()}
        | {column_name(axis): _kind(axis) for axis in plan.axes}
        | {name: pl.Int64() for name in COUNTS}
        | {name: pl.Float64() for name in FLOATS}
        | {name: blocks for name in BLOCKS}
        | {"engine": pl.String(), "error": pl.String()}
    )


def column_name(axis: Axis) -> str:
    """Return the name of an axis's column; one that would hide a figure stands behind `param_`."""
    taken = {"index", "engine", "error", *COUNTS, *FLOATS, *BLOCKS}
    return f"param_{axis.name}" if axis.name in taken else axis.name


def _kind(axis: Axis) -> pl.DataType:
    return {int: pl.Int64(), float: pl.Float64(), str: pl.String()}[_converter(axis)]


def _converter(axis: Axis) -> type[int] | type[float] | type[str]:
    for kind in (int, float):
        try:
            for value in axis.values:
                kind(value)
        except ValueError:
            continue
        return kind
    return str
