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
