"""`njord backtest`: flags to a request, the run with its progress, and the summary that tells the truth first."""

import shutil
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import structlog

from njord.adapters.config_loader import LoadedConfig, load_config
from njord.adapters.logging import register_secrets, setup_logging
from njord.backtest.honesty import has_leaked, leak_line, with_honesty
from njord.backtest.page import write_page
from njord.backtest.result import BacktestResult
from njord.backtest.session import (
    BacktestRequest,
    Finished,
    Prepared,
    encode_result,
    prepare,
    run_backtest,
)
from njord.cli import EXIT_LEAK, EXIT_OK, EXIT_STRATEGY
from njord.cli.flags import FileFlags, known_instruments, parse_number, parse_time
from njord.cli.progress import Progress
from njord.cli.summary import make_console, print_summary
from njord.core.errors import ConfigError
from njord.core.units import EXACT, NS_PER_MS

PAGE = "report.html"
_LATENCY_MAX_MS = 60_000
CUTS_MAX = 1_000


class Flags(FileFlags, frozen=True, kw_only=True):
    """The flags as they were typed."""

    settings: Mapping[str, str | None] = {}
    params: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None
    qty: str | None = None
    repair: bool = False


def run(
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    root: Path,
    json_file: Path | None,
    report: Path | None,
) -> int:
    """Run the verb and return its exit code."""
    to_stdout = json_file is not None and str(json_file) == "-"
    _check_writable(None if to_stdout else json_file)
    _check_writable(report)
    finished = execute(strategies, data, flags, root)
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
    strategies: tuple[str, ...], data: tuple[Path, ...], flags: Flags, root: Path, synthetic: bool = False
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
            finished = run_backtest(prepared, root / config.paths.reports, progress.show)
        try:
            finished = with_honesty(prepared, finished)
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
    return finished


def prepared_of(
    strategies: tuple[str, ...], data: tuple[Path, ...], flags: Flags, root: Path, synthetic: bool = False
) -> tuple[LoadedConfig, Prepared]:
    """Return the configuration and the checked run that flags ask for; the caller closes its market."""
    settings = {key: value for key, value in flags.settings.items() if value is not None}
    loaded = load_config(root, settings)
    config = loaded.config
    request = BacktestRequest(
        strategy=strategies,
        data=tuple(find_data(path, root / config.paths.data) for path in data),
        params=flags.params,
        bars=flags.options(repair=flags.repair),
        start_ns=parse_time("--start", flags.start),
        end_ns=parse_time("--end", flags.end),
        qty=parse_number("--qty", flags.qty),
        synthetic=synthetic,
    )
    return loaded, prepare(request, config, known_instruments(root, config.exchange.venue))


def parse_settings(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the pairs of `--set KEY=VALUE`.

    Raises:
        ConfigError: One is no pair.
    """
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"--set takes KEY=VALUE, was {text!r}", "for example --set backtest.impact_bps=20"
            )
        pairs[key.strip()] = value
    return pairs


def parse_latency_ms(text: str | None) -> str | None:
    """Return a flag's milliseconds as text of whole nanoseconds.

    Raises:
        ConfigError: It is no number, out of bounds, or a part of a nanosecond.
    """
    number = parse_number("--latency-ms", text)
    if number is None:
        return None
    latency_ns = EXACT.multiply(number, Decimal(NS_PER_MS))
    if not 0 <= number <= _LATENCY_MAX_MS or latency_ns != latency_ns.to_integral_value():
        raise ConfigError(
            f"--latency-ms must be 0 to {_LATENCY_MAX_MS} in whole nanoseconds, was {text:.40}",
            "for example --latency-ms 10",
        )
    return str(int(latency_ns))


def parse_poison(text: str | None) -> str | None:
    """Return `--poison off|N` as the setting's text.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return None
    if text == "off":
        return "0"
    if not (text.isascii() and text.isdigit() and int(text) <= CUTS_MAX):
        raise ConfigError(
            f"--poison takes off or a number of cuts up to {CUTS_MAX}, was {text:.40}",
            "for example --poison 3",
        )
    return text


def find_data(data: Path, store: Path) -> Path:
    """Return the path of what `--data` names: a file or folder, else a dataset of the store."""
    if data.is_absolute() or data.exists() or not (store / data).is_dir():
        return data
    return store / data


def exit_code(result: BacktestResult) -> int:
    """Return what a finished run exits with: a leak is worse than a strategy that failed."""
    if result.error:
        failed = f"strategy {result.strategies[0]['id']}" if len(result.strategies) == 1 else "a strategy"
        print(f"njord: {failed} failed and was suspended: {result.error}", file=sys.stderr)
    if has_leaked(result):
        print(f"njord: {leak_line(result)}", file=sys.stderr)
        return EXIT_LEAK
    return EXIT_STRATEGY if result.error else EXIT_OK


def _check_writable(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", "name a file")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist", f"mkdir -p {path.parent}")
