"""What does an exchange of one instrument remember? Its book, our orders with their places in the queue, what happened.

The state is a tuple of plain arrays, so that compiled and interpreted callers hold the same thing. Orders lie in one
table: those that rest are in price-time priority on each side, those that wait in order of arrival. Tables do not grow by
themselves: a kernel that lacks room says so before it has changed anything, and `grown` doubles what was short.
"""

from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.kernels import book as books
from njord.kernels._jit import bare_kernel
from njord.kernels.book import ASK, BID, IntArray, n_levels, new_book
from njord.kernels.triggers import is_triggered, trailed

FloatArray = NDArray[np.float64]

# What stands in the head.
NOW = 0  # Venue time.
LAST = 1  # Price of the last trade, 0 before the first.
HAS_BOOK = 2  # Whether a level was ever seen.
N_ORDERS = 3
ROW = 4  # The next row of the block.
N_OUT = 5  # What happened in the last call.
MODEL = 6  # Queue model, see `exchange_queue`.
IS_PARTIAL = 7
HEAD_SIZE = 8

# An order.
NUMBER = 0
SIGN = 1  # +1 buys, -1 sells.
LEFT = 2  # Lots.
LIMIT = 3  # Ticks, 0 for a market order.
TRIGGER = 4  # Ticks, 0 for none.
IS_TAKE_PROFIT = 5
TRAIL = 6  # Ticks, 0 where the trigger stands still.
IS_POST_ONLY = 7
TIF = 8
STATE = 9
QUEUED = 10  # Lots ahead when it came to rest, UNKNOWN_LOTS where no book tells.
ORDER_SIZE = 11

GTC, IOC, FOK = 0, 1, 2
ARRIVING = 0  # On its way through the rules; none is when a call returns.
WAITING = 1  # For its trigger.
TAKING = 2  # Without a book: for the next trade.
RESTING = 3
SETTLING = 4  # Has met its trade, and comes to rest when all have.

# An order's place in the queue.
AHEAD = 0  # Lots before ours, a model's estimate; UNKNOWN where no book tells.
TRADED = 1  # Lots traded at its price since its level last changed.
QUEUE_SIZE = 2
UNKNOWN = inf
UNKNOWN_LOTS = -1

# What happened.
WHAT = 0
OF = 1  # The order's number.
TS_NS = 2
PRICE = 3
LOTS = 4
IS_MAKER = 5
REASON = 6
QUEUE_THEN = 7  # Lots ahead when it came to rest.
QUEUE_NOW = 8  # Lots ahead before what filled it.
OUT_SIZE = 9
FILLED, TRIGGERED, ENDED = 1, 2, 3
NO_REASON, WOULD_TAKE, REMAINDER, UNFILLED, NO_LIQUIDITY = range(5)

# What a call says; the others are in `exchange`.
DONE = 0
BOOK_FULL, ORDERS_FULL, OUT_FULL = 1, 2, 3


class Exchange(NamedTuple):
    """The state of an exchange."""

    book: IntArray  # See `kernels.book`.
    head: IntArray  # Shape (HEAD_SIZE,).
    orders: IntArray  # Shape (room, ORDER_SIZE).
    queue: FloatArray  # Shape (room, QUEUE_SIZE).
    out: IntArray  # Shape (room, OUT_SIZE).


def new_exchange(
    model: int,
    is_partial: bool,
    *,
    window: int = 2**16,
    room: int = 2**12,
    n_orders: int = 16,
    n_out: int = 256,
) -> Exchange:
    """Return an exchange that has seen nothing.

    Args:
        model: A queue model of `exchange_queue`.
        is_partial: Whether trades and levels fill no more than they have.
        window: Ticks that the book holds densely on each side.
        room: Slots for levels beyond.
        n_orders: Working orders that it has room for.
        n_out: Happenings of one call that it has room for.
    """
    head = np.zeros(HEAD_SIZE, np.int64)
    head[MODEL], head[IS_PARTIAL] = model, is_partial
    orders, queue = np.zeros((n_orders, ORDER_SIZE), np.int64), np.zeros((n_orders, QUEUE_SIZE))
    return Exchange(new_book(window, room), head, orders, queue, np.zeros((n_out, OUT_SIZE), np.int64))


