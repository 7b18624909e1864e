"""Which rows of a market concern none of our orders? Most: they leave both best prices alone and reach no order.

`run_quiet` runs those, in the one inner loop of the exchange. It sets a level as `book.set_level` does where that lies in
the window, is not the best one, and does not become it; nothing that the loop reads once can change there. What stops it
is left to the rules of `exchange`.
"""

from typing import NamedTuple

import numpy as np

from njord.kernels._jit import bare_kernel
from njord.kernels.book import (
    BASE,
    BEST,
    HEADER,
    INT64_MAX,
    LOTS,
    N_DENSE,
    SIDE,
    WINDOW,
    IntArray,
)
from njord.kernels.exchange_orders import LAST, LIMIT, RESTING, SIGN, STATE

# Kinds. A level's row sets it, 0 lots remove it; CLEAR empties the book because a snapshot's levels follow.
ROW_BID, ROW_ASK, ROW_BUY, ROW_SELL, ROW_CLEAR = 1, 2, 3, 4, 5
ROW_SIZE = 4
ROW_KIND, ROW_TS_NS, ROW_PRICE, ROW_LOTS = 0, 1, 2, 3


class Reach(NamedTuple):
    """What a row must touch to concern our orders, prices in ticks; a side where none rest has its lowest above its highest.

    Attributes:
        bid_low: The lowest price at which we rest to buy.
        bid_high: The highest.
        ask_low: The lowest price at which we rest to sell.
        ask_high: The highest.
        all_rest: Whether all orders rest; others are met by every trade.
    """

    bid_low: int
    bid_high: int
    ask_low: int
    ask_high: int
    all_rest: bool


@bare_kernel
def reach_of(orders: IntArray, n: int) -> Reach:
    """Return the reach of the first `n` orders of a table."""
    bid_low = ask_low = INT64_MAX
    bid_high = ask_high = 0
    all_rest = True
    for at in range(n):
        limit = orders[at, LIMIT]
        if orders[at, STATE] != RESTING:
            all_rest = False
        elif orders[at, SIGN] > 0:
            bid_low, bid_high = min(bid_low, limit), max(bid_high, limit)
        else:
            ask_low, ask_high = min(ask_low, limit), max(ask_high, limit)
    return Reach(bid_low, bid_high, ask_low, ask_high, all_rest)


@bare_kernel
def run_quiet(book: IntArray, head: IntArray, rows: IntArray, begin: int, until_ns: int, reach: Reach) -> int:
    """Run rows from `begin` on while they concern nobody; return the first that does, or is later than `until_ns`.

    A level's bits are changed without asking whether they must: what comes, goes or only changes can not be foretold, and a
    wrong guess costs more than the writing. Indices are unsigned, since signed ones are looked at twice.

    Args:
        book: From `new_book`.
        head: Of the exchange; takes the price of the last trade.
        rows: See `exchange.advance`.
        begin: First row.
        until_ns: The last time to run.
        reach: Of our orders.
    """
    window, bids, asks = book[WINDOW], HEADER, HEADER + book[SIDE]
    bid_base, bid_best = book[bids + BASE], book[bids + BEST]
    ask_base, ask_best = book[asks + BASE], book[asks + BEST]
    bits_at, tops_at = LOTS + window, LOTS + window + (window >> 5)
    bid_low, bid_high, ask_low, ask_high, all_rest = reach
    buy_from, sell_to = (ask_low, bid_high) if all_rest else (0, INT64_MAX)
    row = begin
    while row < rows.shape[1] and rows[ROW_TS_NS, row] <= until_ns:
        kind, price, lots = rows[ROW_KIND, row], rows[ROW_PRICE, row], rows[ROW_LOTS, row]
        if kind <= ROW_ASK:
            if kind == ROW_ASK:
                at, key, base, best, low, high = asks, price, ask_base, ask_best, ask_low, ask_high
            else:
                at, key, base, best, low, high = bids, -price, bid_base, bid_best, bid_low, bid_high
            index = key - base
            if key < best or index >= window or (key == best and lots == 0) or low <= price <= high:
                return row
            place = np.uint64(at + LOTS + index)
            before = book[place]
            book[place] = lots
            word = np.uint64(at + bits_at + (index >> 5))
            bits = book[word] ^ (np.int64((before == 0) != (lots == 0)) << (index & 31))
            book[word] = bits
            top, shift = np.uint64(at + tops_at + (index >> 10)), (index >> 5) & 31
            book[top] = (book[top] & ~(1 << shift)) | (np.int64(bits != 0) << shift)
            book[at + N_DENSE] += np.int64(lots != 0) - np.int64(before != 0)
        elif (kind == ROW_BUY and price < buy_from) or (kind == ROW_SELL and price > sell_to):
            head[LAST] = price
        else:
            return row
        row += 1
    return row
