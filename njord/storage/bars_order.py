"""How do rows get into order? Staged raw rows in; the same rows sorted by time and without duplicates out."""

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.storage.bars_rows import RAW_TYPES, TS, Disorder
from njord.storage.certificate.facts import SourceFacts
from njord.storage.stage import ColumnStage

IntArray = NDArray[np.int64]

CHUNK_ROWS = 65_536


def refuse_disorder(disorder: Disorder, where: str) -> NoReturn:
    """Raise the error that names the disorder and the flag that repairs it.

    Raises:
        DataError: Always.
    """
    faults = []
    if disorder.n_out_of_order:
        faults.append(f"{disorder.n_out_of_order} {_rows(disorder.n_out_of_order)} out of order")
    if disorder.n_repeated:
        faults.append(f"{disorder.n_repeated} {_rows(disorder.n_repeated)} repeating the timestamp before")
    raise DataError(
        f"{where}: {' and '.join(faults)}, first at row {disorder.first_row}",
        "add --repair to sort by time and drop duplicates",
    )


def repair(raw: ColumnStage, disorder: Disorder, into: ColumnStage) -> SourceFacts:
    """Write the rows of `raw` to `into`, by time; of rows with one timestamp the first of the file stays.

    Sorting holds 24 bytes a row in memory; dropping duplicates alone holds one chunk.

    Returns:
        What was sorted and dropped, with places.
    """
    if not disorder.n_out_of_order:
        _drop_duplicates(raw, into, disorder, None)
        return disorder.facts.facts()
    with ColumnStage(RAW_TYPES) as ordered:
        order = np.argsort(raw.read(TS, 0, raw.n_rows), kind="stable")
        for column in range(len(RAW_TYPES)):
            values = raw.read(column, 0, raw.n_rows)
            for start in range(0, len(order), CHUNK_ROWS):
                ordered.extend(column, values[order[start : start + CHUNK_ROWS]])
        del values
        _drop_duplicates(ordered, into, disorder, order)
    return disorder.facts.facts()


def _drop_duplicates(raw: ColumnStage, into: ColumnStage, disorder: Disorder, order: IntArray | None) -> None:
    kept_last: list[NDArray[np.float64]] = []
    for start in range(0, raw.n_rows, CHUNK_ROWS):
        end = min(start + CHUNK_ROWS, raw.n_rows)
        source_rows = np.arange(start + 1, end + 1) if order is None else order[start:end] + 1
        columns = [raw.read(column, start, end) for column in range(len(RAW_TYPES))]
        if kept_last:
            columns = [np.concatenate(pair) for pair in zip(kept_last, columns, strict=True)]
            source_rows = np.concatenate(([0], source_rows))
        repeated = np.zeros(len(columns[TS]), dtype=np.bool_)
        repeated[1:] = columns[TS][1:] == columns[TS][:-1]
        kept = np.flatnonzero(~repeated)
        first_of_same = kept[np.cumsum(~repeated) - 1]
        exact = np.all([column == column[first_of_same] for column in columns], axis=0)
        for fact, dropped in (
            ("duplicates", repeated & exact),
            ("conflicting_duplicates", repeated & ~exact),
        ):
            at = np.flatnonzero(dropped)
            disorder.facts.note(fact, columns[TS][at], source_rows[at])
        into.append([column[kept[1:] if kept_last else kept] for column in columns])
        kept_last = [column[kept[-1:]] for column in columns]


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"
