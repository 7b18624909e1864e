"""One run of a compiled strategy in one loop: a prepared run in, the very outcome that the ordered engine leaves.

The loop (`kernels/fused.py`) leaves rows of whole numbers; here they become orders, fills, a ledger and an equity curve
again, by the same classes that an ordered run uses. There is no journal: what was decided is the same, and who needs the
record of it runs the ordered engine.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import IO

import msgspec
import numpy as np

from njord.backtest.equity import EquityRecorder
from njord.backtest.fused_terms import NotFused, columns_range, fused_terms, warm_bars
from njord.backtest.indicator_columns import IndicatorColumns
from njord.backtest.market import IntArray, Marks
from njord.backtest.market_bars import CHUNK_ROWS
from njord.backtest.no_journal import NoJournal
from njord.backtest.recorder import RecordedFill, RecordedOrder, Recorder
from njord.backtest.simulation import Prepared, venue_of
from njord.backtest.summing_up import Outcome
from njord.core.contracts import FillEvent, OrderEvent
from njord.core.errors import InvariantError
from njord.core.ids import client_order_id
from njord.core.types import BUY, MARKET, SELL, OrderReason, OrderStatus, RefusalReason, Side, TimeInForce
from njord.core.units import EXACT, ratio
from njord.kernels.fused_tables import (
    ABOVE_MAX,
    BAD_LEVEL,
    BELOW_LOT,
    BELOW_MIN,
    CASH_SHORT,
    DAILY_LOSS,
    DONE,
    END_OF_DATA,
    ENDED,
    FILLED_ROW,
    GROSS,
    INTENT,
    KEEP_LEVEL,
    LOTS,
    N_REFUSALS,
    NAKED_SHORT,
    NO_FUNDS,
    NOT_BACKED,
    NOTIONAL_BELOW_MIN,
    ORDER_NOTIONAL,
    ORDER_SIZE,
    PAID_TICKS,
    POSITION,
    RATE,
    SENT_ROW,
    SIGN,
    STRATEGY_RATE,
    Bars,
    LevelArray,
    Levels,
    Run,
    Terms,
)
from njord.kernels.signals import padded, walk
from njord.performance.streaming import EquityStatistics
from njord.risk.gate import APPROVAL_TTL_NS
from njord.strategies.compiled import CompiledStrategy, SignalStrategy
from njord.strategies.features import BarColumns, FloatArray
from njord.system import System

REFUSALS = {
    BELOW_LOT: RefusalReason.TARGET_BELOW_LOT,
    CASH_SHORT: RefusalReason.CASH_INSUFFICIENT,
    BELOW_MIN: RefusalReason.QTY_BELOW_MIN,
    ABOVE_MAX: RefusalReason.QTY_ABOVE_MAX,
    NOTIONAL_BELOW_MIN: RefusalReason.NOTIONAL_BELOW_MIN,
    RATE: RefusalReason.ORDER_RATE_EXCEEDED,
    STRATEGY_RATE: RefusalReason.STRATEGY_RATE_EXCEEDED,
    DAILY_LOSS: RefusalReason.DAILY_LOSS_EXCEEDED,
    ORDER_NOTIONAL: RefusalReason.NOTIONAL_EXCEEDS_CAP,
    POSITION: RefusalReason.POSITION_EXCEEDS_CAP,
    GROSS: RefusalReason.GROSS_EXCEEDS_CAP,
    NAKED_SHORT: RefusalReason.NAKED_SHORT,
    NOT_BACKED: RefusalReason.CASH_INSUFFICIENT,
}
_ENDINGS = {
    END_OF_DATA: (OrderStatus.EXPIRED, OrderReason.END_OF_DATA),
    NO_FUNDS: (OrderStatus.CANCELED, OrderReason.INSUFFICIENT_FUNDS),
}


TILE_ROWS = 16_384
_BAD_LEVEL = "a level beyond the strategy's levels"


class FusedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the loop left.

    Attributes:
        orders: Shape (n_orders, ORDER_SIZE), see `kernels/fused_tables.py`.
        refusals: Shape (N_REFUSALS,).
    """

    run: Run
    terms: Terms
    columns: BarColumns
    orders: IntArray
    refusals: IntArray


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


