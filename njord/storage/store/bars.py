"""How does the engine read stored bars? Through the same `BarDataset` as a file's, over the parts instead of a stage."""

import numpy as np

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.certificate.bars import BarChecks
from njord.storage.certificate.certificate import Certificate
from njord.storage.dataset import BarDataset
from njord.storage.store.kinds import DataKind, IntArray
from njord.storage.store.manifest import read_certificate
from njord.storage.store.merge_rows import joined
from njord.storage.store.parts import BLOCK_ROWS
from njord.storage.store.stored import StoredDataset


def open_stored_bars(dataset: StoredDataset) -> BarDataset:
    """Return stored bars as the dataset that a run reads; closing it closes `dataset`.

    The certificate is the stored one; where an import left none, it is computed from the rows.

    Raises:
        DataError: These are no bars.
    """
    if dataset.key.kind is not DataKind.BARS:
        raise DataError(
            f"{one_line(dataset.path)} holds {dataset.key.kind.value}, not bars",
            "make bars of trades with: njord data resample",
        )
    return BarDataset(
        name=dataset.path,
        instrument=dataset.instrument,
        interval_ns=dataset.interval_ns,
        stage=PartColumns(dataset),
        digest=dataset.hash,
        certificate=_certificate(dataset),
        assumptions=dataset.manifest.assumptions,
    )


def _certificate(dataset: StoredDataset) -> Certificate:
    stored = read_certificate(dataset.manifest)
    if stored is not None:
        return stored
    checks = BarChecks(dataset.instrument, dataset.interval_ns)
    for chunk in dataset.chunks():
        checks.add(chunk)
    return checks.finish(dataset.hash)


class PartColumns:
    """Rows of a stored dataset by range; a pass in order decodes nothing twice.

    In memory: the row groups that the last range lies in. First and last times of parts come from the manifest, and a
    search by time decodes times alone.
    """

    def __init__(self, dataset: StoredDataset) -> None:
        self.n_rows = dataset.n_rows
        self.n_decoded = 0  # Row groups decoded so far, times alone not counted.
        self._dataset = dataset
        # First row of every row group, and which rows of which part it is.
        self._firsts: list[int] = []
        self._groups: list[tuple[int, int, int]] = []
        row = 0
        for index, part in enumerate(dataset.manifest.parts):
            for first in range(0, part.n_rows, BLOCK_ROWS):
                self._firsts.append(row + first)
                self._groups.append((index, first, min(first + BLOCK_ROWS, part.n_rows)))
            row += part.n_rows
        self._starts = np.array(self._firsts, dtype=np.int64)
        # By row group: the first row that is here, and the columns from it on.
        self._decoded: dict[int, tuple[int, list[IntArray]]] = {}
        self._times: tuple[int, IntArray] = (-1, np.empty(0, dtype=np.int64))

    def read(self, column: int, first_row: int, end_row: int) -> IntArray:
        """Return the rows [first_row, end_row) of one column."""
        first, last = self._group_of(first_row), self._group_of(max(first_row, end_row - 1))
        if not column and end_row - first_row == 1 and first not in self._decoded:
            return self._time_of(first, first_row)
        self._forget(first, last, first_row)
        for group in range(first, last + 1):
            if group not in self._decoded:
                self._decoded[group] = (self._firsts[group], self._decode(group, self._dataset.columns))
                self.n_decoded += 1
        start = self._decoded[first][0]
        pieces = [[self._decoded[group][1][column]] for group in range(first, last + 1)]
        return joined(pieces)[0][first_row - start : end_row - start]

    # Before more is decoded: groups outside the range go, and of one that the range leaves only its end stays, as a
    # copy. Twenty symbols pass into the next month at the same time.
    def _forget(self, first: int, last: int, first_row: int) -> None:
        for group, (start, columns) in list(self._decoded.items()):
            if not first <= group <= last or max(first_row, self._firsts[group]) < start:
                del self._decoded[group]
            elif group == first < last and start < first_row:
                self._decoded[group] = (first_row, [column[first_row - start :].copy() for column in columns])

    def close(self) -> None:
        """Give the memory back and let `compact` at the parts."""
        self._decoded.clear()
        self._dataset.close()

    def _group_of(self, row: int) -> int:
        return int(np.searchsorted(self._starts, row, "right")) - 1

    def _time_of(self, group: int, row: int) -> IntArray:
        index, first, end = self._groups[group]
        part = self._dataset.manifest.parts[index]
        place = row - self._firsts[group]
        if not first and not place:
            return np.array([part.first_ns], dtype=np.int64)
        if end == part.n_rows and place == end - first - 1:
            return np.array([part.last_ns], dtype=np.int64)
        if self._times[0] != group:
            self._times = (group, self._decode(group, self._dataset.columns[:1])[0])
        return self._times[1][place : place + 1]

    def _decode(self, group: int, columns: tuple[str, ...]) -> list[IntArray]:
        index, first, end = self._groups[group]
        return self._dataset.part_rows(self._dataset.manifest.parts[index], columns, (first, end))
