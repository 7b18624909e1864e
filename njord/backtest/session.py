"""One backtest from request to result: check everything, then run, then write.

All input is validated before the first byte is written. The run's folder holds the journal, `summary.json`,
`equity.parquet`, `orders.parquet`, `report.html`, and `run.json` with what belongs to the machine and not to the result.
"""

import gc
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

import njord
from njord.adapters.clock import Stopwatch, WallClock
from njord.adapters.source_hash import package_hash
from njord.backtest.engines import EngineChoice, EngineUse, run_on
from njord.backtest.market import Market
from njord.backtest.market_open import MarketRequest, RecordedMarket, open_market
from njord.backtest.orders_table import write_orders
from njord.backtest.request import (
    BacktestRequest,
    PreparedStrategy,
    Typed,
    check_callbacks,
    load_strategies,
    prepare_strategies,
)
from njord.backtest.result import BacktestResult
from njord.backtest.result_json import encode_result, pieces_of
from njord.backtest.simulation import Prepared, account_of, hosted, simulate, terms_of
from njord.backtest.summing_up import Outcome, RunContext, sum_up
from njord.core.config import Config
from njord.core.config_shapes import config_hash
from njord.core.contracts import (
    RunStarted,
    StrategySpec,
)
from njord.core.errors import ConfigError, RunawayCascade, StrategyError
from njord.core.ids import short_hash
from njord.core.instrument import Instrument
from njord.core.registry import canonical_params
from njord.core.units import EXACT, NS_PER_S
from njord.risk.profile import build_rules
from njord.storage.journal import JournalWriter
from njord.system import SystemSpec

__all__ = ["BacktestRequest", "Finished", "Prepared", "encode_result", "prepare", "run_backtest"]

