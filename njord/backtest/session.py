"""One backtest from request to result: check everything, then run, then write.

All input is validated before the first byte is written. The run's folder holds the journal, `summary.json`,
`equity.parquet`, `report.html`, and `run.json` with what belongs to the machine and not to the result.
"""

import gc
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import msgspec

import njord
from njord.adapters.clock import Stopwatch, WallClock
from njord.adapters.plugins import LoadedStrategy, load_strategy
from njord.adapters.source_hash import package_hash
from njord.backtest.equity import EquityRecorder
from njord.backtest.recorder import Recorder
from njord.backtest.result import BacktestResult
from njord.backtest.runner import HistoryHost
from njord.backtest.summing_up import Outcome, sum_up
from njord.core.config import Config, config_hash
from njord.core.contracts import RunStarted, StrategySpec
from njord.core.errors import ConfigError, DataError
from njord.core.ids import short_hash
from njord.core.instrument import Instrument
from njord.core.registry import canonical_params, parse_params
from njord.core.units import EXACT, NS_PER_S
from njord.performance.streaming import EquityStatistics
from njord.risk.profile import build_rules
from njord.storage.bars_in import open_bar_data
from njord.storage.bars_options import BarOptions
from njord.storage.dataset import BarDataset
from njord.storage.journal import JournalWriter
from njord.strategies.base import StrategyParams
from njord.system import HostedSpec, System, SystemSpec
from njord.venues.fees import FeeModel
from njord.venues.simulated import SimulatedVenue

SYNTHETIC_BASE = (
    "SYNTH"  # Files that `njord demo` generates are named after it, and stay synthetic wherever they go.
)
Progress = Callable[[int, int], None]  # Rows done, rows in all.


class BacktestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for, beyond the configuration."""

    strategy: str
    data: Path
    params: tuple[str, ...] = ()
    bars: BarOptions = BarOptions()
    start_ns: int | None = None
    end_ns: int | None = None
    qty: Decimal | None = None
    synthetic: bool = False


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run and where it lies."""

    result: BacktestResult
    folder: Path
    wall_s: float
    bars_per_s: float


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A run that passed every check and has written nothing yet."""

    request: BacktestRequest
    config: Config
    loaded: LoadedStrategy
    params: StrategyParams
    dataset: BarDataset
    rows: tuple[int, int]
    spec: SystemSpec
    started: RunStarted


def prepare(request: BacktestRequest, config: Config, instruments: Mapping[str, Instrument]) -> Prepared:
    """Check everything that can be checked before running.

    Raises:
        UserError: Strategy, parameters, configuration or data are not fit; one line says which and why.
    """
    loaded = load_strategy(request.strategy)
    params = parse_params(loaded.name, loaded.cls.Params, request.params)
    profile = config.risk.profiles[config.backtest.risk_profile]
    build_rules(config.backtest.risk_profile, profile.rules)
    if request.qty is not None and not request.qty > 0:
        raise ConfigError(f"--qty must be > 0, was {request.qty}", "for example --qty 0.5")
    dataset = open_bar_data(request.data, request.bars, instruments)
    try:
        rows = _rows(request, dataset)
        _check_qty(request, dataset.instrument)
        spec, started = _spec(request, config, loaded, params, dataset, rows)
    except BaseException:
        dataset.close()
        raise
    return Prepared(
        request=request,
        config=config,
        loaded=loaded,
        params=params,
        dataset=dataset,
        rows=rows,
        spec=spec,
        started=started,
    )


def run_backtest(
    prepared: Prepared,
    reports: Path,
    progress: Progress = lambda done, total: None,
    folder: Path | None = None,
) -> Finished:
    """Run a prepared backtest and write its folder under `reports` (or exactly `folder`).

    Raises:
        JournalHalted: The disk refused the journal; what was written stays.
        InvariantError: A promise of the engine is broken.
    """
    watch = Stopwatch()
    target = folder or _new_folder(reports, prepared)
    target.mkdir(parents=True)
    try:
        with tempfile.TemporaryFile() as stage:
            outcome = _run(prepared, target, stage, progress)
            run_s = watch.elapsed_s()
            result = sum_up(prepared.spec, prepared.dataset, prepared.rows, outcome, _context(prepared))
            outcome.equity.write_parquet(target / result.equity_curve_file)
        (target / "summary.json").write_bytes(encode_result(result))
        (target / "run.json").write_bytes(_machine(prepared, result, run_s))
    except KeyboardInterrupt:
        shutil.rmtree(target)
        raise
    n_rows = prepared.rows[1] - prepared.rows[0]
    return Finished(
        result=result, folder=target, wall_s=watch.elapsed_s(), bars_per_s=n_rows / max(run_s, 1e-9)
    )


def encode_result(result: BacktestResult) -> bytes:
    """Return the result as indented JSON, ended by a newline; the same result gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def _run(prepared: Prepared, target: Path, stage: IO[bytes], progress: Progress) -> Outcome:
    spec, dataset, rows = prepared.spec, prepared.dataset, prepared.rows
    costs = prepared.config.backtest
    venue = SimulatedVenue(
        spec.instruments,
        FeeModel(maker_bps=costs.maker_fee_bps, taker_bps=costs.fee_bps),
        costs.slippage_bps,
        spec.capital,
        spec.report_asset,
    )
    journal = JournalWriter(target / "journal")
    recorder = Recorder(spec.instruments)
    equity = EquityRecorder(spec.instruments[0], spec.capital, stage)
    statistics = EquityStatistics(capital=float(spec.capital), interval_ns=dataset.interval_ns)
    system = System(spec, journal)
    host = HistoryHost(system, venue, journal, recorder, equity, statistics)
    total = rows[1] - rows[0]
    gc.freeze()  # What was loaded so far will not become garbage: the collector need not walk it again and again.
    try:
        host.run(prepared.started, dataset, rows, lambda done: progress(done, total))
    finally:
        gc.unfreeze()
        journal.close()
    return Outcome(
        system=system,
        venue=venue,
        recorder=recorder,
        equity=equity,
        statistics=statistics,
        n_messages=journal.n_messages,
        journal_head=journal.head,
    )


