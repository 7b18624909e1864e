"""How does a run read bars? One dataset of bars in, chunk by chunk; messages, columns and chunks for drawing out."""

from collections.abc import Iterator

import numpy as np

from njord.backtest.bar_rows import BarRows
from njord.backtest.market import IntArray, Piece
from njord.backtest.reported import PricePiece, Source
from njord.storage.dataset import BarChunk, BarDataset
from njord.strategies.features import BarColumns

CHUNK_ROWS = 8192  # Of all datasets of a run together: what is in memory at a time.
_LEAST_ROWS = 512


class BarFeed:
    """The bars of one instrument that open in the run's range.

    Args:
        bars: The bars; closing the feed closes them.
        instrument: The index that the messages carry.
        rows: [first, end) of the run.
        n_datasets: How many a run reads at the same time.
    """

    def __init__(self, bars: BarDataset, instrument: int, rows: tuple[int, int], n_datasets: int = 1) -> None:
        self.bars = bars
        self._chunk_rows = max(_LEAST_ROWS, CHUNK_ROWS // n_datasets)
        self.rows = rows
        self.n_events = rows[1] - rows[0]
        self.source = Source(
            instrument=instrument,
            kind="bars",
            name=bars.name,
            hash=bars.hash,
            interval_ns=bars.interval_ns,
            first_row=rows[0],
            end_row=rows[1],
            start_ns=_open_ns(bars, rows[0]),
            end_ns=_open_ns(bars, rows[1] - 1) + bars.interval_ns,
            certificate=bars.certificate,
            assumptions=bars.assumptions,
        )

    def pieces(self) -> Iterator[Piece]:
        """Yield the bars as messages, a chunk at a time."""
        index, interval_ns = self.source.instrument, self.source.interval_ns
        for chunk in self.chunks():
            yield Piece(
                BarRows(chunk, interval_ns, index),
                chunk.ts_open_ns + interval_ns,
                np.arange(chunk.first_row + 1, chunk.first_row + 1 + chunk.close.size),
                chunk.close,
            )

    def chunks(self) -> Iterator[BarChunk]:
        """Yield the rows of the run."""
        return self.bars.chunks(*self.rows, size=self._chunk_rows)

    def prices(self) -> Iterator[PricePiece]:
        """Yield the rows of the run for a report."""
        for chunk in self.chunks():
            close_ns = chunk.ts_open_ns + self.bars.interval_ns
            yield PricePiece(chunk.ts_open_ns, close_ns, chunk.open, chunk.high, chunk.low, chunk.close)

    def columns(self) -> BarColumns:
        """Return the rows of the run as one array per column."""
        pieces: list[tuple[IntArray, ...]] = [
            (chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume_lots)
            for chunk in self.chunks()
        ]
        ts_open_ns, open_, high, low, close, volume_lots = (
            np.concatenate(column) for column in zip(*pieces, strict=True)
        )
        return BarColumns(
            instrument=self.bars.instrument,
            ts_open_ns=ts_open_ns,
            ts_ns=ts_open_ns + self.bars.interval_ns,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume_lots=volume_lots,
        )

    def close(self) -> None:
        """Let go of the bars."""
        self.bars.close()


def _open_ns(bars: BarDataset, row: int) -> int:
    return int(next(bars.chunks(row, row + 1)).ts_open_ns[0])
