"""What bars does a run see? Ordered rows of whole ticks and lots, with their hash and their certificate.

A `BarDataset` comes from `bars_file.open_bars`. It lies on anonymous temporary files, is read in chunks, and is the
same, hash included, whichever file format the bars came in.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.certificate.certificate import Certificate

IntArray = NDArray[np.int64]

CANONICAL_TYPES = (np.int64,) * 6
HASH_SCHEMA = "njord-bars-1"


class BarChunk(msgspec.Struct, frozen=True):
    """Successive bars as int64 arrays of equal length; prices in ticks, `first_row` from 0."""

    first_row: int
    ts_open_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume_lots: IntArray


class RowSource(Protocol):
    """Where the rows of a dataset lie: a `ColumnStage`, or the parts of a stored dataset."""

    @property
    def n_rows(self) -> int:
        """Rows that every column has."""

    def read(self, column: int, first_row: int, end_row: int) -> NDArray[Any]:
        """Return the rows [first_row, end_row) of one column."""

    def close(self) -> None:
        """Let go of them."""


class BarDataset:
    """Bars of one instrument, strictly rising in time; a context manager, whose `close` removes the staging."""

    def __init__(
        self,
        *,
        name: str,
        instrument: Instrument,
        interval_ns: int,
        stage: RowSource,
        digest: str,
        certificate: Certificate,
        assumptions: tuple[str, ...],
    ) -> None:
        self.name = name
        self.instrument = instrument
        self.interval_ns = interval_ns
        self.n_rows = stage.n_rows
        self.hash = digest
        self.certificate = certificate
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


def hashed_facts(schema: str, instrument: Instrument, interval_ns: int) -> bytes:
    """Return what a dataset's hash says before its rows: of which kind they are, of what, and in which steps."""
    facts = [
        schema, instrument.symbol, instrument.venue, instrument.base, instrument.quote, instrument.kind.value,
        plain(instrument.tick_size), plain(instrument.lot_size), plain(instrument.min_qty), plain(instrument.max_qty),
        plain(instrument.min_notional), str(instrument.money_scale), str(interval_ns),
    ]  # fmt: skip
    facts += [
        f"{each.from_ns} {plain(each.min_qty)} {plain(each.max_qty)} {plain(each.min_notional)} "
        f"{each.tick_multiple} {each.lot_multiple}"
        for each in instrument.filter_changes
    ]
    return ("\n".join(facts) + "\n\n").encode()


class BarHash:
    """SHA-256 over the instrument, the interval and the canonical rows, whatever the size of the pieces."""

    def __init__(self, instrument: Instrument, interval_ns: int) -> None:
        self._sha256 = hashlib.sha256(hashed_facts(HASH_SCHEMA, instrument, interval_ns))

    def add(self, columns: list[IntArray]) -> None:
        """Add rows: ts_open_ns, open, high, low, close, volume_lots, each as 8 little-endian bytes."""
        self._sha256.update(np.stack(columns, axis=1).astype("<i8", copy=False).data)

    def text(self) -> str:
        """Return "sha256:" and the digest in hex."""
        return f"sha256:{self._sha256.hexdigest()}"
