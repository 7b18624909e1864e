"""What is one part? A Parquet file of int64 columns, named after its period and content, hashed before it is decoded.

A corrupt Parquet file can make its reader panic, so nothing reaches polars before size and SHA-256 are those of the
manifest. The hash is computed once per process and file: 1.6 GB/s, about a fifth of a first read's time.
"""

import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from njord.core.errors import DataError
from njord.core.units import NS_PER_DAY
from njord.storage.bars_text import one_line
from njord.storage.store.files import cannot, open_regular
from njord.storage.store.kinds import COLUMNS, Columns, DataKind, IntArray
from njord.storage.store.manifest import Part

PART_ROWS = 1 << 20  # A period with more rows is cut into several parts: the memory of a writer.
BLOCK_ROWS = 1 << 17  # Rows of a row group: the memory of a reader.
TS_END_NS = int(
    np.datetime64("2262-01-01", "ns").astype(np.int64)
)  # The last whole year that int64 can tell.

_DAY, _MONTH = "D", "M"
_NAME_DIGITS = 16
_READS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
# Files whose bytes this process has hashed: device, inode, size and time of change to the digest.
_hashed: dict[tuple[int, int, int, int], str] = {}
Parallel = Literal["auto", "none"]


def period_of(kind: DataKind, ts_ns: int) -> str:
    """Return the period that a row belongs to: its UTC month for bars, its day for the rest."""
    unit = _MONTH if kind is DataKind.BARS else _DAY
    return str(np.datetime64(ts_ns // NS_PER_DAY, "D").astype(f"datetime64[{unit}]"))


def period_range(period: str) -> tuple[int, int]:
    """Return [start, end) in nanoseconds of a year, month or day."""
    start = np.datetime64(period)
    return _days(start) * NS_PER_DAY, _days(start + 1) * NS_PER_DAY


def _days(moment: np.datetime64) -> int:
    return int(moment.astype("datetime64[D]").astype(np.int64))


def encode_part(columns: Columns) -> bytes:
    """Return the rows as the bytes of a Parquet file: int32 where a column's values fit, else int64; zstd."""
    frame = pl.DataFrame([pl.Series(name, _narrow(values)) for name, values in columns.items()])
    into = io.BytesIO()
    frame.write_parquet(into, compression="zstd", row_group_size=BLOCK_ROWS)
    return into.getvalue()


def _narrow(values: IntArray) -> np.ndarray[tuple[int], np.dtype[np.signedinteger]]:
    limits = np.iinfo(np.int32)
    return values.astype(np.int32) if values.min() >= limits.min and values.max() <= limits.max else values


def part_of(kind: DataKind, period: str, columns: Columns, data: bytes) -> Part:
    """Return the manifest's entry for rows (one at least) and the bytes that hold them."""
    times = columns[COLUMNS[kind][0]]
    digest = hashlib.sha256(data).hexdigest()
    return Part(
        file=f"{period}-{int(times[0]):019d}-{digest[:_NAME_DIGITS]}.parquet",
        period=period,
        n_rows=len(times),
        first_ns=int(times[0]),
        last_ns=int(times[-1]),
        n_bytes=len(data),
        sha256=digest,
    )


def read_bytes(path: Path, part: Part, where: str, *, again: bool = False) -> bytes:
    """Return the bytes of a part that are the ones its manifest names.

    Args:
        path: The file.
        part: What the manifest says about it.
        where: The dataset's path, for messages.
        again: Hash the bytes even if this process has done so before.

    Raises:
        DataError: The file is missing, no regular file, or not what was written.
    """
    name = f"{where}/{part.file}"
    try:
        fd = open_regular(path, name)
    except FileNotFoundError:
        raise DataError(
            f"{name} is missing", f"import {where} again, or restore the file from a copy"
        ) from None
    with open(fd, "rb", buffering=0) as file:
        try:
            state = os.fstat(fd)
            if state.st_size != part.n_bytes:
                raise damaged(name, f"it has {state.st_size:,} bytes, not {part.n_bytes:,}")
            data = file.read(part.n_bytes) or b""
            while len(data) < part.n_bytes and (more := file.read(part.n_bytes - len(data))):
                data += more
        except OSError as error:
            raise cannot("read", name, error) from None
    known = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    if again or _hashed.get(known) != part.sha256:
        if hashlib.sha256(data).hexdigest() != part.sha256:
            raise damaged(name, "its SHA-256 is another")
        _hashed[known] = part.sha256
    return data


def blocks(
    data: bytes, part: Part, columns: Sequence[str], where: str, rows: tuple[int, int] | None = None
) -> Iterator[list[IntArray]]:
    """Yield rows [first, end) of a part, one row group at a time, as one int64 array per column."""
    first, end = rows or (0, part.n_rows)
    while first < end:
        stop = min(end, (first // BLOCK_ROWS + 1) * BLOCK_ROWS)
        yield rows_of(data, part, columns, where, (first, stop))
        first = stop


def rows_of(
    data: bytes,
    part: Part,
    columns: Sequence[str],
    where: str,
    rows: tuple[int, int] | None = None,
    parallel: Parallel = "auto",
) -> list[IntArray]:
    """Return rows [first, end) of a part, or all, as one int64 array per column.

    Raises:
        DataError: The file does not hold what its manifest says.
    """
    name = f"{where}/{part.file}"
    first, end = rows or (0, part.n_rows)
    try:
        table = pl.scan_parquet(io.BytesIO(data), parallel=parallel, glob=False).select(columns)
        if rows is not None and rows != (0, part.n_rows):
            table = table.slice(first, end - first)
        frame = table.collect()
    except (*_READS, OSError) as error:
        raise damaged(name, one_line(str(error).partition("\n")[0], 100)) from None
    if frame.height != end - first:
        raise damaged(name, f"it has {frame.height:,} rows, not {end - first:,}")
    if not all(kind in (pl.Int32, pl.Int64) for kind in frame.dtypes):
        raise damaged(name, "its columns are not whole numbers")
    return [frame[column].to_numpy().astype(np.int64, copy=False) for column in columns]


def as_columns(kind: DataKind, arrays: Sequence[IntArray]) -> dict[str, IntArray]:
    """Return one array per column of the kind under its name."""
    return dict(zip(COLUMNS[kind], arrays, strict=True))


def in_order(kind: DataKind, columns: Mapping[str, IntArray]) -> list[IntArray]:
    """Return the arrays in the order of the kind's columns."""
    return [columns[name] for name in COLUMNS[kind]]


def damaged(name: str, how: str) -> DataError:
    """Return the one-line error for a part that is not what was written."""
    return DataError(f"{name} is damaged: {how}", "restore it from a copy, or import the dataset again")