def _rows(request: BacktestRequest, dataset: BarDataset) -> tuple[int, int]:
    if request.start_ns is not None and request.end_ns is not None and request.start_ns >= request.end_ns:
        raise ConfigError("--start must lie before --end", "ranges are [start, end)")
    rows = dataset.rows_between(request.start_ns, request.end_ns)
    if rows[0] >= rows[1]:
        raise DataError(f"{request.data.name} has no bars in the range asked for", "check --start and --end")
    return rows


def _check_qty(request: BacktestRequest, instrument: Instrument) -> None:
    if request.qty is None:
        return
    if instrument.lots(request.qty) < instrument.min_qty_lots:
        smallest = instrument.qty(instrument.min_qty_lots)
        raise ConfigError(
            f"--qty {request.qty} is below the smallest order of {instrument.symbol}, {smallest:f}",
            f"use --qty {smallest:f} or more, or a finer --lot",
        )


def _spec(
    request: BacktestRequest,
    config: Config,
    loaded: LoadedStrategy,
    params: StrategyParams,
    dataset: BarDataset,
    rows: tuple[int, int],
) -> tuple[SystemSpec, RunStarted]:
    backtest = config.backtest
    instrument = dataset.instrument
    strategy = loaded.cls(params)
    described = StrategySpec(
        strategy_id=loaded.name,
        name=loaded.name,
        params=canonical_params(params),
        instruments=(0,),
        source_hash=loaded.source_hash,
    )
    hashes = (config_hash(config), package_hash())
    run_id = short_hash(
        *hashes,
        dataset.hash,
        f"{rows}",
        msgspec.json.encode(described).decode(),
        f"{request.qty}",
        f"{backtest.seed}",
    )
    spec = SystemSpec(
        run_id=run_id,
        account_id=backtest.account_id,
        report_asset=instrument.quote,
        capital=backtest.capital,
        instruments=(instrument,),
        strategies=(HostedSpec(strategy_id=loaded.name, objects=((0, strategy),)),),
        risk_profile=backtest.risk_profile,
        risk_rules=config.risk.profiles[backtest.risk_profile].rules,
        cost_bps=EXACT.add(backtest.fee_bps, backtest.slippage_bps),
        fixed_qty=request.qty,
    )
    first = next(dataset.chunks(rows[0], rows[0] + 1))
    started = RunStarted(
        ts_ns=int(first.ts_open_ns[0]),
        run_id=run_id,
        config_hash=hashes[0],
        code_hash=hashes[1],
        seed=backtest.seed,
        account_id=backtest.account_id,
        report_asset=instrument.quote,
        capital=backtest.capital,
        instruments=(instrument,),
        strategies=(described,),
        risk_profile=backtest.risk_profile,
    )
    return spec, started


def _context(prepared: Prepared) -> dict[str, Any]:
    costs = prepared.config.backtest
    return {
        "version": njord.__version__,
        "synthetic": prepared.request.synthetic or prepared.dataset.instrument.base == SYNTHETIC_BASE,
        "strategy": {
            "id": prepared.loaded.name,
            "params": msgspec.to_builtins(prepared.params),
            "warm_up_bars": prepared.loaded.cls(prepared.params).warm_up(),
            "source_hash": prepared.loaded.source_hash,
        },
        "warnings": list(prepared.loaded.warnings),
        "costs": {
            "taker_fee_bps": f"{costs.fee_bps:f}",
            "maker_fee_bps": f"{costs.maker_fee_bps:f}",
            "slippage_bps": f"{costs.slippage_bps:f}",
        },
        "seed": costs.seed,
        "config_hash": prepared.started.config_hash,
        "code_hash": prepared.started.code_hash,
    }


def _new_folder(reports: Path, prepared: Prepared) -> Path:
    symbol = "".join(letter for letter in prepared.dataset.instrument.symbol if letter.isalnum())
    now_s = WallClock().now_ns() // NS_PER_S
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%S")
    base = f"{stamp}-{prepared.loaded.name}-{symbol}-{prepared.spec.run_id[:6]}"
    folder, again = reports / base, 1
    while folder.exists():
        again += 1
        folder = reports / f"{base}-{again}"
    return folder


def _machine(prepared: Prepared, result: BacktestResult, run_s: float) -> bytes:
    n_rows = prepared.rows[1] - prepared.rows[0]
    facts = {
        "run_id": result.run_id,
        "journal_head": result.journal["head"],
        "n_messages": result.journal["n_messages"],
        "strategy": str(prepared.loaded.path.resolve()),
        "strategy_reference": prepared.request.strategy,
        "params": list(prepared.request.params),
        "data": str(prepared.request.data.resolve()),
        "bar_options": msgspec.to_builtins(prepared.request.bars),
        "instrument": msgspec.to_builtins(prepared.dataset.instrument),
        "rows": list(prepared.rows),
        "qty": None if prepared.request.qty is None else f"{prepared.request.qty:f}",
        "config": prepared.config.model_dump(mode="json", exclude={"redis"}),  # Its URL may hold a password.
        "python": sys.version.split()[0],
        "engine_s": round(run_s, 6),
        "bars_per_s": round(n_rows / max(run_s, 1e-9)),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "written_ns": WallClock().now_ns(),
    }
    return msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n"