def run_fused(prepared: Prepared) -> FusedRun:
    """Run the loop over the run's market.

    Raises:
        NotFused: The loop can not express the run, or left its range on the way.
        Exception: Whatever the strategy's function raised.
    """
    strategy = compiled_of(prepared)
    columns = prepared.market.columns(0)
    if columns is None:
        raise NotFused("trades or a book instead of bars")
    terms, levels = fused_terms(prepared, strategy, columns_range(columns))
    return looped(strategy, columns, levels, terms)


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
    source, which = IndicatorColumns(columns), np.arange(n_indicators)
    state, numbers = strategy.fresh_state(), strategy.fresh_numbers()
    signal = np.empty(padded(n), np.int8)
    tile = np.empty((n_indicators, min(n, TILE_ROWS)))
    for first in range(0, n, TILE_ROWS):
        if n - first < tile.shape[1]:
            tile = np.empty((n_indicators, n - first))
        for row, indicator in enumerate(strategy.declared):
            source.write(indicator, tile[row], first)
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
        run = walk(signal, signal.view(np.uint64), bars, levels, terms, warm_bars(strategy), orders, refusals)
    else:
        n, indicators = len(columns), indicator_columns(strategy, columns)
        orders = np.zeros((n, ORDER_SIZE), np.int64)
        run = strategy.machine.run(
            bars, indicators, np.arange(indicators.shape[0]), levels, terms, warm_bars(strategy),
            strategy.fresh_state(), strategy.fresh_numbers(), orders, np.empty(n, np.int64), refusals,
        )  # fmt: skip
    check_run(run)
    return FusedRun(run=run, terms=terms, columns=columns, orders=orders[: run.n_orders], refusals=refusals)


def check_run(run: Run) -> None:
    """Refuse a run that gave up.

    Raises:
        NotFused: It did.
    """
    if run.code != DONE:
        what = _BAD_LEVEL if run.code == BAD_LEVEL else "MONEY_RANGE"
        raise NotFused(f"{what} at bar {run.row + 1}")


# --- back into what an ordered run leaves ---


def outcome_of(prepared: Prepared, fused: FusedRun, stage: IO[bytes]) -> Outcome:
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
    booked = _Books(prepared, fused, system, recorder)
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