SYNTHETIC_BASE = (
    "SYNTH"  # Files that `njord demo` generates are named after it, and stay synthetic wherever they go.
)
_NAMES_MAX = 3  # Strategies or symbols that a folder is named after.
Progress = Callable[[int, int], None]  # Events done, events in all.


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run and where it lies."""

    result: BacktestResult
    folder: Path
    wall_s: float
    events_per_s: float


def prepare(request: BacktestRequest, config: Config, instruments: Mapping[str, Instrument]) -> Prepared:
    """Check everything that can be checked before running; the caller closes the market.

    Raises:
        UserError: Strategies, parameters, configuration or data are not fit; one line says which and why.
    """
    found = load_strategies(request.strategies)
    profile = config.risk.profiles[config.backtest.risk_profile]
    build_rules(config.backtest.risk_profile, profile.rules)
    if request.qty is not None and not request.qty > 0:
        raise ConfigError(f"--qty must be > 0, was {request.qty}", "for example --qty 0.5")
    wanted = MarketRequest(
        data=request.paths, bars=request.bars, start_ns=request.start_ns, end_ns=request.end_ns
    )
    market = open_market(wanted, instruments)
    try:
        return prepare_on(request, config, found, market, check_callbacks)
    except BaseException:
        market.close()
        raise


def prepare_on(
    request: BacktestRequest,
    config: Config,
    found: Sequence[Typed],
    market: RecordedMarket,
    check: Callable[[Sequence[PreparedStrategy], Market], None],
) -> Prepared:
    """Return the run of loaded strategies on a market that is open.

    Args:
        request: What the user asks for.
        config: What was configured.
        found: The strategies, loaded.
        market: What it is to run on.
        check: Refuses strategies that the market has nothing for.

    Raises:
        UserError: Parameters, configuration or market are not fit.
    """
    strategies = prepare_strategies(found, request.params, market.instruments)
    check(strategies, market)
    for instrument in market.instruments:
        _check_qty(request, instrument)
    spec, started = _spec(request, config, strategies, market)
    terms_of(spec, config.backtest, market)
    return Prepared(
        request=request, config=config, strategies=strategies, market=market, spec=spec, started=started
    )


def run_backtest(
    prepared: Prepared,
    reports: Path,
    progress: Progress = lambda done, total: None,
    folder: Path | None = None,
    engine: EngineChoice = "ordered",
) -> Finished:
    """Run a prepared backtest and write its folder under `reports` (or exactly `folder`).

    Raises:
        JournalHalted: The disk refused the journal; what was written stays.
        StrategyError: A strategy sent more at one moment than the engine takes, or its `wakes` failed; nothing is kept.
        InvariantError: A promise of the engine is broken.
    """
    watch = Stopwatch()
    target = folder or _new_folder(reports, prepared)
    target.mkdir(parents=True)
    try:
        with tempfile.TemporaryFile() as stage:
            outcome, use = _run(prepared, target, stage, progress, engine)
            run_s = watch.elapsed_s()
            result = sum_up(prepared.spec, prepared.market, outcome, _context(prepared))
            result = msgspec.structs.replace(result, engine=msgspec.to_builtins(use))
            outcome.equity.write_parquet(target / result.equity_curve_file)
            write_orders(target / result.orders_file, outcome.recorder.orders, prepared.spec.instruments)
        write_result(target, result)
        (target / "run.json").write_bytes(_machine(prepared, result, run_s))
    except (KeyboardInterrupt, StrategyError):
        shutil.rmtree(target)
        raise
    except RunawayCascade as error:
        shutil.rmtree(target)
        names = " or ".join(strategy.strategy_id for strategy in prepared.strategies)
        raise StrategyError(
            f"{error}: {names} sends thousands of orders at once, or answers its own without end",
            "let it send fewer at a time",
        ) from None
    return Finished(
        result=result,
        folder=target,
        wall_s=watch.elapsed_s(),
        events_per_s=prepared.market.n_events / max(run_s, 1e-9),
    )


def write_result(folder: Path, result: BacktestResult) -> None:
    """Write `summary.json` of a run."""
    with (folder / "summary.json").open("wb") as file:
        file.writelines(pieces_of(result))


def _run(
    prepared: Prepared, target: Path, stage: IO[bytes], progress: Progress, engine: EngineChoice
) -> tuple[Outcome, EngineUse]:
    with tempfile.TemporaryFile() as other:  # Of a fast run that is only compared with.
        return run_on(
            engine,
            prepared,
            stage if engine == "fast" else other,
            lambda: _run_ordered(prepared, target, stage, progress),
        )


def _run_ordered(prepared: Prepared, target: Path, stage: IO[bytes], progress: Progress) -> Outcome:
    with ThreadPoolExecutor(1, "journal") as behind:
        return _simulate(prepared, JournalWriter(target / "journal", behind=behind), stage, progress)


def _simulate(prepared: Prepared, journal: JournalWriter, stage: IO[bytes], progress: Progress) -> Outcome:
    market = prepared.market

    def on_block(n_events: int) -> None:
        journal.commit()
        progress(n_events, market.n_events)

    gc.freeze()  # What was loaded so far will not become garbage: the collector need not walk it again and again.
    try:
        outcome = simulate(prepared, market, journal, stage, on_block)
        journal.sync()
    finally:
        gc.unfreeze()
        journal.close()
    return msgspec.structs.replace(outcome, n_messages=journal.n_messages, journal_head=journal.head)


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
    request: BacktestRequest, config: Config, strategies: tuple[PreparedStrategy, ...], market: Market
) -> tuple[SystemSpec, RunStarted]:
    backtest = config.backtest
    described = tuple(
        StrategySpec(
            strategy_id=strategy.strategy_id,
            name=strategy.loaded.name,
            params=canonical_params(strategy.params),
            instruments=strategy.instruments,
            source_hash=strategy.loaded.source_hash,
        )
        for strategy in strategies
    )
    hashes = (config_hash(config), package_hash())
    run_id = short_hash(
        *hashes,
        *(source.hash for source in market.sources),
        *(f"{(source.first_row, source.end_row)}" for source in market.sources),
        *(msgspec.json.encode(strategy).decode() for strategy in described),
        f"{request.qty}",
        f"{backtest.seed}",
    )
    quote = market.instruments[0].quote
    spec = SystemSpec(
        run_id=run_id,
        account_id=backtest.account_id,
        report_asset=quote,
        capital=backtest.capital,
        instruments=market.instruments,
        strategies=tuple(hosted(strategy) for strategy in strategies),
        risk_profile=backtest.risk_profile,
        risk_rules=config.risk.profiles[backtest.risk_profile].rules,
        cost_bps=EXACT.add(backtest.fee_bps, backtest.slippage_bps),
        fixed_qty=request.qty,
        account=account_of(backtest, [instrument.kind for instrument in market.instruments]),
    )
    started = RunStarted(
        ts_ns=market.start_ns,
        run_id=run_id,
        config_hash=hashes[0],
        code_hash=hashes[1],
        seed=backtest.seed,
        account_id=backtest.account_id,
        report_asset=quote,
        capital=backtest.capital,
        instruments=market.instruments,
        strategies=described,
        risk_profile=backtest.risk_profile,
    )
    return spec, started


def is_synthetic(prepared: Prepared) -> bool:
    """Say whether a run's market was generated and not recorded."""
    bases = [instrument.base for instrument in prepared.market.instruments]
    return prepared.request.synthetic or SYNTHETIC_BASE in bases


