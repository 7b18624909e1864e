"""What comes of a signal whose levels are known for every bar? Levels in, orders out; only bars where it changes count.

A signal does not know the position, so that its levels can be computed first, and the account is touched where the level
is another one than was asked for last: the same orders as `fused.run`, at a fraction of its time. Eight levels are
compared at once.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.kernels.book_jit import bare_kernel
from njord.kernels.fused_account import Held, fill, is_out_of_range, refusal, send, wanted_lots
from njord.kernels.fused_tables import (
    BAD_LEVEL,
    DONE,
    KEEP_LEVEL,
    MONEY_RANGE,
    PASSED,
    SENT_ROW,
    Bars,
    LevelArray,
    Levels,
    Run,
    Terms,
)

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
WordArray = NDArray[np.uint64]
WORD = 8
_DAY_NS = 86_400_000_000_000
_MINUTE_NS = 60_000_000_000
_EVERY_BYTE = np.uint64(0x0101010101010101)


class Tables(NamedTuple):
    """Scratch of one thread for windows of up to n bars."""

    signal: LevelArray  # Shape (padded(n),).
    words: WordArray  # The same memory.
    orders: IntArray  # Shape (n, ORDER_SIZE).
    open_lots: IntArray  # Shape (n + 1, 3).
    refusals: IntArray  # Shape (N_REFUSALS,).
    sums: FloatArray  # Shape (5,).
    state: FloatArray  # Shape (0,): a signal has none.


def padded(n: int) -> int:
    """Return how long an array of levels must be so that it can be read in words."""
    return -(-n // WORD) * WORD


@bare_kernel
def next_change(signal: LevelArray, words: WordArray, row: int, n: int, asked: int) -> int:
    """Return the first row from `row` on whose level asks for something else than `asked`, n if there is none."""
    same = np.uint64(asked & 255) * _EVERY_BYTE
    while row < n:
        if row % WORD == 0:
            word = row // WORD
            while word < words.size and words[word] == same:
                word += 1
            row = word * WORD
            if row >= n:
                break
        level = signal[row]
        if level not in (asked, KEEP_LEVEL):
            return row
        row += 1
    return n


@bare_kernel
def walk(
    signal: LevelArray,
    words: WordArray,
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
        words: The same memory as uint64.
        bars: Shape (n,) each.
        levels: What each level of exposure stands for.
        terms: Limits, costs and the account.
        warm_bars: From this bar on, counted from 1, a level counts.
        orders: Shape (n, ORDER_SIZE), filled.
        refusals: Shape (N_REFUSALS,), counted up.
    """
    n, unit = bars.close.size, terms.unit
    held, asked = Held(terms.capital, 0), 0
    day_end, day_start, day_row = 0, terms.capital, 0
    n_orders = n_intents = forgotten = n_invested = since = 0
    row = max(warm_bars, 1) - 1
    while True:
        row = next_change(signal, words, row, n, asked)
        if row >= n:
            break
        asked = signal[row]
        if abs(asked) > terms.n_levels:
            return Run(BAD_LEVEL, row, n_orders, n_intents, held.cash, held.lots, n_invested)
        ts_ns, close = bars.ts_ns[row], bars.close[row]
        if terms.daily_loss.is_on:
            while day_row <= row:
                if bars.ts_ns[day_row] > day_end:
                    day_start = held.cash + (held.lots * bars.close[day_row - 1] * unit if day_row else 0)
                    day_end = -(-bars.ts_ns[day_row] // _DAY_NS) * _DAY_NS
                day_row += 1
        worth = held.cash + held.lots * close * unit
        why, wanted = wanted_lots(terms, levels, asked, worth, close)
        if why == PASSED and wanted != held.lots:
            if abs(wanted) > terms.lots_max:
                return Run(MONEY_RANGE, row, n_orders, n_intents, held.cash, held.lots, n_invested)
            while forgotten < n_orders and bars.ts_ns[orders[forgotten, SENT_ROW]] <= ts_ns - _MINUTE_NS:
                forgotten += 1
            n_intents += 1
            change = wanted - held.lots
            why = refusal(terms, change, held.lots, close, worth, day_start, n_orders - forgotten)
            if why == PASSED:
                send(orders, n_orders, row, change, n_intents)
                n_orders += 1
                if row + 1 < n:
                    # The day of the next bar begins before what is sent fills.
                    if terms.daily_loss.is_on and bars.ts_ns[row + 1] > day_end:
                        day_start = worth
                        day_end = -(-bars.ts_ns[row + 1] // _DAY_NS) * _DAY_NS
                        day_row = row + 2
                    n_invested += row + 1 - since if held.lots else 0
                    since = row + 1
                    held = fill(terms, orders, n_orders - 1, row + 1, bars.open[row + 1], held)
                    if is_out_of_range(terms, held):
                        return Run(MONEY_RANGE, row, n_orders, n_intents, held.cash, held.lots, n_invested)
        if why != PASSED:
            refusals[why] += 1
        row += 1
    n_invested += n - since if held.lots else 0
    return Run(DONE, n, n_orders, n_intents, held.cash, held.lots, n_invested)
