"""Where do bars wait between being read and being used, without filling memory or leaving litter?

Columns of 8-byte numbers go in by appending and come out by row range. Each column is an anonymous temporary file:
it has no name from the moment it is created, so nothing stays behind however the process ends. Plain reads, no
memory mapping: resident memory is what one chunk needs.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError

_ITEM_BYTES = 8


class ColumnStage:
    """Append-only columns of int64 or float64 on anonymous temporary files."""

    def __init__(self, dtypes: Sequence[type[np.int64] | type[np.float64]]) -> None:
        self._dtypes = tuple(np.dtype(kind) for kind in dtypes)
        self._rows = [0] * len(self._dtypes)
        try:
            with ExitStack() as opened:
                self._files = [
                    opened.enter_context(tempfile.TemporaryFile(buffering=0)) for _ in self._dtypes
                ]
                self._opened = opened.pop_all()
        except OSError as error:
            raise _no_room(error) from None

    @property
    def n_rows(self) -> int:
        """Rows that every column has."""
        return min(self._rows)

    def append(self, columns: Sequence[NDArray[Any]]) -> None:
        """Append one array per column, all of equal length."""
        for index, values in enumerate(columns):
            self.extend(index, values)

    def extend(self, column: int, values: NDArray[Any]) -> None:
        """Append `values` to one column; the caller brings the others to the same length."""
        view = np.ascontiguousarray(values, dtype=self._dtypes[column]).data.cast("B")
        try:
            while view:
                view = view[self._files[column].write(view) :]
        except OSError as error:
            raise _no_room(error) from None
        self._rows[column] += len(values)

    def read(self, column: int, first_row: int, end_row: int) -> NDArray[Any]:
        """Return the rows [first_row, end_row) of one column, as an array that can not be written to."""
        want, start = (end_row - first_row) * _ITEM_BYTES, first_row * _ITEM_BYTES
        data = os.pread(self._files[column].fileno(), want, start)
        while len(data) < want:
            more = os.pread(self._files[column].fileno(), want - len(data), start + len(data))
            if not more:
                raise IndexError(f"rows [{first_row}, {end_row}) are beyond the {self._rows[column]} staged")
            data += more
        return np.frombuffer(data, dtype=self._dtypes[column])

    def close(self) -> None:
        """Give the disk space back."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _no_room(error: OSError) -> DataError:
    return DataError(
        f"the temporary folder {tempfile.gettempdir()} can not take the bars: {error.strerror}",
        "free some space there or set TMPDIR to another folder",
    )
