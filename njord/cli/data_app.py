"""`njord data`: its verbs, their flags and their help. What a verb does is in the module that it imports when called."""

from pathlib import Path
from typing import Annotated

import typer

from njord.cli.options import (
    HERE,
    Columns,
    Json,
    Lot,
    MinNotional,
    Root,
    Symbol,
    Tick,
    Timeframe,
    TimeIsClose,
    TimeUnit,
    Timezone,
)

data_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Import, download, look at, verify and hand out market data.",
)

StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", help="The store's folder; paths.data of the configuration if not given."),
]
Dataset = Annotated[str, typer.Argument(help="A dataset as `njord data list` names it.")]
DatasetOrFile = Annotated[str, typer.Argument(help="A dataset as `njord data list` names it, or a file.")]
Start = Annotated[str | None, typer.Option(help="First row, ISO 8601, UTC unless it says otherwise.")]
End = Annotated[str | None, typer.Option(help="End of the range, exclusive.")]


@data_app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV, Parquet, Feather, NDJSON, or raw captures.")],
    kind: Annotated[str | None, typer.Option(help="bars or trades, where the columns leave it open.")] = None,
    symbol: Symbol = None,
    venue: Annotated[str | None, typer.Option(help="Where it was recorded, such as binanceus.")] = None,
    timeframe: Timeframe = None,
    tick: Tick = None,
    lot: Lot = None,
    min_notional: MinNotional = None,
    column: Columns = None,
    time_unit: TimeUnit = None,
    timezone: Timezone = None,
    time_is_close: TimeIsClose = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse disorder and duplicates instead of mending and counting.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Rows that contradict stored ones win, instead of being refused."),
    ] = False,
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Bring files into the store, exactly, and grade what they hold. Repeating an import adds nothing.

    Example: njord data import BTCUSDT-1m.csv.gz --venue binanceus

    Exit codes: 0 done, 2 wrong input; interrupted or killed, the store keeps its old state and the same command
    completes the import.
    """
    from njord.cli.data_import import Flags, run

    flags = Flags(
        kind=kind,
        symbol=symbol,
        venue=venue,
        timeframe=timeframe,
        tick=tick,
        lot=lot,
        min_notional=min_notional,
        columns=tuple(column or ()),
        time_unit=time_unit,
        timezone=timezone,
        time_is_close=time_is_close,
        strict=strict,
        replace=replace,
    )
    return run(tuple(files), flags, store, json_out, root)


@data_app.command("list")
def list_(store: StoreFolder = None, json_out: Json = False, root: Root = HERE) -> int:
    """List the datasets of the store with range, rows, size and grade.

    Example: njord data list

    Exit codes: 0 done, 1 a dataset can not be read and is named.
    """
    from njord.cli.data_list import run

    return run(store, json_out, root)


@data_app.command()
def show(
    dataset: DatasetOrFile,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with charts there.")] = None,
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Show one dataset: its certificate with the rule behind each grade, and how it covers its time.

    Example: njord data show bars/local/BTC-USDT/1m --html coverage.html
    """
    from njord.cli.data_show import run

    return run(dataset, html, store, json_out, root)


