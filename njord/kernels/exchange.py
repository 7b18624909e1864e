"""What happens to our orders at an exchange as its market goes on? Rows of levels and trades in, fills and ends out.

An exchange of one instrument, in whole ticks and lots: it keeps the book, holds our orders with their places in the queue,
and fills them by the rules of `exchange_fills`. There is no money in it, no time but the rows' own, and what happens is
written to the table `out`, which each call begins anew. All of it can be called from other kernels.
"""

from njord.kernels._jit import bare_kernel
from njord.kernels.book import BEST, BID, HEADER, NO_LEVEL, SIDE, IntArray, clear, set_level
from njord.kernels.exchange_fills import (
    arrive,
    level_lots,
    meet_level,
    meet_touch,
    meet_trade,
    wake,
    wakes,
    would_take,
)
from njord.kernels.exchange_orders import (
    BOOK_FULL,
    DONE,
    HAS_BOOK,
    IS_POST_ONLY,
    IS_TAKE_PROFIT,
    LAST,
    LEFT,
    LIMIT,
    N_ORDERS,
    N_OUT,
    NOW,
    NUMBER,
    ORDERS_FULL,
    OUT_FULL,
    ROW,
    SIGN,
    STATE,
    TIF,
    TRAIL,
    TRIGGER,
    WAITING,
    Exchange,
    find,
    lacks_out,
    remove,
    trailing,
)
from njord.kernels.exchange_rows import (
    ROW_ASK,
    ROW_BID,
    ROW_BUY,
    ROW_CLEAR,
    ROW_KIND,
    ROW_LOTS,
    ROW_PRICE,
    ROW_TS_NS,
    Reach,
    reach_of,
    run_quiet,
)

# What `advance` says besides DONE, BOOK_FULL and OUT_FULL.
HAPPENED = 4  # The row before `ROW` made something happen.
ROWS_USED = 5
# What `amend` says besides DONE and OUT_FULL.
UNKNOWN_ORDER, REFUSED = 6, 7


@bare_kernel
def advance(x: Exchange, rows: IntArray, until_ns: int) -> int:
    """Run rows from head[ROW] on, until one makes something happen to an order or is later than `until_ns`.

    Args:
        x: The exchange; head[ROW] is moved on, head[NOW] becomes the time of what happened.
        rows: Shape (ROW_SIZE, n). Kind: ROW_BID to ROW_CLEAR. Venue time, never falling. Price: 1 to PRICE_MAX, of no
            meaning in a ROW_CLEAR. Lots: >= 0.
        until_ns: The last time to run.

    Returns:
        DONE: the next row is later. HAPPENED: see `out`. ROWS_USED: there are no more rows. BOOK_FULL or OUT_FULL: grow
        that, and call again; the row at head[ROW] has changed nothing.
    """
    head = x.head
    head[N_OUT] = 0
    reach = reach_of(x.orders, head[N_ORDERS])
    while True:
        row = run_quiet(x.book, head, rows, head[ROW], until_ns, reach)
        head[ROW] = row
        if row == rows.shape[1]:
            return ROWS_USED
        if rows[ROW_TS_NS, row] > until_ns:
            return DONE
        kind, price, lots = rows[ROW_KIND, row], rows[ROW_PRICE, row], rows[ROW_LOTS, row]
        head[NOW] = rows[ROW_TS_NS, row]
        said = DONE
        if kind <= ROW_ASK:
            said = _run_level(x, kind - ROW_BID, price, lots, reach)
        elif kind == ROW_CLEAR:
            clear(x.book)
        elif lacks_out(x):
            said = OUT_FULL
        else:
            meet_trade(x, 1 if kind == ROW_BUY else -1, price, lots, reach.all_rest)
        if said != DONE:
            return said
        head[ROW] = row + 1
        if head[N_OUT]:
            return HAPPENED
        if not reach.all_rest:  # One that took may have come to rest.
            reach = reach_of(x.orders, head[N_ORDERS])


@bare_kernel
def _run_level(x: Exchange, side: int, price: int, lots: int, reach: Reach) -> int:
    low, high = (reach.bid_low, reach.bid_high) if side == BID else (reach.ask_low, reach.ask_high)
    is_near = low <= price <= high
    old = level_lots(x.book, side, price) if is_near else 0
    at_best = HEADER + side * x.book[SIDE] + BEST
    before = x.book[at_best]
    if not set_level(x.book, side, price, lots):
        return BOOK_FULL
    x.head[HAS_BOOK] = 1
    if is_near:
        meet_level(x, side, price, old, lots)
    after = x.book[at_best]
    if after < before:
        _uncross(x.book, 1 - side, after)
        if -after >= reach.ask_low if side == BID else after <= reach.bid_high:
            meet_touch(x, side)
    return DONE


