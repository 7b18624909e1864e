"""The door for recorded bars: a path and the user's flags in, a `BarDataset` out, or one line that says why not.

The format is told by content: gzip, Parquet, Feather (Arrow IPC), else text. Rows pass through three stages, each
on anonymous temporary files: as read, ordered, canonical.
"""

import gzip
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import polars as pl

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, NS_PER_S, NS_PER_US
from njord.storage.bars_columns import ColumnMap
from njord.storage.bars_csv import TextBars
from njord.storage.bars_options import BarOptions
from njord.storage.bars_order import refuse_disorder, repair
from njord.storage.bars_rows import RAW_TYPES, TS, Disorder, stage_rows
from njord.storage.bars_symbol import choose_instrument, choose_symbol
from njord.storage.bars_tables import TableBars
from njord.storage.bars_text import one_line, show_interval
from njord.storage.bars_time import TimeReader
from njord.storage.canonical import canonical_rows, infer_interval, infer_tick
from njord.storage.certificate.facts import NO_FACTS, SourceFacts
from njord.storage.dataset import CANONICAL_TYPES, BarDataset
from njord.storage.ingest.frames_open import open_regular
from njord.storage.interval import parse_timeframe
from njord.storage.stage import ColumnStage

__all__ = ["BarOptions", "open_bars"]

_DEFAULTS = BarOptions()
_NO_INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType({})
_GZIP, _PARQUET, _ARROW = b"\x1f\x8b", b"PAR1", b"ARROW1"
_REFUSED = (
    (b"PK\x03\x04", "a zip archive", "unzip it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "decompress it first, or use gzip"),
    (b"FEA1", "Feather version 1", "write it as Feather version 2 or Parquet"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"{", "JSON", "give CSV, Parquet or Feather"),
    (b"[", "JSON", "give CSV, Parquet or Feather"),
)


class _Source(Protocol):
    columns: ColumnMap

    def frames(self) -> Iterable[pl.DataFrame]: ...


def open_bars(
    path: Path, options: BarOptions = _DEFAULTS, instruments: Mapping[str, Instrument] = _NO_INSTRUMENTS
) -> BarDataset:
    """Read a file of bars completely and return it as a dataset; the caller closes it.

    Memory stays flat in the number of rows, except that repairing rows out of order holds 24 bytes a row.

    Args:
        path: CSV (also gzipped), Parquet or Feather.
        options: What the user said; the rest is inferred and listed in the dataset's assumptions.
        instruments: Configured instruments by symbol.

    Raises:
        DataError: The file is missing, damaged, ambiguous, out of order, or holds something that is no bar. One
            line names the value, the expectation and the fix; nothing stays on disk.
    """
    where = one_line(path.name, 80)
    symbol, said = choose_symbol(options, path.name)
    times = TimeReader(where, options.time_unit, options.timezone)
    interval_ns = parse_timeframe(options.timeframe) if options.timeframe is not None else None
    with ExitStack() as opened:
        source = _open_source(path, where, options, symbol.partition("/")[0], opened)
        said += _column_assumptions(source.columns, options)
        raw = opened.enter_context(ColumnStage(RAW_TYPES))
        disorder = stage_rows(source.frames(), times, raw, where)
        if not raw.n_rows:
            raise DataError(f"{where} has a header but no rows", "give a file with one row per bar")
        said += times.assumptions()
        raw, done = _in_order(raw, disorder, options.repair, where, opened)
        said += _repair_assumptions(done)
        if interval_ns is None:
            interval_ns = infer_interval(raw, where)
            said.append(
                f"Interval {show_interval(interval_ns)} is the most common step between timestamps (change with --timeframe)."
            )
        shift_ns = 0
        if options.time_is_close or source.columns.time_is_close:
            shift_ns = _close_shift(int(raw.read(TS, 0, 1)[0]), interval_ns)
            said.append("Timestamps are the end of each bar; its open lies one interval earlier.")
        instrument, about = choose_instrument(options, symbol, instruments, partial(infer_tick, raw, where))
        canonical = ColumnStage(CANONICAL_TYPES)
        with ExitStack() as unless_done:
            unless_done.callback(canonical.close)
            certificate = canonical_rows(raw, canonical, instrument, interval_ns, shift_ns, done, where)
            n_off_interval = certificate.n_of("off_schedule")
            if n_off_interval:
                about.append(
                    f"{n_off_interval} bars open off the {show_interval(interval_ns)} grid of the first one, after gaps; kept as they are."
                )
            unless_done.pop_all()
    return BarDataset(
        name=path.name,
        instrument=instrument,
        interval_ns=interval_ns,
        stage=canonical,
        digest=certificate.dataset_hash,
        certificate=certificate,
        assumptions=tuple(said + about),
    )


def _in_order(
    raw: ColumnStage, disorder: Disorder, wanted: bool, where: str, opened: ExitStack
) -> tuple[ColumnStage, SourceFacts]:
    if not disorder.first_row:
        return raw, NO_FACTS
    if not wanted:
        refuse_disorder(disorder, where)
    in_order = opened.enter_context(ColumnStage(RAW_TYPES))
    done = repair(raw, disorder, in_order)
    raw.close()
    return in_order, done


def _open_source(path: Path, where: str, options: BarOptions, base: str, opened: ExitStack) -> _Source:
    file = open_regular(path, where)
    opened.callback(file.close)
    magic = file.read(8)
    file.seek(0)
    if not magic:
        raise DataError(f"{where} is empty", "give a file with a header line and one row per bar")
    for start, what, remedy in _REFUSED:
        if magic.startswith(start):
            raise DataError(f"{where} is {what}, not a file of bars", remedy)
    suffix = path.suffix.lower()
    for start, kind, suffixes in ((_PARQUET, "Parquet", (".parquet", ".pq")), (_ARROW, "Feather", (".feather", ".arrow", ".ipc"))):  # fmt: skip
        if magic.startswith(start):
            return TableBars(path, kind, where, options.columns, base)
        if suffix in suffixes:
            raise DataError(
                f"{where} is named like {kind} but does not hold it",
                "download or write it again, or name it by its content",
            )
    if magic.startswith(_GZIP):
        return TextBars(opened.enter_context(gzip.open(file)), where, options.columns, base)
    if suffix == ".gz":
        raise DataError(
            f"{where} is named .gz but is not gzip", "download it again, or drop the .gz from its name"
        )
    return TextBars(file, where, options.columns, base)


def _column_assumptions(columns: ColumnMap, options: BarOptions) -> list[str]:
    said = []
    if "time" not in dict(options.columns):
        said.append(
            f"Time is read from the column {one_line(columns.time_name)!r} (change with --column time=NAME)."
        )
    if "volume" not in columns.positions:
        said.append("The file has no volume column: every volume is 0 (name one with --column volume=NAME).")
    return said


def _repair_assumptions(done: SourceFacts) -> list[str]:
    if done == NO_FACTS:
        return []
    return [
        f"Repaired: {done.out_of_order.n} rows sorted into place, {done.duplicates.n} exact duplicates dropped,"
        f" {done.conflicting_duplicates.n} conflicting duplicates dropped in favor of the first."
    ]


def _close_shift(first_ns: int, interval_ns: int) -> int:
    # Binance closes a bar 1 ms (or 1 us) before the next opens.
    for early_ns in (NS_PER_MS, NS_PER_US):
        if (first_ns + early_ns) % min(interval_ns, NS_PER_S) == 0:
            return early_ns - interval_ns
    return -interval_ns
