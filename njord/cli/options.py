"""Flags that several verbs share, each with its one help text, one by one or in groups that are typed together."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

HERE = Path()

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds config/ and var/.")]
Symbol = Annotated[str | None, typer.Option(help="For example BTC/USDT or BTC/USD:USD.")]
Tick = Annotated[str | None, typer.Option(help="Price step, if it can not be inferred.")]
Lot = Annotated[str | None, typer.Option(help="Quantity step.")]
MinNotional = Annotated[str | None, typer.Option(help="Smallest order value in the quote asset.")]
Timeframe = Annotated[str | None, typer.Option(help="Bar length such as 1m, 5m, 1h, 1d.")]
Columns = Annotated[list[str] | None, typer.Option("--column", help="Name a column: time=ts, open=o, …")]
TimeUnit = Annotated[str | None, typer.Option(help="Unit of epoch stamps: s, ms, us, ns, or iso.")]
Timezone = Annotated[str | None, typer.Option(help="Zone of stamps without offset; UTC if not given.")]
TimeIsClose = Annotated[bool, typer.Option("--time-is-close", help="Stamps say when a bar closed.")]

# What a run of strategies is, and on what.
Strategies = Annotated[
    list[str],
    typer.Argument(
        metavar="STRATEGY",
        help="A name such as sma_cross or the path of a .py file; [ID=]NAME[@SYMBOL,...] names one of several.",
    ),
]
Data = Annotated[
    list[Path],
    typer.Option(
        "--data",
        help="A file of bars, or a dataset as `njord data list` names it; may be repeated. A symbol has bars, or "
        "trades, or trades and a book.",
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", help="key=value, or ID.key=value for one of several; may be repeated."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting, as `njord config show` names it: backtest.impact_bps=20"),
]
Start = Annotated[str | None, typer.Option(help="First bar, ISO 8601, UTC unless it says otherwise.")]
End = Annotated[str | None, typer.Option(help="End of the range, exclusive.")]
Qty = Annotated[str | None, typer.Option(help="Fixed quantity per entry, in the base asset.")]
Repair = Annotated[bool, typer.Option("--repair", help="Sort rows and drop duplicates; counted.")]
Seed = Annotated[str | None, typer.Option(help="Seed of everything random.")]


StopPolicyName = Annotated[
    str | None,
    typer.Option(
        "--stop-policy", help="What a stop does with orders and positions: cancel, leave or flatten."
    ),
]
SessionName = Annotated[str | None, typer.Option("--session", help="Its name, to begin or to go on with.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin a new session even if one could go on.")]


class FlagGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Flags that verbs take together: each field is one."""


class TermsFlags(FlagGroup, frozen=True, kw_only=True):
    """On which terms a run trades."""

    capital: Annotated[str | None, typer.Option(help="Opening cash in the quote asset.")] = None
    fee_bps: Annotated[str | None, typer.Option(help="Fee of takers and makers, in basis points.")] = None
    maker_fee_bps: Annotated[str | None, typer.Option(help="Fee of makers, if it differs.")] = None
    slippage_bps: Annotated[str | None, typer.Option(help="Slippage of orders that take.")] = None
    slippage_model: Annotated[
        str | None, typer.Option(help="fixed, linear or square_root: what an order's size adds.")
    ] = None
    max_volume_share: Annotated[
        str | None, typer.Option(help="Our part of a bar's volume at most, a fraction; 0 = no limit.")
    ] = None
    latency_ms: Annotated[
        str | None, typer.Option(help="Of a request to the venue, and of its answer back.")
    ] = None
    queue_model: Annotated[
        str | None, typer.Option(help="On ticks, how a queue moves: risk_averse or probability.")
    ] = None
    account: Annotated[str | None, typer.Option(help="auto, spot, margin or perpetual.")] = None
    leverage: Annotated[str | None, typer.Option(help="Of margin and perpetual accounts.")] = None
    risk_profile: Annotated[str | None, typer.Option(help="Named limits of the configuration.")] = None


class RunFlags(FlagGroup, frozen=True, kw_only=True):
    """What a run's strategies and data are, beyond their names."""

    param: Params = None
    setting: Settings = None
    symbol: Symbol = None
    start: Start = None
    end: End = None
    qty: Qty = None
    tick: Tick = None
    lot: Lot = None
    min_notional: MinNotional = None
    timeframe: Timeframe = None
    column: Columns = None
    time_unit: TimeUnit = None
    timezone: Timezone = None
    time_is_close: TimeIsClose = False
    repair: Repair = False
    seed: Seed = None


class LiveFlags(FlagGroup, frozen=True, kw_only=True):
    """What a live run's strategies and market are."""

    param: Params = None
    setting: Settings = None
    symbol: Symbol = None
    qty: Qty = None
    timeframe: Timeframe = None
    seed: Seed = None

    def as_run_flags(self) -> RunFlags:
        """Return the same as flags of any run; what describes files is left out."""
        return RunFlags(**{name: getattr(self, name) for name in self.__struct_fields__})


def grouped(verb: Callable[..., int]) -> Callable[..., int]:
    """Return `verb` as a function of single flags: each parameter that is a group stands for the group's fields."""
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[FlagGroup]] = {}
    for parameter in inspect.signature(verb).parameters.values():
        kind = parameter.annotation
        if isinstance(kind, type) and issubclass(kind, FlagGroup):
            groups[parameter.name] = kind
            parameters += inspect.signature(kind).parameters.values()
        else:
            parameters.append(parameter)

    @functools.wraps(verb)
    def typed(**flags: Any) -> int:
        for name, group in groups.items():
            flags[name] = group(**{field: flags.pop(field) for field in group.__struct_fields__})
        return verb(**flags)

    keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    typed.__dict__["__signature__"] = inspect.Signature(keyword)
    typed.__annotations__ = {each.name: each.annotation for each in parameters}
    return typed
