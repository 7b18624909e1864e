"""How do stored rows become a file for other tools? Rows of one kind in; CSV, Parquet, Feather or NDJSON out.

Prices and quantities go out as the decimals they are, times as nanoseconds, so that `ingest.frames.open_rows` brings
back the same rows with the same hash. A file appears whole or not at all, and never in the place of another unless
asked to.
"""

import gzip
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from enum import Enum
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_text import one_line
from njord.storage.disk import OsDisk
from njord.storage.ingest.decimals import step_decimals, step_texts
from njord.storage.ingest.frames_header import (
    METADATA_KEY,
    SIDECAR_SUFFIX,
    DataHeader,
    encode_header,
    sidecar_of,
)
from njord.storage.ingest.frames_layout import FIELDS, Role
from njord.storage.ingest.ndjson import encode_rows
from njord.storage.stage import ColumnStage
from njord.storage.store.kinds import COLUMNS, Columns, DataKind, IntArray
from njord.storage.store.rows_hash import rows_hash

CHUNK_ROWS = 65_536
_GZIP_LEVEL = 6
_NARROW_DIGITS = 18  # Up to here Parquet keeps a decimal in eight bytes.
_WIDE_DIGITS = 38


class ExportFormat(Enum):
    """What can be written; the value is the end of a file's name."""

    CSV = ".csv"
    CSV_GZ = ".csv.gz"
    PARQUET = ".parquet"
    FEATHER = ".feather"
    NDJSON = ".ndjson"
    NDJSON_GZ = ".ndjson.gz"
    NDJSON_LZ4 = ".ndjson.lz4"