@data_app.command()
def verify(
    datasets: Annotated[list[str] | None, typer.Argument(help="Datasets; all of the store if none.")] = None,
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Read every byte again and compare: files cut, changed or gone are named.

    Example: njord data verify

    Exit codes: 0 all is as it was written, 1 something is not, 2 wrong input.
    """
    from njord.cli.data_verify import run

    return run(tuple(datasets or ()), store, json_out, root)


@data_app.command()
def export(
    dataset: Dataset,
    out: Annotated[Path, typer.Argument(help="The file to write; its name says the format.")],
    start: Start = None,
    end: End = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Write a dataset to one file: .csv .csv.gz .parquet .feather .ndjson .ndjson.gz or .ndjson.lz4, exactly.

    Example: njord data export bars/local/BTC-USDT/1m btc.parquet
    """
    from njord.cli.data_export import run

    return run(dataset, out, start, end, force, store, json_out, root)


@data_app.command()
def resample(
    dataset: Dataset,
    timeframe: Annotated[str | None, typer.Option(help="Bars by time: 1m, 5m, 1h, 1d, 1w.")] = None,
    ticks: Annotated[int | None, typer.Option(help="Bars of so many trades.")] = None,
    volume: Annotated[str | None, typer.Option(help="Bars of so much volume, in the base asset.")] = None,
    notional: Annotated[str | None, typer.Option(help="Bars of so much value, in the quote asset.")] = None,
    gaps: Annotated[
        str, typer.Option(help="A silent time is a hole, or flat bars at the last close.")
    ] = "hole",
    late: Annotated[str, typer.Option(help="A trade of a finished bar: drop and count, or refuse.")] = "drop",
    out: Annotated[Path | None, typer.Option("--out", help="Write a file instead of into the store.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    start: Start = None,
    end: End = None,
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Make bars of trades, or longer bars of shorter ones, aligned to the clock in UTC.

    Example: njord data resample trades/local/BTC-USDT --timeframe 1m
    """
    from njord.cli.data_resample import Flags, run

    flags = Flags(
        timeframe=timeframe,
        ticks=ticks,
        volume=volume,
        notional=notional,
        gaps=gaps,
        late=late,
        out=out,
        force=force,
        start=start,
        end=end,
    )
    return run(dataset, flags, store, json_out, root)


@data_app.command()
def book(
    dataset: DatasetOrFile,
    at: Annotated[
        str | None, typer.Option("--at", help="The moment, ISO 8601; the end if not given.")
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Levels of each side.")] = 10,
    clock: Annotated[
        str, typer.Option(help="The clock that --at means: local (receipt) or venue.")
    ] = "local",
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Rebuild the order book at a moment from snapshot and changes, by the venue's sequence rules.

    Example: njord data book book/binance/ETH-USDT --at 2024-08-08T23:56:00 --depth 5

    Exit codes: 0 done, 1 the book is not in sequence at that moment (what is missing is said), 2 wrong input.
    """
    from njord.cli.data_book import run

    return run(dataset, at, depth, clock, store, json_out, root)


@data_app.command()
def download(
    symbol: Annotated[str, typer.Option(help="For example BTC/USDT.")],
    start: Annotated[str, typer.Option(help="First row, ISO 8601, UTC unless it says otherwise.")],
    venue: Annotated[str, typer.Option(help="The venue to ask.")] = "binanceus",
    timeframe: Annotated[str, typer.Option(help="Bar length; what the venue offers.")] = "1m",
    trades: Annotated[bool, typer.Option("--trades", help="Trades instead of bars.")] = False,
    end: End = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Another address that speaks the venue's dialect; nothing else is asked."),
    ] = None,
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Bring a venue's history into the store: resumes, repairs gaps, keeps to the venue's limits.

    Example: njord data download --venue binanceus --symbol BTC/USDT --timeframe 1m --start 2024-01-01

    Exit codes: 0 done, 2 wrong input, 5 the venue refused or can not be reached, 130 interrupted; what has come is
    kept, and the same command goes on.
    """
    from njord.cli.data_download import Flags, run

    flags = Flags(
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        trades=trades,
        start=start,
        end=end,
        endpoint=endpoint,
    )
    return run(flags, store, json_out, root)


@data_app.command()
def compact(
    recordings: Annotated[
        Path | None,
        typer.Option("--recordings", help="A folder of recorded NDJSON to turn over and pack, instead."),
    ] = None,
    store: StoreFolder = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Merge small parts and remove what no dataset needs; what anybody holds open is left alone.

    Example: njord data compact

    Exit codes: 0 done, 1 a recording could not be packed and is as it was, 2 wrong input.
    """
    from njord.cli.data_compact import run

    return run(recordings, store, json_out, root)
