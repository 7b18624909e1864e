"""What does the book offer, level by level? Its best levels, what a market order would pay, what lies near the best.

All answers are exact in whole ticks and lots; one that does not fit into 64 bits is refused, never wrapped.
"""

import numpy as np

from njord.kernels._jit import kernel
from njord.kernels.book import (
    ASK,
    BASE,
    BEST,
    HEADER,
    INT64_MAX,
    LOTS,
    N_FAR,
    NO_LEVEL,
    ROOM,
    SIDE,
    IntArray,
    best,
    far_at,
    next_index,
)


@kernel
def next_level(book: IntArray, side: int, price: int) -> tuple[int, int]:
    """Return (price, lots) of the best level at `price` or worse within the window; (0, 0) if there is none.

    The levels of `far_levels` come after these.
    """
    at = HEADER + side * book[SIDE]
    key = price if side == ASK else -price
    if book[at + BEST] == NO_LEVEL:
        return 0, 0
    index = next_index(book, at, max(key, book[at + BEST]) - book[at + BASE])
    if index < 0:
        return 0, 0
    key = book[at + BASE] + index
    return (key if side == ASK else -key), book[at + LOTS + index]


@kernel
def far_levels(book: IntArray, side: int) -> IntArray:
    """Return the levels beyond the window, best first: shape (2, n), prices and lots."""
    at = HEADER + side * book[SIDE]
    keys = at + far_at(book)
    found = np.empty((2, book[at + N_FAR]), dtype=np.int64)
    n = 0
    for slot in range(book[ROOM]):
        if book[keys + slot]:
            found[0, n] = book[keys + slot]
            found[1, n] = book[keys + book[ROOM] + slot]
            n += 1
    order = np.argsort(found[0])
    levels = np.empty((2, n), dtype=np.int64)
    for row in range(n):
        key = found[0, order[row]]
        levels[0, row] = key if side == ASK else -key
        levels[1, row] = found[1, order[row]]
    return levels


@kernel
def depth(book: IntArray, side: int, levels: IntArray) -> int:
    """Write the best levels of a side into `levels`, shape (2, n), prices and lots; return how many there are."""
    wanted = levels.shape[1]
    price, lots = best(book, side)
    n = 0
    while price and n < wanted:
        levels[0, n] = price
        levels[1, n] = lots
        n += 1
        price, lots = next_level(book, side, price + 1 if side == ASK else price - 1)
    at = HEADER + side * book[SIDE]
    if n < wanted and book[at + N_FAR]:
        far = far_levels(book, side)
        for row in range(min(wanted - n, far.shape[1])):
            levels[0, n] = far[0, row]
            levels[1, n] = far[1, row]
            n += 1
    return n


@kernel
def sweep(book: IntArray, side: int, lots: int) -> tuple[int, int, int, bool]:
    """Walk a side from its best level until `lots` are taken: what a market order against it would get.

    Args:
        book: The book, which stays as it is.
        side: The side that is taken from: ASK for a buy.
        lots: >= 0.

    Returns:
        (lots taken, sum of price x lots, price of the last level touched, whether that sum is exact): fewer lots than
        asked where the side ends first; price 0 where nothing was taken; a sum beyond 64 bits is given as 0, inexact.
    """
    left, cost, last = lots, 0, 0
    exact = True
    price, there = best(book, side)
    while left and price:
        taken = min(left, there)
        left -= taken
        last = price
        if exact and taken > (INT64_MAX - cost) // price:
            exact, cost = False, 0
        if exact:
            cost += price * taken
        price, there = next_level(book, side, price + 1 if side == ASK else price - 1)
    if left and book[HEADER + side * book[SIDE] + N_FAR]:
        far = far_levels(book, side)
        for row in range(far.shape[1]):
            if not left:
                break
            taken = min(left, far[1, row])
            left -= taken
            last = far[0, row]
            if exact and taken > (INT64_MAX - cost) // last:
                exact, cost = False, 0
            if exact:
                cost += last * taken
    return lots - left, cost, last, exact


@kernel
def lots_within(book: IntArray, side: int, limit: int) -> tuple[int, int, bool]:
    """Sum the lots of a side at `limit` or better.

    Returns:
        (lots, levels, whether the sum is exact); a sum beyond 64 bits is given as 0, inexact.
    """
    total, n = 0, 0
    exact = True
    sign = 1 if side == ASK else -1
    price, lots = best(book, side)
    while price and (price - limit) * sign <= 0:
        if exact and lots > INT64_MAX - total:
            exact, total = False, 0
        if exact:
            total += lots
        n += 1
        price, lots = next_level(book, side, price + sign)
    at = HEADER + side * book[SIDE]
    if book[at + N_FAR]:
        keys = at + far_at(book)
        for slot in range(book[ROOM]):
            key = book[keys + slot]
            if key and key <= limit * sign:
                lots = book[keys + book[ROOM] + slot]
                if exact and lots > INT64_MAX - total:
                    exact, total = False, 0
                if exact:
                    total += lots
                n += 1
    return total, n, exact