# Books the loop's rows, in order, where an ordered run would have: recorder and ledger.
class _Books:
    def __init__(self, prepared: Prepared, fused: FusedRun, system: System, recorder: Recorder) -> None:
        self._fused, self._recorder, self._system = fused, recorder, system
        self._spec = prepared.spec
        self._strategy_id = prepared.strategies[0].strategy_id
        self._instrument = prepared.spec.instruments[0]
        self._fee_bps = prepared.config.backtest.fee_bps
        self._rows: Sequence[Sequence[int]] = fused.orders.tolist()
        self._next = 0
        self._n_trades = 0
        self._held = 0  # Lots.
        self.slippage_paid = Decimal(0)
        for code, count in enumerate(fused.refusals.tolist()):
            if count:
                recorder.refusals[REFUSALS[code].value] += count
        recorder.n_intents = fused.run.n_intents

    # Yields the rows of fills before row `end`.
    def until(self, end: int) -> Iterator[int]:
        rows, columns = self._rows, self._fused.columns
        while self._next < len(rows) and rows[self._next][SENT_ROW] < end:
            order = rows[self._next]
            if order[ENDED] == END_OF_DATA or order[FILLED_ROW] >= end:
                if order[ENDED] != END_OF_DATA:
                    return  # It ends in the next block.
                self._recorded(order, int(columns.ts_ns[-1]))
                self._next += 1
                continue
            recorded = self._recorded(order, int(columns.ts_open_ns[order[FILLED_ROW]]))
            self._next += 1
            if order[ENDED] != NO_FUNDS:
                self._fill(order, recorded)
                yield order[FILLED_ROW]

    def finish(self) -> None:
        ledger, columns, fused = self._system.ledger, self._fused.columns, self._fused
        ledger.mark_ticks[0] = int(columns.close[-1])
        cash = ratio(
            EXACT.multiply(Decimal(fused.run.cash), self._spec.capital), Decimal(fused.terms.capital)
        )
        held = ledger.account.position(0).qty
        if ledger.account.cash != cash:
            raise InvariantError(f"the ledger's cash is {ledger.account.cash}, the fused loop's {cash}")
        if held != self._instrument.qty(fused.run.lots):
            raise InvariantError(f"the ledger holds {held}, the fused loop {fused.run.lots} lots")

    def _recorded(self, order: Sequence[int], end_ns: int) -> RecordedOrder:
        ts_ns = int(self._fused.columns.ts_ns[order[SENT_ROW]])
        side: Side = BUY if order[SIGN] > 0 else SELL
        intent_id = f"{self._strategy_id}-{order[INTENT]}"
        sent = OrderEvent(
            ts_ns=ts_ns,
            instrument=0,
            account_id=self._spec.account_id,
            strategy_id=self._strategy_id,
            intent_id=intent_id,
            client_order_id=client_order_id(self._spec.account_id, self._spec.run_id, intent_id),
            side=side,
            type=MARKET,
            tif=TimeInForce.GTC,
            qty_lots=order[LOTS],
            reduce_only=self._held * order[SIGN] < 0 and order[LOTS] <= abs(self._held),
            decision_seq=order[INTENT],
            limits_version=1,
            expires_ns=ts_ns + APPROVAL_TTL_NS,
        )
        self._recorder.observers[OrderEvent](sent)
        recorded = self._recorder.orders[-1]
        recorded.accepted_ns, recorded.end_ns = ts_ns, end_ns
        status, reason = _ENDINGS.get(order[ENDED], (OrderStatus.FILLED, OrderReason.NONE))
        recorded.terminal = f"{status}/{reason}" if reason else str(status)
        self._recorder.endings[recorded.terminal] += 1
        return recorded

    def _fill(self, order: Sequence[int], recorded: RecordedOrder) -> None:
        columns, instrument, row = self._fused.columns, self._instrument, order[FILLED_ROW]
        self._n_trades += 1
        self._held += order[SIGN] * order[LOTS]
        sent = recorded.sent
        assert sent is not None
        fee = instrument.fee(instrument.notional(order[PAID_TICKS], order[LOTS]), self._fee_bps)
        fill = FillEvent(
            ts_ns=int(columns.ts_ns[row]),
            instrument=0,
            account_id=sent.account_id,
            strategy_id=sent.strategy_id,
            intent_id=sent.intent_id,
            client_order_id=sent.client_order_id,
            venue_trade_id=str(self._n_trades),
            side=sent.side,
            price_ticks=order[PAID_TICKS],
            qty_lots=order[LOTS],
            fee=fee,
            fee_asset=instrument.quote,
            is_maker=False,
            ts_venue_ns=int(columns.ts_open_ns[row]),
        )
        slipped = abs(order[PAID_TICKS] - int(columns.open[row]))
        self.slippage_paid = EXACT.add(self.slippage_paid, instrument.notional(slipped, order[LOTS]))
        recorded_fill = RecordedFill(
            fill.ts_venue_ns, fill.ts_ns, 0, fill.side, fill.price_ticks, fill.qty_lots, fee, fill.fee_asset, False,
            recorded.order_no,
        )  # fmt: skip
        recorded.fills.append(recorded_fill)
        self._recorder.fills.append(recorded_fill)
        self._system.ledger.handlers()[FillEvent](fill)
