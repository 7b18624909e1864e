"""The flags of `njord walkforward`, beyond those of a run: how the data are divided, and what chooses."""

from pathlib import Path
from typing import Annotated

import typer

from njord.cli.options import FlagGroup


class WalkForwardFlags(FlagGroup, frozen=True, kw_only=True):
    """How a walk-forward divides the data and chooses."""

    folds: Annotated[
        int,
        typer.Option("--folds", help="How many trainings, each with its test; cpcv: into how many groups."),
    ] = 6
    mode: Annotated[
        str,
        typer.Option(
            help="rolling: train on the last bars; anchored: on all from the first; cpcv: test every choice of groups."
        ),
    ] = "rolling"
    test_folds: Annotated[
        int | None, typer.Option("--test-folds", help="cpcv: how many groups a split tests; 2.")
    ] = None
    train: Annotated[str | None, typer.Option(help="Length of a training: bars, or a time such as 30d.")] = (
        None
    )
    test: Annotated[str | None, typer.Option(help="Length of a test: bars, or a time such as 10d.")] = None
    purge: Annotated[
        int, typer.Option(help="Bars before a test that do not train; cpcv: on either side.")
    ] = 0
    embargo: Annotated[int, typer.Option(help="Bars behind a test that no later training has.")] = 0
    objective: Annotated[
        str, typer.Option(help="sharpe, sortino, calmar, total_return, max_drawdown, ...")
    ] = "sharpe"
    workers: Annotated[str, typer.Option(help="How many processes, or dask://HOST:PORT.")] = "1"
    engine: Annotated[str, typer.Option(help="auto, fast or ordered: of the trainings.")] = "auto"
    resume: Annotated[
        Path | None, typer.Option("--resume", help="The folder of a walk-forward that was interrupted.")
    ] = None
