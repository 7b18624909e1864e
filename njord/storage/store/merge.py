"""In which order do bars of many instruments reach the engine? By close, then instrument, then row, as decision 13
orders all inbound messages; several datasets in, one stream out, with one chunk of each in memory.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from njord.core.contracts import Bar
from njord.core.errors import DataError
from njord.storage.dataset import BarDataset
from njord.storage.store.kinds import IntArray

CHUNK_ROWS = 2_048
_MESSAGES = 8_192  # Made at a time: a Python int takes four times the memory of an int64.


class BarBlock(msgspec.Struct, frozen=True):
    """Successive bars of several instruments as int64 arrays of equal length; `row` is the bar's in its dataset."""

    ts_close_ns: IntArray
    instrument: IntArray
    row: IntArray
    ts_open_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume_lots: IntArray


def merge_bars(
    datasets: Sequence[BarDataset],
    start_ns: int | None = None,
    end_ns: int | None = None,
    size: int = CHUNK_ROWS,
) -> Iterator[Bar]:
    """Yield the bars that open in [start_ns, end_ns) as messages, in the order in which the engine sees them.

    Args:
        datasets: One per instrument; the place in the sequence is the instrument's index.
        start_ns: None = from the first bar.
        end_ns: None = to the last bar.
        size: Bars of one dataset that are in memory.

    Raises:
        DataError: A dataset is named twice, or a part is missing or damaged.
    """
    for block in merge_bar_blocks(datasets, start_ns, end_ns, size):
        rows = (
            block.ts_close_ns, block.instrument, block.ts_open_ns,
            block.open, block.high, block.low, block.close, block.volume_lots,
        )  # fmt: skip
        for first in range(0, len(block.row), _MESSAGES):
            some = (column[first : first + _MESSAGES].tolist() for column in rows)
            for ts_ns, instrument, ts_open_ns, open_, high, low, close, volume in zip(*some, strict=True):
                yield Bar(
                    ts_ns=ts_ns,
                    instrument=instrument,
                    ts_open_ns=ts_open_ns,
                    open=open_,
                    high=high,
                    low=low,
                    close=close,
                    volume_lots=volume,
                )


def merge_bar_blocks(
    datasets: Sequence[BarDataset],
    start_ns: int | None = None,
    end_ns: int | None = None,
    size: int = CHUNK_ROWS,
) -> Iterator[BarBlock]:
    """Yield the same bars in the same order as arrays, for whoever needs no message per bar.

    A block reaches up to the earliest close at which a dataset's chunk ends: up to there nothing can be missing.

    Raises:
        DataError: A dataset is named twice, or a part is missing or damaged.
    """
    hashes = [dataset.hash for dataset in datasets]
    if len(set(hashes)) != len(hashes):
        raise DataError("the same dataset is named twice", "name each symbol once")
    sources = [_chunks(dataset, index, start_ns, end_ns, size) for index, dataset in enumerate(datasets)]
    held = [block for block in (next(source, None) for source in sources) if block is not None]
    while held:
        upto = min(int(block[0][-1]) for block in held)
        ready: list[list[IntArray]] = []
        left: list[list[IntArray]] = []
        for block in held:
            cut = int(np.searchsorted(block[0], upto, "right"))
            if cut:
                ready.append([column[:cut] for column in block])
            rest = [column[cut:] for column in block] if cut < len(block[0]) else None
            block_left = rest if rest is not None else next(sources[int(block[1][0])], None)
            if block_left is not None:
                left.append(block_left)
        held = left
        rows = [np.concatenate(columns) for columns in zip(*ready, strict=True)]
        # Pieces come by instrument, and rows rise within one: a stable sort by close keeps both.
        order = np.argsort(rows[0], kind="stable")
        yield BarBlock(*(column[order] for column in rows))


def _chunks(
    dataset: BarDataset, index: int, start_ns: int | None, end_ns: int | None, size: int
) -> Iterator[list[IntArray]]:
    first_row, end_row = dataset.rows_between(start_ns, end_ns)
    for chunk in dataset.chunks(first_row, end_row, size):
        n_rows = len(chunk.ts_open_ns)
        yield [
            chunk.ts_open_ns + dataset.interval_ns,
            np.full(n_rows, index, dtype=np.int64),
            np.arange(chunk.first_row, chunk.first_row + n_rows),
            chunk.ts_open_ns,
            chunk.open,
            chunk.high,
            chunk.low,
            chunk.close,
            chunk.volume_lots,
        ]
