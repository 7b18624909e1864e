"""What bars does a run see? Ordered rows of whole ticks and lots, with their hash and what is wrong with them.

A `BarDataset` comes from `bars_file.open_bars`. It lies on anonymous temporary files, is read in chunks, and is the
same, hash included, whichever file format the bars came in.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.stage import ColumnStage

IntArray = NDArray[np.int64]

CANONICAL_TYPES = (np.int64,) * 6
HASH_SCHEMA = "njord-bars-1"


class BarQuality(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the bars, counted.

    Attributes:
        n_rows: Canonical rows in the dataset.
        n_gaps: Places where at least one bar is missing or late.
        n_missing_bars: Bars missing in all gaps.
        largest_gap_ns: Longest time without a bar.
        n_duplicates: Exact duplicates dropped (only with repair).
        n_conflicting_duplicates: Rows of another content with the timestamp of an earlier one, dropped (with repair).
        n_out_of_order: Rows earlier than one before them in the file, moved by sorting (only with repair).
        n_inconsistent: Bars with high < low, or open or close outside [low, high]; kept.
        n_snapped: Prices within 1e-6 tick (and 1,024 last places of the float) of a grid point, not the nearest float.
        n_off_grid: Prices truly off the tick grid, rounded to the nearest tick.
        n_flat_filled: Bars with any off-grid price: straight-line filled minutes and such.
        n_zero_volume: Bars without volume.
        first_gaps: Up to 20 of (ts_open_ns of the last bar before the gap, missing bars).
    """

    n_rows: int
    n_gaps: int = 0
    n_missing_bars: int = 0
    largest_gap_ns: int = 0
    n_duplicates: int = 0
    n_conflicting_duplicates: int = 0
    n_out_of_order: int = 0
    n_inconsistent: int = 0
    n_snapped: int = 0
    n_off_grid: int = 0
    n_flat_filled: int = 0
    n_zero_volume: int = 0
    first_gaps: tuple[tuple[int, int], ...] = ()


class BarChunk(msgspec.Struct, frozen=True):
    """Successive bars as int64 arrays of equal length; prices in ticks, `first_row` from 0."""

    first_row: int
    ts_open_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume_lots: IntArray


class BarDataset:
    """Bars of one instrument, strictly rising in time; a context manager, whose `close` removes the staging."""

    def __init__(
        self,
        *,
        path: Path,
        instrument: Instrument,
        interval_ns: int,
        stage: ColumnStage,
        digest: str,
        quality: BarQuality,
        assumptions: tuple[str, ...],
    ) -> None:
        self.path = path
        self.name = path.name
        self.instrument = instrument
        self.interval_ns = interval_ns
        self.n_rows = stage.n_rows
        self.hash = digest
        self.quality = quality
        self.assumptions = assumptions
        self._stage = stage
        self.first_ts_open_ns = self._ts_open_ns(0)
        self.last_ts_open_ns = self._ts_open_ns(self.n_rows - 1)

    def rows_between(self, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
        """Return (first_row, end_row) of the bars that open in [start_ns, end_ns); None = no bound."""
        rows = range(self.n_rows)
        first = 0 if start_ns is None else bisect_left(rows, start_ns, key=self._ts_open_ns)
        end = self.n_rows if end_ns is None else bisect_left(rows, end_ns, key=self._ts_open_ns)
        return first, max(first, end)

    def chunks(self, first_row: int = 0, end_row: int | None = None, size: int = 8192) -> Iterator[BarChunk]:
        """Yield the bars of rows [first_row, end_row) in order, `size` at a time.

        Raises:
            ValueError: The rows are not within the dataset, or `size` is not positive.
        """
        end_row = self.n_rows if end_row is None else end_row
        if not 0 <= first_row <= end_row <= self.n_rows:
            raise ValueError(f"rows [{first_row}, {end_row}) must lie within [0, {self.n_rows})")
        if size < 1:
            raise ValueError(f"size must be >= 1, was {size}")
        for start in range(first_row, end_row, size):
            end = min(start + size, end_row)
            yield BarChunk(
                start, *(self._stage.read(column, start, end) for column in range(len(CANONICAL_TYPES)))
            )

    def close(self) -> None:
        """Remove the staged rows; the dataset's facts stay readable."""
        self._stage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ts_open_ns(self, row: int) -> int:
        return int(self._stage.read(0, row, row + 1)[0])


class BarHash:
    """SHA-256 over the instrument, the interval and the canonical rows, whatever the size of the pieces."""

    def __init__(self, instrument: Instrument, interval_ns: int) -> None:
        facts = (
            HASH_SCHEMA, instrument.symbol, instrument.venue, instrument.base, instrument.quote, instrument.kind.value,
            plain(instrument.tick_size), plain(instrument.lot_size), plain(instrument.min_qty), plain(instrument.max_qty),
            plain(instrument.min_notional), str(instrument.money_scale), str(interval_ns),
        )  # fmt: skip
        self._sha256 = hashlib.sha256(("\n".join(facts) + "\n\n").encode())

    def add(self, columns: list[IntArray]) -> None:
        """Add rows: ts_open_ns, open, high, low, close, volume_lots, each as 8 little-endian bytes."""
        self._sha256.update(np.stack(columns, axis=1).astype("<i8", copy=False).data)

    def text(self) -> str:
        """Return "sha256:" and the digest in hex."""
        return f"sha256:{self._sha256.hexdigest()}"
