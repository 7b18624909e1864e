"""How does a file that njord wrote come back? A path in, the very rows, instrument and hash that went out.

Any form of any kind: CSV or Feather with the header beside it, Parquet with it inside, NDJSON with it in the first
line. Trades, books and quotes whose columns are named as ours are read without a header, too: then the instrument comes
from flags and configuration, and the rest is inferred and said.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.bars_columns import ColumnMap
from njord.storage.bars_options import BarOptions
from njord.storage.bars_symbol import choose_instrument, choose_symbol, parse_symbol
from njord.storage.bars_text import one_line, show_time
from njord.storage.certificate.facts import FactCollector
from njord.storage.ingest.decimals import OffGrid, exact_steps, read_numbers
from njord.storage.ingest.frames_header import (
    DataHeader,
    check_hash,
    decode_header,
    read_sidecar,
)
from njord.storage.ingest.frames_layout import FIELDS, Role, kind_of_names
from njord.storage.ingest.frames_open import Form, Opened, open_file
from njord.storage.ingest.frames_rows import RawRows, RowSource, ranges
from njord.storage.ingest.frames_tables import TableRows, parquet_header
from njord.storage.ingest.frames_text import TextRows
from njord.storage.ingest.ndjson import Lines, RowDecoder
from njord.storage.stage import ColumnStage
from njord.storage.store.kinds import COLUMNS, DataKind
from njord.storage.store.rows_hash import rows_hash

IntArray = NDArray[np.int64]

_DEFAULTS = BarOptions()
_NO_INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType({})


def open_rows(
    path: Path, options: BarOptions = _DEFAULTS, instruments: Mapping[str, Instrument] = _NO_INSTRUMENTS
) -> RowSource:
    """Read a file in one of our own forms completely; the caller closes the source.

    Args:
        path: CSV or NDJSON (also gzipped or in lz4 frames), Parquet or Feather.
        options: What the user said; against a header it may only repeat what that says.
        instruments: Configured instruments by symbol, for files without a header.

    Raises:
        DataError: The file is missing, damaged, out of order, of unknown columns, or not what its header says.
    """
    where = one_line(path.name, 80)
    with ExitStack() as opened:
        file = open_file(path, where, opened)
        header, lines = header_of(path, file, where)
        if header is not None:
            check_flags(header, options, where)
            return exact_source(path, file, header, lines, where)
        return _bare_source(path, file, options, instruments, where)


def header_of(path: Path, file: Opened, where: str) -> tuple[DataHeader | None, Lines | None]:
    """Return the header of an opened file, if it has one, and for NDJSON its lines after the first.

    NDJSON without a header keeps its first line: (None, None), and nothing of the stream is taken.
    """
    if file.form is Form.PARQUET:
        return parquet_header(path, where), None
    if file.form is not Form.NDJSON:
        return read_sidecar(path, where), None
    if b'"njord"' not in file.start:
        return None, None
    lines = Lines(file.stream, where)
    return decode_header(lines.first(), where), lines


def check_flags(header: DataHeader, options: BarOptions, where: str) -> None:
    """Refuse flags that contradict a header: the file knows better what it holds.

    Raises:
        DataError: A flag says something else than the header.
    """
    instrument = header.instrument
    said = (
        ("--symbol", parse_symbol(options.symbol) if options.symbol is not None else None, instrument.symbol),
        ("--tick", options.tick, instrument.tick_size),
        ("--lot", options.lot, instrument.lot_size),
        ("--min-notional", options.min_notional, instrument.min_notional),
    )
    for flag, given, held in said:
        if given is not None and given != held:
            shown = held if isinstance(held, str) else plain(held)
            raise DataError(
                f"{where} says itself that it is {one_line(instrument.symbol)} with {shown}, against {flag} {one_line(given)}",
                f"leave out {flag}",
            )


def exact_source(path: Path, file: Opened, header: DataHeader, lines: Lines | None, where: str) -> RowSource:
    """Read the rows of a file with a header: exactly as they went out, or not at all.

    Raises:
        DataError: A row is damaged, the rows are not those that the header names, or they run backwards.
    """
    facts = FactCollector()
    stage = ColumnStage((np.int64,) * len(COLUMNS[header.kind]))
    with ExitStack() as unless_done:
        unless_done.callback(stage.close)
        stage_exact(path, file, header, lines, stage, facts, where)
        if not header.hash:
            refuse_backward(stage, where)
        digest = stage_hash(stage, header.kind, header.instrument, header.interval_ns)
        check_hash(header, digest, where)
        unless_done.pop_all()
    return RowSource(
        kind=header.kind,
        instrument=header.instrument,
        interval_ns=header.interval_ns,
        key=header.key,
        stage=stage,
        digest=digest,
        facts=facts.facts(),
        assumptions=(f"Instrument and hash are those that {where} says itself.",),
    )


def stage_exact(
    path: Path,
    file: Opened,
    header: DataHeader,
    lines: Lines | None,
    into: ColumnStage,
    facts: FactCollector,
    where: str,
) -> None:
    """Write the rows of a file with a header to `into`, in file order.

    Raises:
        DataError: A row is damaged or off the header's grid; names it.
    """
    if lines is not None:
        _stage_lines(lines, header, into, facts, where)
        return
    recognise = partial(_columns_of, header.kind, where)
    for frame in table_frames(path, file, where, recognise)[1]:
        first_row = into.n_rows + 1
        into.append(
            [
                _integers(frame[field.name], first_row, where)
                if field.role in (Role.TIME, Role.WHOLE)
                else _on_grid(frame[field.name], field.step(header.instrument), first_row, where)
                for field in FIELDS[header.kind]
            ]
        )


def table_frames(
    path: Path,
    file: Opened,
    where: str,
    recognise: Callable[[list[str]], ColumnMap],
    headerless: Callable[[int], ColumnMap] | None = None,
) -> tuple[ColumnMap, Iterable[pl.DataFrame]]:
    """Return the columns of a CSV, Parquet or Feather file that `recognise` chose, and its rows with them."""
    source: TextRows | TableRows
    if file.form is Form.CSV:
        source = TextRows(file.stream, where, recognise, headerless)
    else:
        source = TableRows(path, file.form, where, recognise)
    return source.columns, source.frames()


def stage_hash(stage: ColumnStage, kind: DataKind, instrument: Instrument, interval_ns: int) -> str:
    """Return the hash of staged canonical rows."""
    digest = rows_hash(kind, instrument, interval_ns)
    n_columns = len(COLUMNS[kind])
    for start, end in ranges(stage.n_rows):
        digest.add([stage.read(index, start, end) for index in range(n_columns)])
    return digest.text()


def refuse_backward(stage: ColumnStage, where: str) -> None:
    """Refuse rows whose first column runs backwards.

    Raises:
        DataError: It does; names the row.
    """
    latest = -(2**63)
    for start, end in ranges(stage.n_rows):
        ts_ns = stage.read(0, start, end)
        behind = ts_ns < np.maximum.accumulate(np.concatenate(([latest], ts_ns)))[:-1]
        if behind.any():
            row = int(behind.argmax())
            raise DataError(
                f"{where} row {start + row + 1}: {show_time(int(ts_ns[row]))} is earlier than a row before it",
                "sort the rows by time",
            )
        latest = int(ts_ns[-1])


def _stage_lines(
    lines: Lines, header: DataHeader, into: ColumnStage, facts: FactCollector, where: str
) -> None:
    decoder = RowDecoder(header.kind, header.instrument, where)
    latest = 0
    for text, first_line in lines.blocks():
        block = decoder.decode(text, first_line)
        into.append(block.columns)
        ts_ns = block.columns[0]
        for line, n_before in block.torn:
            at_ns = int(ts_ns[n_before - 1]) if n_before else latest
            facts.note_one("torn_lines", at_ns, line, "the writer was cut off here")
        latest = int(ts_ns[-1]) if len(ts_ns) else latest
    if not lines.tail.strip():
        return
    try:
        into.append(decoder.decode(lines.tail, lines.last_line + 1).columns)
    except DataError:
        facts.note_one("torn_lines", latest, lines.last_line + 1, "the last line has no end")


def _bare_source(
    path: Path, file: Opened, options: BarOptions, instruments: Mapping[str, Instrument], where: str
) -> RowSource:
    if file.form is Form.NDJSON:
        raise DataError(
            f"{where} is NDJSON without an njord header in its first line", "give a file that njord wrote"
        )
    found: list[DataKind] = []

    def recognise(names: list[str]) -> ColumnMap:
        kind = kind_of_names(names)
        if kind is None or kind is DataKind.BARS:
            raise DataError(
                f"{where} has not the columns of trades, book or quotes; it has {one_line(', '.join(names), 200)}",
                f"name them {', '.join(field.name for field in FIELDS[DataKind.BOOK])}, or see docs/data-formats.md",
            )
        found.append(kind)
        return _columns_of(kind, where, names)

    _, frames = table_frames(path, file, where, recognise)
    kind = found[0]
    facts = FactCollector()
    symbol, said = choose_symbol(options, path.name)
    with ExitStack() as opened, ExitStack() as unless_done:
        raw = opened.enter_context(RawRows(kind, where))
        for frame in frames:
            first_row = raw.stage.n_rows + 1
            raw.append(
                np.arange(first_row, first_row + frame.height),
                {
                    field.name: _integers(frame[field.name], first_row, where)
                    if field.role in (Role.TIME, Role.WHOLE)
                    else read_numbers(frame[field.name], field.name, first_row, where)
                    for field in FIELDS[kind]
                },
            )
        instrument, about = instrument_of(raw, options, symbol, instruments)
        stage = ColumnStage((np.int64,) * len(COLUMNS[kind]))
        unless_done.callback(stage.close)
        raw.onto_grid(instrument, facts, stage)
        refuse_backward(stage, where)
        digest = stage_hash(stage, kind, instrument, 0)
        unless_done.pop_all()
    return RowSource(
        kind=kind,
        instrument=instrument,
        interval_ns=0,
        key="",
        stage=stage,
        digest=digest,
        facts=facts.facts(),
        assumptions=tuple(said + about),
    )


def instrument_of(
    raw: RawRows, options: BarOptions, symbol: str, instruments: Mapping[str, Instrument]
) -> tuple[Instrument, list[str]]:
    """Return the instrument of staged rows, and what was assumed about it; tick and lot are inferred if need be.

    Raises:
        DataError: A flag is no step, or no tick or lot can be inferred.
    """
    known = symbol in instruments
    if known or options.lot is not None:
        return choose_instrument(options, symbol, instruments, partial(raw.infer, Role.PRICE))
    with_lot = msgspec.structs.replace(options, lot=raw.infer(Role.QTY))
    instrument, about = choose_instrument(with_lot, symbol, instruments, partial(raw.infer, Role.PRICE))
    about.append(f"Lot {plain(instrument.lot_size)} is inferred from the quantities (change with --lot).")
    return instrument, about


def _columns_of(kind: DataKind, where: str, names: list[str]) -> ColumnMap:
    fields = [field.name for field in FIELDS[kind]]
    missing = [name for name in fields if names.count(name) != 1]
    if missing:
        raise DataError(
            f"{where} has not one column {missing[0]}, as {kind.value} of ours have",
            f"it needs {', '.join(fields)}",
        )
    return ColumnMap(positions={name: names.index(name) for name in fields}, time_name=fields[0])


def _integers(values: pl.Series, first_row: int, where: str) -> IntArray:
    if isinstance(values.dtype, pl.Datetime):
        values = values.dt.cast_time_unit("ns").to_physical()
    elif not (values.dtype == pl.String or values.dtype.is_integer() or values.dtype == pl.Null):
        raise DataError(
            f"{where}: the column {values.name} holds {one_line(values.dtype)}", "store it as whole numbers"
        )
    numbers = values.cast(pl.Int64, strict=False)
    if numbers.null_count():
        index = int(numbers.is_null().arg_max() or 0)
        raise DataError(
            f"{where} row {first_row + index}: {values.name} {one_line(values[index])} is not a whole number",
            "correct or remove the row",
        )
    return numbers.to_numpy()


def _on_grid(values: pl.Series, step: tuple[int, int], first_row: int, where: str) -> IntArray:
    try:
        return exact_steps(values, *step, values.name)
    except OffGrid as error:
        raise DataError(
            f"{where} row {first_row + error.index}: {error}", "export it again, or correct the row"
        ) from None
