"""The verbs, their flags and their help. What a verb does is in the module that it imports when it is called."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

import njord
from njord.cli.data_app import data_app
from njord.cli.options import (
    HERE,
    Columns,
    Data,
    End,
    Json,
    Lot,
    MinNotional,
    Params,
    Qty,
    Repair,
    Root,
    Seed,
    Settings,
    Start,
    Strategies,
    Symbol,
    Tick,
    Timeframe,
    TimeIsClose,
    TimeUnit,
    Timezone,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Njord Quant: one engine from research to live trading. Start with: njord demo",
)
config_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show the configuration.")
kill_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Trip, clear or read the kill switch."
)
app.add_typer(config_app, name="config")
app.add_typer(data_app, name="data")
app.add_typer(kill_app, name="kill")


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
def backtest(
    strategies: Strategies,
    data: Data,
    param: Params = None,
    capital: Annotated[str | None, typer.Option(help="Opening cash in the quote asset.")] = None,
    fee_bps: Annotated[str | None, typer.Option(help="Fee of takers and makers, in basis points.")] = None,
    maker_fee_bps: Annotated[str | None, typer.Option(help="Fee of makers, if it differs.")] = None,
    slippage_bps: Annotated[str | None, typer.Option(help="Slippage of orders that take.")] = None,
    slippage_model: Annotated[
        str | None, typer.Option(help="fixed, linear or square_root: what an order's size adds.")
    ] = None,
    max_volume_share: Annotated[
        str | None, typer.Option(help="Our part of a bar's volume at most, a fraction; 0 = no limit.")
    ] = None,
    latency_ms: Annotated[
        str | None, typer.Option(help="Of a request to the venue, and of its answer back.")
    ] = None,
    queue_model: Annotated[
        str | None, typer.Option(help="On ticks, how a queue moves: risk_averse or probability.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="auto, spot, margin or perpetual.")] = None,
    leverage: Annotated[str | None, typer.Option(help="Of margin and perpetual accounts.")] = None,
    setting: Settings = None,
    poison: Annotated[
        str | None, typer.Option(help="How many cuts look for decisions that read the future; or off.")
    ] = None,
    symbol: Symbol = None,
    start: Start = None,
    end: End = None,
    qty: Qty = None,
    tick: Tick = None,
    lot: Lot = None,
    min_notional: MinNotional = None,
    timeframe: Timeframe = None,
    column: Columns = None,
    time_unit: TimeUnit = None,
    timezone: Timezone = None,
    time_is_close: TimeIsClose = False,
    repair: Repair = False,
    risk_profile: Annotated[str | None, typer.Option(help="Named limits of the configuration.")] = None,
    seed: Seed = None,
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
    from njord.cli.backtest import Flags, parse_latency_ms, parse_poison, parse_settings, run
    from njord.cli.flags import parse_number

    parse_number("--fee-bps", fee_bps)  # Once, though makers pay it too.
    flags = Flags(
        settings={
            **parse_settings(tuple(setting or ())),
            "backtest.capital": capital,
            "backtest.fee_bps": fee_bps,
            "backtest.maker_fee_bps": maker_fee_bps if maker_fee_bps is not None else fee_bps,
            "backtest.slippage_bps": slippage_bps,
            "backtest.slippage_model": slippage_model,
            "backtest.max_volume_share": max_volume_share,
            "backtest.entry_latency_ns": parse_latency_ms(latency_ms),
            "backtest.response_latency_ns": parse_latency_ms(latency_ms),
            "backtest.queue_model": queue_model,
            "backtest.account": account,
            "backtest.leverage": leverage,
            "backtest.poison_cuts": parse_poison(poison),
            "backtest.risk_profile": risk_profile,
            "backtest.seed": seed,
        },
        params=tuple(param or ()),
        columns=tuple(column or ()),
        symbol=symbol,
        start=start,
        end=end,
        qty=qty,
        tick=tick,
        lot=lot,
        min_notional=min_notional,
        timeframe=timeframe,
        time_unit=time_unit,
        timezone=timezone,
        time_is_close=time_is_close,
        repair=repair,
    )
    return run(tuple(strategies), tuple(data), flags, root, json_file, report)


@app.command()
def poison(
    strategies: Strategies,
    data: Data,
    cuts: Annotated[
        int, typer.Option(help="How many random moments after which the market is another.")
    ] = 30,
    param: Params = None,
    setting: Settings = None,
    symbol: Symbol = None,
    start: Start = None,
    end: End = None,
    qty: Qty = None,
    tick: Tick = None,
    lot: Lot = None,
    min_notional: MinNotional = None,
    timeframe: Timeframe = None,
    column: Columns = None,
    time_unit: TimeUnit = None,
    timezone: Timezone = None,
    time_is_close: TimeIsClose = False,
    repair: Repair = False,
    seed: Seed = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Find decisions that read the future, or more history than the declared warm-up.

    Example: njord poison sma_cross --data BTCUSDT-1m.csv --cuts 30

    Exit codes: 0 passed, 1 the declared warm-up is too short, 2 wrong input, 3 a strategy failed, 6 a decision has read
    the future (the first is named).
    """
    from njord.cli.backtest import Flags, parse_settings
    from njord.cli.poison import run

    flags = Flags(
        settings={**parse_settings(tuple(setting or ())), "backtest.seed": seed},
        params=tuple(param or ()),
        columns=tuple(column or ()),
        symbol=symbol,
        start=start,
        end=end,
        qty=qty,
        tick=tick,
        lot=lot,
        min_notional=min_notional,
        timeframe=timeframe,
        time_unit=time_unit,
        timezone=timezone,
        time_is_close=time_is_close,
        repair=repair,
    )
    return run(tuple(strategies), tuple(data), flags, root, cuts, json_out)


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
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, its name, or last.")],
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Re-derive every message of a run from what came in, and compare byte for byte.

    Example: njord replay last

    Exit codes: 0 identical, 1 different (the first difference is named), 2 wrong input, 4 the journal is damaged.
    """
    from njord.cli.replay import run

    return run(run_folder, json_out, root)


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


Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the log beside the switch.")]


@kill_app.command("trip")
def kill_trip(
    reason: Reason,
    reduce_only: Annotated[
        bool, typer.Option("--reduce-only", help="Let orders pass that shrink positions.")
    ] = False,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Trip the kill switch file. Backtests do not read it: they bring their own market and switch.

    Example: njord kill trip --reason "the venue misbehaves"
    """
    from njord.cli.kill import trip

    return trip(reason, reduce_only, json_out, root)


@kill_app.command("clear")
def kill_clear(reason: Reason, json_out: Json = False, root: Root = HERE) -> int:
    """Clear the kill switch file.

    Example: njord kill clear --reason "the venue has recovered"
    """
    from njord.cli.kill import clear

    return clear(reason, json_out, root)


@kill_app.command("check")
def kill_check(json_out: Json = False, root: Root = HERE) -> int:
    """Show the kill switch; what can not be read counts as tripped.

    Example: njord kill check

    Exit codes: 0 clear, 1 tripped.
    """
    from njord.cli.kill import check

    return check(json_out, root)
