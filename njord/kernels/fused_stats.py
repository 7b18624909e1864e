"""What does a fused run amount to? Its equity curve and orders in, sums out from which every figure of a score is made.

Money is in the run's units. Curves are read once; a stretch without a position costs next to nothing. Round trips are
first in first out with fees split like `performance/trades.py` splits them, to the last unit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel
from njord.kernels.fused_tables import ENDED, FEE, FILLED, FILLED_ROW, LOTS, PAID_TICKS, SIGN
from njord.kernels.wide import floor_ratio

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class CurveSums(NamedTuple):
    """Returns per bar, r, and the deepest fall.

    Attributes:
        n: How many returns; they end with ruin.
        first: Sum of r; `second` to `fourth` of its powers.
        downside: Sum of min(r, 0) squared.
        deepest: Largest (peak - equity) / peak; the capital is the first peak.
    """

    n: int
    first: float
    second: float
    third: float
    fourth: float
    downside: float
    deepest: float


class TripSums(NamedTuple):
    """Round trips; money in units."""

    n_fills: int
    n_trips: int
    n_wins: int
    gross_profit: int
    gross_loss: int
    fees: int
    notional: int


@bare_kernel
def curve_sums(
    equity: IntArray, capital: int, per_money: float, edges: IntArray, blocks: FloatArray
) -> CurveSums:
    """Sum up an equity curve.

    Args:
        equity: Shape (n,), in units.
        capital: What it begins with, one bar before the first point, in units.
        per_money: Units per one of the report asset, a power of ten.
        edges: Shape (n_blocks + 1,): block k has the rows [edges[k], edges[k + 1]).
        blocks: Shape (n_blocks, 3), filled: n, sum r and sum r^2 of each block.
    """
    n = 0
    first = second = third = fourth = downside = deepest = 0.0
    before = peak = capital / per_money
    is_ruined = False
    for block in range(blocks.shape[0]):
        n_then, first_then, second_then = n, first, second
        last = 0
        for row in range(edges[block], edges[block + 1]):
            units = equity[row]
            if units == last and not is_ruined:
                n += 1
                continue
            last = units
            worth = units / per_money
            if not is_ruined:
                change = worth / before - 1.0
                square = change * change
                n += 1
                first += change
                second += square
                third += square * change
                fourth += square * square
                if change < 0.0:
                    downside += square
                before = worth
                is_ruined = units <= 0
            if worth > peak:
                peak = worth
            else:
                depth = (peak - worth) / peak
                if depth > deepest:
                    deepest = depth
        blocks[block, 0], blocks[block, 1], blocks[block, 2] = (
            n - n_then,
            first - first_then,
            second - second_then,
        )
    return CurveSums(n, first, second, third, fourth, downside, deepest)


@bare_kernel
def equity_of(
    orders: IntArray, n_orders: int, close: IntArray, capital: int, unit: int, equity: IntArray
) -> None:
    """Write the account's worth at every close, shape (n,), in units of money: what `fused.run` writes, from its orders."""
    cash, lots, row = capital, 0, 0
    for at in range(n_orders + 1):
        if at < n_orders and orders[at, ENDED] != FILLED:
            continue
        end = orders[at, FILLED_ROW] if at < n_orders else close.size
        while row < end:
            equity[row] = cash + lots * close[row] * unit
            row += 1
        if at < n_orders:
            signed = orders[at, SIGN] * orders[at, LOTS]
            cash -= signed * orders[at, PAID_TICKS] * unit + orders[at, FEE]
            lots += signed


@bare_kernel
def trip_sums(orders: IntArray, n_orders: int, unit: int, fee_step: int, open_lots: IntArray) -> TripSums:
    """Match fills first in first out, and sum up the round trips.

    Args:
        orders: See `fused_tables.py`.
        n_orders: How many of its rows count.
        unit: What one tick x one lot is worth.
        fee_step: What fees are multiples of, in units.
        open_lots: Shape (n_orders + 1, 3), scratch: lots, price and fee of what is open.
    """
    head = tail = 0
    side = n_fills = n_trips = n_wins = 0
    profit = loss = fees = notional = 0
    for at in range(n_orders):
        if orders[at, ENDED] != FILLED:
            continue
        sign, lots, price, fee = orders[at, SIGN], orders[at, LOTS], orders[at, PAID_TICKS], orders[at, FEE]
        n_fills += 1
        fees += fee
        notional += lots * price * unit
        while lots and head < tail and side != sign:
            has, paid, owed = open_lots[head, 0], open_lots[head, 1], open_lots[head, 2]
            piece = min(has, lots)
            entry_fee = owed if piece == has else _part(owed, piece, has, fee_step)
            exit_fee = fee if piece == lots else _part(fee, piece, lots, fee_step)
            gain = (price - paid) * side * piece * unit - entry_fee - exit_fee
            n_trips += 1
            if gain > 0:
                n_wins += 1
                profit += gain
            else:
                loss -= gain
            lots -= piece
            fee -= exit_fee
            if piece == has:
                head += 1
            else:
                open_lots[head, 0], open_lots[head, 2] = has - piece, owed - entry_fee
        if lots:
            if head == tail:
                head = tail = 0
                side = sign
            open_lots[tail, 0], open_lots[tail, 1], open_lots[tail, 2] = lots, price, fee
            tail += 1
    return TripSums(n_fills, n_trips, n_wins, profit, loss, fees, notional)


# Toward zero, to the step of fees.
@bare_kernel
def _part(fee: int, piece: int, whole: int, fee_step: int) -> int:
    steps = floor_ratio(abs(fee) // fee_step, piece, whole) * fee_step
    return steps if fee >= 0 else -steps
