"""How do trades become tick, volume and dollar bars? A bar is complete when it holds enough of what it counts.

Step and batch as in `bars.py`. The trade that fills a bar belongs to it, whole; nothing carries over into the next.
"""

from njord.kernels._jit import kernel
from njord.kernels.bars import (
    CLOSED,
    INT64_MAX,
    JOINED,
    MONEY_RANGE,
    OPENED,
    ROW_RANGE,
    TIME_MAX_NS,
    VOLUME_RANGE,
    IntArray,
    OpenBar,
    write_bar,
)

# What a bar counts.
TRADES = 0
LOTS = 1
NOTIONAL = 2  # Price x quantity, in ticks x lots.


def activity_bar_step(
    bar: OpenBar, counted: int, ts_ns: int, price: int, lots: int, measure: int, threshold: int
) -> tuple[int, OpenBar, int]:
    """Put one trade into the open tick, volume or dollar bar; the trade that fills the bar belongs to it, whole.

    A bar lasts from its first trade to its last; a trade that runs behind the one before counts as at that one's time,
    so that bars follow each other. After CLOSED the caller hands in `next_activity_bar(bar)` and 0.

    Args:
        bar: The bar still open; NO_BAR at the start.
        counted: What the bar holds of `measure`.
        ts_ns: When the trade happened.
        price: In ticks.
        lots: In lots.
        measure: TRADES, LOTS or NOTIONAL.
        threshold: The bar is complete when it holds this much, > 0.

    Returns:
        The status (JOINED, OPENED, CLOSED or a refusal), the bar, and what it holds now.
    """
    if ts_ns < 0 or ts_ns > TIME_MAX_NS or price < 1 or lots < 1:
        return ROW_RANGE, bar, counted
    if bar.volume_lots > INT64_MAX - lots:
        return VOLUME_RANGE, bar, counted
    more = 1
    if measure == LOTS:
        more = lots
    elif measure == NOTIONAL:
        if lots > INT64_MAX // price:
            return MONEY_RANGE, bar, counted
        more = price * lots
    if counted > INT64_MAX - more:
        return MONEY_RANGE, bar, counted
    at_ns = max(ts_ns, bar.last_ns)
    if bar.open == 0:
        status, grown = OPENED, OpenBar(at_ns, at_ns, at_ns, price, price, price, price, lots)
    else:
        status = JOINED
        grown = OpenBar(
            bar.start_ns,
            bar.first_ns,
            at_ns,
            bar.open,
            max(bar.high, price),
            min(bar.low, price),
            price,
            bar.volume_lots + lots,
        )
    return CLOSED if counted + more >= threshold else status, grown, counted + more


def next_activity_bar(bar: OpenBar) -> OpenBar:
    """Return what follows a complete activity bar: nothing yet, and no earlier than its last trade."""
    return OpenBar(-1, -1, bar.last_ns, 0, 0, 0, 0, 0)


_activity_bar_step = kernel(activity_bar_step)
_next_activity_bar = kernel(next_activity_bar)


@kernel
def activity_bars(
    bar: OpenBar,
    counted: int,
    ts_ns: IntArray,
    price: IntArray,
    lots: IntArray,
    measure: int,
    threshold: int,
    out: IntArray,
) -> tuple[int, int, int, OpenBar, int]:
    """Fold `activity_bar_step` over a block of trades.

    Returns:
        The status (JOINED, or the refusal that ended it), the row it ended at, how many bars are in `out`, the bar open
        now and what it holds.
    """
    n_bars = 0
    for i in range(ts_ns.size):
        status, bar, counted = _activity_bar_step(
            bar, counted, ts_ns[i], price[i], lots[i], measure, threshold
        )
        if status >= ROW_RANGE:
            return status, i, n_bars, bar, counted
        if status == CLOSED:
            write_bar(out, n_bars, bar)
            n_bars += 1
            bar, counted = _next_activity_bar(bar), 0
    return JOINED, ts_ns.size, n_bars, bar, counted
