"""Paths that are real runs: a backtest's folder and what may differ in; what each path has come to out.

Every path goes through the gate, the ledger and the venue as `njord backtest` does, with a journal that keeps nothing. A
path depends on the seed and its own number, so that it is the same in whatever process it runs. Orders are sized on the
run's own costs, whatever slippage a path then meets.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from njord.adapters.clock import Stopwatch
from njord.adapters.plugins import LoadedStrategy
from njord.backtest.market import IntArray, Market
from njord.backtest.market_open import RecordedMarket
from njord.backtest.market_view import MarketView
from njord.backtest.no_journal import NoJournal
from njord.backtest.recorded_run import open_run
from njord.backtest.request import BacktestRequest, PreparedStrategy
from njord.backtest.simulation import Prepared, has_ticks, simulate
from njord.backtest.trial import params_of, subject_of
from njord.core.contracts import StrategySpec
from njord.core.errors import ConfigError, DataError, RunawayCascade, StrategyError
from njord.core.registry import convert_params
from njord.core.units import NS_PER_MS
from njord.performance.streaming import EquityStatistics
from njord.research.executors import Workers
from njord.research.montecarlo_blocks import automatic_block
from njord.research.montecarlo_bootstrap import Plan
from njord.research.montecarlo_market import DrawnMarkets
from njord.research.montecarlo_run import SUMMARY_FILE
from njord.research.montecarlo_shake import Shake, Terms, checked, terms_of
from njord.research.montecarlo_tally import Paths, Tally, checkpoints_of, followed
from njord.storage.trials import Trial

AUTOMATIC = -1.0  # A block length that is still to be chosen.
PILOT_PATHS = 64
_DELAYS = 4_096  # That the orders of a path on ticks draw from.


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What one path has come to.

    Attributes:
        paths: None if it came to nothing.
        refused: Why the strategy refused its parameters.
        failed: Why the strategy was suspended.
        trial: What the ledger knows it by; None if it is no trial of an idea.
    """

    paths: Paths | None = None
    refused: str = ""
    failed: str = ""
    trial: Trial | None = None


class Reruns(msgspec.Struct, frozen=True, kw_only=True):
    """What all of them have come to, and how many came to nothing; `why` is the first reason.

    Attributes:
        trials: Runs with other parameters on the recorded market: each has tried the idea once more.
    """

    tally: Tally
    trials: tuple[Trial, ...]
    n_refused: int
    n_failed: int
    why: str


class _Source(msgspec.Struct):
    hash: str


class _Summary(msgspec.Struct):
    data: list[_Source]


class World(NamedTuple):
    """A run, ready to be run again.

    Attributes:
        drawn: Makes markets of other bars; None on ticks.
        market: As it was.
    """

    prepared: Prepared
    market: RecordedMarket
    drawn: DrawnMarkets | None


class _Delayed(MarketView):
    """A market whose orders draw other delays than its recording's."""

    def __init__(self, market: Market, delays_ns: IntArray) -> None:
        super().__init__(market)
        self._delays_ns = delays_ns

    @property
    def feed_delays_ns(self) -> IntArray:
        """What each request and each word on it draws from."""
        return self._delays_ns


@lru_cache(maxsize=1)
def opened(folder: Path) -> World:
    """Return the run in `folder`; its bars are held in memory.

    Raises:
        UserError: It can not be run again.
    """
    run = open_run(folder)
    market = run.open_market()
    _check_data(folder, market)
    config = run.config()
    strategies = tuple(_strategy(each, run.strategies[each.strategy_id]) for each in run.started.strategies)
    prepared = Prepared(
        request=BacktestRequest(strategy=tuple(each.reference for each in strategies), data=()),
        config=config,
        strategies=strategies,
        market=market,
        spec=run.spec(),
        started=run.started,
    )
    if has_ticks(market):
        return World(prepared, market, None)
    with market:
        drawn = DrawnMarkets(market)
    return World(prepared, drawn.recorded(), drawn)


