"""Flags that several verbs share, each with its one help text."""

from pathlib import Path
from typing import Annotated

import typer

HERE = Path()

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
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

# What `backtest` and `poison` run, and on what.
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
