"""`njord backtest`: flags to a request, the run with its progress, and the summary that tells the truth first."""

import sys
from collections.abc import Mapping
from pathlib import Path

import structlog

from njord.adapters.config_loader import load_config
from njord.adapters.logging import register_secrets, setup_logging
from njord.backtest.page import write_page
from njord.backtest.result import BacktestResult
from njord.backtest.session import BacktestRequest, Finished, encode_result, prepare, run_backtest
from njord.cli import EXIT_OK, EXIT_STRATEGY
from njord.cli.flags import FileFlags, known_instruments, parse_number, parse_time
from njord.cli.progress import Progress
from njord.cli.summary import make_console, print_summary
from njord.core.errors import ConfigError

PAGE = "report.html"


class Flags(FileFlags, frozen=True, kw_only=True):
    """The flags as they were typed."""

    settings: Mapping[str, str | None] = {}
    params: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None
    qty: str | None = None
    repair: bool = False


def run(
    strategy: str, data: Path, flags: Flags, root: Path, json_file: Path | None, report: Path | None
) -> int:
    """Run the verb and return its exit code."""
    to_stdout = json_file is not None and str(json_file) == "-"
    _check_writable(None if to_stdout else json_file)
    _check_writable(report)
    finished = execute(strategy, data, flags, root)
    if json_file is not None and not to_stdout:
        json_file.write_bytes(encode_result(finished.result))
    if report is not None:
        report.write_bytes((finished.folder / PAGE).read_bytes())
    if to_stdout:
        sys.stdout.buffer.write(encode_result(finished.result))
    else:
        print_summary(make_console(), finished)
    return exit_code(finished.result)


def execute(strategy: str, data: Path, flags: Flags, root: Path, synthetic: bool = False) -> Finished:
    """Check, run, and write the run's folder, page included."""
    settings = {key: value for key, value in flags.settings.items() if value is not None}
    loaded = load_config(root, settings)
    config = loaded.config
    request = BacktestRequest(
        strategy=strategy,
        data=find_data(data, root / config.paths.data),
        params=flags.params,
        bars=flags.options(repair=flags.repair),
        start_ns=parse_time("--start", flags.start),
        end_ns=parse_time("--end", flags.end),
        qty=parse_number("--qty", flags.qty),
        synthetic=synthetic,
    )
    prepared = prepare(request, config, known_instruments(root, config.exchange.venue))
    setup_logging(root / config.logging.dir, config.logging.level)
    register_secrets(loaded.secrets)
    log = structlog.get_logger("backtest").bind(run_id=prepared.spec.run_id, strategy=prepared.loaded.name)
    log.info("backtest started", data=data.name, rows=prepared.rows[1] - prepared.rows[0])
    with prepared.dataset as dataset, Progress("bars") as progress:
        finished = run_backtest(prepared, root / config.paths.reports, progress.show)
        write_page(finished.folder / PAGE, finished.result, dataset, prepared.rows)
    log.info(
        "backtest finished",
        folder=finished.folder.name,
        order_list_hash=finished.result.order_list_hash,
        final_equity=finished.result.final_equity,
        bars_per_s=round(finished.bars_per_s),
        error=finished.result.error,
    )
    return finished


def find_data(data: Path, store: Path) -> Path:
    """Return the path of what `--data` names: a file or folder, else a dataset of the store."""
    if data.is_absolute() or data.exists() or not (store / data).is_dir():
        return data
    return store / data


def exit_code(result: BacktestResult) -> int:
    """Return what a finished run exits with."""
    if result.error:
        print(
            f"njord: strategy {result.strategy['id']} failed and was suspended: {result.error}",
            file=sys.stderr,
        )
        return EXIT_STRATEGY
    return EXIT_OK


def _check_writable(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", "name a file")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist", f"mkdir -p {path.parent}")
