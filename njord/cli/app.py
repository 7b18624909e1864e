"""The verbs, their flags and their help. What a verb does is in the module that it imports when it is called."""

from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

import njord
from njord.cli.data_app import data_app
from njord.cli.kill_app import drill_app, kill_app
from njord.cli.live_app import live_app
from njord.cli.options import (
    HERE,
    Data,
    Fresh,
    Json,
    JsonLines,
    Root,
    RunFlags,
    SessionName,
    Settings,
    StopPolicyName,
    Strategies,
    TermsFlags,
    grouped,
)
from njord.cli.research_app import research_app
from njord.cli.venue_app import venue_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Njord Quant: one engine from research to live trading. Start with: njord demo",
)
config_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show the configuration.")
app.add_typer(config_app, name="config")
app.add_typer(data_app, name="data")
app.add_typer(kill_app, name="kill")
app.add_typer(drill_app, name="drill")
app.add_typer(live_app)
app.add_typer(research_app)
app.add_typer(venue_app)


@cache
def command() -> TyperGroup:
    """Return the whole command line as one click command."""
    group = get_command(app)
    if not isinstance(group, TyperGroup):
        raise TypeError("the command line is a group of verbs")
    return group


def _version(wanted: bool) -> None:
    if wanted:
        print(f"njord {njord.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
@grouped
def backtest(
    strategies: Strategies,
    data: Data,
    terms: TermsFlags,
    typed: RunFlags,
    poison: Annotated[
        str | None, typer.Option(help="How many cuts look for decisions that read the future; or off.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="ordered, with its journal; fast, without one; or both, compared.")
    ] = "ordered",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the result there; - prints it alone.")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Also write the page there.")] = None,
    root: Root = HERE,
) -> int:
    """Run strategies over bars or ticks and write an honest report.

    Example: njord backtest sma_cross --data BTCUSDT-1m.csv --param fast=10 --param slow=30 --fee-bps 10

    Exit codes: 0 done, 2 wrong input, 3 a strategy failed, 4 the journal or the engine failed, 6 a decision has read
    the future.
    """
    from njord.cli.backtest import run
    from njord.cli.request import flags_of, parse_poison, terms_settings

    settings = {**terms_settings(terms), "backtest.poison_cuts": parse_poison(poison)}
    return run(tuple(strategies), tuple(data), flags_of(typed, settings), root, json_file, report, engine)


