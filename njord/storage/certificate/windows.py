"""How does a check see a row's neighbors when rows pass in pieces? Pieces of any size in, windows of one size out.

A window holds its own rows, and some before and after them as far as the data reach; what is found in it concerns its
own rows only. Windows depend on the rows alone, never on the size of the pieces, so neither does a certificate.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

WINDOW_ROWS = 65_536


class Window(msgspec.Struct, frozen=True):
    """Rows and their surroundings.

    Attributes:
        columns: Arrays of equal length, surroundings included.
        first_row: Row in the dataset, from 0, of `columns[...][0]`.
        start: Where the window's own rows begin within the arrays.
        end: Where they end.
    """

    columns: tuple[IntArray, ...]
    first_row: int
    start: int
    end: int


class RowWindows:
    """Cuts columns into windows.

    Args:
        n_columns: How many columns come in.
        before: Rows of surroundings before a window's own.
        after: And after them.
        size: A window's own rows; None = WINDOW_ROWS.
    """

    def __init__(self, n_columns: int, before: int, after: int, size: int | None = None) -> None:
        self._before, self._after = before, after
        self._size = WINDOW_ROWS if size is None else size
        self._held: list[list[IntArray]] = [[np.empty(0, dtype=np.int64)] for _ in range(n_columns)]
        self._n_held = 0
        self._first_row = 0  # Of what is held.
        self._start = 0  # Where the next window's own rows begin in what is held.

    @property
    def n_rows(self) -> int:
        """Rows that have come in."""
        return self._first_row + self._n_held

    def add(self, columns: Sequence[IntArray]) -> Iterator[Window]:
        """Take rows in; yield the windows that are complete with them.

        Raises:
            ValueError: The arrays differ in length.
        """
        n = len(columns[0])
        if any(len(column) != n for column in columns):
            raise ValueError(f"columns must be of one length, were {[len(column) for column in columns]}")
        for held, column in zip(self._held, columns, strict=True):
            held.append(column)
        self._n_held += n
        while self._n_held - self._start >= self._size + self._after:
            yield self._cut(self._start + self._size)

    def finish(self) -> Iterator[Window]:
        """Yield what is left."""
        while self._n_held > self._start:
            yield self._cut(min(self._start + self._size, self._n_held))

    def _cut(self, end: int) -> Window:
        joined = [held[0] if len(held) == 1 else np.concatenate(held) for held in self._held]
        reach = min(end + self._after, self._n_held)
        window = Window(tuple(column[:reach] for column in joined), self._first_row, self._start, end)
        drop = max(0, end - self._before)
        self._held = [[column[drop:]] for column in joined]
        self._first_row += drop
        self._n_held -= drop
        self._start = end - drop
        return window