# Removes the levels of `side` that the best key of the other one has come to: they are stale.
@bare_kernel
def _uncross(book: IntArray, side: int, across: int) -> None:
    at_best = HEADER + side * book[SIDE] + BEST
    while book[at_best] != NO_LEVEL and book[at_best] <= -across:
        set_level(book, side, -book[at_best] if side == BID else book[at_best], 0)


@bare_kernel
def add(
    x: Exchange,
    number: int,
    sign: int,
    lots: int,
    limit: int,
    trigger: int,
    is_take_profit: int,
    trail: int,
    is_post_only: int,
    tif: int,
) -> int:
    """Let an order arrive now; return DONE, or ORDERS_FULL or OUT_FULL: grow that, and call again.

    An order with a trigger or a trail waits for it; where the last trade has reached the trigger, it is triggered at once.
    """
    x.head[N_OUT] = 0
    at = x.head[N_ORDERS]
    if at == x.orders.shape[0]:
        return ORDERS_FULL
    if lacks_out(x):
        return OUT_FULL
    order = x.orders[at]
    order[:] = 0
    order[NUMBER], order[SIGN], order[LEFT], order[LIMIT] = number, sign, lots, limit
    order[TRIGGER], order[IS_TAKE_PROFIT], order[TRAIL] = trigger, is_take_profit, trail
    order[IS_POST_ONLY], order[TIF] = is_post_only, tif
    x.head[N_ORDERS] = at + 1
    if trigger or trail:
        _wait(x, at)
    else:
        arrive(x, at, 0)
    return DONE


@bare_kernel
def _wait(x: Exchange, at: int) -> None:
    last = x.head[LAST]
    x.orders[at, STATE] = WAITING
    if last == 0:
        return
    if x.orders[at, TRAIL]:
        x.orders[at, TRIGGER] = trailing(x.orders[at, SIGN], x.orders[at, TRIGGER], x.orders[at, TRAIL], last)
    if wakes(x, at, last):
        wake(x, at, last)


@bare_kernel
def cancel(x: Exchange, number: int) -> int:
    """Remove an order; return the lots that were left, -1 if it does not work here."""
    at = find(x, number)
    if at < 0:
        return -1
    left: int = x.orders[at, LEFT]
    remove(x, at)
    return left


@bare_kernel
def shrink(x: Exchange, number: int, lots: int) -> int:
    """Take lots off an order, which keeps its place; return what is left, 0 if it is gone, -1 if it does not work here."""
    at = find(x, number)
    if at < 0:
        return -1
    left: int = max(0, x.orders[at, LEFT] - lots)
    x.orders[at, LEFT] = left
    if left == 0:
        remove(x, at)
    return left


@bare_kernel
def amend(x: Exchange, number: int, left: int, limit: int, trigger: int) -> int:
    """Change an order; 0 leaves a value as it is. Fewer lots keep the place, more lots or another price arrive anew.

    Returns:
        DONE; OUT_FULL: grow that, and call again; UNKNOWN_ORDER; REFUSED, the order stands as it was: a price that its
        kind does not have (any more), or a post-only order that would take.
    """
    x.head[N_OUT] = 0
    at = find(x, number)
    if at < 0:
        return UNKNOWN_ORDER
    if lacks_out(x):
        return OUT_FULL
    order = x.orders[at]
    left, limit, trigger = left or order[LEFT], limit or order[LIMIT], trigger or order[TRIGGER]
    is_waiting = order[STATE] == WAITING
    if (limit != 0) != (order[LIMIT] != 0) or (not is_waiting and trigger != order[TRIGGER]):
        return REFUSED
    keeps = limit == order[LIMIT] and left <= order[LEFT] and trigger == order[TRIGGER]
    if not keeps and not is_waiting and order[IS_POST_ONLY] and would_take(x, order[SIGN], limit, 0):
        return REFUSED
    order[LEFT], order[LIMIT], order[TRIGGER] = left, limit, trigger
    if keeps:
        return DONE
    if is_waiting:
        _wait(x, at)
    elif limit:
        arrive(x, at, 0)
    return DONE
