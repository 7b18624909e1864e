"""One run of a compiled strategy in one loop: a prepared run in, the very outcome that the ordered engine leaves.

The loop (`kernels/fused.py`) leaves rows of whole numbers; here they become orders, fills, a ledger and an equity curve
again, by the same classes that an ordered run uses. There is no journal: what was decided is the same, and who needs the
record of it runs the ordered engine.
"""

from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from njord.backtest.equity import EquityRecorder
from njord.backtest.fused_books import Books, Filled, Left, Sent
from njord.backtest.fused_orders import Placed, PlacedBooks, order_terms, place_all
from njord.backtest.fused_terms import NotFused, columns_range, fused_terms, warm_bars
from njord.backtest.indicator_columns import IndicatorColumns, IndicatorTiles
from njord.backtest.market import IntArray, Marks
from njord.backtest.market_bars import CHUNK_ROWS
from njord.backtest.no_journal import NoJournal
from njord.backtest.recorder import Recorder
from njord.backtest.simulation import Prepared, venue_of
from njord.backtest.summing_up import Outcome
from njord.kernels.fused_gate import OrderTerms
from njord.kernels.fused_orders import OrdersRun
from njord.kernels.fused_tables import (
    BAD_LEVEL,
    DONE,
    END_OF_DATA,
    ENDED,
    FILLED,
    FILLED_ROW,
    INTENT,
    KEEP_LEVEL,
    LOTS,
    N_REFUSALS,
    ORDER_SIZE,
    PAID_TICKS,
    SENT_ROW,
    SIGN,
    Bars,
    LevelArray,
    Levels,
    Run,
    Terms,
)
from njord.kernels.order_slots import REDUCE_ONLY
from njord.kernels.signals import padded, walk
from njord.performance.streaming import EquityStatistics
from njord.strategies.compiled import CompiledStrategy, SignalStrategy
from njord.strategies.compiled_orders import OrderStrategy
from njord.strategies.features import BarColumns, FloatArray
from njord.system import System

TILE_ROWS = 16_384
_BAD_LEVEL = "a level beyond the strategy's levels"


class FusedRun(Left, frozen=True, kw_only=True):
    """What the loop of a strategy that names levels left.

    Attributes:
        orders: Shape (n_orders, ORDER_SIZE), see `kernels/fused_tables.py`.
    """

    orders: IntArray


class FusedOrders(Left, frozen=True, kw_only=True):
    """What the loop of a strategy that places orders left."""

    ran: Placed


def compiled_of(prepared: Prepared) -> CompiledStrategy:
    """Return a fresh object of the run's strategy.

    Raises:
        NotFused: There are several, or it is not compiled.
    """
    if len(prepared.strategies) != 1 or len(prepared.strategies[0].instruments) != 1:
        raise NotFused("several instruments or strategies")
    only = prepared.strategies[0]
    strategy = only.loaded.cls(only.params)
    if not isinstance(strategy, CompiledStrategy):
        raise NotFused(f"strategy {only.strategy_id} is not a CompiledStrategy")
    return strategy


def run_fused(prepared: Prepared) -> FusedRun | FusedOrders:
    """Run the loop over the run's market.

    Raises:
        NotFused: The loop can not express the run, or left its range on the way.
        Exception: Whatever the strategy's function raised.
    """
    strategy = compiled_of(prepared)
    columns = prepared.market.columns(0)
    if columns is None:
        raise NotFused("trades or a book instead of bars")
    highest = columns_range(columns)
    terms, levels = fused_terms(prepared, strategy, highest)
    if isinstance(strategy, OrderStrategy):
        return _placed(strategy, columns, order_terms(prepared, terms, highest))
    return looped(strategy, columns, levels, terms)


def _placed(strategy: OrderStrategy, columns: BarColumns, terms: OrderTerms) -> FusedOrders:
    refusals, equity = np.zeros(N_REFUSALS, np.int64), np.empty(len(columns), np.int64)
    indicators, which = (
        indicator_columns(strategy, columns),
        np.arange(len(strategy.declared)),
    )
    ran = place_all(strategy, bars_of(columns), indicators, which, terms, equity, refusals)
    check_run(ran.run)
    return FusedOrders(
        terms=terms.base,
        columns=columns,
        refusals=refusals,
        n_intents=ran.run.n_intents,
        cash=ran.run.cash,
        lots=ran.run.lots,
        ran=ran,
    )


def indicator_columns(strategy: CompiledStrategy, columns: BarColumns) -> FloatArray:
    """Return the strategy's indicators as rows, shape (k, n)."""
    rows = np.empty((len(strategy.declared), len(columns)))
    source = IndicatorColumns(columns)
    for row, indicator in enumerate(strategy.declared):
        source.write(indicator, rows[row])
    return rows


def signal_of(strategy: SignalStrategy, columns: BarColumns) -> LevelArray:
    """Return a signal's level at every bar, shape (padded(n),); a tile of bars at a time, which stays in the cache.

    Raises:
        NotFused: A level does not fit into a byte.
    """
    n, n_indicators = len(columns), len(strategy.declared)
    tiles, which = IndicatorTiles(columns, strategy.declared), np.arange(n_indicators)
    state, numbers = strategy.fresh_state(), strategy.fresh_numbers()
    signal = np.empty(padded(n), np.int8)
    tile = np.empty((n_indicators, min(n, TILE_ROWS)))
    for first in range(0, n, TILE_ROWS):
        if n - first < tile.shape[1]:
            tile = np.empty((n_indicators, n - first))
        tiles.write(first, tile)
        out = signal[first : first + tile.shape[1]]
        if not strategy.machine.levels_of(tile, which, state, numbers, out):
            raise NotFused(_BAD_LEVEL)
    signal[n:] = KEEP_LEVEL
    return signal


