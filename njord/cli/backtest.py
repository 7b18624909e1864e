"""`njord backtest`: flags to a request, the run with its progress, and the summary that tells the truth first."""

import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import structlog

from njord.adapters.clock import WallClock
from njord.adapters.logging import register_secrets, setup_logging
from njord.backtest.engines import ENGINES, EngineChoice
from njord.backtest.honesty import has_leaked, leak_line, with_honesty
from njord.backtest.page import write_page
from njord.backtest.result import BacktestResult
from njord.backtest.session import Finished, encode_result, run_backtest
from njord.backtest.trial import count_run
from njord.cli import EXIT_LEAK, EXIT_OK, EXIT_STRATEGY
from njord.cli.progress import Progress
from njord.cli.request import Flags, prepared_of
from njord.cli.summary import make_console, print_summary
from njord.core.errors import ConfigError

PAGE = "report.html"


def run(
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    root: Path,
    json_file: Path | None,
    report: Path | None,
    engine: str = "ordered",
) -> int:
    """Run the verb and return its exit code."""
    to_stdout = json_file is not None and str(json_file) == "-"
    _check_writable(None if to_stdout else json_file)
    _check_writable(report)
    with redirect_stdout(sys.stderr):  # What strategies print is no output of ours.
        finished = execute(strategies, data, flags, root, engine=_engine(engine))
    if json_file is not None and not to_stdout:
        json_file.write_bytes(encode_result(finished.result))
    if report is not None:
        report.write_bytes((finished.folder / PAGE).read_bytes())
    if to_stdout:
        sys.stdout.buffer.write(encode_result(finished.result))
    else:
        print_summary(make_console(), finished)
    return exit_code(finished.result)


def execute(
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    root: Path,
    synthetic: bool = False,
    engine: EngineChoice = "ordered",
) -> Finished:
    """Check, run, and write the run's folder, page included."""
    loaded, prepared = prepared_of(strategies, data, flags, root, synthetic)
    config, request = loaded.config, prepared.request
    with prepared.market as market:
        setup_logging(root / config.logging.dir, config.logging.level)
        register_secrets(loaded.secrets)
        names = ",".join(strategy.strategy_id for strategy in prepared.strategies)
        log = structlog.get_logger("backtest").bind(run_id=prepared.spec.run_id, strategy=names)
        log.info("backtest started", data=[path.name for path in request.paths], events=market.n_events)
        with Progress("events") as progress:
            finished = run_backtest(prepared, root / config.paths.reports, progress.show, engine=engine)
        try:
            finished = with_honesty(prepared, finished)
            finished = count_run(prepared, finished, root / config.paths.state, WallClock().now_ns())
            write_page(finished.folder / PAGE, finished.result, market)
        except KeyboardInterrupt:
            shutil.rmtree(finished.folder)  # Without its page a run is half done.
            raise
    log.info(
        "backtest finished",
        folder=finished.folder.name,
        order_list_hash=finished.result.order_list_hash,
        final_equity=finished.result.final_equity,
        events_per_s=round(finished.events_per_s),
        error=finished.result.error,
    )
    _tell_uncounted(finished.result)
    return finished


def exit_code(result: BacktestResult) -> int:
    """Return what a finished run exits with: a leak is worse than a strategy that failed."""
    if result.error:
        failed = f"strategy {result.strategies[0]['id']}" if len(result.strategies) == 1 else "a strategy"
        print(f"njord: {failed} failed and was suspended: {result.error}", file=sys.stderr)
    if has_leaked(result):
        print(f"njord: {leak_line(result)}", file=sys.stderr)
        return EXIT_LEAK
    return EXIT_STRATEGY if result.error else EXIT_OK


# The run stands, whatever happens to the ledger; but nobody may believe that it was counted.
def _tell_uncounted(result: BacktestResult) -> None:
    trial = result.trial
    if trial is None:
        return
    if not trial["counted"]:
        print(f"njord: {trial['says']}", file=sys.stderr)
    for fault in trial["faults"]:
        print(f"njord: {fault}", file=sys.stderr)


def _engine(typed: str) -> EngineChoice:
    for engine in ENGINES:
        if engine == typed:
            return engine
    raise ConfigError(f"--engine must be one of {', '.join(ENGINES)}, was {typed!r}", "use --engine ordered")


def _check_writable(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", "name a file")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist", f"mkdir -p {path.parent}")
