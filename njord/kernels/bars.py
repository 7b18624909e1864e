"""How do trades become bars? In whole ticks, lots and nanoseconds; the same bars one trade at a time and in bulk.

The steps are plain Python: the component in `data/bars.py` calls them as they are, the batch loops call their compiled
twins, so that a batch is the fold of its step, number by number. Nothing wraps: what an int64 can not hold ends with a
status. A batch takes one block of rows and the bar still open from the block before, and hands back the bar open now.

Time bars are aligned to the wall clock: whole intervals since 1970 UTC, weeks from Monday. Inside a bar the earliest
trade opens and the latest closes it, whatever order they came in; of equal times the first to come opens and the last
closes. A trade of a bar before the one open is late, and enters none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.kernels._jit import kernel

IntArray = NDArray[np.int64]

INT64_MAX = 2**63 - 1
WEEK_NS = 7 * NS_PER_DAY
MONDAY_NS = 4 * NS_PER_DAY  # 1970-01-05, the first Monday since the epoch.
TIME_MAX_NS = INT64_MAX - 800 * NS_PER_DAY  # In 2260: the end of any bar still fits an int64.

# What became of a trade. From ROW_RANGE on nothing did: the rows from it on are not in any bar.
JOINED = 0
OPENED = 1  # It opened a bar; the one before it, if there was one, is complete.
CLOSED = 2  # It completed its own bar.
LATE = 3
ROW_RANGE = 4  # A time outside 1970 to 2260, or a price or quantity below one.
VOLUME_RANGE = 5  # The bar's volume would not fit an int64.
MONEY_RANGE = 6  # Price x quantity, or its sum over the bar, would not fit an int64.
UNSORTED = 7  # Only from `sorted_time_bars`: these rows need `time_bars`.

# Rows of an `out` array.
START, OPEN, HIGH, LOW, CLOSE, VOLUME, LAST = range(7)
N_OUT = 7


class OpenBar(NamedTuple):
    """A bar that trades may still join: where it starts, its first and last trade, prices in ticks, volume in lots."""

    start_ns: int
    first_ns: int
    last_ns: int
    open: int
    high: int
    low: int
    close: int
    volume_lots: int


NO_BAR = OpenBar(-1, -1, -1, 0, 0, 0, 0, 0)  # Known by `open` == 0: real prices start at 1.


def origin_ns(interval_ns: int) -> int:
    """Return where bars of `interval_ns` are counted from: the first Monday of 1970 for whole weeks, else 1970."""
    return MONDAY_NS if interval_ns % WEEK_NS == 0 else 0


def base_interval_ns(interval_ns: int) -> int:
    """Return the interval of the bars that those of `interval_ns` are folded from: a minute wherever it fits."""
    return NS_PER_MINUTE if interval_ns % NS_PER_MINUTE == 0 else interval_ns


# --- one trade at a time: self-contained, so that the same text runs as Python and compiled --------------------


def time_bar_step(
    bar: OpenBar, ts_ns: int, price: int, lots: int, interval_ns: int, origin: int
) -> tuple[int, OpenBar]:
    """Put one trade into the open time bar, or open the next one with it.

    Args:
        bar: The bar still open, or NO_BAR.
        ts_ns: When the trade happened.
        price: In ticks.
        lots: In lots.
        interval_ns: Length of a bar, > 0.
        origin: Where bars are counted from (`origin_ns`).

    Returns:
        The status and the bar open now: with OPENED a new one, with JOINED the same with the trade in it, else `bar`.
    """
    if ts_ns < 0 or ts_ns > TIME_MAX_NS or price < 1 or lots < 1:
        return ROW_RANGE, bar
    if bar.open == 0 or ts_ns - bar.start_ns >= interval_ns:
        start_ns = (ts_ns - origin) // interval_ns * interval_ns + origin
        return OPENED, OpenBar(start_ns, ts_ns, ts_ns, price, price, price, price, lots)
    if ts_ns < bar.start_ns:
        return LATE, bar
    if bar.volume_lots > INT64_MAX - lots:
        return VOLUME_RANGE, bar
    earliest, latest = ts_ns < bar.first_ns, ts_ns >= bar.last_ns
    return JOINED, OpenBar(
        bar.start_ns,
        ts_ns if earliest else bar.first_ns,
        ts_ns if latest else bar.last_ns,
        price if earliest else bar.open,
        max(bar.high, price),
        min(bar.low, price),
        price if latest else bar.close,
        bar.volume_lots + lots,
    )


_time_bar_step = kernel(time_bar_step)


# --- a block at a time: `out` is int64 of shape (N_OUT, rows + 1), complete bars are written to it in order ----------


@kernel
def write_bar(out: IntArray, k: int, bar: OpenBar) -> None:
    """Write `bar` to column `k` of `out`."""
    out[START, k] = bar.start_ns
    out[OPEN, k] = bar.open
    out[HIGH, k] = bar.high
    out[LOW, k] = bar.low
    out[CLOSE, k] = bar.close
    out[VOLUME, k] = bar.volume_lots
    out[LAST, k] = bar.last_ns


@kernel
def time_bars(
    bar: OpenBar,
    ts_ns: IntArray,
    price: IntArray,
    lots: IntArray,
    interval_ns: int,
    origin: int,
    out: IntArray,
) -> tuple[int, int, int, int, int, OpenBar]:
    """Fold `time_bar_step` over a block of trades.

    Returns:
        The status (JOINED, or the refusal that ended it), the row it ended at, how many bars are in `out`, how many
        trades were late, the first late row (-1 if none), and the bar open now.
    """
    n_bars, n_late, first_late = 0, 0, -1
    for i in range(ts_ns.size):
        status, grown = _time_bar_step(bar, ts_ns[i], price[i], lots[i], interval_ns, origin)
        if status == JOINED:
            bar = grown
        elif status == OPENED:
            if bar.open != 0:
                write_bar(out, n_bars, bar)
                n_bars += 1
            bar = grown
        elif status == LATE:
            first_late = i if n_late == 0 else first_late
            n_late += 1
        else:
            return status, i, n_bars, n_late, first_late, bar
    return JOINED, ts_ns.size, n_bars, n_late, first_late, bar


@kernel
def _row_after(ts_ns: IntArray, first: int, guess: int, end_ns: int) -> int:
    # The first row after `first` at or after `end_ns`, if the rows are in order: doubling steps from a guess, halving.
    n = ts_ns.size
    low, high, step = first, min(first + guess, n), guess
    while high < n and ts_ns[high] < end_ns:
        low = high
        step *= 2
        high = min(high + step, n)
    while high - low > 1:
        middle = (low + high) // 2
        if ts_ns[middle] < end_ns:
            low = middle
        else:
            high = middle
    return high


@kernel
def sorted_time_bars(
    bar: OpenBar,
    ts_ns: IntArray,
    price: IntArray,
    lots: IntArray,
    interval_ns: int,
    origin: int,
    out: IntArray,
) -> tuple[int, int, int, int, int, OpenBar]:
    """Return what `time_bars` returns, several times as fast, for trades in order; UNSORTED where it can not.

    The border of each bar is found by search, and what lies between is a maximum, a minimum and a sum without a branch.
    Anything out of the ordinary (disorder, a refusal, volumes near the limit) is left to `time_bars`.
    """
    n, n_bars, first, guess = ts_ns.size, 0, 0, 64
    if n == 0:
        return JOINED, 0, 0, 0, -1, bar
    if ts_ns[0] < 0 or ts_ns[n - 1] > TIME_MAX_NS or ts_ns[0] < bar.last_ns:
        return UNSORTED, 0, 0, 0, -1, bar
    while first < n:
        start_ns = (ts_ns[first] - origin) // interval_ns * interval_ns + origin
        end = _row_after(ts_ns, first, guess, start_ns + interval_ns)
        p, q = price[first:end], lots[first:end]
        before, after = ts_ns[first : end - 1], ts_ns[first + 1 : end]
        disorder, bits, fewest, high, low = False, q[0], q[0], p[0], p[0]
        for i in range(after.size):
            disorder |= after[i] < before[i]
        for i in range(p.size):
            high = max(high, p[i])
            low = min(low, p[i])
            fewest = min(fewest, q[i])
            bits |= q[i]
        # No sum of m numbers, none negative, exceeds m times all their bits together. The search ends between a row
        # before the bar's end and one after it, so that rows in order up to there are this bar's and no other's.
        if disorder or low < 1 or fewest < 1 or bits > INT64_MAX // (p.size + 1):
            return UNSORTED, 0, 0, 0, -1, bar
        volume = 0
        for i in range(q.size):
            volume += q[i]
        if bar.open != 0 and start_ns == bar.start_ns:
            if bar.volume_lots > INT64_MAX - volume:
                return UNSORTED, 0, 0, 0, -1, bar
            bar = OpenBar(
                start_ns,
                bar.first_ns,
                ts_ns[end - 1],
                bar.open,
                max(bar.high, high),
                min(bar.low, low),
                p[p.size - 1],
                bar.volume_lots + volume,
            )
        else:
            if bar.open != 0:
                write_bar(out, n_bars, bar)
                n_bars += 1
            bar = OpenBar(start_ns, ts_ns[first], ts_ns[end - 1], p[0], high, low, p[p.size - 1], volume)
        guess = max(end - first - 1, 1)
        first = end
    return JOINED, n, n_bars, 0, -1, bar


@kernel
def flat_filled(
    bars: IntArray, row: int, next_ns: int, close: int, interval_ns: int, out: IntArray
) -> tuple[int, int, int, int, int]:
    """Copy bars to `out` until it is full, a flat bar at the last close in the place of each that is missing.

    Args:
        bars: Complete bars as the batches above write them, rising in time.
        row: The column of `bars` to go on from.
        next_ns: Where the next bar would start, if `close` > 0.
        close: The close of the last bar, 0 before the first.
        interval_ns: Length of a bar.
        out: Of any width.

    Returns:
        The column of `bars` to go on from, the next start, the last close, how many bars are in `out`, how many of them
        are flat.
    """
    n_out, n_flat = 0, 0
    while row < bars.shape[1] and n_out < out.shape[1]:
        if close == 0 or bars[START, row] <= next_ns:
            out[:, n_out] = bars[:, row]
            next_ns, close = bars[START, row] + interval_ns, bars[CLOSE, row]
            row += 1
        else:
            write_bar(out, n_out, OpenBar(next_ns, -1, -1, close, close, close, close, 0))
            next_ns += interval_ns
            n_flat += 1
        n_out += 1
    return row, next_ns, close, n_out, n_flat