def settled(shake: Shake, world: World) -> Shake:
    """Return what differs, checked against the run; a block that is to be chosen (AUTOMATIC) is.

    Raises:
        ConfigError: The run has no such parameter, or is not of the kind that it takes.
    """
    checked(shake.jitter, world.prepared.strategies)
    if shake.block and world.drawn is None:
        raise ConfigError("the run is on ticks, whose order can not be drawn", "leave out --method")
    if shake.delay_ms is not None and world.drawn is not None:
        interval_ms = min(source.interval_ns for source in world.market.sources) / NS_PER_MS
        if shake.delay_ms[1] < interval_ms:
            raise ConfigError(
                f"--delays {shake.delay_ms[1]:g} is less than a bar of {interval_ms:,.0f} ms, which changes nothing",
                f"for example --delays {3 * interval_ms:.0f}",
            )
    if shake.block == AUTOMATIC and world.drawn is not None:
        return replace(shake, block=max(automatic_block(returns) for returns in world.drawn.returns))
    return shake


def rerun(
    folder: Path,
    shake: Shake,
    plan: Plan,
    workers: str | int,
    on_done: Callable[[int, int], None] = lambda done, total: None,
    on_forecast: Callable[[float], None] = lambda seconds: None,
) -> Reruns:
    """Return what the paths come to, the same for any number of workers.

    Args:
        folder: A backtest's.
        shake: What differs, settled.
        plan: How many paths, the steps of the run's curve, the seed (below 2**63), and what ruin is.
        workers: How many processes, or `dask://HOST:PORT`.
        on_done: Called after every path.
        on_forecast: Called once the first path has run, with how many seconds all would take one by one.

    Raises:
        UserError: The run can not be run again, or no path came to anything.
    """
    checkpoints = checkpoints_of(plan.n_steps)
    folder = folder.resolve()
    watch = Stopwatch()
    first = run_path(folder, shake, plan.seed, 0, checkpoints)
    on_forecast(watch.elapsed_s() * plan.n_paths)
    heard = _Heard(checkpoints, plan)
    heard.take(first)
    arguments = ((path, (folder, shake, plan.seed, path, checkpoints)) for path in range(1, plan.n_paths))
    n_done = 1
    with Workers(workers if plan.n_paths > 1 else 1) as pool:
        for ran in _in_order(pool.results(arguments, run_path)):
            heard.take(ran)
            n_done += 1
            on_done(n_done, plan.n_paths)
    return heard.all()


def run_path(folder: Path, shake: Shake, seed: int, path: int, checkpoints: IntArray) -> Ran:
    """Run one path, wherever this is.

    Args:
        folder: A backtest's.
        shake: What differs, settled.
        seed: Of all paths.
        path: Its number.
        checkpoints: When its fan is looked at, in steps.

    Raises:
        InvariantError: A promise of the engine is broken.
    """
    world = opened(folder)
    terms = terms_of(shake, world.prepared.strategies, seed, path)
    market: Market = world.market
    if shake.block and world.drawn is not None:
        market = world.drawn.market(seed, path, shake.block)
    try:
        prepared = _with_terms(world.prepared, terms, has_ticks(market))
    except StrategyError as error:
        return Ran(refused=error.problem)
    if terms.delays_ns is not None and has_ticks(market):
        least, most = terms.delays_ns
        delays_ns = np.random.default_rng(terms.seed).integers(least, most + 1, _DELAYS)
        market = _Delayed(market, delays_ns)
    try:
        with tempfile.TemporaryFile() as stage:
            outcome = simulate(prepared, market, NoJournal(), stage)
            equity = np.concatenate([worth for _, worth, _ in outcome.equity.batches()])
    except RunawayCascade as error:
        return Ran(failed=str(error))
    if outcome.recorder.suspended:
        return Ran(failed=outcome.recorder.suspended[0].error)
    paths = followed(equity, float(prepared.spec.capital), checkpoints)
    is_trial = bool(shake.jitter) and not shake.block
    return Ran(paths=paths, trial=_trial(prepared, outcome.statistics) if is_trial else None)


