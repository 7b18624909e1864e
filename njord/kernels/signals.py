"""What comes of a signal whose levels are known for every bar? Levels in, orders out; only bars where it changes count.

A signal does not know the position, so that its levels can be computed first, and the account is touched where the level
is another one than was asked for last: the same orders as `fused.run`, at a fraction of its time. 64 levels are compared
at once. What an order then costs is mostly the wait for its prices, so the memory is told of them some blocks before.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel, inner_kernel
from njord.kernels.fused_account import (
    MINUTE_NS,
    Held,
    fill,
    first_recent,
    is_out_of_range,
    refusal,
    send,
    wanted_lots,
)
from njord.kernels.fused_tables import (
    BAD_LEVEL,
    DONE,
    KEEP_LEVEL,
    MONEY_RANGE,
    PASSED,
    Bars,
    LevelArray,
    Levels,
    Run,
    Terms,
)
from njord.kernels.masks import ROWS, changes, fetch, lowest, others

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_AHEAD = 8  # Blocks of 64 bars.
_DAY_NS = 86_400_000_000_000


class Tables(NamedTuple):
    """Scratch of one thread for windows of up to n bars."""

    signal: LevelArray  # Shape (padded(n),).
    orders: IntArray  # Shape (n, ORDER_SIZE).
    open_lots: IntArray  # Shape (n + 1, 3).
    refusals: IntArray  # Shape (N_REFUSALS,).
    sums: FloatArray  # Shape (5,).
    state: FloatArray  # Shape (0,): a signal has none.


class _Day(NamedTuple):
    """The day up to the row before `row`."""

    end_ns: int
    began_with: int  # Equity.
    row: int


def padded(n: int) -> int:
    """Return how long an array of levels must be so that it can be read in blocks."""
    return (-(-n // ROWS) + 1) * ROWS


# Whether more orders than that may be approved within a minute. Of so many bars and one more some whole stretch of half as
# many is a part; if each of those lasts a minute, then no.
@bare_kernel
def _is_crowded(ts_ns: IntArray, per_minute: int) -> bool:
    stretch = (per_minute + 1) // 2
    if stretch < 1:
        return True
    shortest = MINUTE_NS
    for row in range(stretch, ts_ns.size, stretch):
        shortest = min(shortest, ts_ns[row] - ts_ns[row - stretch])
    return shortest < MINUTE_NS


# Goes on to the day of a row. What is held has been held since the row before `day.row`.
@bare_kernel
def _day_at(day: _Day, bars: Bars, row: int, held: Held, unit: int) -> _Day:
    end_ns, began_with = day.end_ns, day.began_with
    for at in range(day.row, row + 1):
        if bars.ts_ns[at] > end_ns:
            began_with = held.cash + (held.lots * bars.close[at - 1] * unit if at else 0)
            end_ns = -(-bars.ts_ns[at] // _DAY_NS) * _DAY_NS
    return _Day(end_ns, began_with, max(day.row, row + 1))


@inner_kernel
def _fetch_block(signal: LevelArray, bars: Bars, block: int) -> None:
    left = changes(signal, block)
    while left:
        row = block * ROWS + lowest(left)
        left = others(left)
        fetch(bars.close, row)
        fetch(bars.open, row + 1)


# What the gate says of a level that is asked for, and the signed lots that it takes: none if it asks for nothing.
@inner_kernel
def _answer(
    terms: Terms, levels: Levels, level: int, held: Held, close: int, began_with: int, n_recent: int
) -> tuple[int, int]:
    worth = held.cash + held.lots * close * terms.unit
    why, wanted = wanted_lots(terms, levels, level, worth, close)
    if why != PASSED or wanted == held.lots:
        return why, 0
    change = wanted - held.lots
    return refusal(terms, change, held.lots, close, worth, began_with, n_recent), change


@bare_kernel
def walk(
    signal: LevelArray,
    bars: Bars,
    levels: Levels,
    terms: Terms,
    warm_bars: int,
    orders: IntArray,
    refusals: IntArray,
) -> Run:
    """Run over a signal; arguments and result are those of `fused.run`.

    Args:
        signal: Shape (padded(n),): the level at each bar, KEEP_LEVEL where none is named and behind the last.
        bars: Shape (n,) each.
        levels: What each level of exposure stands for.
        terms: Limits, costs and the account.
        warm_bars: From this bar on, counted from 1, a level counts.
        orders: Shape (n, ORDER_SIZE), filled.
        refusals: Shape (N_REFUSALS,), counted up.
    """
    n, unit = bars.close.size, terms.unit
    held, asked, day = Held(terms.capital, 0), 0, _Day(0, terms.capital, 0)
    n_orders = n_intents = forgotten = n_recent = n_invested = since = 0
    is_crowded = _is_crowded(bars.ts_ns, min(terms.per_minute, terms.strategy_per_minute))
    start, n_blocks = max(warm_bars, 1) - 1, -(-n // ROWS)
    for block in range(start // ROWS, n_blocks):
        if block + _AHEAD < n_blocks:
            _fetch_block(signal, bars, block + _AHEAD)
        left = changes(signal, block)
        if block == start // ROWS:  # The first row counts whatever stood before it, and none before it does.
            left = (left | 1 << start % ROWS) & -1 << start % ROWS
        while left:
            row = block * ROWS + lowest(left)
            left, level = others(left), signal[row]
            if level in (asked, KEEP_LEVEL):
                continue
            asked = level
            if abs(asked) > terms.n_levels:
                return Run(BAD_LEVEL, row, n_orders, n_intents, held.cash, held.lots, n_invested)
            if terms.daily_loss.is_on:
                day = _day_at(day, bars, row, held, unit)
            if is_crowded:
                forgotten = first_recent(orders, forgotten, n_orders, bars.ts_ns, bars.ts_ns[row])
                n_recent = n_orders - forgotten
            why, change = _answer(terms, levels, asked, held, bars.close[row], day.began_with, n_recent)
            if abs(held.lots + change) > terms.lots_max:
                return Run(MONEY_RANGE, row, n_orders, n_intents, held.cash, held.lots, n_invested)
            if change:
                n_intents += 1
            if why != PASSED:
                refusals[why] += 1
            elif change:
                send(orders, n_orders, row, change, n_intents)
                n_orders += 1
                if row + 1 == n:
                    continue
                if terms.daily_loss.is_on:  # The day of the next bar begins before what is sent fills.
                    day = _day_at(day, bars, row + 1, held, unit)
                n_invested += row + 1 - since if held.lots else 0
                since = row + 1
                held = fill(terms, orders, n_orders - 1, row + 1, bars.open[row + 1], held)
                if is_out_of_range(terms, held):
                    return Run(MONEY_RANGE, row, n_orders, n_intents, held.cash, held.lots, n_invested)
    n_invested += n - since if held.lots else 0
    return Run(DONE, n, n_orders, n_intents, held.cash, held.lots, n_invested)
