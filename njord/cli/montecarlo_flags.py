"""The flags of `njord montecarlo`, apart from the verb: they are read before it is called."""

from typing import Annotated

import typer

from njord.cli.options import FlagGroup


class MonteCarloFlags(FlagGroup, frozen=True, kw_only=True):
    """What is drawn, and how often."""

    paths: Annotated[
        int | None, typer.Option("--paths", help="How many; 10,000, or 200 where each is a run.")
    ] = None
    method: Annotated[
        str | None,
        typer.Option(
            help="trades, trades-block or bars-block of the run; or market-block: the strategy runs on drawn bars."
        ),
    ] = None
    block: Annotated[
        str | None, typer.Option(help="Mean length of a block in trades or bars, or auto (Politis & White).")
    ] = None
    jitter: Annotated[
        list[str] | None,
        typer.Option(
            "--jitter", help="Run again with a parameter that varies: fast=10% or fast=2; repeatable."
        ),
    ] = None
    delays: Annotated[
        str | None, typer.Option(help="Run again with delays of MOST or LEAST:MOST milliseconds.")
    ] = None
    slippage_bps: Annotated[str | None, typer.Option(help="Run again with slippage of LEAST:MOST.")] = None
    ruin: Annotated[str, typer.Option(help="Below this fraction of its start equity is ruined.")] = "0.5"
    seed: Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")] = 42
    workers: Annotated[
        str, typer.Option(help="How many at a time, or dask://HOST:PORT where each path is a run.")
    ] = "1"
