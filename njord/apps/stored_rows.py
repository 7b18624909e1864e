"""Which rows of a stored dataset do bars need? Three columns of its trades, part by part, the next one decoded meanwhile.

Reading is most of the work of resampling a store: no column is decoded that no bar asks for, nothing is copied together,
and at most three parts are in memory.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.store.kinds import Columns, DataKind
from njord.storage.store.manifest import Part
from njord.storage.store.parts import BLOCK_ROWS, damaged, read_bytes
from njord.storage.store.stored import StoredDataset

_AHEAD = 2  # Parts decoded in advance, by as many threads.


def stored_rows(
    dataset: StoredDataset,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    time: Literal["ts_venue_ns", "ts_ns"] = "ts_venue_ns",
) -> Iterator[Columns]:
    """Return the rows of stored trades or bars that became known in [start_ns, end_ns), for `resample`.

    Args:
        dataset: Trades or bars; open until the last row is read.
        start_ns: None = from the first row.
        end_ns: None = to the last row.
        time: Which of a trade's times is read.

    Raises:
        DataError: Its rows are neither; while iterating if a part is missing or damaged.
    """
    if dataset.key.kind is DataKind.BARS:
        return dataset.chunks(start_ns, end_ns)
    if dataset.key.kind is not DataKind.TRADES:
        raise DataError(f"{dataset.path} holds no trades and no bars", "resample stored trades or bars")
    return _by_part(dataset, start_ns, end_ns, (time, "price_ticks", "qty_lots"))


# The arrays of one part, row group by row group as polars decoded them: putting them together, and widening them all at
# once, would cost half as much again as decoding them.
_Pieces = list[list[NDArray[np.signedinteger]]]


def _by_part(
    dataset: StoredDataset, start_ns: int | None, end_ns: int | None, names: tuple[str, ...]
) -> Iterator[Columns]:
    def load(part: Part) -> _Pieces:
        rows = _rows_between(dataset, part, start_ns, end_ns)
        if rows != (0, part.n_rows):
            return [list(dataset.part_rows(part, names, rows))]
        return _decoded(dataset, part, names)

    with ThreadPoolExecutor(_AHEAD) as pool:
        coming: deque[Future[_Pieces]] = deque()
        for part in dataset.parts_between(start_ns, end_ns):
            coming.append(pool.submit(load, part))
            if len(coming) > _AHEAD:
                yield from _widened(names, coming.popleft().result())
        while coming:
            yield from _widened(names, coming.popleft().result())


def _widened(names: tuple[str, ...], pieces: _Pieces) -> Iterator[Columns]:
    for piece in pieces:
        yield {name: values.astype(np.int64, copy=False) for name, values in zip(names, piece, strict=True)}


def _decoded(dataset: StoredDataset, part: Part, names: tuple[str, ...]) -> _Pieces:
    name = f"{dataset.path}/{part.file}"
    data = read_bytes(dataset.folder / part.file, part, dataset.path)
    try:
        frame = pl.scan_parquet(data, glob=False).select(names).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise damaged(name, one_line(str(error).partition("\n")[0], 100)) from None
    if frame.height != part.n_rows or not all(kind in (pl.Int32, pl.Int64) for kind in frame.dtypes):
        raise damaged(name, "its columns are not what the manifest says")
    return [[column.to_numpy() for column in piece.iter_columns()] for piece in frame.iter_slices(BLOCK_ROWS)]


def _rows_between(
    dataset: StoredDataset, part: Part, start_ns: int | None, end_ns: int | None
) -> tuple[int, int]:
    first, end = 0, part.n_rows
    if (start_ns is None or start_ns <= part.first_ns) and (end_ns is None or part.last_ns < end_ns):
        return first, end
    (known_ns,) = dataset.part_rows(part, ("ts_ns",), (first, end))
    if start_ns is not None:
        first = int(np.searchsorted(known_ns, start_ns, "left"))
    if end_ns is not None:
        end = int(np.searchsorted(known_ns, end_ns, "left"))
    return first, max(first, end)