class SupportsWrite(Protocol):
    """What lines are written to: a file, or a compressor over one."""

    def write(self, data: bytes, /) -> int:
        """Write all of `data`."""
        ...


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written.

    Attributes:
        path: The file.
        sidecar: The header beside it; None where the file holds its header itself.
        n_rows: Rows in it.
        n_bytes: Size of the file.
        hash: Of the rows, as the store computes it.
    """

    path: Path
    sidecar: Path | None
    n_rows: int
    n_bytes: int
    hash: str


def format_of_name(name: str) -> ExportFormat:
    """Return the format that a file's name ends with.

    Raises:
        DataError: It ends with none of them.
    """
    for each in sorted(ExportFormat, key=lambda form: -len(form.value)):
        if name.lower().endswith(each.value):
            return each
    known = ", ".join(form.value for form in ExportFormat)
    raise DataError(f"{one_line(name, 80)} shows no format to write", f"end its name with one of {known}")


def export(
    rows: Iterable[Columns],
    kind: DataKind,
    instrument: Instrument,
    interval_ns: int,
    path: Path,
    form: ExportFormat,
    *,
    key: str = "",
    force: bool = False,
) -> Exported:
    """Write `rows` to `path`; memory stays flat in their number.

    Args:
        rows: Blocks of the kind's columns, in order.
        kind: What the rows are.
        instrument: Gives the steps of prices and quantities.
        interval_ns: Length of a bar; 0 for the other kinds.
        path: The file to write; its folder exists.
        form: How to write it.
        key: Name of the dataset, for the header.
        force: Replace a file of that name.

    Raises:
        DataError: There is a file of that name already, or the disk refuses; nothing half-written stays.
    """
    where = one_line(path.name, 80)
    sidecar = (
        sidecar_of(path) if form in (ExportFormat.CSV, ExportFormat.CSV_GZ, ExportFormat.FEATHER) else None
    )
    _check_free(path, where, force)
    with ColumnStage((np.int64,) * len(COLUMNS[kind])) as stage:
        digest = rows_hash(kind, instrument, interval_ns)
        for block in rows:
            columns = [block[name] for name in COLUMNS[kind]]
            digest.add(columns)
            stage.append(columns)
        header = DataHeader(
            kind=kind, key=key, instrument=instrument, interval_ns=interval_ns, hash=digest.text()
        )
        if sidecar is not None:
            # First the header: data beside another file's header would be refused, never taken for something else.
            line = encode_header(header) + b"\n"
            write_whole(sidecar, lambda temp: _write_bytes(temp, line), force=True)
        write_whole(path, lambda temp: _write(temp, stage, header, form), force=force)
        return Exported(
            path=path, sidecar=sidecar, n_rows=stage.n_rows, n_bytes=path.stat().st_size, hash=header.hash
        )


def write_whole(path: Path, write: Callable[[Path], None], *, force: bool) -> None:
    """Let `write` fill a temporary file, and give it its name when it is whole and on the device.

    Raises:
        DataError: There is a file of that name and `force` is off, or the disk refuses.
    """
    where = one_line(path.name, 80)
    temp = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        write(temp)
        fd = os.open(temp, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        _check_free(path, where, force)
        os.replace(temp, path)
        OsDisk().sync_folder(path.parent)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise DataError(
            f"{where} can not be written: {one_line(reason, 100)}", "check the folder and its free space"
        ) from None
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)


def _check_free(path: Path, where: str, force: bool) -> None:
    if path.is_dir():
        raise DataError(f"{one_line(path, 200)} is a folder", "name a file in it")
    if not path.parent.is_dir():
        raise DataError(f"there is no folder {one_line(path.parent, 200)}", "create it first")
    if not force and os.path.lexists(path):
        raise DataError(f"{where} is there already", "choose another name, or add --force to replace it")


def _write(temp: Path, stage: ColumnStage, header: DataHeader, form: ExportFormat) -> None:
    if form in (ExportFormat.PARQUET, ExportFormat.FEATHER):
        _write_table(temp, stage, header, form)
        return
    with ExitStack() as opened:
        file = _open_text(temp, form, opened)
        names = [field.name for field in FIELDS[header.kind]]
        is_csv = form in (ExportFormat.CSV, ExportFormat.CSV_GZ)
        file.write(",".join(names).encode() + b"\n" if is_csv else encode_header(header) + b"\n")
        for columns in _pieces(stage, header.kind):
            lines = (
                _csv_lines(columns, header)
                if is_csv
                else encode_rows(columns, header.kind, header.instrument)
            )
            file.write(lines)


def _open_text(temp: Path, form: ExportFormat, opened: ExitStack) -> SupportsWrite:
    file = opened.enter_context(temp.open("wb"))
    if form in (ExportFormat.CSV_GZ, ExportFormat.NDJSON_GZ):
        # No name and no time inside: the same rows give the same bytes.
        return opened.enter_context(gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0))
    if form is ExportFormat.NDJSON_LZ4:
        import lz4.frame

        packed: SupportsWrite = opened.enter_context(lz4.frame.open(file, mode="wb"))
        return packed
    return file


def _write_bytes(temp: Path, data: bytes) -> None:
    temp.write_bytes(data)


def _csv_lines(columns: list[IntArray], header: DataHeader) -> bytes:
    texts = [
        step_texts(values, *field.step(header.instrument)).rename(field.name)
        if field.role in (Role.PRICE, Role.QTY)
        else pl.Series(field.name, values)
        for field, values in zip(FIELDS[header.kind], columns, strict=True)
    ]
    return pl.DataFrame(texts).write_csv(include_header=False).encode()


def _write_table(temp: Path, stage: ColumnStage, header: DataHeader, form: ExportFormat) -> None:
    schema = _table_schema(stage, header)

    def frames(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for columns in _pieces(stage, header.kind):
            frame = pl.DataFrame(_table_columns(columns, header, schema), schema=schema)
            yield frame if with_columns is None else frame.select(with_columns)

    table = register_io_source(io_source=frames, schema=schema)
    if form is ExportFormat.PARQUET:
        table.sink_parquet(temp, compression="zstd", metadata={METADATA_KEY: encode_header(header).decode()})
    else:
        table.sink_ipc(temp, compression="lz4")


def _table_schema(stage: ColumnStage, header: DataHeader) -> pl.Schema:
    largest = [0] * len(FIELDS[header.kind])
    for columns in _pieces(stage, header.kind):
        largest = [
            max(most, int(values.max()), -int(values.min()))
            for most, values in zip(largest, columns, strict=True)
        ]
    types: dict[str, pl.DataType] = {}
    for field, most in zip(FIELDS[header.kind], largest, strict=True):
        scale, multiple = field.step(header.instrument)
        if field.role is Role.TIME:
            types[field.name] = pl.Datetime("ns", "UTC")
        elif field.role is Role.WHOLE:
            types[field.name] = pl.Int64()
        else:
            narrow = most * multiple < 10**_NARROW_DIGITS
            types[field.name] = pl.Decimal(_NARROW_DIGITS if narrow else _WIDE_DIGITS, scale)
    return pl.Schema(types)


def _table_columns(columns: list[IntArray], header: DataHeader, schema: pl.Schema) -> list[pl.Series]:
    series = []
    for field, values in zip(FIELDS[header.kind], columns, strict=True):
        if field.role in (Role.PRICE, Role.QTY):
            each = step_decimals(values, *field.step(header.instrument))
        else:
            each = pl.Series(values)
        series.append(each.cast(schema[field.name]).rename(field.name))
    return series


def _pieces(stage: ColumnStage, kind: DataKind) -> Iterator[list[IntArray]]:
    n_columns = len(COLUMNS[kind])
    for start in range(0, stage.n_rows, CHUNK_ROWS):
        end = min(start + CHUNK_ROWS, stage.n_rows)
        yield [stage.read(column, start, end) for column in range(n_columns)]


__all__ = ["SIDECAR_SUFFIX", "ExportFormat", "Exported", "export", "format_of_name", "write_whole"]