def bars_of(columns: BarColumns) -> Bars:
    """Return the columns that the loop reads."""
    names = ("ts_ns", "open", "high", "low", "close", "volume_lots")
    return Bars(*(np.ascontiguousarray(getattr(columns, name), dtype=np.int64) for name in names))


def looped(strategy: CompiledStrategy, columns: BarColumns, levels: Levels, terms: Terms) -> FusedRun:
    """Run the strategy's loop once.

    Raises:
        NotFused: It left its range.
    """
    bars, refusals = bars_of(columns), np.zeros(N_REFUSALS, np.int64)
    if isinstance(strategy, SignalStrategy):
        signal = signal_of(strategy, columns)
        # There is an order where the level changes, or none.
        orders = np.zeros((1 + np.count_nonzero(signal[1:] != signal[:-1]), ORDER_SIZE), np.int64)
        run = walk(signal, bars, levels, terms, warm_bars(strategy), orders, refusals)
    else:
        n, indicators = len(columns), indicator_columns(strategy, columns)
        orders = np.zeros((n, ORDER_SIZE), np.int64)
        run = strategy.machine.run(
            bars, indicators, np.arange(indicators.shape[0]), levels, terms, warm_bars(strategy),
            strategy.fresh_state(), strategy.fresh_numbers(), orders, np.empty(n, np.int64), refusals,
        )  # fmt: skip
    check_run(run)
    return FusedRun(
        terms=terms,
        columns=columns,
        refusals=refusals,
        n_intents=run.n_intents,
        cash=run.cash,
        lots=run.lots,
        orders=orders[: run.n_orders],
    )


def check_run(run: Run | OrdersRun) -> None:
    """Refuse a run that gave up.

    Raises:
        NotFused: It did.
    """
    if run.code != DONE:
        what = _BAD_LEVEL if run.code == BAD_LEVEL else "MONEY_RANGE"
        raise NotFused(f"{what} at bar {run.row + 1}")


# --- back into what an ordered run leaves ---


def outcome_of(prepared: Prepared, fused: FusedRun | FusedOrders, stage: IO[bytes]) -> Outcome:
    """Return what an ordered run would have left.

    Args:
        prepared: The run.
        fused: What the loop left.
        stage: An open binary file for the equity curve; it must outlive the outcome.

    Raises:
        InvariantError: The ledger's sums and the loop's differ.
    """
    spec, market = prepared.spec, prepared.market
    system = System(prepared.fresh_spec(), NoJournal())
    venue = venue_of(spec, prepared.config.backtest, market)
    recorder = Recorder(spec.instruments)
    equity = EquityRecorder(spec.instruments, spec.capital, stage)
    interval_ns = market.sources[0].interval_ns
    statistics = EquityStatistics(capital=float(spec.capital), interval_ns=interval_ns)
    booked = _books(prepared, fused, system, recorder)
    n = len(fused.columns)
    for first in range(0, n, CHUNK_ROWS):
        end = min(n, first + CHUNK_ROWS)
        for row in booked.until(end):
            equity.change(row - first, system.ledger.account)
        marks = fused.columns.close[first:end]
        times = fused.columns.ts_ns[first:end]
        statistics.update(*equity.close_block(Marks(times, np.zeros(end - first, np.int64), marks)))
    statistics.update(*equity.finish())
    booked.finish()
    venue.slippage_paid = booked.slippage_paid
    return Outcome(
        system=system,
        venue=venue,
        recorder=recorder,
        equity=equity,
        statistics=statistics,
        n_messages=0,
        journal_head="",
    )


def _books(
    prepared: Prepared,
    fused: FusedRun | FusedOrders,
    system: System,
    recorder: Recorder,
) -> Books:
    if isinstance(fused, FusedOrders):
        return PlacedBooks(prepared, fused, fused.ran, system, recorder)
    return _LevelBooks(prepared, fused, system, recorder)


# An order of a level ends with the next bar: nothing else happens between its approval and its end.
class _LevelBooks(Books):
    def __init__(self, prepared: Prepared, fused: FusedRun, system: System, recorder: Recorder) -> None:
        super().__init__(prepared, fused, system, recorder)
        self._rows: Sequence[Sequence[int]] = fused.orders.tolist()
        self._next = 0
        self._last = len(fused.columns) - 1

    def until(self, end: int) -> Iterator[int]:
        rows = self._rows
        while self._next < len(rows) and rows[self._next][SENT_ROW] < end:
            order = rows[self._next]
            is_ended = order[ENDED] != END_OF_DATA
            if is_ended and order[FILLED_ROW] >= end:
                return  # It ends in the next block.
            self._next += 1
            reduces = self.held * order[SIGN] < 0 and order[LOTS] <= abs(self.held)
            kind = REDUCE_ONLY if reduces else 0
            sent = self.send(Sent(order[SENT_ROW], order[SIGN], order[LOTS], order[INTENT], kind=kind))
            if not is_ended:
                self.end(sent, END_OF_DATA, self.moment(self._last, True))
                continue
            if order[ENDED] == FILLED:
                self.fill(sent, Filled(order[FILLED_ROW], order[PAID_TICKS]))
            self.end(sent, order[ENDED], self.moment(order[FILLED_ROW], False))
            if order[ENDED] == FILLED:
                yield order[FILLED_ROW]
