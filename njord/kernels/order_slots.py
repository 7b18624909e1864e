"""What works, and what does a compiled strategy want to work? One table of slots, and the words that read and write it.

A slot is a place for one order, numbered by the strategy itself. Row s of the table (shape (N_SLOTS + 1, SLOT_SIZE),
int64) is slot s: what works there, what of it has filled since the last bar, and what is wished for. The row after the
last slot says which slots were spoken to, a bit for each, and what the account is worth.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel

IntArray = NDArray[np.int64]

N_SLOTS = 16
WORK_SIGN, WORK_LOTS, WORK_LIMIT, FILLED_LOTS = range(
    4
)  # What works: +1, -1 or 0 = nothing; what remains; 0 = at any price.
WISH_SIGN, WISH_LOTS, WISH_LIMIT, WISH_KIND = range(4, 8)
SLOT_SIZE = 8
HEAD = N_SLOTS  # The row of these two.
ASKED, CANCELED, EQUITY, LOT_WORTH = range(4)  # The last two in any unit of money, at the last close.

# What an order is beyond its side, lots and price: bits that are added.
IS_LIMIT, IOC, POST_ONLY, REDUCE_ONLY = 1, 2, 4, 8


def fresh_slots() -> IntArray:
    """Return a table in which nothing works and nothing is wished for."""
    return np.zeros((N_SLOTS + 1, SLOT_SIZE), np.int64)


@bare_kernel
def working(orders: IntArray, slot: int) -> int:
    """Return the lots that still work in a slot: of a buy > 0, of a sell < 0, 0 if nothing works there."""
    _check(slot)
    return int(orders[slot, WORK_SIGN] * orders[slot, WORK_LOTS])


@bare_kernel
def limit_of(orders: IntArray, slot: int) -> int:
    """Return the limit in ticks of what works in a slot; 0 if nothing does, or at any price."""
    _check(slot)
    return int(orders[slot, WORK_LIMIT])


@bare_kernel
def filled(orders: IntArray, slot: int) -> int:
    """Return how many lots of a slot's orders have filled since the last bar."""
    _check(slot)
    return int(orders[slot, FILLED_LOTS])


@bare_kernel
def equity_lots(orders: IntArray) -> int:
    """Return how many lots the whole account is worth at the bar's close, rounded down; costs are not in it."""
    return int(max(0, orders[HEAD, EQUITY]) // orders[HEAD, LOT_WORTH])


@bare_kernel
def buy(orders: IntArray, slot: int, lots: int, kind: int = 0) -> None:
    """Buy `lots` at the market in a slot; what works there is canceled first.

    Args:
        orders: The strategy's own.
        slot: 0 to N_SLOTS - 1.
        lots: How many, > 0.
        kind: REDUCE_ONLY, or 0.
    """
    _wish(orders, slot, 1, lots, 0, kind)


@bare_kernel
def sell(orders: IntArray, slot: int, lots: int, kind: int = 0) -> None:
    """Sell `lots` at the market in a slot; as `buy`."""
    _wish(orders, slot, -1, lots, 0, kind)


@bare_kernel
def buy_limit(orders: IntArray, slot: int, lots: int, limit: int, kind: int = 0) -> None:
    """Buy `lots` at `limit` ticks or better in a slot; what works there is canceled first.

    Args:
        orders: The strategy's own.
        slot: 0 to N_SLOTS - 1.
        lots: How many, > 0.
        limit: In ticks, > 0.
        kind: The sum of any of IOC (what the next bar's open does not fill ends there), POST_ONLY (never takes) and
            REDUCE_ONLY (only shrinks the position); 0 = it works until it fills or is canceled.
    """
    _wish(orders, slot, 1, lots, limit, kind | IS_LIMIT)


@bare_kernel
def sell_limit(orders: IntArray, slot: int, lots: int, limit: int, kind: int = 0) -> None:
    """Sell `lots` at `limit` ticks or better in a slot; as `buy_limit`."""
    _wish(orders, slot, -1, lots, limit, kind | IS_LIMIT)


@bare_kernel
def cancel(orders: IntArray, slot: int) -> None:
    """Cancel what works in a slot, and forget what was wished for there at this bar."""
    _check(slot)
    orders[HEAD, CANCELED] |= 1 << slot
    orders[HEAD, ASKED] &= ~(1 << slot)


@bare_kernel
def cancel_all(orders: IntArray) -> None:
    """Cancel everything, and forget what was wished for at this bar."""
    orders[HEAD, CANCELED] = (1 << N_SLOTS) - 1
    orders[HEAD, ASKED] = 0


@bare_kernel
def _wish(orders: IntArray, slot: int, sign: int, lots: int, limit: int, kind: int) -> None:
    _check(slot)
    orders[slot, WISH_SIGN], orders[slot, WISH_LOTS] = sign, lots
    orders[slot, WISH_LIMIT], orders[slot, WISH_KIND] = limit, kind
    orders[HEAD, ASKED] |= 1 << slot


@bare_kernel
def _check(slot: int) -> None:
    if slot < 0 or slot >= N_SLOTS:
        raise IndexError("a slot is a number from 0 to 15")
