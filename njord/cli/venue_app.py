"""The verb of the local exchange: its flags and its help. What it does is in `venue.py`, which is imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from njord.cli.options import HERE, JsonLines, Lot, MinNotional, Root, Tick, Timeframe

venue_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@venue_app.command()
def venue(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="What is replayed: a raw capture, a file of bars, or a dataset of the store; may be repeated.",
        ),
    ] = None,
    replay: Annotated[
        str | None, typer.Option("--replay", help="Its speed: 1x is as it was; 60x if not given.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again after its end, ids moved on.")] = False,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="A seeded, endless market instead; so it is without --data.")
    ] = False,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="What is listed; may be repeated. Of a file: what it is of."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market and of faults.")] = 1,
    tick: Tick = None,
    lot: Lot = None,
    min_notional: MinNotional = None,
    timeframe: Timeframe = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            help="NAME, NAME:BTC=1,USDT=10000 or NAME:KEY:SECRET:BALANCES; toy keys; may be repeated.",
        ),
    ] = None,
    accounts: Annotated[
        Path | None, typer.Option("--accounts", help="A YAML list of {name, key, secret, balances}.")
    ] = None,
    faults: Annotated[Path | None, typer.Option("--faults", help="A plan of faults, YAML or JSON.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="On 127.0.0.1; 0 takes a free one.")] = 9095,
    tls: Annotated[
        bool, typer.Option("--tls", help="https and wss, with a certificate made on the spot.")
    ] = False,
    json_out: JsonLines = False,
    root: Root = HERE,
) -> int:
    """Serve a local exchange that speaks Binance.US: REST, WebSockets, accounts, faults; no internet is needed.

    Example: njord venue --synthetic --account alice:BTC=1,USDT=10000

    Ctrl-C or SIGTERM stops it. The market is not moved by its accounts, and accounts do not trade with each other.

    Exit codes: 0 it was stopped, 2 wrong input or the port is taken, 4 the engine failed.
    """
    from njord.cli.flags import FileFlags
    from njord.cli.venue import Wanted, run

    file = FileFlags(tick=tick, lot=lot, min_notional=min_notional, timeframe=timeframe)
    wanted = Wanted(
        data=tuple(data or ()),
        replay=replay,
        loop=loop,
        synthetic=synthetic,
        symbols=tuple(symbol or ()),
        seed=seed,
        file=file,
        accounts=tuple(account or ()),
        accounts_file=accounts,
        faults=faults,
        port=port,
        tls=tls,
        json_out=json_out,
    )
    return run(wanted, root)
