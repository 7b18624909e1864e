"""One run in memory: a prepared run and a market in, what is left of it out; the journal is whatever it is given.

`run_backtest` gives it the real journal, `njord poison` one that compares, and a market whose future is noise. Every
call runs on fresh strategy objects.
"""

import tempfile
from collections.abc import Callable
from typing import IO, Literal

import msgspec

from njord.backtest.equity import EquityRecorder
from njord.backtest.market import Market
from njord.backtest.market_open import RecordedMarket
from njord.backtest.recorder import Recorder
from njord.backtest.request import BacktestRequest, PreparedStrategy
from njord.backtest.runner import HistoryHost
from njord.backtest.summing_up import Outcome
from njord.core.accounts import AccountTerms
from njord.core.component import JournalSink
from njord.core.config import BacktestConfig, Config
from njord.core.contracts import RunStarted
from njord.core.errors import ConfigError
from njord.core.types import InstrumentKind
from njord.core.units import BPS, EXACT, NS_PER_S
from njord.performance.streaming import EquityStatistics
from njord.system import HostedSpec, System, SystemSpec
from njord.venues.fees import FeeModel, FeeTier
from njord.venues.funding import FundingSchedule
from njord.venues.simulated import SimulatedVenue
from njord.venues.terms import VenueTerms

SAMPLE_NS = NS_PER_S  # Of the equity curve on ticks.


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A run that passed every check and has written nothing yet.

    Attributes:
        request: What the user asked for.
        spec: What decides; its strategy objects are of no run, `fresh_spec` makes those.
        started: The first record of its journal.
        market: What it is to run on, open.
    """

    request: BacktestRequest
    config: Config
    strategies: tuple[PreparedStrategy, ...]
    market: RecordedMarket
    spec: SystemSpec
    started: RunStarted

    def fresh_spec(self) -> SystemSpec:
        """Return the spec with strategy objects that have seen nothing."""
        return msgspec.structs.replace(
            self.spec, strategies=tuple(hosted(strategy) for strategy in self.strategies)
        )


def hosted(strategy: PreparedStrategy) -> HostedSpec:
    """Return fresh objects of a strategy, one for each of its instruments."""
    objects = tuple((index, strategy.loaded.cls(strategy.params)) for index in strategy.instruments)
    return HostedSpec(strategy_id=strategy.strategy_id, objects=objects)


def simulate(
    prepared: Prepared,
    market: Market,
    journal: JournalSink,
    stage: IO[bytes] | None = None,
    on_block: Callable[[int], None] = lambda n_events: None,
    until_ns: int | None = None,
) -> Outcome:
    """Run `prepared` on a market.

    Args:
        prepared: What decides, and on which terms.
        market: What happens; the run's own, or one like it.
        journal: Told of every message before anybody acts on it.
        stage: An open binary file for the equity curve; it must outlive the outcome. None = the curve is lost.
        on_block: Called after every block with the number of market events so far.
        until_ns: Stop before the first event later than this; nothing expires then.

    Raises:
        InvariantError: A promise of the engine is broken.
    """
    if stage is None:
        with tempfile.TemporaryFile() as own:
            return simulate(prepared, market, journal, own, on_block, until_ns)
    spec = prepared.fresh_spec()
    settings = prepared.config.backtest
    venue = venue_of(spec, settings, market)
    recorder = Recorder(spec.instruments)
    settled = [
        spec.account.kind == "perpetual" and instrument.kind is InstrumentKind.LINEAR
        for instrument in spec.instruments
    ]
    equity = EquityRecorder(
        spec.instruments, spec.capital, stage, settled, SAMPLE_NS if has_ticks(market) else 0
    )
    statistics = EquityStatistics(capital=float(spec.capital), interval_ns=_interval_ns(market))
    system = System(spec, journal)
    precompute(system, market)
    host = HistoryHost(system, venue, market, spec.account_id, recorder, equity, statistics)
    host.run(prepared.started, on_block, until_ns)
    return Outcome(
        system=system,
        venue=venue,
        recorder=recorder,
        equity=equity,
        statistics=statistics,
        n_messages=0,
        journal_head="",
    )


def precompute(system: System, market: Market) -> None:
    """Let strategies that want whole columns of bars have them, before the first event."""
    for index in range(len(market.instruments)):
        if system.strategies.wants_columns(index):
            columns = market.columns(index)
            if columns is not None:
                system.strategies.precompute(index, columns)


def has_ticks(market: Market) -> bool:
    """Say whether an instrument is traded on ticks."""
    return any(market.has_ticks(index) for index in range(len(market.instruments)))


def account_of(settings: BacktestConfig, kinds: list[InstrumentKind]) -> AccountTerms:
    """Return the account that is meant: `auto` is perpetual where a contract is traded."""
    kind: Literal["spot", "margin", "perpetual"]
    if settings.account == "auto":
        kind = "perpetual" if InstrumentKind.LINEAR in kinds else "spot"
    else:
        kind = settings.account
    return AccountTerms(kind=kind, leverage=settings.leverage)


def venue_of(spec: SystemSpec, settings: BacktestConfig, market: Market) -> SimulatedVenue:
    """Return the venue that the settings describe, with the market's ticks.

    Raises:
        ConfigError: A setting is out of its bounds, or asks for what the market does not have.
    """
    venue = SimulatedVenue(
        spec.instruments,
        _fees(settings),
        terms_of(spec, settings, market),
        spec.capital,
        spec.report_asset,
        keeps_history=False,  # The recorder does.
    )
    for index in range(len(market.instruments)):
        rows = market.tick_rows(index)
        if rows is not None:
            from njord.venues.tick_market import TickMarket  # Compiled; a run on bars does without.

            venue.add_market(
                index,
                TickMarket(rows, queue_model=settings.queue_model, partial_fills=settings.partial_fills),
            )
    return venue


def terms_of(spec: SystemSpec, settings: BacktestConfig, market: Market) -> VenueTerms:
    """Return what the settings assume of the venue, the way there and the account."""
    samples = None
    if settings.latency_model == "recorded":
        delays = market.feed_delays_ns
        if not delays.size:
            raise ConfigError(
                "backtest.latency_model is recorded, but bars record no delays",
                "give --data with trades, or set backtest.latency_model to constant",
            )
        samples = (delays, delays)
    return VenueTerms(
        slippage_bps=settings.slippage_bps,
        slippage_model=settings.slippage_model,
        impact_bps=settings.impact_bps,
        max_volume_share=settings.max_volume_share,
        entry_latency_ns=settings.entry_latency_ns,
        response_latency_ns=settings.response_latency_ns,
        latency_samples=samples,
        seed=settings.seed,
        self_trade=settings.self_trade,
        account=spec.account.kind,
        leverage=spec.account.leverage,
        maintenance_margin_bps=settings.maintenance_margin_bps,
        liquidation_fee_bps=settings.liquidation_fee_bps,
        funding=FundingSchedule(rate=EXACT.multiply(settings.funding_bps, BPS)),
    )


def _fees(settings: BacktestConfig) -> FeeModel:
    return FeeModel(
        maker_bps=settings.maker_fee_bps,
        taker_bps=settings.fee_bps,
        fee_asset=settings.fee_asset,
        tiers=tuple(FeeTier(**tier.model_dump()) for tier in settings.fee_tiers),
    )


# How far the points of the equity curve are apart: the shortest bars', or the samples of ticks.
def _interval_ns(market: Market) -> int:
    intervals = [source.interval_ns for source in market.sources if source.interval_ns]
    return SAMPLE_NS if has_ticks(market) else min(intervals)
