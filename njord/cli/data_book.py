"""`njord data book`: the order book at a moment, how it was rebuilt, and what it looked like in numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

import msgspec
from rich.table import Table

from njord.apps.data_sources import Rows, is_capture, open_captures, open_table
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.data_store import open_store, print_json
from njord.cli.flags import known_instruments, parse_time
from njord.cli.progress import Progress
from njord.cli.summary import make_console
from njord.core.errors import ConfigError, DataError
from njord.core.instrument import Instrument
from njord.core.units import FOREVER_NS, plain
from njord.data.book import Book
from njord.data.book_replay import BookAudit, book_at
from njord.data.book_stats import BookStats, Level
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import one_line, show_time
from njord.storage.store.kinds import Columns, DataKind


def run(
    dataset: str, at: str | None, depth: int, clock: str, store: Path | None, json_out: bool, root: Path
) -> int:
    """Run the verb and return its exit code."""
    if clock not in ("local", "venue"):
        raise ConfigError(
            f"--clock takes local or venue, was {one_line(clock)!r}", "for example --clock local"
        )
    at_ns = parse_time("--at", at)
    with _book_rows(dataset, store, root) as (blocks, instrument), Progress("rows") as progress:
        progress.say(f"rebuilding {one_line(dataset, 80)}")
        by = cast(Literal["local", "venue"], clock)
        book, audit = book_at(blocks, FOREVER_NS if at_ns is None else at_ns, by)
    stats = book.stats(depth)
    if json_out:
        print_json(_document(book, audit, stats, instrument, depth))
    else:
        _print(book, audit, stats, instrument, depth)
    return EXIT_OK if audit.is_synced else EXIT_CHECK_FAILED


@contextmanager
def _book_rows(
    dataset: str, store: Path | None, root: Path
) -> Iterator[tuple[Iterator[Columns], Instrument]]:
    file = Path(dataset)
    if not file.is_file():
        with open_store(store, root).open(dataset) as stored:
            if stored.key.kind is not DataKind.BOOK:
                raise DataError(
                    f"{stored.path} holds {stored.key.kind.value}, no book",
                    "name one that begins with book/: njord data list",
                )
            yield stored.chunks(), stored.instrument
        return
    options, instruments = BarOptions(), known_instruments(root)
    if is_capture(file):
        with open_captures((file,), options, None, instruments) as found:
            rows = _the_book(found, file)
            yield rows.blocks, rows.instrument
        return
    with open_table(file, None, options, instruments) as rows:
        rows = _the_book([rows], file)
        yield rows.blocks, rows.instrument


def _the_book(found: list[Rows], file: Path) -> Rows:
    books = [rows for rows in found if rows.kind is DataKind.BOOK]
    if len(books) != 1:
        held = ", ".join(sorted({rows.instrument.symbol for rows in books})) or "none"
        raise DataError(
            f"{one_line(file.name, 80)} must hold one book, it holds {held}",
            "import it and name the dataset: njord data import FILE",
        )
    return books[0]


def _document(
    book: Book, audit: BookAudit, stats: BookStats, instrument: Instrument, depth: int
) -> dict[str, object]:
    def levels(side: list[Level]) -> list[list[str]]:
        return [
            [plain(instrument.price(level.price_ticks)), plain(instrument.qty(level.qty_lots))]
            for level in side
        ]

    numbers = {
        name: value if not isinstance(value, float) or value == value else None
        for name, value in msgspec.structs.asdict(stats).items()
    }
    return {
        "symbol": instrument.symbol,
        "is_synced": audit.is_synced,
        "bids": levels(book.bids(depth)),
        "asks": levels(book.asks(depth)),
        "stats": numbers,
        "audit": audit,
    }


def _print(book: Book, audit: BookAudit, stats: BookStats, instrument: Instrument, depth: int) -> None:
    console = make_console()
    if not audit.n_applied and not audit.n_snapshots:
        console.print(
            f"no book: of {audit.n_events:,} events none could be applied before that moment"
            " (a book begins with a snapshot)",
            highlight=False,
        )
        return
    moment = f"after the event of {show_time(audit.last_ts_ns)}, update {audit.update_id}"
    console.print(f"[bold]{instrument.symbol}[/bold] {moment}", highlight=False)
    table = Table(box=None, header_style="bold")
    for heading in ("bid qty", "bid", "ask", "ask qty"):
        table.add_column(heading, justify="right")
    bids, asks = book.bids(depth), book.asks(depth)
    for index in range(max(len(bids), len(asks))):
        bid, ask = (_texts(side, index, instrument) for side in (bids, asks))
        table.add_row(bid[1], bid[0], *ask)
    console.print(table)
    console.print(
        f"spread {_price(stats.spread_ticks, instrument)} ({stats.spread_bps:.3f} bp),"
        f" mid {stats.mid_ticks * instrument.price_float(1):,.8g},"
        f" microprice {stats.microprice_ticks * instrument.price_float(1):,.8g}",
        highlight=False,
    )
    console.print(
        f"{stats.n_levels} levels a side hold {plain(instrument.qty(stats.bid_lots))} to buy and"
        f" {plain(instrument.qty(stats.ask_lots))} to sell, imbalance {stats.imbalance:+.3f},"
        f" slope {stats.bid_slope:.4g} and {stats.ask_slope:.4g};"
        f" within {plain(stats.within_bps)} bp {plain(instrument.qty(stats.bid_lots_within))} and"
        f" {plain(instrument.qty(stats.ask_lots_within))}; {stats.n_bids:,} and {stats.n_asks:,} levels in all",
        highlight=False,
    )
    for line in _history(audit):
        console.print(line, highlight=False)


def _texts(side: list[Level], index: int, instrument: Instrument) -> tuple[str, str]:
    if index >= len(side):
        return "", ""
    level = side[index]
    return f"{instrument.price(level.price_ticks):f}", plain(instrument.qty(level.qty_lots))


def _price(ticks: int | None, instrument: Instrument) -> str:
    return "unknown" if ticks is None else plain(instrument.price(ticks))


def _history(audit: BookAudit) -> Iterator[str]:
    yield (
        f"{audit.n_applied:,} changes applied after {audit.n_snapshots} snapshots, {audit.n_dropped:,} from before"
        f" dropped, {audit.n_gaps} holes, {audit.n_resyncs} resyncs"
    )
    for gap in audit.gaps:
        yield (
            f"[yellow]hole[/yellow] at {show_time(gap.ts_ns)}: updates {gap.book_id + 1} to {gap.first_id - 1}"
            f" ({gap.n_missing:,}) are missing"
        )
    if audit.n_crossed:
        yield f"[yellow]crossed[/yellow] {audit.n_crossed} times, first at {show_time(audit.first_crossed_ns)}"
    if not audit.is_synced:
        yield (
            "[red]out of sequence[/red] at that moment: the book shown is the last one that was whole;"
            " the next snapshot would mend it"
        )