def _context(prepared: Prepared) -> RunContext:
    symbols = [instrument.symbol for instrument in prepared.market.instruments]
    return RunContext(
        version=njord.__version__,
        synthetic=is_synthetic(prepared),
        strategies=tuple(
            {
                "id": strategy.strategy_id,
                "params": msgspec.to_builtins(strategy.params),
                "warm_up_bars": strategy.loaded.cls(strategy.params).warm_up(),
                "source_hash": strategy.loaded.source_hash,
                "symbols": [symbols[index] for index in strategy.instruments],
            }
            for strategy in prepared.strategies
        ),
        settings=prepared.config.backtest,
        config_hash=prepared.started.config_hash,
        code_hash=prepared.started.code_hash,
        warnings=tuple(dict.fromkeys(_warnings(prepared, symbols))),
    )


def _warnings(prepared: Prepared, symbols: list[str]) -> Iterator[str]:
    for strategy in prepared.strategies:
        yield from strategy.loaded.warnings
    traded = [index for strategy in prepared.strategies for index in strategy.instruments]
    for index, symbol in enumerate(symbols):
        if index not in traded:
            yield f"no strategy trades {symbol}, whose data are given; buy and hold counts it"


def _new_folder(reports: Path, prepared: Prepared) -> Path:
    symbols = [
        "".join(letter for letter in instrument.symbol if letter.isalnum())
        for instrument in prepared.market.instruments
    ]
    names = [strategy.strategy_id for strategy in prepared.strategies]
    now_s = WallClock().now_ns() // NS_PER_S
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%S")
    base = f"{stamp}-{_few(names)}-{_few(symbols)}-{prepared.spec.run_id[:6]}"
    folder, again = reports / base, 1
    while folder.exists():
        again += 1
        folder = reports / f"{base}-{again}"
    return folder


def _few(names: list[str]) -> str:
    more = len(names) - _NAMES_MAX
    return "-".join(names[:_NAMES_MAX]) + (f"-and-{more}" if more > 0 else "")


def machine_facts(prepared: Prepared) -> dict[str, Any]:
    """Return what of a run belongs to this machine: where its files are, and how it was asked for."""
    request, market = prepared.request, prepared.market
    return {
        "run_id": prepared.spec.run_id,
        "strategies": [
            {
                "id": strategy.strategy_id,
                "path": str(strategy.loaded.path.resolve()),
                "reference": strategy.reference,
            }
            for strategy in prepared.strategies
        ],
        "params": list(request.params),
        "data": [str(path.resolve()) for path in request.paths],
        "bar_options": msgspec.to_builtins(request.bars),
        "start_ns": request.start_ns,
        "end_ns": request.end_ns,
        "instruments": [msgspec.to_builtins(instrument) for instrument in market.instruments],
        "rows": [[source.first_row, source.end_row] for source in market.sources],
        "qty": None if request.qty is None else f"{request.qty:f}",
        "config": prepared.config.model_dump(mode="json", exclude={"redis"}),  # Its URL may hold a password.
        "python": sys.version.split()[0],
    }


def _machine(prepared: Prepared, result: BacktestResult, run_s: float) -> bytes:
    facts = {
        **machine_facts(prepared),
        "journal_head": result.journal["head"],
        "n_messages": result.journal["n_messages"],
        "engine_s": round(run_s, 6),
        "events_per_s": round(prepared.market.n_events / max(run_s, 1e-9)),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "written_ns": WallClock().now_ns(),
    }
    return msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n"
