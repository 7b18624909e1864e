"""The door for recorded trades: a path and the user's flags in, trades in order out, or one line that says why not.

CSV, Parquet, Feather or NDJSON, told by content. A file with a header of ours comes back exactly as it went out; every
other one is read by the names of its columns, put in order, and set on the grid of its instrument.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_columns import ColumnMap
from njord.storage.bars_symbol import choose_symbol
from njord.storage.bars_text import one_line
from njord.storage.bars_time import TimeReader
from njord.storage.certificate.facts import FactCollector, SourceFacts
from njord.storage.ingest.frames import (
    check_flags,
    exact_source,
    header_of,
    instrument_of,
    stage_exact,
    stage_hash,
    table_frames,
)
from njord.storage.ingest.frames_header import DataHeader
from njord.storage.ingest.frames_open import Form, Opened, open_file
from njord.storage.ingest.frames_rows import ROW, RawRows, RowSource
from njord.storage.ingest.ndjson import Lines
from njord.storage.ingest.trades_columns import dump_columns, recognise_trades
from njord.storage.ingest.trades_ndjson import ObjectRows
from njord.storage.ingest.trades_options import TradeOptions
from njord.storage.ingest.trades_order import TradeStage, put_in_order, refuse_disorder
from njord.storage.ingest.trades_rows import TradeReader
from njord.storage.stage import ColumnStage
from njord.storage.store.kinds import COLUMNS, DataKind

__all__ = ["TradeOptions", "TradeSource", "open_trades"]

TradeSource = RowSource  # Of kind trades.

_DEFAULTS = TradeOptions()
_NO_INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType({})
_TYPES = (np.int64,) * len(COLUMNS[DataKind.TRADES])
_TS, _TS_VENUE, _TRADE_ID = range(3)


def open_trades(
    path: Path, options: TradeOptions = _DEFAULTS, instruments: Mapping[str, Instrument] = _NO_INSTRUMENTS
) -> TradeSource:
    """Read a file of trades completely; the caller closes the source.

    Memory stays flat in the number of rows, except that repairing disorder holds up to 40 bytes a row.

    Args:
        path: CSV or NDJSON (also gzipped or in lz4 frames), Parquet or Feather.
        options: What the user said; the rest is inferred and listed in the source's assumptions.
        instruments: Configured instruments by symbol.

    Raises:
        DataError: The file is missing, damaged, ambiguous, or holds something that is no trade; or it is out of order
            and may not be repaired. One line names the value, the expectation and the fix; nothing stays on disk.
    """
    where = one_line(path.name, 80)
    with ExitStack() as opened:
        file = open_file(path, where, opened)
        header, lines = header_of(path, file, where)
        if header is None:
            return _bare_trades(path, file, options, instruments, where)
        if header.kind is not DataKind.TRADES:
            raise DataError(
                f"{where} holds {header.kind.value}, not trades", f"import it as {header.kind.value}"
            )
        check_flags(header, options, where)
        if header.hash:
            return exact_source(path, file, header, lines, where)
        return _recorded_trades(path, file, header, lines, options, where)


def _recorded_trades(
    path: Path, file: Opened, header: DataHeader, lines: Lines | None, options: TradeOptions, where: str
) -> TradeSource:
    facts = FactCollector()
    with ExitStack() as opened:
        raw = opened.enter_context(ColumnStage(_TYPES))
        stage_exact(path, file, header, lines, raw, facts, where)
        trades = TradeStage(raw, len(_TYPES), _TS, _TS_VENUE, _TRADE_ID)
        ordered = _in_order(trades, _TYPES, facts, options, where)
    said = f"The instrument is the one that {where} names itself."
    return _source(header.instrument, header.key, ordered, facts.facts(), [said])


def _bare_trades(
    path: Path, file: Opened, options: TradeOptions, instruments: Mapping[str, Instrument], where: str
) -> TradeSource:
    symbol, said = choose_symbol(options, path.name)
    times, venue_times = (TimeReader(where, options.time_unit, options.timezone) for _ in range(2))
    reader, facts = TradeReader(times, venue_times, where), FactCollector()
    with ExitStack() as opened, ExitStack() as unless_done:
        raw = opened.enter_context(RawRows(DataKind.TRADES, where))
        reader.stage(_frames(path, file, options, said, where), raw, facts)
        if not raw.stage.n_rows:
            raise DataError(f"{where} holds no trades", "give a file with one row per trade")
        said += reader.assumptions()
        instrument, about = instrument_of(raw, options, symbol, instruments)
        # Sorted as exact decimals: what the grid rounds must not make two trades alike.
        column = raw.first_column
        trades = TradeStage(
            raw.stage, len(raw.dtypes), column["ts_ns"], column["ts_venue_ns"], column["trade_id"], ROW
        )
        raw.replace(_in_order(trades, raw.dtypes, facts, options, where))
        stage = ColumnStage(_TYPES)
        unless_done.callback(stage.close)
        raw.onto_grid(instrument, facts, stage)
        unless_done.pop_all()
    return _source(instrument, "", stage, facts.facts(), said + about)


def _in_order(
    trades: TradeStage,
    types: tuple[type[np.int64], ...],
    facts: FactCollector,
    options: TradeOptions,
    where: str,
) -> ColumnStage:
    ordered = ColumnStage(types)
    with ExitStack() as unless_done:
        unless_done.callback(ordered.close)
        put_in_order(trades, ordered, facts)
        if not options.repair:
            refuse_disorder(facts.facts(), where)
        unless_done.pop_all()
    return ordered


def _frames(
    path: Path, file: Opened, options: TradeOptions, said: list[str], where: str
) -> Iterable[pl.DataFrame]:
    recognise = partial(recognise_trades, asked=options.columns, where=where)
    if file.form is Form.NDJSON:
        source = ObjectRows(file.stream, where, recognise)
        columns: ColumnMap = source.columns
        frames: Iterable[pl.DataFrame] = source.frames()
    else:
        columns, frames = table_frames(path, file, where, recognise, partial(dump_columns, where=where))
    if "time" not in dict(options.columns):
        said.append(
            f"Time is read from the column {one_line(columns.time_name)!r} (change with --column time=NAME)."
        )
    if not {"side", "buyer_maker"} & columns.positions.keys():
        said.append(
            "The file has no column of sides: every side is unknown (name one with --column side=NAME)."
        )
    if "id" not in columns.positions:
        said.append(
            "The file has no trade ids: repeated trades can not be told (name them with --column id=NAME)."
        )
    return frames


def _source(
    instrument: Instrument, key: str, stage: ColumnStage, facts: SourceFacts, said: list[str]
) -> TradeSource:
    return RowSource(
        kind=DataKind.TRADES,
        instrument=instrument,
        interval_ns=0,
        key=key,
        stage=stage,
        digest=stage_hash(stage, DataKind.TRADES, instrument, 0),
        facts=facts,
        assumptions=tuple(said),
    )
