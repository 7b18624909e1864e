"""What do equity, buy and hold and drawdown look like in a few thousand points? The curve comes in, piece by piece; the lowest and
the highest point of every stretch go out, so that no trough is lost, and with them the daily returns.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.backtest.result import BacktestResult
from njord.performance.drawdown import drawdown_curve
from njord.performance.streaming import EquityStatistics

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Batch = tuple[IntArray, FloatArray, FloatArray]

STRETCHES_MAX = 1_000
_BATCH_ROWS = 65_536


class Line(msgspec.Struct, frozen=True):
    """A curve as two columns; times strictly increasing."""

    ts_ns: list[int]
    values: list[float]


class Curves(msgspec.Struct, frozen=True):
    """What the page draws of an equity curve.

    Attributes:
        equity: At market, in the report asset, beginning with the capital.
        benchmark: Buy and hold at the same times.
        drawdown: Depth below the running peak as a fraction <= 0.
        daily_returns: Of each UTC day, fractions.
        n_points: Points the curve has.
        n_per_stretch: Points of which the lowest and the highest are kept.
        is_full: Made of every bar; otherwise of the sample that the result carries.
    """

    equity: Line
    benchmark: Line
    drawdown: Line
    daily_returns: FloatArray
    n_points: int
    n_per_stretch: int
    is_full: bool


def curves(result: BacktestResult, folder: Path) -> Curves:
    """Return the curves of a result: from its own points if they are all, else from the Parquet file in `folder`.

    If that file is not there or is another run's, the result's sample has to do.
    """
    full = folder / result.equity_curve_file
    n_bars, n_sampled = int(result.stats["n_bars"]), len(result.equity_curve)
    from_file = n_sampled < n_bars and _belongs(full, result)
    n_points = n_bars if from_file else n_sampled
    n_per_stretch = max(1, -(-n_points // STRETCHES_MAX))
    rows = max(1, _BATCH_ROWS // n_per_stretch) * n_per_stretch
    batches = _parquet_batches(full, n_points, rows) if from_file else _sample_batches(result, rows)
    return _reduce(result, batches, n_points, n_per_stretch, n_points == n_bars)


def _reduce(
    result: BacktestResult, batches: Iterator[Batch], n_points: int, n_per_stretch: int, is_full: bool
) -> Curves:
    capital = float(result.capital)
    statistics = EquityStatistics(capital=capital, interval_ns=int(result.stats["interval_ns"]))
    start_ns = result.start_ns
    if (
        result.equity_curve
    ):  # Ticks may have their first point at the very start: the capital stands before it.
        start_ns = min(start_ns, result.equity_curve[0][0] - statistics.interval_ns)
    equity, drawdown = Line([start_ns], [capital]), Line([start_ns], [0.0])
    hold = Line([start_ns], [capital])
    peak = capital
    for ts_ns, values, held in batches:
        statistics.update(ts_ns, values)
        depths = drawdown_curve(np.concatenate(([peak], values)))[1:]
        peak = max(peak, float(values.max()))
        last = np.array([values.size - 1], dtype=np.int64)
        below = extremes(0.0 - depths, n_per_stretch)
        _extend(drawdown, ts_ns, 0.0 - depths, np.union1d(below, last))
        # One line of times for both.
        kept = np.union1d(np.union1d(extremes(values, n_per_stretch), extremes(held, n_per_stretch)), last)
        _extend(equity, ts_ns, values, kept)
        _extend(hold, ts_ns, held, kept)
    return Curves(equity, hold, drawdown, statistics.daily_returns(), n_points, n_per_stretch, is_full)


def _extend(line: Line, ts_ns: IntArray, values: FloatArray, kept: IntArray) -> None:
    line.ts_ns.extend(ts_ns[kept].tolist())
    line.values.extend(values[kept].tolist())


def extremes(values: FloatArray, n_per_stretch: int) -> IntArray:
    """Return the indices of the lowest and the highest value of every `n_per_stretch` values, in order.

    Args:
        values: Shape (n,), no NaN; the last stretch may be shorter.
        n_per_stretch: At least 1; 1 and 2 keep everything.

    Returns:
        Strictly increasing indices, at most two a stretch; of equals the first.
    """
    whole = values.size // n_per_stretch * n_per_stretch
    table = values[:whole].reshape(-1, n_per_stretch)
    offsets = np.arange(0, whole, n_per_stretch, dtype=np.int64)
    found = [table.argmin(axis=1) + offsets, table.argmax(axis=1) + offsets] if whole else []
    if whole < values.size:
        rest = values[whole:]
        found.append(np.array([rest.argmin(), rest.argmax()], dtype=np.int64) + whole)
    return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


# A file left there by another run must not lend its curve to this page.
def _belongs(path: Path, result: BacktestResult) -> bool:
    if not path.is_file():
        return False
    frame = pl.scan_parquet(path)
    n_rows = int(frame.select(pl.len()).collect().item())
    if not n_rows or n_rows != result.stats["n_bars"] or not result.equity_curve:
        return False
    last = frame.slice(n_rows - 1, 1).collect().row(0)
    return bool(last[:2] == tuple(result.equity_curve[-1]))


def _parquet_batches(path: Path, n_rows: int, rows: int) -> Iterator[Batch]:
    frame = pl.scan_parquet(path)
    for start in range(0, n_rows, rows):
        piece = frame.slice(start, rows).collect()
        yield piece["ts_ns"].to_numpy(), piece["equity"].to_numpy(), piece["benchmark"].to_numpy()


def _sample_batches(result: BacktestResult, rows: int) -> Iterator[Batch]:
    for start in range(0, len(result.equity_curve), rows):
        ts_ns, equity = zip(*result.equity_curve[start : start + rows], strict=True)
        held = np.array(result.benchmark_curve[start : start + rows], dtype=np.float64)
        yield (
            np.array(ts_ns, dtype=np.int64),
            np.array(equity, dtype=np.float64),
            held,
        )