def grown(x: Exchange, full: int) -> Exchange:
    """Return the same exchange with twice the room of what was full: BOOK_FULL, ORDERS_FULL or OUT_FULL."""
    if full == BOOK_FULL:
        return x._replace(book=books.grown(x.book))
    if full == ORDERS_FULL:
        return x._replace(
            orders=np.concatenate((x.orders, np.zeros_like(x.orders))),
            queue=np.concatenate((x.queue, np.zeros_like(x.queue))),
        )
    return x._replace(out=np.concatenate((x.out, np.zeros_like(x.out))))


triggered = bare_kernel(is_triggered)
trailing = bare_kernel(trailed)


@bare_kernel
def lacks_out(x: Exchange) -> bool:
    """Say whether the next row or order could make more happen than there is room for.

    A fill that takes empties a level or ends its order; besides, each order can be triggered, filled and ended once.
    """
    levels = n_levels(x.book, BID) + n_levels(x.book, ASK)
    return bool(x.out.shape[0] < 4 * (x.head[N_ORDERS] + 1) + levels)


@bare_kernel
def tell(x: Exchange, what: int, at: int, price: int, lots: int, reason: int) -> None:
    """Note what happened to the order at `at`; fills of makers by `tell_made`."""
    row = x.head[N_OUT]
    x.out[row, WHAT] = what
    x.out[row, OF] = x.orders[at, NUMBER]
    x.out[row, TS_NS] = x.head[NOW]
    x.out[row, PRICE] = price
    x.out[row, LOTS] = lots
    x.out[row, IS_MAKER] = 0
    x.out[row, REASON] = reason
    x.out[row, QUEUE_THEN] = UNKNOWN_LOTS
    x.out[row, QUEUE_NOW] = UNKNOWN_LOTS
    x.head[N_OUT] = row + 1


@bare_kernel
def made(x: Exchange, at: int, lots: int, ahead: float) -> bool:
    """Fill a resting order at its limit; return whether it is gone."""
    row = x.head[N_OUT]
    tell(x, FILLED, at, x.orders[at, LIMIT], lots, NO_REASON)
    x.out[row, IS_MAKER] = 1
    x.out[row, QUEUE_THEN] = x.orders[at, QUEUED]
    x.out[row, QUEUE_NOW] = whole(ahead)
    x.orders[at, LEFT] -= lots
    if x.orders[at, LEFT] == 0:
        remove(x, at)
        return True
    return False


@bare_kernel
def whole(ahead: float) -> int:
    """Return an estimate of lots ahead as a whole number; UNKNOWN_LOTS if there is none."""
    return UNKNOWN_LOTS if ahead == UNKNOWN else int(max(0.0, ahead) + 0.5)


@bare_kernel
def find(x: Exchange, number: int) -> int:
    """Return where an order lies; -1 if it does not work here."""
    for at in range(x.head[N_ORDERS]):
        if x.orders[at, NUMBER] == number:
            return at
    return -1


@bare_kernel
def remove(x: Exchange, at: int) -> None:
    """Take an order out; those behind it move up."""
    n = x.head[N_ORDERS] - 1
    for row in range(at, n):
        _move(x, row + 1, row)
    x.head[N_ORDERS] = n


@bare_kernel
def _move(x: Exchange, source: int, target: int) -> None:
    for field in range(ORDER_SIZE):
        x.orders[target, field] = x.orders[source, field]
    for field in range(QUEUE_SIZE):
        x.queue[target, field] = x.queue[source, field]


@bare_kernel
def _swap(x: Exchange, one: int, other: int) -> None:
    for field in range(ORDER_SIZE):
        x.orders[one, field], x.orders[other, field] = x.orders[other, field], x.orders[one, field]
    for field in range(QUEUE_SIZE):
        x.queue[one, field], x.queue[other, field] = x.queue[other, field], x.queue[one, field]


@bare_kernel
def sort_in(x: Exchange, at: int) -> None:
    """Move an order behind all that rest on its side at its limit or a better one, and before all at a worse one."""
    sign, limit = x.orders[at, SIGN], x.orders[at, LIMIT]
    last = x.head[N_ORDERS] - 1
    for row in range(at, last):
        _swap(x, row, row + 1)
    to = 0
    while to < last and not (
        x.orders[to, STATE] == RESTING
        and x.orders[to, SIGN] == sign
        and (limit - x.orders[to, LIMIT]) * sign > 0
    ):
        to += 1
    for row in range(last, to, -1):
        _swap(x, row, row - 1)
