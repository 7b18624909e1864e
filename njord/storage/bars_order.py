"""How do rows get into order? Staged raw rows in; the same rows sorted by time and without duplicates out."""

from typing import NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.storage.bars_rows import RAW_TYPES, TS, Disorder
from njord.storage.stage import ColumnStage

BoolArray = NDArray[np.bool_]

CHUNK_ROWS = 65_536


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did."""

    n_out_of_order: int = 0
    n_duplicates: int = 0
    n_conflicting_duplicates: int = 0


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


def repair(raw: ColumnStage, disorder: Disorder, into: ColumnStage) -> Repair:
    """Write the rows of `raw` to `into`, by time; of rows with one timestamp the first of the file stays.

    Sorting holds 24 bytes a row in memory; dropping duplicates alone holds one chunk.
    """
    if not disorder.n_out_of_order:
        return _drop_duplicates(raw, into, 0)
    with ColumnStage(RAW_TYPES) as ordered:
        order = np.argsort(raw.read(TS, 0, raw.n_rows), kind="stable")
        for column in range(len(RAW_TYPES)):
            values = raw.read(column, 0, raw.n_rows)
            for start in range(0, len(order), CHUNK_ROWS):
                ordered.extend(column, values[order[start : start + CHUNK_ROWS]])
        del order, values
        return _drop_duplicates(ordered, into, disorder.n_out_of_order)


def _drop_duplicates(raw: ColumnStage, into: ColumnStage, n_out_of_order: int) -> Repair:
    n_exact = n_conflicting = 0
    kept_last: list[NDArray[np.float64]] = []
    for start in range(0, raw.n_rows, CHUNK_ROWS):
        end = min(start + CHUNK_ROWS, raw.n_rows)
        columns = [raw.read(column, start, end) for column in range(len(RAW_TYPES))]
        if kept_last:
            columns = [np.concatenate(pair) for pair in zip(kept_last, columns, strict=True)]
        repeated = np.zeros(len(columns[TS]), dtype=np.bool_)
        repeated[1:] = columns[TS][1:] == columns[TS][:-1]
        kept = np.flatnonzero(~repeated)
        first_of_same = kept[np.cumsum(~repeated) - 1]
        exact = np.all([column == column[first_of_same] for column in columns], axis=0)
        n_exact += int((repeated & exact).sum())
        n_conflicting += int((repeated & ~exact).sum())
        into.append([column[kept[1:] if kept_last else kept] for column in columns])
        kept_last = [column[kept[-1:]] for column in columns]
    return Repair(n_out_of_order=n_out_of_order, n_duplicates=n_exact, n_conflicting_duplicates=n_conflicting)


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"
