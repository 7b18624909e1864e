"""What does a file hold, and who reads it? Paths and the user's flags in; rows by dataset, with what was wrong, out.

A file with a header of ours says itself what it is, a raw capture is told by its first line, and every other file by
the names of its columns. Files of one capture are read as one stream, so that a book goes on across their border.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_columns import KLINE_WIDTH, ColumnMap, kline_columns, recognise
from njord.storage.bars_file import open_bars
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import one_line, show_interval
from njord.storage.certificate.facts import SourceFacts
from njord.storage.dataset import BarDataset
from njord.storage.ingest.capture import CaptureOptions, looks_like_capture, open_capture
from njord.storage.ingest.frames import header_of, open_rows, table_frames
from njord.storage.ingest.frames_layout import kind_of_names
from njord.storage.ingest.frames_open import Form, open_file, open_regular
from njord.storage.ingest.trades_columns import dump_columns, recognise_trades
from njord.storage.ingest.trades_file import TradeOptions, open_trades
from njord.storage.store.kinds import COLUMNS, Columns, DataKind

CAPTURE_VENUE = CaptureOptions().venue
_SNIFFED_BYTES = 65_536


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one dataset, read once.

    Attributes:
        kind: Which columns they have.
        instrument: Gives the steps.
        interval_ns: Length of a bar; 0 for the other kinds.
        n_rows: How many there are.
        blocks: The rows, in the order of time.
        facts: What was wrong with the source.
        assumptions: What was taken for granted.
    """

    kind: DataKind
    instrument: Instrument
    interval_ns: int
    n_rows: int
    blocks: Iterator[Columns]
    facts: SourceFacts
    assumptions: tuple[str, ...]


def is_capture(path: Path) -> bool:
    """Return whether a file is a raw capture.

    Raises:
        DataError: It can not be opened.
    """
    with open_regular(path, one_line(path.name, 80)) as file:
        return looks_like_capture(file.read(_SNIFFED_BYTES))


@contextmanager
def open_captures(
    paths: Sequence[Path], options: BarOptions, venue: str | None, instruments: Mapping[str, Instrument]
) -> Iterator[list[Rows]]:
    """Read the files of one capture, in the order given, and lend its rows, one entry per symbol and kind.

    Raises:
        DataError: A file is damaged or can not be understood.
    """
    asked = CaptureOptions(
        symbol=options.symbol,
        venue=venue or CAPTURE_VENUE,
        tick=options.tick,
        lot=options.lot,
        min_notional=options.min_notional,
    )
    # Another venue's grid says nothing about this one's.
    there = {symbol: each for symbol, each in instruments.items() if each.venue == asked.venue}
    with open_capture(paths, asked, there) as capture:
        yield [
            Rows(
                kind=kind,
                instrument=capture.instrument(symbol),
                interval_ns=0,
                n_rows=capture.n_rows(symbol, kind),
                blocks=capture.rows(symbol, kind),
                facts=capture.facts.source,
                assumptions=capture.assumptions,
            )
            for symbol in capture.symbols
            for kind in (
                DataKind.QUOTES,
                DataKind.BOOK,
                DataKind.TRADES,
            )  # A book is compared with its quotes.
            if capture.n_rows(symbol, kind)
        ]


@contextmanager
def open_table(
    path: Path, kind: DataKind | None, options: BarOptions, instruments: Mapping[str, Instrument]
) -> Iterator[Rows]:
    """Read a file that is no capture and lend its rows.

    Args:
        path: CSV, Parquet, Feather or NDJSON.
        kind: What it holds, if the user says so.
        options: What else the user says.
        instruments: Configured instruments by symbol.

    Raises:
        DataError: The file is damaged, can not be understood, or holds another kind.
    """
    with ExitStack() as opened:
        found = _kind_of(path, kind, options.columns)
        if found is DataKind.BARS:
            yield _of_bars(opened.enter_context(open_bars(path, options, instruments)))
            return
        if found is DataKind.TRADES:
            asked = TradeOptions(**msgspec.structs.asdict(options))
            source = opened.enter_context(open_trades(path, asked, instruments))
        else:
            source = opened.enter_context(open_rows(path, options, instruments))
        if kind is not None and source.kind is not kind:
            raise DataError(
                f"{one_line(path.name, 80)} holds {source.kind.value}, not {kind.value}",
                f"leave out --kind, or say --kind {source.kind.value}",
            )
        yield Rows(
            kind=source.kind,
            instrument=source.instrument,
            interval_ns=source.interval_ns,
            n_rows=source.n_rows,
            blocks=source.rows(),
            facts=source.facts,
            assumptions=source.assumptions,
        )


def _of_bars(bars: BarDataset) -> Rows:
    names = COLUMNS[DataKind.BARS]
    return Rows(
        kind=DataKind.BARS,
        instrument=bars.instrument,
        interval_ns=bars.interval_ns,
        n_rows=bars.n_rows,
        blocks=({name: getattr(chunk, name) for name in names} for chunk in bars.chunks(size=65_536)),
        facts=bars.certificate.facts,
        assumptions=(
            f"Bars are {show_interval(bars.interval_ns)} long and carry the time of their open.",
            *bars.assumptions,
        ),
    )


# None where the file says so itself, whatever else was said.
def _kind_of(path: Path, said: DataKind | None, asked: tuple[tuple[str, str], ...]) -> DataKind | None:
    where = one_line(path.name, 80)
    with ExitStack() as opened:
        file = open_file(path, where, opened)
        header = header_of(path, file, where)[0]
        if header is not None:
            # What a recorder wrote down as it came has no hash, and may have to be put in order.
            return DataKind.TRADES if header.kind is DataKind.TRADES and not header.hash else None
        if said is not None:
            return said
        if file.form is Form.NDJSON:
            return DataKind.TRADES
        found: list[DataKind | None] = []

        def told(names: list[str]) -> ColumnMap:
            kind, columns = _told_by_names(names, asked, where)
            found.append(kind)
            return columns

        def told_without(width: int) -> ColumnMap:
            is_bars = width == KLINE_WIDTH
            found.append(DataKind.BARS if is_bars else DataKind.TRADES)
            return kline_columns(width, where) if is_bars else dump_columns(width, where)

        table_frames(path, file, where, told, told_without)  # Reads the first line, and no row.
        return found[0]


# By those who will read it: which names they know is theirs to say.
def _told_by_names(
    names: list[str], asked: tuple[tuple[str, str], ...], where: str
) -> tuple[DataKind | None, ColumnMap]:
    try:
        return DataKind.BARS, recognise(names, asked, where)
    except DataError as error:
        no_bars = error.problem
    if kind_of_names(names) in (DataKind.BOOK, DataKind.QUOTES):
        return None, ColumnMap(positions={}, time_name=names[0])
    try:
        return DataKind.TRADES, recognise_trades(names, asked, where)
    except DataError as error:
        raise DataError(
            f"{where} tells neither bars ({no_bars}) nor trades ({error.problem})",
            "say what it holds with --kind bars or --kind trades, and name its columns with --column",
        ) from None
