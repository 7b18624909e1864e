"""How does one point do on the ordered engine? Parameters in; a run of gate, ledger and venue as `njord backtest` has
them, with a journal that keeps nothing; its score out.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from msgspec.structs import replace

from njord.backtest.account_books import AccountBooks, account_books
from njord.backtest.market_open import MarketRequest, RecordedMarket
from njord.backtest.no_journal import NoJournal
from njord.backtest.point import WHOLE, Params, PointSpec, Score, Window
from njord.backtest.points_market import PointMarkets
from njord.backtest.request import (
    PreparedStrategy,
    Typed,
    check_callbacks,
    load_strategies,
    prepare_strategies,
)
from njord.backtest.session import Prepared, prepare_on
from njord.backtest.simulation import simulate
from njord.backtest.summing_up import Outcome
from njord.core.errors import InvariantError, RunawayCascade, StrategyError
from njord.core.instrument import Instrument
from njord.core.units import EXACT
from njord.performance.returns import FloatArray
from njord.performance.streaming import EquityStatistics
from njord.performance.trades import trade_statistics


class OrderedEvaluator:
    """Evaluates points on the ordered engine, one after the other.

    Args:
        spec: What all points share.
        why_ordered: Why it is not the fused engine that runs them.

    Raises:
        UserError: The strategy does not load, or the data can not be used.
    """

    engine = "ordered"

    def __init__(self, spec: PointSpec, why_ordered: str = "") -> None:
        self.why_ordered = why_ordered
        self._spec = spec
        self._found = load_strategies(spec.request.strategies)
        request = spec.request
        self._markets = PointMarkets(
            MarketRequest(
                data=request.paths, bars=request.bars, start_ns=request.start_ns, end_ns=request.end_ns
            ),
            spec.instruments,
        )
        self.n_bars = self._markets.n_events
        self._base: Prepared | None = None

    def evaluate(
        self,
        points: Sequence[Params],
        window: Window = WHOLE,
        on_done: Callable[[int], None] = lambda n_done: None,
    ) -> list[Score]:
        """Return a score for every point, in order; see `Evaluator`."""
        scores = []
        for n_done, params in enumerate(points, 1):
            scores.append(self._score(params, window))
            on_done(n_done)
        return scores

    def forget(self) -> None:
        """Nothing: a window of it is read again for every point."""

    def close(self) -> None:
        """Let go of the data."""
        self._markets.close()

    def _score(self, params: Params, window: Window) -> Score:
        try:
            strategies = typed_point(self._spec, self._found, params, self._markets.instruments)
        except StrategyError as error:
            return Score(params=params, error=error.problem)
        warm_up = max(each.loaded.cls(each.params).warm_up() for each in strategies)
        market = self._markets.cut(window, warm_up)
        prepared = self._prepared(params, strategies, market)
        try:
            with tempfile.TemporaryFile() as stage:
                outcome = simulate(prepared, market, NoJournal(), stage)
                return score_of(params, prepared, outcome, window, self._spec.n_blocks)
        except (RunawayCascade, StrategyError) as error:
            return Score(params=params, error=" ".join(str(error).split()))

    # What is checked of a run is checked once: points differ in nothing but their parameters, and windows in when they
    # begin. A run that began later than its first bar would take the bars before for the past, and trade nothing there.
    def _prepared(
        self, params: Params, strategies: tuple[PreparedStrategy, ...], market: RecordedMarket
    ) -> Prepared:
        if self._base is None:
            request = replace(self._spec.request, params=(*self._spec.request.params, *texts_of(params)))
            self._base = prepare_on(request, self._spec.config, self._found, market, check_callbacks)
        started = replace(self._base.started, ts_ns=market.start_ns)
        return replace(self._base, strategies=strategies, market=market, started=started)


def texts_of(params: Params) -> tuple[str, ...]:
    """Return parameters as `--param` takes them."""
    return tuple(f"{name}={value}" for name, value in params)


def typed_point(
    spec: PointSpec, found: Sequence[Typed], params: Params, instruments: Sequence[Instrument]
) -> tuple[PreparedStrategy, ...]:
    """Return the point's strategy with its parameters, typed.

    Raises:
        StrategyError: The strategy refuses them.
    """
    return prepare_strategies(found, (*spec.request.params, *texts_of(params)), instruments)


def score_of(params: Params, prepared: Prepared, outcome: Outcome, window: Window, n_blocks: int) -> Score:
    """Return what a run amounts to within a window.

    Raises:
        InvariantError: The run ended without a price for what it holds, or its books do not agree.
    """
    capital = float(prepared.spec.capital)
    statistics, equity = _measured(outcome, capital, window)
    returns = _returns(capital, equity)
    ratios = statistics.bar
    ledger, recorder = outcome.system.ledger, outcome.recorder
    books = _books(prepared, outcome)
    trades = trade_statistics(books.trips)
    notional = EXACT.add(books.split.maker.notional, books.split.taker.notional)
    return Score(
        params=params,
        n_bars=statistics.n_points,
        n_orders=len(recorder.orders),
        n_fills=len(recorder.fills),
        n_trips=trades.n_trades,
        final_equity=statistics.final_equity,
        total_return=statistics.total_return,
        cagr=statistics.cagr,
        sharpe=ratios.sharpe,
        sortino=ratios.sortino,
        volatility=ratios.volatility,
        skew=ratios.skew,
        kurtosis=ratios.kurtosis,
        calmar=statistics.calmar,
        max_drawdown=statistics.max_drawdown,
        win_rate=trades.win_rate,
        profit_factor=trades.profit_factor if math.isfinite(trades.profit_factor) else math.nan,
        exposure=outcome.equity.n_bars_invested / max(1, statistics.n_points),
        fees=float(ledger.account.fees),
        turnover=float(notional) / capital,
        blocks=blocks_of(returns, statistics.n_points, n_blocks),
        error=recorder.suspended[0].error if recorder.suspended else "",
    )


def blocks_of(returns: FloatArray, n_bars: int, n_blocks: int) -> tuple[tuple[int, float, float], ...]:
    """Return n, sum r and sum r^2 of `n_blocks` runs of bars, block k from bar n_bars * k // n_blocks on.

    Args:
        returns: Shape (n,), n <= n_bars: those after ruin are missing.
        n_bars: Bars in all.
        n_blocks: How many runs.
    """
    edges = [n_bars * k // n_blocks for k in range(n_blocks + 1)]
    runs = [returns[first:end] for first, end in pairwise(edges)]
    return tuple((run.size, float(run.sum()), float(np.square(run).sum())) for run in runs)


# Times and equity of the window alone: before it nothing was traded, so that it begins with the capital.
def _measured(outcome: Outcome, capital: float, window: Window) -> tuple[EquityStatistics, FloatArray]:
    statistics = EquityStatistics(capital=capital, interval_ns=outcome.statistics.interval_ns)
    pieces: list[FloatArray] = []
    for ts_ns, equity, _ in outcome.equity.batches():
        first = 0 if window.start_ns is None else int(np.searchsorted(ts_ns, window.start_ns))
        if first < ts_ns.size:
            statistics.update(ts_ns[first:], equity[first:])
            pieces.append(equity[first:])
    return statistics, np.concatenate(pieces) if pieces else np.empty(0)


# As `EquityStatistics` has them: the first from the capital, none after ruin.
def _returns(capital: float, equity: FloatArray) -> FloatArray:
    ruined = np.flatnonzero(equity <= 0)
    points = np.concatenate(([capital], equity[: ruined[0] + 1] if ruined.size else equity))
    returns: FloatArray = points[1:] / points[:-1] - 1.0
    return returns


def _books(prepared: Prepared, outcome: Outcome) -> AccountBooks:
    spec, ledger = prepared.spec, outcome.system.ledger
    final_equity = ledger.account.equity(ledger.mark_ticks)
    if final_equity is None:
        raise InvariantError("the run ended without a price for an open position")
    marks = [each.price(ticks) for each, ticks in zip(spec.instruments, ledger.mark_ticks, strict=True)]
    return account_books(spec, outcome.recorder, marks, EXACT.subtract(final_equity, spec.capital))
