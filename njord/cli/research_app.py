"""The verbs of research: their flags and their help. What a verb does is in the module that it imports when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from njord.cli.montecarlo_flags import MonteCarloFlags
from njord.cli.options import HERE, Json, Root, RunFlags, TermsFlags, grouped
from njord.cli.sweep_flags import SweepFlags
from njord.cli.walkforward_flags import WalkForwardFlags

research_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@research_app.command()
@grouped
def sweep(
    terms: TermsFlags,
    typed: RunFlags,
    search: SweepFlags,
    strategy: Annotated[
        str | None, typer.Argument(metavar="STRATEGY", help="A name such as sma_cross or the path of a file.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="A file of bars, or a dataset of the store; may be repeated."),
    ] = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Evaluate many parameters on one market, and the best ones on data that the search has not seen.

    Example: njord sweep sma_cross --data BTCUSDT-1m.csv --param fast=5:105:5 --param slow=110:1110:50

    A --param is a range start:end:step without its end, a list 5,10,20, or one value that all points share.

    Ctrl-C keeps what is done, and --resume FOLDER goes on; a killed sweep goes on likewise, to the same table.

    Exit codes: 0 done, 1 the verdict on the best point is overfit, 2 wrong input, 3 every point failed, 4 the disk or the
    engine failed, 130 interrupted.
    """
    from njord.research.resident import keep_nothing_freed

    keep_nothing_freed()
    from njord.cli.request import flags_of, terms_settings
    from njord.cli.sweep import run

    flags = flags_of(typed, terms_settings(terms))
    return run(strategy, tuple(data or ()), flags, search, root, json_out)


@research_app.command()
@grouped
def montecarlo(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A backtest's folder, its name, or last.")],
    typed: MonteCarloFlags,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Ask how lucky a backtest was: draw its trades or bars again, or run it again on other terms.

    Example: njord montecarlo last --method trades-block --paths 10000

    The answer is kept in the run's folder, under montecarlo/; the same question gives the same bytes, whatever --workers.

    Exit codes: 0 done, 2 wrong input or no path could run, 4 the engine failed, 130 interrupted: nothing was written.
    """
    from njord.cli.montecarlo import run as montecarlo_run

    return montecarlo_run(run, typed, json_out, root)


@research_app.command()
@grouped
def walkforward(
    terms: TermsFlags,
    typed: RunFlags,
    walk: WalkForwardFlags,
    strategy: Annotated[
        str | None, typer.Argument(metavar="STRATEGY", help="A name such as sma_cross or the path of a file.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="A file of bars, or a dataset of the store; may be repeated."),
    ] = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Choose parameters on the past again and again, test each choice on what follows, and chain the tests.

    Example: njord walkforward sma_cross --data BTCUSDT-1m.csv --param fast=5:25:5 --param slow=30:90:30 --folds 6

    Without --train and --test the first training is about three tests long. Ctrl-C keeps the folds that are finished,
    and --resume FOLDER goes on; so does a killed one, to the same result.

    Exit codes: 0 done, 1 the verdict on the out-of-sample curve is overfit, 2 wrong input, 3 the strategy failed in a
    test, 4 the disk or the engine failed, 130 interrupted.
    """
    from njord.cli.request import flags_of, terms_settings
    from njord.cli.walkforward import run

    return run(strategy, tuple(data or ()), flags_of(typed, terms_settings(terms)), walk, root, json_out)