class _Heard:
    """Counts paths in the order of their numbers; the first of them decide where the bins lie."""

    def __init__(self, checkpoints: IntArray, plan: Plan) -> None:
        self._checkpoints, self._plan = checkpoints, plan
        self._pilot: list[Paths] = []
        self._trials: list[Trial] = []
        self._tally: Tally | None = None
        self._n_refused = self._n_failed = 0
        self._why = ""

    def take(self, ran: Ran) -> None:
        self._n_refused += bool(ran.refused)
        self._n_failed += bool(ran.failed)
        self._why = self._why or ran.refused or ran.failed
        if ran.trial is not None:
            self._trials.append(ran.trial)
        if ran.paths is None:
            return
        if self._tally is not None:
            self._tally.add(ran.paths)
            return
        self._pilot.append(ran.paths)
        if len(self._pilot) == PILOT_PATHS:
            self._tally = self._counted()

    def all(self) -> Reruns:
        if self._tally is None and not self._pilot:
            raise StrategyError(f"none of {self._plan.n_paths:,} paths could run: {self._why}", "vary less")
        return Reruns(
            tally=self._tally or self._counted(),
            trials=tuple(self._trials),
            n_refused=self._n_refused,
            n_failed=self._n_failed,
            why=self._why,
        )

    def _counted(self) -> Tally:
        pilot = Paths(*(np.concatenate(parts, axis=1) for parts in zip(*self._pilot, strict=True)))
        tally = Tally(pilot, self._checkpoints, self._plan.ruin)
        tally.add(pilot)
        return tally


# Workers are a few paths ahead of each other at most, so that little waits.
def _in_order(results: Iterator[tuple[int, Ran]]) -> Iterator[Ran]:
    waiting: dict[int, Ran] = {}
    wanted = 1
    for path, ran in results:
        waiting[path] = ran
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted += 1


def _with_terms(prepared: Prepared, terms: Terms, on_ticks: bool) -> Prepared:
    strategies = tuple(
        replace(each, params=_params(each, changed)) if changed else each
        for each, changed in zip(prepared.strategies, terms.values, strict=True)
    )
    settings = prepared.config.backtest
    changes: dict[str, Any] = {}
    if terms.slippage_bps is not None:
        changes["slippage_bps"] = terms.slippage_bps
    if terms.delays_ns is not None and on_ticks:
        changes |= {"latency_model": "recorded", "seed": terms.seed}
    elif terms.delays_ns is not None:
        changes["entry_latency_ns"] = settings.entry_latency_ns + terms.delay_ns
    config = prepared.config.model_copy(update={"backtest": settings.model_copy(update=changes)})
    return replace(prepared, strategies=strategies, config=config)


def _trial(prepared: Prepared, statistics: EquityStatistics) -> Trial:
    sharpe = statistics.bar.sharpe / math.sqrt(statistics.periods_per_year)
    return Trial(subject_of(prepared).identity(params_of(prepared)), sharpe)


def _params(strategy: PreparedStrategy, changed: dict[str, Any]) -> Any:
    values = msgspec.structs.asdict(strategy.params) | changed
    return convert_params(strategy.strategy_id, strategy.loaded.cls.Params, values)


def _strategy(described: StrategySpec, loaded: LoadedStrategy) -> PreparedStrategy:
    values = msgspec.json.decode(described.params)
    return PreparedStrategy(
        strategy_id=described.strategy_id,
        reference=str(loaded.path),
        loaded=loaded,
        params=convert_params(loaded.name, loaded.cls.Params, values),
        instruments=described.instruments,
    )


# Another market under the same name would make paths of another run.
def _check_data(folder: Path, market: RecordedMarket) -> None:
    summary = msgspec.json.decode((folder / SUMMARY_FILE).read_bytes(), type=_Summary)
    known = [each.hash for each in summary.data]
    for source in market.sources:
        if source.hash not in known:
            market.close()
            raise DataError(f"the dataset {source.name} has changed since the run", "put the original back")
