"""The verbs that meet a real venue: their flags and their help. What they do is imported when they are called."""

from typing import Annotated

import typer

from njord.cli.data_app import StoreFolder
from njord.cli.options import HERE, Fresh, JsonLines, LiveFlags, Root, SessionName, StopPolicyName, grouped
from njord.core.errors import ConfigError

live_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@live_app.command()
@grouped
def live(
    typed: LiveFlags,
    strategies: Annotated[
        list[str] | None,
        typer.Argument(metavar="STRATEGY", help="As njord paper takes them; none with --check."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look at the locks; nothing is sent.")] = False,
    account: Annotated[
        str,
        typer.Option("--account", help="The account's name once more, for services; else it is asked for."),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show orders instead of sending them.")] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint", help="Another address that speaks the venue's dialect, such as njord venue."
        ),
    ] = None,
    stop_policy: StopPolicyName = None,
    session: SessionName = None,
    fresh: Fresh = False,
    json_out: JsonLines = False,
    root: Root = HERE,
) -> int:
    """Trade real money: the engine of njord paper, at the venue, behind locks. docs/how-to/go-live.md goes there step by step.

    Example: njord live --check

    Orders leave only with app.env live, NJORD_ENABLE_LIVE=1, the account's name, its keys, a clear kill switch, agreeing
    clocks and finished books. Ctrl-C stops by the stop policy, and the same command goes on, also after a crash. While the
    kill switch is tripped it takes back what the session has at the venue, and ends.

    Exit codes: 0 it was stopped, or every lock is open; 1 a lock is not (--check); 2 wrong input, or locked; 3 every
    strategy failed; 4 the journal or the engine failed; 5 the exchange refuses or can not be reached.
    """
    settings = {
        "live.endpoint": endpoint,
        "live.stop_policy": stop_policy,
        "live.dry_run": "true" if dry_run else None,
    }
    from njord.cli.request import flags_of

    flags = flags_of(typed.as_run_flags(), settings)
    if check:
        from njord.cli.live_check import run as run_check

        return run_check(account, flags.settings, json_out, root)
    if not strategies:
        raise ConfigError("no strategy is given", "for example njord live sma_cross, or njord live --check")
    from njord.cli.live import Wanted, run

    wanted = Wanted(account=account, session=session, fresh=fresh, json_out=json_out)
    return run(tuple(strategies), flags, wanted, root)


@live_app.command()
def md(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(metavar="SYMBOL", help="For example BTC/USDT; exchange.symbols if not given."),
    ] = None,
    venue: Annotated[str | None, typer.Option(help="The exchange; exchange.venue if not given.")] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Another address that speaks that exchange's dialect.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="How long, such as 10m; until it is stopped.")
    ] = None,
    import_every: Annotated[
        str,
        typer.Option("--import-every", help="How old the datasets may be; the raw capture is a second old."),
    ] = "1h",
    keep: Annotated[bool, typer.Option("--keep", help="Keep raw captures that were imported.")] = False,
    store: StoreFolder = None,
    json_out: JsonLines = False,
    root: Root = HERE,
) -> int:
    """Record live markets: trades, book, quotes and minutes, graded, into the store. No keys are needed.

    Example: njord md BTC/USDT --venue binanceus

    What the stream loses is fetched, also what was missed since the last time. Ctrl-C finishes the datasets.

    Exit codes: 0 it was stopped or its time is up, 2 wrong input, 4 the disk refuses, 5 the exchange refuses or can not
    be reached.
    """
    from njord.cli.md import Flags, run

    flags = Flags(
        symbols=tuple(symbols or ()),
        venue=venue,
        endpoint=endpoint,
        duration=duration,
        import_every=import_every,
        keep=keep,
    )
    return run(flags, store, json_out, root)
