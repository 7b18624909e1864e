"""A compiled strategy in a loop over bars: the template whose text is compiled once for every strategy.

The same decisions as the ordered engine's, in whole ticks, lots and units of money: a strategy names a level of
exposure, the difference to what is held becomes a market order, the gate is asked (`fused_account.py`), and the order
fills at the next bar's open. What a run may hold for this to be the same is in `backtest/fused_terms.py`, which also
fills the tables; equality is a property test.

The strategy's own function takes the place of `decide` (`adapters/compiled.py`), so that the compiler can put it into the
loops and its machine code is found again on disk. The tuples of two indicators below become tuples of as many as the
strategy has: a tuple of numbers lives in registers, an array does not.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel
from njord.kernels.fused_account import (
    Held,
    fill,
    first_recent,
    is_out_of_range,
    refusal,
    send,
    wanted_lots,
)
from njord.kernels.fused_stats import trip_sums
from njord.kernels.fused_tables import (
    BAD_LEVEL,
    CODE,
    DEEPEST,
    DONE,
    DOWNSIDE,
    FEES,
    FINAL,
    FIRST,
    FOURTH,
    KEEP,
    KEEP_LEVEL,
    LOSS,
    MONEY_RANGE,
    N_FILLS,
    N_INVESTED,
    N_ORDERS,
    N_RETURNS,
    N_TRIPS,
    N_WINS,
    NOT_SUMMED,
    NOTIONAL,
    PASSED,
    PROFIT,
    SECOND,
    THIRD,
    Bars,
    LevelArray,
    Levels,
    Now,
    Run,
    Terms,
)
from njord.kernels.order_stats import Closes, order_sums
from njord.kernels.signals import Tables, walk

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_DAY_NS = 86_400_000_000_000


@bare_kernel
def decide(now: Now, values: tuple[float, ...], state: FloatArray, params: FloatArray) -> int:
    """Stand in for the strategy, which takes this name in the specialized copy: keep what is held."""
    return KEEP


@bare_kernel
def ask(event: IntArray, values: FloatArray, state: FloatArray, params: FloatArray) -> int:
    """Return what the strategy says to one bar; `event` has the fields of `Now`."""
    now = Now(event[0], event[1], event[2], event[3], event[4], event[5], event[6], event[7])
    return decide(now, (values[0], values[1]), state, params)


@bare_kernel
def levels_of(
    columns: FloatArray, which: IntArray, state: FloatArray, params: FloatArray, out: LevelArray
) -> bool:
    """Write what a signal says at every row: it knows its indicators and parameters alone.

    Args:
        columns: Shape (m, n): indicators, those of other strategies among them.
        which: Shape (k,): the rows of `columns` that are this strategy's values.
        state: Nothing, shape (0,).
        params: The strategy's own.
        out: Shape (n,) or longer, filled up with KEEP_LEVEL, which also stands for KEEP.

    Returns:
        False if a level does not fit into 7 bits.
    """
    now = Now(0, 0, 0, 0, 0, 0, 0, 0)
    rows = (columns[which[0]], columns[which[1]])
    n, widest = columns.shape[1], 0
    for row in range(n):
        level = decide(now, (rows[0][row], rows[1][row]), state, params)
        level = KEEP_LEVEL if level == KEEP else level
        widest |= level ^ (level >> 63)
        out[row] = level
    out[n:] = KEEP_LEVEL
    return widest < 128


@bare_kernel
def run(
    bars: Bars,
    columns: FloatArray,
    which: IntArray,
    levels: Levels,
    terms: Terms,
    warm_bars: int,
    state: FloatArray,
    params: FloatArray,
    orders: IntArray,
    equity: IntArray,
    refusals: IntArray,
) -> Run:
    """Run the strategy over all bars.

    Args:
        bars: Shape (n,) each; prices in ticks, >= 1.
        columns: As for `levels_of`.
        which: As for `levels_of`.
        levels: What each level of exposure stands for.
        terms: Limits, costs and the account.
        warm_bars: From this bar on, counted from 1, a level counts.
        state: The strategy's own, changed in place.
        params: The strategy's own.
        orders: Shape (n, ORDER_SIZE), filled in the order of submission.
        equity: Shape (n,), filled: the account's worth at each close.
        refusals: Shape (N_REFUSALS,), counted up.

    Returns:
        DONE, or at which row it gave up because the range of whole numbers, or of levels, was left: nothing that was
        written is of use then.
    """
    n, unit = bars.close.size, terms.unit
    rows = (columns[which[0]], columns[which[1]])
    held, asked, before = Held(terms.capital, 0), 0, 0
    day_end, day_start = 0, terms.capital
    n_orders = n_intents = forgotten = n_invested = since = 0
    is_pending = False
    for row in range(n):
        ts_ns = bars.ts_ns[row]
        if ts_ns > day_end:
            day_start = held.cash + held.lots * before * unit
            day_end = -(-ts_ns // _DAY_NS) * _DAY_NS
        if is_pending:
            is_pending = False
            n_invested += row - since if held.lots else 0
            since = row
            held = fill(terms, orders, n_orders - 1, row, bars.open[row], held)
            if is_out_of_range(terms, held):
                return Run(MONEY_RANGE, row, n_orders, n_intents, held.cash, held.lots, n_invested)
        close, lots = bars.close[row], held.lots
        before = close
        now = Now(
            row + 1, ts_ns, bars.open[row], bars.high[row], bars.low[row], close, bars.volume_lots[row], lots
        )
        level = decide(now, (rows[0][row], rows[1][row]), state, params)
        worth = held.cash + lots * close * unit
        equity[row] = worth
        if level in (asked, KEEP) or row + 1 < warm_bars:
            continue
        if abs(level) > terms.n_levels:
            return Run(BAD_LEVEL, row, n_orders, n_intents, held.cash, lots, n_invested)
        asked = level
        why, wanted = wanted_lots(terms, levels, level, worth, close)
        if why == PASSED and wanted == lots:
            continue
        if why == PASSED:
            if abs(wanted) > terms.lots_max:
                return Run(MONEY_RANGE, row, n_orders, n_intents, held.cash, lots, n_invested)
            forgotten = first_recent(orders, forgotten, n_orders, bars.ts_ns, ts_ns)
            n_intents += 1
            why = refusal(terms, wanted - lots, lots, close, worth, day_start, n_orders - forgotten)
        if why == PASSED:
            send(orders, n_orders, row, wanted - lots, n_intents)
            n_orders += 1
            is_pending = True
        else:
            refusals[why] += 1
    n_invested += n - since if held.lots else 0
    return Run(DONE, n, n_orders, n_intents, held.cash, held.lots, n_invested)


@bare_kernel
def score_points(
    columns: FloatArray,
    which: IntArray,
    params: FloatArray,
    warm_bars: IntArray,
    bars: Bars,
    levels: Levels,
    terms: Terms,
    closes: Closes,
    per_money: float,
    edges: IntArray,
    tables: Tables,
    out: FloatArray,
    blocks: FloatArray,
) -> None:
    """Run a signal with many sets of parameters, and sum up each.

    Args:
        columns: As for `levels_of`.
        which: Shape (n_points, k).
        params: Shape (n_points, q).
        warm_bars: Shape (n_points,).
        bars: Shape (n,) each.
        levels: What each level stands for, for all points.
        terms: Of all points.
        closes: The closes, and where they are measured from.
        per_money: Units of money per one of the report asset.
        edges: Shape (n_blocks + 1,), rising from the first measured row to n.
        tables: Scratch.
        out: Shape (n_points, SCORE_SIZE), filled.
        blocks: Shape (n_points, n_blocks, 3), filled: n, sum r and sum r^2 of each block.
    """
    for point in range(which.shape[0]):
        code = BAD_LEVEL
        if levels_of(columns, which[point], tables.state, params[point], tables.signal):
            done = walk(
                tables.signal,
                bars,
                levels,
                terms,
                warm_bars[point],
                tables.orders,
                tables.refusals,
            )
            code = done.code
            if code == DONE:
                code = _score(done, terms, closes, per_money, edges, tables, out[point], blocks[point])
        out[point, CODE] = code


@bare_kernel
def _score(
    done: Run,
    terms: Terms,
    closes: Closes,
    per_money: float,
    edges: IntArray,
    tables: Tables,
    out: FloatArray,
    blocks: FloatArray,
) -> int:
    sums, final, is_summed = order_sums(
        tables.orders, done.n_orders, closes, terms, per_money, edges, blocks, tables.sums
    )
    trips = trip_sums(tables.orders, done.n_orders, terms.unit, terms.fee_step, tables.open_lots)
    out[N_ORDERS], out[N_INVESTED], out[N_FILLS] = done.n_orders, done.n_invested, trips.n_fills
    out[N_TRIPS], out[N_WINS] = trips.n_trips, trips.n_wins
    out[PROFIT], out[LOSS] = trips.gross_profit / per_money, trips.gross_loss / per_money
    out[FEES], out[NOTIONAL], out[FINAL] = trips.fees / per_money, trips.notional / per_money, final
    out[N_RETURNS], out[FIRST], out[SECOND] = sums.n, sums.first, sums.second
    out[THIRD], out[FOURTH] = sums.third, sums.fourth
    out[DOWNSIDE], out[DEEPEST] = sums.downside, sums.deepest
    return DONE if is_summed else NOT_SUMMED
