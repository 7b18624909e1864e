"""What does a bar do to the orders of a fused run? `venues/bar_market.py` in whole numbers, for market and limit orders.

First what the open decides, oldest order first; then what the bar touched later, by `venues/bar_path.py`: on one side of
the open from the nearest price to the furthest, and the side whose oldest order is older first.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.kernels import matching
from njord.kernels._jit import bare_kernel
from njord.kernels.fused_account import Held, fee_at, fee_of, slipped, traded
from njord.kernels.fused_gate import MAKER, NOBODY, TAKER, OrderTerms
from njord.kernels.fused_tables import (
    ENDED,
    FEE,
    FILLED,
    FILLED_ROW,
    INTENT,
    LOTS,
    NOT_AT_ONCE,
    PAID_TICKS,
    SELF_TRADE,
    SENT_ROW,
    SIGN,
    WOULD_TAKE,
    Bars,
)
from njord.kernels.order_slots import (
    FILLED_LOTS,
    IOC,
    N_SLOTS,
    POST_ONLY,
    REDUCE_ONLY,
    WORK_LIMIT,
    WORK_LOTS,
    WORK_SIGN,
)

IntArray = NDArray[np.int64]
_limit_fill = bare_kernel(matching.limit_fill)
_AT_OPEN, _INSIDE = matching.AT_OPEN, matching.INSIDE

# An order that was placed; its fill has a row like any order's in a table of its own.
(
    PLACED_ROW,
    PLACED_SIGN,
    PLACED_LOTS,
    PLACED_LIMIT,
    PLACED_KIND,
    PLACED_SLOT,
    PLACED_INTENT,
) = range(7)
END = 7  # How it ended: see `fused_tables.py`.
END_ROW = 8  # At which bar,
END_INSIDE = 9  # and whether at its close, not its open.
END_NUMBER = 10  # Counts the orders that ended before it.
FILL_ROW = 11  # Of its fill, among the fills; -1 = it has none.
PLACED_SIZE = 12

# A working order: the row of its record, what it is, whether a bar has seen it, and whether it still works.
PLACED, B_SIGN, B_LOTS, B_LIMIT, B_KIND, B_SLOT, RESTS, WORKS = range(8)
BOOK_SIZE = 8
BOOK_ROWS = 2 * N_SLOTS  # Those that are canceled leave after those that take their slots were asked about.
# Of the orders that a bar touches after its open: which one, where, and on which side of the open.
TOUCHED, LEVEL, SIDE, TURN = range(4)
N_FILLS, N_ENDED = 0, 1
NEVER = 2**62  # A price that no bar reaches.


class Desk(NamedTuple):
    """The tables of one run; all but `slots` are scratch or results.

    Attributes:
        slots: See `order_slots.py`.
        book: Shape (BOOK_ROWS, BOOK_SIZE): working orders, oldest first.
        touched: Shape (BOOK_ROWS, 4).
        counts: Shape (2,): how many fills there are, and how many orders have ended.
        placed: Shape (any, PLACED_SIZE), filled in the order of submission.
        fills: Shape (any, ORDER_SIZE), filled in the order of execution; `SENT_ROW` is 1 for a maker, `INTENT` the row
            in `placed`.
    """

    slots: IntArray
    book: IntArray
    touched: IntArray
    counts: IntArray
    placed: IntArray
    fills: IntArray


@bare_kernel
def meet(terms: OrderTerms, bars: Bars, row: int, desk: Desk, n_book: int, held: Held) -> Held:
    """Let bar `row` meet the working orders; return what is held then."""
    open_, high, low, close = (
        bars.open[row],
        bars.high[row],
        bars.low[row],
        bars.close[row],
    )
    if low > min(open_, close) or high < max(open_, close):
        high = low = open_  # Of a bar that contradicts itself only the open is believed.
    book, n_touched = desk.book, 0
    for at in range(n_book):
        if not book[at, WORKS]:
            continue
        sign, limit = book[at, B_SIGN], book[at, B_LIMIT]
        if limit == 0:
            held = _take(terms, desk, at, row, open_, held)
            continue
        phase, price = _limit_fill(sign, limit, open_, high, low)
        if book[at, RESTS]:
            if phase == _AT_OPEN:
                held = _execute(terms, desk, at, row, price, False, True, held)
                continue
        else:
            if n_book > 1 and terms.self_trade != NOBODY and _is_self_trade(terms, desk, n_book, at, row):
                continue
            if phase == _AT_OPEN:
                if book[at, B_KIND] & POST_ONLY:
                    end(desk, at, row, WOULD_TAKE, False)
                else:
                    held = _take(terms, desk, at, row, price, held)
                continue
            if book[at, B_KIND] & IOC:
                end(desk, at, row, NOT_AT_ONCE, False)
                continue
            book[at, RESTS] = 1
        if phase == _INSIDE:
            side = 1 if price > open_ else -1
            touched = desk.touched
            touched[n_touched, TOUCHED], touched[n_touched, LEVEL] = at, price
            touched[n_touched, SIDE], touched[n_touched, TURN] = side, side
            n_touched += 1
    return _inside(terms, desk, n_touched, row, held) if n_touched else held


# `TURN` holds whose turn it is, by the age of the touched orders; 0 in `SIDE` says that an order has had its own.
@bare_kernel
def _inside(terms: OrderTerms, desk: Desk, n_touched: int, row: int, held: Held) -> Held:
    touched = desk.touched
    for turn in range(n_touched):
        side = touched[turn, TURN]
        nearest = -1
        for each in range(n_touched):
            if touched[each, SIDE] == side and (
                nearest < 0 or side * (touched[each, LEVEL] - touched[nearest, LEVEL]) < 0
            ):
                nearest = each
        touched[nearest, SIDE] = 0
        at = touched[nearest, TOUCHED]
        if desk.book[at, WORKS]:
            held = _execute(terms, desk, at, row, touched[nearest, LEVEL], True, True, held)
    return held


@bare_kernel
def _take(terms: OrderTerms, desk: Desk, at: int, row: int, seen: int, held: Held) -> Held:
    sign, limit = desk.book[at, B_SIGN], desk.book[at, B_LIMIT]
    paid = slipped(terms.base, seen, sign)
    if limit:
        paid = min(paid, limit) if sign > 0 else max(paid, limit)
    return _execute(terms, desk, at, row, paid, False, False, held)


# Fills all of an order, or ends it because the account does not allow it.
@bare_kernel
def _execute(
    terms: OrderTerms,
    desk: Desk,
    at: int,
    row: int,
    paid: int,
    is_inside: bool,
    is_maker: bool,
    held: Held,
) -> Held:
    book, fills = desk.book, desk.fills
    sign, lots = book[at, B_SIGN], book[at, B_LOTS]
    notional = paid * lots * terms.base.unit
    fee = _maker_fee(terms, notional) if is_maker else fee_of(terms.base, notional)
    ended, after = traded(terms.base, held, sign * lots, paid, fee, book[at, B_KIND] & REDUCE_ONLY != 0)
    if ended == FILLED:
        n_fills = desk.counts[N_FILLS]
        fills[n_fills, SENT_ROW], fills[n_fills, INTENT] = is_maker, book[at, PLACED]
        fills[n_fills, SIGN], fills[n_fills, LOTS] = sign, lots
        fills[n_fills, FILLED_ROW], fills[n_fills, PAID_TICKS] = row, paid
        fills[n_fills, FEE], fills[n_fills, ENDED] = fee, FILLED
        desk.placed[book[at, PLACED], FILL_ROW] = n_fills
        desk.counts[N_FILLS] = n_fills + 1
        desk.slots[book[at, B_SLOT], FILLED_LOTS] += lots
    end(desk, at, row, ended, is_inside)
    return after


@bare_kernel
def _maker_fee(terms: OrderTerms, notional: int) -> int:
    return fee_at(notional, terms.maker_numerator, terms.maker_divisor, terms.base.fee_step)


@bare_kernel
def end(desk: Desk, at: int, row: int, how: int, is_inside: bool) -> None:
    """End a working order; it stays in the book until `leave`."""
    placed, slot = desk.placed[desk.book[at, PLACED]], desk.book[at, B_SLOT]
    placed[END], placed[END_ROW], placed[END_INSIDE] = how, row, is_inside
    placed[END_NUMBER] = desk.counts[N_ENDED]
    desk.counts[N_ENDED] += 1
    desk.book[at, WORKS] = 0
    desk.slots[slot, WORK_SIGN] = desk.slots[slot, WORK_LOTS] = desk.slots[slot, WORK_LIMIT] = 0


@bare_kernel
def leave(book: IntArray, n_book: int) -> int:
    """Take the orders that have ended out of the book; return how many are left."""
    n_left = 0
    for at in range(n_book):
        if book[at, WORKS]:
            if at != n_left:
                for column in range(BOOK_SIZE):
                    book[n_left, column] = book[at, column]
            n_left += 1
    return n_left


@bare_kernel
def touch(book: IntArray, n_book: int) -> tuple[int, int]:
    """Return the prices that a bar must come down or up to before any working order can do anything."""
    bid, offer = -NEVER, NEVER
    for at in range(n_book):
        limit = book[at, B_LIMIT]
        if not book[at, RESTS]:
            return NEVER, -NEVER  # It must be seen by the next bar, whatever that is.
        if book[at, B_SIGN] > 0:
            bid = max(bid, limit)
        else:
            offer = min(offer, limit)
    return bid, offer


# Two limit orders of ours that cross: the one that arrives, the one that rests, or both end.
@bare_kernel
def _is_self_trade(terms: OrderTerms, desk: Desk, n_book: int, at: int, row: int) -> bool:
    book, is_crossed = desk.book, False
    sign, limit = book[at, B_SIGN], book[at, B_LIMIT]
    for other in range(n_book):
        if (
            book[other, RESTS]
            and book[other, WORKS]
            and book[other, B_SIGN] != sign
            and sign * (limit - book[other, B_LIMIT]) >= 0
        ):
            is_crossed = True
            if terms.self_trade != TAKER:
                end(desk, other, row, SELF_TRADE, False)
    if is_crossed and terms.self_trade != MAKER:
        end(desk, at, row, SELF_TRADE, False)
        return True
    return False