@app.command()
@grouped
def poison(
    strategies: Strategies,
    data: Data,
    typed: RunFlags,
    cuts: Annotated[
        int, typer.Option(help="How many random moments after which the market is another.")
    ] = 30,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Find decisions that read the future, or more history than the declared warm-up.

    Example: njord poison sma_cross --data BTCUSDT-1m.csv --cuts 30

    Exit codes: 0 passed, 1 the declared warm-up is too short, 2 wrong input, 3 a strategy failed, 6 a decision has read
    the future (the first is named).
    """
    from njord.cli.poison import run
    from njord.cli.request import flags_of

    return run(tuple(strategies), tuple(data), flags_of(typed, {}), root, cuts, json_out)


@app.command()
@grouped
def paper(
    strategies: Strategies,
    terms: TermsFlags,
    typed: RunFlags,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", help="A recording: a file of bars, or a dataset of the store; may be repeated."
        ),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay", help="Its speed: 1x is as it was, max as fast as possible; 60x if not given."
        ),
    ] = None,
    feed: Annotated[
        str | None, typer.Option("--feed", help="The public feed of an exchange instead, such as binanceus.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Another address that speaks that exchange's dialect.")
    ] = None,
    stop_policy: StopPolicyName = None,
    session: SessionName = None,
    fresh: Fresh = False,
    json_out: JsonLines = False,
    root: Root = HERE,
) -> int:
    """Trade on paper: the whole engine on a recording that comes as if it were live, or on an exchange's feed.

    Example: njord paper sma_cross --data BTCUSDT-1m.csv --replay 60x

    With --feed, --symbol and --timeframe say what to follow: exchange.symbols and 1m if not given; no keys are needed.

    Ctrl-C or SIGTERM stops by the stop policy, and the same command goes on later, also after a crash. Capital and risk
    profile are those of `paper` in the configuration, fees and all else those of `backtest`.

    Exit codes: 0 the data have ended or it was stopped, 2 wrong input, 3 every strategy failed, 4 the journal or the
    engine failed, 5 the exchange refuses or can not be reached.
    """
    from njord.cli.paper import run
    from njord.cli.paper_source import Wanted
    from njord.cli.request import flags_of, terms_settings

    settings = {**terms_settings(terms, "paper"), "paper.stop_policy": stop_policy}
    wanted = Wanted(
        replay=replay, feed=feed, endpoint=endpoint, session=session, fresh=fresh, json_out=json_out
    )
    return run(tuple(strategies), tuple(data or ()), flags_of(typed, settings), wanted, root)


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="Your own bars instead of the synthetic market.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 42,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Show the main job: a market, a backtest, a report, and what to type next.

    Example: njord demo
    """
    from njord.cli.demo import run

    return run(data, seed, json_out, root)


@app.command()
def replay(
    run_folder: Annotated[
        str, typer.Argument(metavar="RUN", help="A run or session: its folder, its name, or last.")
    ],
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Re-derive every message of a run or session from what came in, and compare byte for byte.

    Example: njord replay last

    Exit codes: 0 identical, 1 different (the first difference is named), 2 wrong input, 4 the journal is damaged.
    """
    from njord.cli.replay import run

    return run(run_folder, json_out, root)


@app.command("run")
@grouped
def run_service(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="md, strat, risk or paper.")],
    strategies: Strategies,
    data: Data,
    terms: TermsFlags,
    typed: RunFlags,
    replay: Annotated[
        str, typer.Option("--replay", help="Of md: 1x is as it was, max as fast as possible.")
    ] = "max",
    json_out: JsonLines = False,
    root: Root = HERE,
) -> int:
    """Run one of the four services of a paper session over Redis; give all four the same words.

    Example: njord run paper sma_cross --data BTCUSDT-1m.csv

    One process does all of it without Redis: njord paper.

    Exit codes: 0 the data have ended or it was stopped, 2 wrong input, 3 every strategy failed, 4 the journal, the
    engine or the order of the services failed.
    """
    from njord.cli.request import flags_of, terms_settings
    from njord.cli.run import run

    flags = flags_of(typed, terms_settings(terms, "paper"))
    return run(service, tuple(strategies), tuple(data), flags, root, json_out, replay)


@app.command()
@grouped
def parity(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="Its name, its folder, or last.")],
    terms: TermsFlags,
    setting: Settings = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Run the backtest on these data instead; may be repeated."),
    ] = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Run the backtest over what a session saw, and explain every difference in decisions, fills and money.

    Example: njord parity last

    Flags change the backtest's side: with --latency-ms 500 the gap shows what half a second costs.

    Exit codes: 0 the same in everything, 1 a difference, 2 wrong input, 4 the journal is damaged.
    """
    from njord.cli.parity import run
    from njord.cli.request import settings_of, terms_settings

    return run(session, settings_of(setting, terms_settings(terms)), tuple(data or ()), json_out, root)


@app.command()
def why(
    wanted: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="An order, an intent, a fill, order N, or last; a prefix will do."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="A time instead: why was nothing traded then?")
    ] = None,
    session: Annotated[
        str, typer.Option("--session", help="A session or run: its folder, its name, or last.")
    ] = "last",
    strategy: Annotated[str | None, typer.Option("--strategy", help="With --at: whose moment.")] = None,
    page: Annotated[Path | None, typer.Option("--page", help="Also write it as a page there.")] = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Tell the story of an order, a fill or an intent, or of a moment without a trade, on one page.

    Example: njord why last

    Exit codes: 0 told, 2 wrong input, 4 the journal is damaged.
    """
    from njord.cli.why import run

    return run(session, wanted, at, strategy, json_out, page, root)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the strategy: lower case, digits, underscores.")],
    source: Annotated[str, typer.Option("--from", help="The strategy to start from.")] = "sma_cross",
    folder: Annotated[Path, typer.Option("--folder", help="Where to write.")] = HERE,
    json_out: Json = False,
) -> int:
    """Write a working strategy file of your own, with its test.

    Example: njord new my_strategy --from sma_cross
    """
    from njord.cli.new import run

    return run(name, source, folder, json_out)


@app.command()
def doctor(json_out: Json = False, root: Root = HERE) -> int:
    """Say what is missing on this machine, for what, and how to get it.

    Example: njord doctor

    Exit codes: 0 all that is needed is there, 1 something needed is missing.
    """
    from njord.cli.doctor import run

    return run(json_out, root)


@config_app.command("show")
def config_show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Print every setting in force; secrets are never shown.

    Example: njord config show --origin
    """
    from njord.cli.config import show

    return show(origin, json_out, root)
