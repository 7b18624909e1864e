"""What does a run amount to? Its orders and the closes in, the sums of `fused_stats.curve_sums` out.

Between two fills equity is cash + lots x close, so that no curve is written: stretches without a position cost nothing,
and of the others the deepest fall is looked for only in blocks of bars whose extremes could hold it. Returns are
summed up in lanes (`lanes.py`). Only for runs whose equity stays above zero: long, and never in debt.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel
from njord.kernels.fused_stats import CurveSums
from njord.kernels.fused_tables import ENDED, FEE, FILLED, FILLED_ROW, LOTS, PAID_TICKS, SIGN, Terms
from njord.kernels.lanes import LANES, add_returns

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BLOCK = 32  # Bars whose extremes are known.


class Closes(NamedTuple):
    """The closes of a run.

    Attributes:
        close: Shape (n,), ticks as floats.
        highest: Of `extremes`; so is `lowest`.
        first: The first row that is measured; nothing was held before.
    """

    close: FloatArray
    highest: FloatArray
    lowest: FloatArray
    first: int


@bare_kernel
def extremes(close: FloatArray, highest: FloatArray, lowest: FloatArray) -> None:
    """Write the greatest and the least close of every whole block of bars, shape (n // BLOCK,) each."""
    for block in range(highest.size):
        top = bottom = close[block * BLOCK]
        for row in range(block * BLOCK + 1, (block + 1) * BLOCK):
            top, bottom = max(top, close[row]), min(bottom, close[row])
        highest[block], lowest[block] = top, bottom


@bare_kernel
def _add_returns(close: FloatArray, first: int, end: int, cash: float, lots: float, sums: FloatArray) -> None:
    # Returns of the rows [first, end) against the row before each, with the same holding.
    n_times = max(0, end - first) // LANES
    add_returns(close, first, n_times, cash, lots, sums)
    for row in range(first + n_times * LANES, end):
        before = close[row - 1]
        _add_return(lots * (close[row] - before) / (cash + lots * before), sums)


@bare_kernel
def _add_return(change: float, sums: FloatArray) -> None:
    square = change * change
    sums[0] += change
    sums[1] += square
    sums[2] += square * change
    sums[3] += square * square
    sums[4] += square if change < 0.0 else 0.0


# Returns (peak, deepest) after the rows [first, end) of one holding.
@bare_kernel
def _fall(
    close: FloatArray,
    highest: FloatArray,
    lowest: FloatArray,
    first: int,
    end: int,
    cash: float,
    lots: float,
    peak: float,
    deepest: float,
) -> tuple[float, float]:
    row = first
    while row < end:
        if row % BLOCK == 0 and row + BLOCK <= end:
            top = max(peak, cash + lots * highest[row // BLOCK])
            bottom = cash + lots * lowest[row // BLOCK]
            if top - bottom <= deepest * top:
                peak = top
                row += BLOCK
                continue
            if top == peak:
                deepest = max(deepest, (peak - bottom) / peak)
                row += BLOCK
                continue
        stop = min(end, (row // BLOCK + 1) * BLOCK)
        while row < stop:
            worth = cash + lots * close[row]
            if worth > peak:
                peak = worth
            elif peak - worth > deepest * peak:
                deepest = max(deepest, (peak - worth) / peak)
            row += 1
    return peak, deepest


@bare_kernel
def order_sums(
    orders: IntArray,
    n_orders: int,
    closes: Closes,
    terms: Terms,
    per_money: float,
    edges: IntArray,
    blocks: FloatArray,
    sums: FloatArray,
) -> tuple[CurveSums, float, bool]:
    """Sum up a run from its orders.

    Args:
        orders: See `fused_tables.py`.
        n_orders: How many of its rows count.
        closes: Of the run.
        terms: Of the run.
        per_money: Units of money per one of the report asset.
        edges: Shape (n_blocks + 1,), rising from `first` to n.
        blocks: Shape (n_blocks, 3), filled: n, sum r and sum r^2 of each.
        sums: Shape (5,), scratch.

    Returns:
        The sums, the last equity, and whether they hold: False where something was sold short or owed.
    """
    close, highest, lowest, first = closes.close, closes.highest, closes.lowest, closes.first
    n = close.size
    sums[:] = 0.0
    unit, cash_units, lots_held = terms.unit / per_money, terms.capital, 0
    peak = before = terms.capital / per_money
    deepest, row, order, block = 0.0, first, 0, 0
    first_then = second_then = 0.0
    while edges[block] == edges[block + 1]:
        blocks[block] = 0.0
        block += 1
    while row < n:
        while order < n_orders and (orders[order, ENDED] != FILLED or orders[order, FILLED_ROW] <= row):
            if orders[order, ENDED] == FILLED:
                signed = orders[order, SIGN] * orders[order, LOTS]
                cash_units -= signed * orders[order, PAID_TICKS] * terms.unit + orders[order, FEE]
                lots_held += signed
                if lots_held < 0 or cash_units < 0:
                    return CurveSums(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0.0, False
            order += 1
        until = orders[order, FILLED_ROW] if order < n_orders else n
        end = min(until, edges[block + 1])
        cash, lots = cash_units / per_money, lots_held * unit
        worth = cash + lots * close[row]
        _add_return(worth / before - 1.0, sums)
        if lots_held:
            _add_returns(close, row + 1, end, cash, lots, sums)
            peak, deepest = _fall(close, highest, lowest, row, end, cash, lots, peak, deepest)
        elif worth > peak:
            peak = worth
        else:
            deepest = max(deepest, (peak - worth) / peak)
        before = cash + lots * close[end - 1]
        row = end
        if row == edges[block + 1]:
            blocks[block, 0] = edges[block + 1] - edges[block]
            blocks[block, 1], blocks[block, 2] = sums[0] - first_then, sums[1] - second_then
            first_then, second_then = sums[0], sums[1]
            block += 1
            while block < blocks.shape[0] and edges[block] == edges[block + 1]:
                blocks[block] = 0.0
                block += 1
    return CurveSums(n - first, sums[0], sums[1], sums[2], sums[3], sums[4], deepest), before, True
