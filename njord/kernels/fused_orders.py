"""A compiled strategy that places orders, in a loop over bars: the template whose text is compiled once for each of them.

The same decisions as the ordered engine's, in whole ticks, lots and units of money: working orders meet the bar
(`fused_book.py`), the strategy speaks to its slots (`order_slots.py`), its cancels go out, and the gate is asked about
each order in turn (`fused_gate.py`). How a strategy's own function takes the place of `decide` is told in
`fused.py`; what a run may hold for this to be the same in `backtest/fused_terms.py`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel
from njord.kernels.fused_account import Held, first_recent, is_out_of_range
from njord.kernels.fused_book import (
    B_KIND,
    B_LIMIT,
    B_LOTS,
    B_SIGN,
    B_SLOT,
    END,
    FILL_ROW,
    N_FILLS,
    NEVER,
    PLACED,
    PLACED_INTENT,
    PLACED_KIND,
    PLACED_LIMIT,
    PLACED_LOTS,
    PLACED_ROW,
    PLACED_SIGN,
    PLACED_SLOT,
    RESTS,
    WORKS,
    Desk,
    end,
    leave,
    meet,
    touch,
)
from njord.kernels.fused_gate import Open, OrderTerms, Wish, answer
from njord.kernels.fused_tables import (
    CANCELED,
    DONE,
    END_OF_DATA,
    MONEY_RANGE,
    NO_ROOM,
    PASSED,
    Bars,
    Now,
)
from njord.kernels.order_slots import (
    ASKED,
    EQUITY,
    FILLED_LOTS,
    HEAD,
    LOT_WORTH,
    N_SLOTS,
    WISH_KIND,
    WISH_LIMIT,
    WISH_LOTS,
    WISH_SIGN,
    WORK_LIMIT,
    WORK_LOTS,
    WORK_SIGN,
)
from njord.kernels.order_slots import CANCELED as TO_CANCEL

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_DAY_NS = 86_400_000_000_000


class OrdersRun(NamedTuple):
    """How a run ended: why, at which row, and with what in the account."""

    code: int
    row: int
    n_orders: int
    n_intents: int
    cash: int
    lots: int
    n_invested: int  # Bars at whose close something was held.
    n_fills: int


class Said(NamedTuple):
    """What came of what a strategy said at one bar; `code` is DONE, or why the run can not go on."""

    code: int
    n_book: int
    n_orders: int
    n_intents: int


@bare_kernel
def decide(
    now: Now,
    values: tuple[float, ...],
    state: FloatArray,
    params: FloatArray,
    orders: IntArray,
) -> None:
    """Stand in for the strategy, which takes this name in the specialized copy: say nothing."""


@bare_kernel
def ask(
    event: IntArray,
    values: FloatArray,
    state: FloatArray,
    params: FloatArray,
    orders: IntArray,
) -> None:
    """Let the strategy speak to its slots at one bar; `event` has the fields of `Now`."""
    now = Now(event[0], event[1], event[2], event[3], event[4], event[5], event[6], event[7])
    decide(now, (values[0], values[1]), state, params, orders)


@bare_kernel
def run(
    bars: Bars,
    columns: FloatArray,
    which: IntArray,
    terms: OrderTerms,
    warm_bars: int,
    state: FloatArray,
    params: FloatArray,
    desk: Desk,
    equity: IntArray,
    refusals: IntArray,
) -> OrdersRun:
    """Run the strategy over all bars.

    Args as for `fused.run`, but: `desk` is all zero at first, `columns` are this strategy's indicators in the rows
    `which`, and from bar `warm_bars` on its orders count.

    Returns:
        DONE, or at which row it gave up, because the range of whole numbers was left or `desk` is too small: nothing
        that was written is of use then.
    """
    n, unit, slots = bars.close.size, terms.base.unit, desk.slots
    rows = (columns[which[0]], columns[which[1]])
    held, before = Held(terms.base.capital, 0), 0
    day_end, day_start = 0, terms.base.capital
    bid, offer = NEVER, NEVER
    n_book = n_orders = n_intents = n_fills = forgotten = n_invested = since = 0
    for row in range(n):
        ts_ns = bars.ts_ns[row]
        if ts_ns > day_end:
            day_start = held.cash + held.lots * before * unit
            day_end = -(-ts_ns // _DAY_NS) * _DAY_NS
        has_filled = False
        # Most bars touch nothing: then the orders are not even looked at.
        low, high = min(bars.low[row], bars.open[row]), max(bars.high[row], bars.open[row])
        if n_book and (low <= bid or high >= offer):
            had = held.lots
            held = meet(terms, bars, row, desk, n_book, held)
            n_book = leave(desk.book, n_book)
            bid, offer = touch(desk.book, n_book)
            has_filled = desk.counts[N_FILLS] != n_fills
            if has_filled:
                n_fills = desk.counts[N_FILLS]
                n_invested += row - since if had else 0
                since = row
                if is_out_of_range(terms.base, held):
                    return OrdersRun(MONEY_RANGE, row, n_orders, n_intents, 0, 0, 0, n_fills)
        close, lots = bars.close[row], held.lots
        before = close
        seen = (bars.open[row], bars.high[row], bars.low[row], close, bars.volume_lots[row])
        now = Now(row + 1, ts_ns, *seen, lots)
        worth = held.cash + lots * close * unit
        equity[row] = slots[HEAD, EQUITY] = worth
        slots[HEAD, LOT_WORTH] = close * unit
        decide(now, (rows[0][row], rows[1][row]), state, params, slots)
        if has_filled:
            slots[:N_SLOTS, FILLED_LOTS] = 0
        if slots[HEAD, ASKED] | slots[HEAD, TO_CANCEL] == 0:
            continue
        if row + 1 >= warm_bars:
            forgotten = first_recent(desk.placed, forgotten, n_orders, bars.ts_ns, ts_ns)
            said = Said(DONE, n_book, n_orders, n_intents)
            said = _speak(terms, desk, row, said, n_orders - forgotten, held, close, day_start, refusals)
            if said.code != DONE:
                return OrdersRun(said.code, row, n_orders, n_intents, 0, 0, 0, n_fills)
            n_book, n_orders, n_intents = said.n_book, said.n_orders, said.n_intents
            bid, offer = touch(desk.book, n_book)
        slots[HEAD, ASKED] = slots[HEAD, TO_CANCEL] = 0
    n_invested += n - since if held.lots else 0
    return OrdersRun(DONE, n, n_orders, n_intents, held.cash, held.lots, n_invested, n_fills)


# Cancels first, then orders, both by slot. What is canceled counts until all have been asked about: the venue has yet
# to say that it is gone.
@bare_kernel
def _speak(
    terms: OrderTerms,
    desk: Desk,
    row: int,
    before: Said,
    n_recent: int,
    held: Held,
    close: int,
    day_start: int,
    refusals: IntArray,
) -> Said:
    slots, book = desk.slots, desk.book
    n_book, n_orders, n_intents = before.n_book, before.n_orders, before.n_intents
    open_ = _open_orders(book, n_book, close)
    asked = slots[HEAD, ASKED]
    leaving = asked | slots[HEAD, TO_CANCEL]
    for at in range(n_book):
        if leaving >> book[at, B_SLOT] & 1:
            n_intents += 1
            end(desk, at, row, CANCELED, True)
    for slot in range(N_SLOTS):
        if not asked >> slot & 1:
            continue
        n_intents += 1
        wish = Wish(
            slots[slot, WISH_SIGN],
            slots[slot, WISH_LOTS],
            slots[slot, WISH_LIMIT],
            slots[slot, WISH_KIND],
        )
        if _is_beyond(terms, wish, open_, held.lots):
            return Said(MONEY_RANGE, 0, 0, 0)
        why = answer(terms, wish, open_, held, close, day_start, n_recent)
        if why != PASSED:
            refusals[why] += 1
            continue
        if n_orders == desk.placed.shape[0]:
            return Said(NO_ROOM, 0, 0, 0)
        _place(desk, n_book, n_orders, row, slot, wish, n_intents)
        open_ = _with(open_, wish, close)
        n_orders, n_book, n_recent = n_orders + 1, n_book + 1, n_recent + 1
    return Said(DONE, leave(book, n_book), n_orders, n_intents)


@bare_kernel
def _open_orders(book: IntArray, n_book: int, close: int) -> Open:
    open_ = Open(0, 0, 0, 0, 0, 0)
    for at in range(n_book):
        wish = Wish(book[at, B_SIGN], book[at, B_LOTS], book[at, B_LIMIT], 0)
        open_ = _with(open_, wish, close)
    return open_


@bare_kernel
def _with(open_: Open, wish: Wish, close: int) -> Open:
    ticks = max(close, wish.limit)
    worth = wish.lots * ticks
    if wish.sign > 0:
        return Open(
            open_.n + 1,
            open_.buys + wish.lots,
            open_.sells,
            open_.bought + worth,
            open_.sold,
            open_.cheapest,
        )
    cheapest = min(open_.cheapest, ticks) if open_.sells else ticks
    return Open(
        open_.n + 1,
        open_.buys,
        open_.sells + wish.lots,
        open_.bought,
        open_.sold + worth,
        cheapest,
    )


# Whether the sums that the gate makes could leave the whole numbers.
@bare_kernel
def _is_beyond(terms: OrderTerms, wish: Wish, open_: Open, held: int) -> bool:
    if wish.lots > terms.base.lots_max or wish.limit > terms.highest:
        return True
    return abs(held) + open_.buys + open_.sells + max(0, wish.lots) > terms.base.lots_max


@bare_kernel
def _place(desk: Desk, n_book: int, at: int, row: int, slot: int, wish: Wish, intent: int) -> None:
    placed, line, slots = desk.placed[at], desk.book[n_book], desk.slots[slot]
    placed[PLACED_ROW], placed[PLACED_SLOT], placed[PLACED_INTENT] = row, slot, intent
    placed[PLACED_SIGN], placed[PLACED_LOTS] = wish.sign, wish.lots
    placed[PLACED_LIMIT], placed[PLACED_KIND] = wish.limit, wish.kind
    placed[END], placed[FILL_ROW] = END_OF_DATA, -1
    line[PLACED], line[B_SIGN], line[B_LOTS], line[B_LIMIT] = (
        at,
        wish.sign,
        wish.lots,
        wish.limit,
    )
    line[B_KIND], line[B_SLOT], line[RESTS], line[WORKS] = wish.kind, slot, 0, 1
    slots[WORK_SIGN], slots[WORK_LOTS], slots[WORK_LIMIT] = (
        wish.sign,
        wish.lots,
        wish.limit,
    )
