"""Where do the rows of a capture wait until all of it is read? On one anonymous file, found again by key.

A capture has several symbols with several kinds of row each, in one stream: a file per column of each would run out of
file handles. So all blocks go behind each other into one file that has no name, and the index of where they lie stays
in memory, one entry per some ten thousand rows.
"""

import os
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError

IntArray = NDArray[np.int64]

_BLOCK_ROWS = 2**16
_HELD_ROWS_MAX = 2**20  # Over all keys, before what is held goes to the file.
_ITEM_BYTES = 8


class BlockStage:
    """Blocks of int64 columns by key, in the order in which they came.

    Raises:
        DataError: The temporary folder takes no file.
    """

    def __init__(self) -> None:
        try:
            with ExitStack() as opened:
                self._file = opened.enter_context(tempfile.TemporaryFile(buffering=0))
                self._opened = opened.pop_all()
        except OSError as error:
            raise _no_room(error) from None
        self._end = 0
        self._places: dict[Hashable, list[tuple[int, int, int]]] = {}  # Offset, columns, rows.
        self._held: dict[Hashable, list[Sequence[IntArray]]] = {}
        self._n_rows: dict[Hashable, int] = {}
        self._n_held: dict[Hashable, int] = {}
        self._n_held_all = 0

    def append(self, key: Hashable, columns: Sequence[IntArray]) -> None:
        """Append rows, one array per column and all of one length; they are not changed afterwards.

        Raises:
            DataError: The temporary folder is full.
        """
        n = len(columns[0])
        self._n_rows[key] = self._n_rows.get(key, 0) + n
        self._held.setdefault(key, []).append(columns)
        self._n_held[key] = self._n_held.get(key, 0) + n
        self._n_held_all += n
        if self._n_held[key] >= _BLOCK_ROWS:
            self._write(key)
        elif self._n_held_all >= _HELD_ROWS_MAX:
            for each in list(self._held):
                self._write(each)

    def n_rows(self, key: Hashable) -> int:
        """Return how many rows `key` has."""
        return self._n_rows.get(key, 0)

    def blocks(self, key: Hashable) -> Iterator[list[IntArray]]:
        """Yield the rows of `key` in order, a block of columns at a time."""
        self._write(key)
        for offset, n_columns, n in self._places.get(key, ()):
            yield list(self._read(offset, n_columns, n))

    def close(self) -> None:
        """Give the disk space back."""
        self._opened.close()

    def _write(self, key: Hashable) -> None:
        held = self._held.pop(key, None)
        if not held:
            return
        n = self._n_held.pop(key)
        self._n_held_all -= n
        table = np.concatenate([np.stack(columns) for columns in held], axis=1)
        view = np.ascontiguousarray(table, dtype=np.int64).data.cast("B")
        n_bytes = len(view)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _no_room(error) from None
        self._places.setdefault(key, []).append((self._end, len(table), n))
        self._end += n_bytes

    def _read(self, offset: int, n_columns: int, n_rows: int) -> IntArray:
        table = np.empty((n_columns, n_rows), dtype=np.int64)
        view = table.data.cast("B")
        while view:
            n_bytes = os.preadv(self._file.fileno(), [view], offset)
            if not n_bytes:
                raise IndexError(f"the staged file ends {len(view)} bytes early")
            view, offset = view[n_bytes:], offset + n_bytes
        return table


def _no_room(error: OSError) -> DataError:
    return DataError(
        f"the temporary folder {tempfile.gettempdir()} can not take the capture: {error.strerror}",
        "free some space there or set TMPDIR to another folder",
    )
