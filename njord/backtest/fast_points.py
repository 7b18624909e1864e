"""How do points do in the fused loop? Parameters in, the scores of the same runs on the ordered engine out.

Nothing here waits for the interpreter while a loop runs, so that threads may evaluate at the same time. Points of a
signal that differ in nothing but their indicators and numbers go through one call. A point that leaves the loop's range,
or whose strategy raises, is run on the ordered engine, which knows no bounds and says what happened.
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from njord.backtest.fast_moments import moments_of
from njord.backtest.fast_room import Cut, Room, cut_of
from njord.backtest.fused_orders import order_terms, place_all
from njord.backtest.fused_terms import NotFused, fused_terms, warm_bars
from njord.backtest.market_open import MarketRequest
from njord.backtest.ordered_points import OrderedEvaluator, typed_point
from njord.backtest.point import WHOLE, Params, PointSpec, Score, Window
from njord.backtest.points_market import PointMarkets
from njord.backtest.request import PreparedStrategy, check_callbacks, load_strategies
from njord.backtest.session import prepare_on
from njord.core.errors import StrategyError
from njord.kernels import fused_tables as table
from njord.kernels.fused_gate import OrderTerms
from njord.kernels.fused_orders import OrdersRun
from njord.kernels.fused_stats import CurveSums, TripSums, curve_sums, equity_of, trip_sums
from njord.kernels.fused_tables import DONE, NOT_SUMMED, SCORE_SIZE, Levels, Run, Terms
from njord.kernels.order_stats import order_sums
from njord.kernels.signals import walk
from njord.performance.ratios import cagr, calmar_ratio, ratios_of, total_return
from njord.performance.returns import FloatArray, periods_per_year
from njord.strategies.compiled import CompiledStrategy, SignalStrategy
from njord.strategies.compiled_orders import OrderStrategy
from njord.strategies.indicators import Indicator

BATCH = 128  # Points in one call at most: between calls who waits is told.
POOL_BYTES = 8 * 2**20  # Of indicators, in one room: points come in an order that needs few at a time.


class _Ready(NamedTuple):
    """A point whose strategy has taken its parameters."""

    at: int
    strategy: CompiledStrategy
    cut: Cut
    terms: Terms
    levels: Levels


class FastEvaluator:
    """Evaluates points of a compiled strategy on the bars of one instrument.

    Args:
        spec: What all points share.
        on_read: Called when the data have been read, and again when they are cut, before what is compiled is loaded.

    Raises:
        UserError: The strategy does not load, or the data can not be used.
        NotFused: The loop can not express these runs.
    """

    engine = "fast"
    why_ordered = ""

    def __init__(self, spec: PointSpec, on_read: Callable[[], None] = lambda: None) -> None:
        self._spec = spec
        self._found = load_strategies(spec.request.strategies)
        request = spec.request
        wanted = MarketRequest(
            data=request.paths, bars=request.bars, start_ns=request.start_ns, end_ns=request.end_ns
        )
        self._markets = PointMarkets(wanted, spec.instruments)
        self._capital = float(spec.config.backtest.capital)
        self._ordered: OrderedEvaluator | None = None
        self.n_bars = self._markets.n_events
        self._lock = threading.Lock()
        self._rooms: list[Room] = []  # Those that no thread is in.
        self._cuts: dict[tuple[Window, int], Cut] = {}
        self._terms: dict[tuple[object, ...], tuple[Terms, Levels]] = {}
        self._placing: dict[int, OrderTerms] = {}  # By the highest price.
        try:
            on_read()
            self._check(on_read)
        except BaseException:
            self.close()
            raise

    def evaluate(
        self,
        points: Sequence[Params],
        window: Window = WHOLE,
        on_done: Callable[[int], None] = lambda n_done: None,
    ) -> list[Score]:
        """Return a score for every point, in order; see `Evaluator`."""
        scores: dict[int, Score] = {}
        batch: list[_Ready] = []
        for at in _neighborly(points):
            ready = self._ready(at, points[at], window)
            if isinstance(ready, Score):
                scores[at] = ready
                continue
            if batch and (len(batch) == BATCH or not self._is_alike(batch[0], ready)):
                self._evaluate(batch, points, window, scores)
                batch = []
                on_done(len(scores))
            batch.append(ready)
        if batch:
            self._evaluate(batch, points, window, scores)
        on_done(len(scores))
        return [scores[at] for at in range(len(points))]

    def forget(self) -> None:
        """Let go of the tables of all windows."""
        self._cuts.clear()
        self._rooms.clear()

    def close(self) -> None:
        """Let go of the data, and of all tables."""
        self._markets.close()
        self.forget()
        if self._ordered is not None:
            self._ordered.close()

    # What no point could express: the defaults say it, if there are any.
    def _check(self, on_cut: Callable[[], None]) -> None:
        market = self._markets.cut(WHOLE, 0)
        if len(market.instruments) != 1 or market.has_ticks(0):
            raise NotFused("several instruments, or trades or a book instead of bars")
        try:
            prepared = self._typed(())
        except StrategyError:
            return
        strategy = _strategy(prepared)
        cut = self._cut(WHOLE, strategy.warm_up())
        on_cut()
        ready = _Ready(0, strategy, cut, *self._terms_of(prepared, strategy, cut))
        if isinstance(strategy, OrderStrategy):
            self._order_terms(ready)

    # --- what a point is made of ---

    def _ready(self, at: int, params: Params, window: Window) -> _Ready | Score:
        try:
            prepared = self._typed(params)
        except StrategyError as error:
            return Score(params=params, error=error.problem)
        try:
            strategy = _strategy(prepared)
            cut = self._cut(window, strategy.warm_up())
            return _Ready(at, strategy, cut, *self._terms_of(prepared, strategy, cut))
        except NotFused:
            return self._slowly(params, window)

    def _typed(self, params: Params) -> PreparedStrategy:
        return typed_point(self._spec, self._found, params, self._markets.instruments)[0]

    def _cut(self, window: Window, warm_up: int) -> Cut:
        key = (window, 0 if window.start_ns is None else warm_up)
        with self._lock:
            if key not in self._cuts:
                market = self._markets.cut(window, warm_up)
                self._cuts[key] = cut_of(market, window.start_ns, self._spec.n_blocks)
            return self._cuts[key]

    def _terms_of(
        self, prepared: PreparedStrategy, strategy: CompiledStrategy, cut: Cut
    ) -> tuple[Terms, Levels]:
        levels = range(-strategy.levels, strategy.levels + 1)
        key = (cut.highest, *(strategy.target(level) for level in levels))
        with self._lock:
            known = self._terms.get(key)
        if known is None:
            spec = self._spec
            base = prepare_on(spec.request, spec.config, self._found, cut.market, check_callbacks)
            known = fused_terms(replace(base, strategies=(prepared,)), strategy, cut.highest)
            with self._lock:
                self._terms[key] = known
        return known

    # The ordered engine holds the data once more, and runs one point at a time.
    def _slowly(self, params: Params, window: Window) -> Score:
        with self._lock:
            if self._ordered is None:
                self._ordered = OrderedEvaluator(self._spec)
            return self._ordered.evaluate([params], window)[0]

    # --- running them ---

    def _is_alike(self, first: _Ready, other: _Ready) -> bool:
        ours, theirs = first.strategy, other.strategy
        return (
            isinstance(theirs, SignalStrategy)
            and first.cut is other.cut
            and first.terms is other.terms
            and ours.fresh_numbers().size == theirs.fresh_numbers().size
            and ours.machine is theirs.machine
        )

    def _evaluate(
        self, batch: list[_Ready], points: Sequence[Params], window: Window, scores: dict[int, Score]
    ) -> None:
        out = np.zeros((len(batch), SCORE_SIZE))
        blocks = np.zeros((len(batch), self._spec.n_blocks, 3))
        with self._room(batch[0]) as room:
            self._run(batch, room, out, blocks)
        for row, ready in enumerate(batch):
            params = points[ready.at]
            scores[ready.at] = (
                self._score(params, ready.cut, out[row], blocks[row])
                if out[row, table.CODE] == DONE
                else self._slowly(params, window)
            )

    def _run(self, batch: list[_Ready], room: Room, out: FloatArray, blocks: FloatArray) -> None:
        try:
            if isinstance(batch[0].strategy, SignalStrategy):
                self._run_signals(batch, room, out, blocks)
            else:
                self._run_other(batch[0], room, out[0], blocks[0])
        except (IndexError, ValueError, ZeroDivisionError, OverflowError):
            # One of them raised: which, and where, the ordered engine says.
            out[:, table.CODE] = table.BAD_LEVEL
        for row, ready in enumerate(batch):
            if out[row, table.CODE] == NOT_SUMMED:
                self._run_other(ready, room, out[row], blocks[row])

    def _run_signals(self, batch: list[_Ready], room: Room, out: FloatArray, blocks: FloatArray) -> None:
        first, done = batch[0], 0
        while done < len(batch):
            wanted: dict[Indicator, None] = {}
            end = done
            while end < len(batch) and room.fits(wanted, batch[end].strategy.declared):
                wanted |= dict.fromkeys(batch[end].strategy.declared)
                end += 1
            part = batch[done:end]
            which = np.array([room.rows(each.strategy.declared, wanted) for each in part], np.int64)
            first.strategy.machine.score_points(
                room.columns,
                which.reshape(len(part), -1),
                np.array([each.strategy.fresh_numbers() for each in part]).reshape(len(part), -1),
                np.array([warm_bars(each.strategy) for each in part]),
                first.cut.bars,
                first.levels,
                first.terms,
                first.cut.closes,
                first.terms.capital / self._capital,
                first.cut.edges,
                room.tables,
                out[done:end],
                blocks[done:end],
            )
            done = end

    # One point of a strategy that places orders itself; its loop has written the equity of every bar.
    def _run_orders(
        self, ready: _Ready, strategy: OrderStrategy, room: Room, out: FloatArray, blocks: FloatArray
    ) -> None:
        cut, terms = ready.cut, ready.terms
        which = np.array(room.rows(strategy.declared, {}), np.int64)
        placing, refusals = self._order_terms(ready), room.tables.refusals
        ran = place_all(strategy, cut.bars, room.columns, which, placing, room.equity, refusals)
        out[table.CODE] = ran.run.code
        if ran.run.code != DONE:
            return
        per_money, n_fills, equity = terms.capital / self._capital, ran.run.n_fills, room.equity
        edges = cut.edges - cut.closes.first
        sums = curve_sums(equity[cut.closes.first :], terms.capital, per_money, edges, blocks)
        open_lots = np.empty((n_fills + 1, 3), np.int64)
        trips = trip_sums(ran.fills, n_fills, terms.unit, terms.fee_step, open_lots)
        _write(out, ran.run, trips, sums, per_money, int(equity[-1]) / per_money)

    def _order_terms(self, ready: _Ready) -> OrderTerms:
        spec, cut = self._spec, ready.cut
        with self._lock:
            known = self._placing.get(cut.highest)
        if known is None:
            base = prepare_on(spec.request, spec.config, self._found, cut.market, check_callbacks)
            known = order_terms(base, ready.terms, cut.highest)
            with self._lock:
                self._placing[cut.highest] = known
        return known

    # One point; its equity is looked at bar by bar only if its orders alone do not tell.
    def _run_other(self, ready: _Ready, room: Room, out: FloatArray, blocks: FloatArray) -> None:
        if isinstance(ready.strategy, OrderStrategy):
            self._run_orders(ready, ready.strategy, room, out, blocks)
            return
        strategy, cut, terms, tables = ready.strategy, ready.cut, ready.terms, room.tables
        per_money, numbers = terms.capital / self._capital, strategy.fresh_numbers()
        which = np.array(room.rows(strategy.declared, {}), np.int64)
        if isinstance(strategy, SignalStrategy):
            strategy.machine.levels_of(room.columns, which, tables.state, numbers, tables.signal)
            run = walk(
                tables.signal, cut.bars, ready.levels, terms, warm_bars(strategy), tables.orders,
                tables.refusals,
            )  # fmt: skip
        else:
            run = strategy.machine.run(
                cut.bars, room.columns, which, ready.levels, terms, warm_bars(strategy), strategy.fresh_state(), numbers,
                tables.orders, room.equity, tables.refusals,
            )  # fmt: skip
        out[table.CODE] = run.code
        if run.code != DONE:
            return
        sums, final, is_summed = order_sums(
            tables.orders, run.n_orders, cut.closes, terms, per_money, cut.edges, blocks, tables.sums
        )
        if not is_summed:
            equity, edges = room.equity, cut.edges - cut.closes.first
            equity_of(tables.orders, run.n_orders, cut.bars.close, terms.capital, terms.unit, equity)
            sums = curve_sums(equity[cut.closes.first :], terms.capital, per_money, edges, blocks)
            final = int(equity[-1]) / per_money
        trips = trip_sums(tables.orders, run.n_orders, terms.unit, terms.fee_step, tables.open_lots)
        _write(out, run, trips, sums, per_money, final)

    # There are as many as there ever were threads at a time, whoever they are.
    @contextmanager
    def _room(self, ready: _Ready) -> Iterator[Room]:
        with self._lock:
            room = self._rooms.pop() if self._rooms else None
        n_indicators = len(ready.strategy.declared)
        if room is None or not room.serves(ready.cut, n_indicators):
            room = None  # The one before goes first.
            room = Room(ready.cut, n_indicators, POOL_BYTES)
        try:
            yield room
        finally:
            with self._lock:
                self._rooms.append(room)

    def _score(self, params: Params, cut: Cut, out: FloatArray, blocks: FloatArray) -> Score:
        moments, capital = moments_of(out), self._capital
        ts_ns, interval_ns = cut.columns.ts_ns, cut.market.sources[0].interval_ns
        ratios = ratios_of(moments, periods_per_year(interval_ns))
        n_seen, final = cut.n - cut.closes.first, float(out[table.FINAL])
        growth = cagr(capital, final, int(ts_ns[-1]) - int(ts_ns[cut.closes.first]) + interval_ns)
        n_trips, loss = int(out[table.N_TRIPS]), float(out[table.LOSS])
        return Score(
            params=params,
            n_bars=n_seen,
            n_orders=int(out[table.N_ORDERS]),
            n_fills=int(out[table.N_FILLS]),
            n_trips=n_trips,
            final_equity=final,
            total_return=total_return(capital, final),
            cagr=growth,
            sharpe=ratios.sharpe,
            sortino=ratios.sortino,
            volatility=ratios.volatility,
            skew=moments.skew,
            kurtosis=moments.kurtosis,
            calmar=calmar_ratio(growth, float(out[table.DEEPEST])),
            max_drawdown=float(out[table.DEEPEST]),
            win_rate=float(out[table.N_WINS]) / n_trips if n_trips else math.nan,
            profit_factor=float(out[table.PROFIT]) / loss if loss else math.nan,
            exposure=float(out[table.N_INVESTED]) / max(1, n_seen),
            fees=float(out[table.FEES]),
            turnover=float(out[table.NOTIONAL]) / capital,
            blocks=tuple((int(n), first, second) for n, first, second in blocks.tolist()),
            engine="fast",
        )


# The parameter with the most values turns slowest: each of its indicators is computed once, beside the few of the others.
def _neighborly(points: Sequence[Params]) -> list[int]:
    n_values = [len(set(values)) for values in zip(*points, strict=False)]
    axes = sorted(range(len(n_values)), key=lambda axis: -n_values[axis])
    return sorted(range(len(points)), key=lambda at: [points[at][axis] for axis in axes])


def _write(
    out: FloatArray, run: Run | OrdersRun, trips: TripSums, sums: CurveSums, per_money: float, final: float
) -> None:
    money = (trips.gross_profit, trips.gross_loss, trips.fees, trips.notional)
    out[table.N_ORDERS : table.PROFIT] = (
        run.n_orders, run.n_invested, trips.n_fills, trips.n_trips, trips.n_wins,
    )  # fmt: skip
    out[table.PROFIT : table.FINAL] = [amount / per_money for amount in money]
    out[table.FINAL] = final
    out[table.N_RETURNS :] = sums


def _strategy(prepared: PreparedStrategy) -> CompiledStrategy:
    strategy = prepared.loaded.cls(prepared.params)
    if not isinstance(strategy, CompiledStrategy):
        raise NotFused(f"strategy {prepared.strategy_id} is not a CompiledStrategy")
    return strategy
