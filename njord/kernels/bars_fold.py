"""How do bars become bars of a higher timeframe? Rising bars in, one for each longer interval out.

Step and batch as in `bars.py`.
"""

from njord.kernels._jit import kernel
from njord.kernels.bars import (
    INT64_MAX,
    JOINED,
    LATE,
    MONDAY_NS,
    OPENED,
    ROW_RANGE,
    TIME_MAX_NS,
    VOLUME_RANGE,
    WEEK_NS,
    IntArray,
    OpenBar,
    write_bar,
)


def fold_step(
    bar: OpenBar,
    start_ns: int,
    open_: int,
    high: int,
    low: int,
    close: int,
    volume_lots: int,
    interval_ns: int,
    origin: int,
) -> tuple[int, OpenBar]:
    """Put one finished bar into the open bar of a higher timeframe, or open the next one with it.

    A flat bar (no volume, all four prices at the close before it) says that nobody traded: it moves no price, and the
    first bar that says more takes its place. So bars fold alike with their gaps filled or left open, and an hour opens
    at its first trade. In the result `first_ns` < 0 marks a bar that so far is nothing but flat ones.

    Returns:
        JOINED, OPENED, LATE (it starts before the last one put in), ROW_RANGE or VOLUME_RANGE, and the bar open now.
    """
    if start_ns < MONDAY_NS - WEEK_NS or start_ns > TIME_MAX_NS or low < 1 or volume_lots < 0:
        return ROW_RANGE, bar
    if high < max(open_, close, low) or low > min(open_, close):
        return ROW_RANGE, bar
    is_first = bar.open == 0
    if not is_first and start_ns <= bar.last_ns:
        return LATE, bar
    is_flat = volume_lots == 0 and not is_first and open_ == high == low == close == bar.close
    if is_first or start_ns - bar.start_ns >= interval_ns:
        opens_ns = (start_ns - origin) // interval_ns * interval_ns + origin
        first_ns = -1 if is_flat else start_ns
        return OPENED, OpenBar(opens_ns, first_ns, start_ns, open_, high, low, close, volume_lots)
    if is_flat:
        return JOINED, OpenBar(
            bar.start_ns, bar.first_ns, start_ns, bar.open, bar.high, bar.low, bar.close, bar.volume_lots
        )
    if bar.first_ns < 0:
        return JOINED, OpenBar(bar.start_ns, start_ns, start_ns, open_, high, low, close, volume_lots)
    if bar.volume_lots > INT64_MAX - volume_lots:
        return VOLUME_RANGE, bar
    return JOINED, OpenBar(
        bar.start_ns,
        bar.first_ns,
        start_ns,
        bar.open,
        max(bar.high, high),
        min(bar.low, low),
        close,
        bar.volume_lots + volume_lots,
    )


_fold_step = kernel(fold_step)


@kernel
def folded_bars(
    bar: OpenBar,
    start_ns: IntArray,
    open_: IntArray,
    high: IntArray,
    low: IntArray,
    close: IntArray,
    volume_lots: IntArray,
    interval_ns: int,
    origin: int,
    out: IntArray,
) -> tuple[int, int, int, OpenBar]:
    """Fold `fold_step` over a block of bars, which must rise in time.

    Returns:
        The status (JOINED, or the refusal that ended it; LATE is one here), the row it ended at, how many bars are in
        `out`, and the bar open now.
    """
    n_bars = 0
    for i in range(start_ns.size):
        status, grown = _fold_step(
            bar, start_ns[i], open_[i], high[i], low[i], close[i], volume_lots[i], interval_ns, origin
        )
        if status == OPENED and bar.open != 0:
            write_bar(out, n_bars, bar)
            n_bars += 1
        elif status > OPENED:
            return status, i, n_bars, bar
        bar = grown
    return JOINED, start_ns.size, n_bars, bar
