"""How may a sweep search? The flags of `njord sweep` beyond those of any run."""

from pathlib import Path
from typing import Annotated

import typer

from njord.cli.options import FlagGroup


class SweepFlags(FlagGroup, frozen=True, kw_only=True):
    """How a sweep searches."""

    objective: Annotated[
        str, typer.Option(help="sharpe, sortino, calmar, total_return, max_drawdown, ...")
    ] = "sharpe"
    sampler: Annotated[str, typer.Option(help="grid, random or tpe.")] = "grid"
    pruner: Annotated[str, typer.Option(help="none, median or halving: gives bad points up early (tpe).")] = (
        "none"
    )
    points: Annotated[int | None, typer.Option("--points", help="How many, for samplers but grid.")] = None
    workers: Annotated[str, typer.Option(help="How many processes, or dask://HOST:PORT.")] = "1"
    holdout: Annotated[
        str, typer.Option(help="The last part of the data, a fraction, that the search never sees.")
    ] = "0.3"
    top: Annotated[int, typer.Option("--top", help="How many of the best are evaluated there.")] = 10
    engine: Annotated[str, typer.Option(help="auto, fast or ordered.")] = "auto"
    resume: Annotated[
        Path | None, typer.Option("--resume", help="The folder of a sweep that was interrupted.")
    ] = None
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Also write all points there, the best first.")
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False
