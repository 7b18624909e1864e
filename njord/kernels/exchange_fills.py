"""Which of our orders does the market fill, and at what price? The rules for a trade, a level's change, and an arrival.

With a book. A trade at a resting order's price first eats the lots ahead of it, and one through its price fills all of
it, as does a book whose other side comes to the order's price or through it. An order that takes pays the levels. Where
fills are partial, an order gets what a trade leaves after the lots ahead (our own earlier orders share that trade), and
what a taker took of a level is gone until the feed sets the level anew. Where they are not, the rules are those of
hftbacktest's exchange without partial fills: all of an order fills as soon as the first of its lots would, and a taker
gets everything at the best level. Of several orders of ours at one price (hftbacktest looks at each alone) none is estimated to
stand before an earlier one.

Without a book (trades only). An order that would take waits for the next trade and fills at its price, if its limit
allows: with partial fills no more than was traded. One that rests is filled when a trade goes through its limit, never at
it, because nobody knows the queue. Whether an order would take is told by the last trade: a limit at it or beyond it does.

A resting order fills at its limit, as maker. One that a trade has triggered never takes at a better price than that
trade's: the levels beyond are about to be removed.
"""

from njord.kernels._jit import bare_kernel
from njord.kernels.book import (
    ASK,
    BASE,
    BEST,
    BID,
    HEADER,
    LOTS,
    N_FAR,
    NO_LEVEL,
    PRICE_MAX,
    ROOM,
    SIDE,
    WINDOW,
    IntArray,
    best,
    far_at,
    far_slot,
    set_level,
)
from njord.kernels.book_depth import lots_within
from njord.kernels.exchange_orders import (
    AHEAD,
    ARRIVING,
    ENDED,
    FILLED,
    FOK,
    HAS_BOOK,
    IOC,
    IS_PARTIAL,
    IS_POST_ONLY,
    IS_TAKE_PROFIT,
    LAST,
    LEFT,
    LIMIT,
    MODEL,
    N_ORDERS,
    NO_LIQUIDITY,
    NO_REASON,
    QUEUED,
    REMAINDER,
    RESTING,
    SETTLING,
    SIGN,
    STATE,
    TAKING,
    TIF,
    TRADED,
    TRAIL,
    TRIGGER,
    TRIGGERED,
    UNFILLED,
    UNKNOWN,
    WAITING,
    WOULD_TAKE,
    Exchange,
    made,
    remove,
    sort_in,
    tell,
    trailing,
    triggered,
    whole,
)
from njord.kernels.exchange_queue import ahead_after


@bare_kernel
def level_lots(book: IntArray, side: int, price: int) -> int:
    """Return the lots of a level, wherever it lies; 0 if there is none."""
    at = HEADER + side * book[SIDE]
    if book[at + BEST] == NO_LEVEL:
        return 0
    key = price if side == ASK else -price
    index = key - book[at + BASE]
    if index < 0:
        return 0
    if index < book[WINDOW]:
        return int(book[at + LOTS + index])
    if book[at + N_FAR]:
        keys = at + far_at(book)
        slot = far_slot(book, at, key)
        if book[keys + slot]:
            return int(book[keys + book[ROOM] + slot])
    return 0


# --- what rests ---


@bare_kernel
def meet_level(x: Exchange, side: int, price: int, old: int, new: int) -> None:
    """Let a level's change move the queues of our orders there.

    Args:
        x: The exchange.
        side: The level's.
        price: The level's.
        old: Its lots before.
        new: Its lots now.
    """
    orders, queue = x.orders, x.queue
    sign = 1 - 2 * side
    before_us = -UNKNOWN  # Lots ahead of our order before: no estimate lets a later one overtake it.
    for at in range(x.head[N_ORDERS]):
        if orders[at, STATE] == RESTING and orders[at, SIGN] == sign and orders[at, LIMIT] == price:
            ahead = ahead_after(x.head[MODEL], queue[at, AHEAD], queue[at, TRADED], old, new)
            before_us = max(before_us, ahead)
            queue[at, AHEAD] = before_us
            queue[at, TRADED] = 0.0


@bare_kernel
def meet_touch(x: Exchange, side: int) -> None:
    """Fill what rests where a side that has improved its best price has come to."""
    sign = 1 - 2 * side
    touch, _ = best(x.book, side)
    at = 0
    while at < x.head[N_ORDERS]:
        is_reached = (x.orders[at, LIMIT] - touch) * sign <= 0
        if x.orders[at, STATE] == RESTING and x.orders[at, SIGN] != sign and is_reached:
            made(x, at, x.orders[at, LEFT], x.queue[at, AHEAD])
        else:
            at += 1


@bare_kernel
def meet_trade(x: Exchange, sign: int, price: int, lots: int, all_rest: bool) -> None:
    """Let a trade meet all orders: those that rest, those that wait for a trade, those that wait for a trigger.

    Args:
        x: The exchange.
        sign: Of the aggressor.
        price: Of the trade.
        lots: Of the trade.
        all_rest: Whether there are none but those that rest.
    """
    x.head[LAST] = price
    _meet_resting(x, sign, price, lots)
    if not all_rest:
        _meet_taking(x, price, lots)
        _meet_waiting(x, price)


@bare_kernel
def _meet_resting(x: Exchange, sign: int, price: int, lots: int) -> None:
    left = lots  # Of this trade, after what our earlier orders at its price had of it.
    at = 0
    while at < x.head[N_ORDERS]:
        beyond = (x.orders[at, LIMIT] - price) * sign
        if x.orders[at, STATE] != RESTING or x.orders[at, SIGN] == sign or beyond > 0:
            at += 1
            continue
        ahead = x.queue[at, AHEAD]
        fill = x.orders[at, LEFT]
        if beyond == 0:
            x.queue[at, TRADED] += lots
            if x.head[IS_PARTIAL]:
                x.queue[at, AHEAD] = max(0.0, ahead - left)
                fill = min(fill, int(max(0.0, left - max(0.0, ahead))))
                left -= fill
            else:
                x.queue[at, AHEAD] = ahead - lots
                if x.queue[at, AHEAD] > -0.5:
                    fill = 0
        if fill == 0 or not made(x, at, fill, ahead):
            at += 1


# --- what takes ---


@bare_kernel
def worst_price(sign: int, limit: int) -> int:
    """Return the worst price that an order accepts."""
    if limit:
        return limit
    return PRICE_MAX if sign > 0 else 1


@bare_kernel
def paid(sign: int, price: int, bound: int) -> int:
    """Return the price of taking at `price`, never better than `bound` (0 = no bound)."""
    if bound == 0:
        return price
    return max(price, bound) if sign > 0 else min(price, bound)


@bare_kernel
def would_take(x: Exchange, sign: int, limit: int, bound: int) -> bool:
    """Say whether an order that arrives now would take, by the book or, without one, by the last trade."""
    if x.head[HAS_BOOK]:
        price, _ = best(x.book, ASK if sign > 0 else BID)
        return price != 0 and (worst_price(sign, limit) - paid(sign, price, bound)) * sign >= 0
    return limit == 0 or (x.head[LAST] != 0 and (limit - x.head[LAST]) * sign >= 0)


@bare_kernel
def arrive(x: Exchange, at: int, bound: int) -> None:
    """Let the order at `at` meet the market: it takes, rests, waits for the next trade, or ends.

    Args:
        x: The exchange.
        at: Where the order lies.
        bound: The price of the trade that has triggered it, 0 if none.
    """
    sign, limit, tif = x.orders[at, SIGN], x.orders[at, LIMIT], x.orders[at, TIF]
    x.orders[at, STATE] = ARRIVING
    takes = would_take(x, sign, limit, bound)
    if takes and x.orders[at, IS_POST_ONLY]:
        _end(x, at, WOULD_TAKE)
        return
    if not x.head[HAS_BOOK]:
        if takes or (x.head[LAST] == 0 and not x.orders[at, IS_POST_ONLY]):
            x.orders[at, STATE] = TAKING
            return
    elif takes and not (tif == FOK and not _offers_all(x, at)):
        _take(x, at, bound)
    if x.orders[at, LEFT] == 0:
        remove(x, at)
    elif tif == FOK:
        _end(x, at, UNFILLED)
    elif limit == 0:
        _end(x, at, NO_LIQUIDITY)
    elif tif == IOC:
        _end(x, at, REMAINDER)
    else:
        _rest(x, at)


@bare_kernel
def _end(x: Exchange, at: int, reason: int) -> None:
    tell(x, ENDED, at, 0, x.orders[at, LEFT], reason)
    remove(x, at)


@bare_kernel
def _rest(x: Exchange, at: int) -> None:
    sign, limit = x.orders[at, SIGN], x.orders[at, LIMIT]
    ahead = UNKNOWN
    if x.head[HAS_BOOK]:
        ahead = float(level_lots(x.book, BID if sign > 0 else ASK, limit))
    for other in range(x.head[N_ORDERS]):
        rests_there = x.orders[other, STATE] == RESTING and x.orders[other, LIMIT] == limit
        if rests_there and x.orders[other, SIGN] == sign:
            ahead = max(ahead, x.queue[other, AHEAD])
    x.queue[at, AHEAD] = ahead
    x.queue[at, TRADED] = 0.0
    x.orders[at, QUEUED] = whole(ahead)
    x.orders[at, STATE] = RESTING
    sort_in(x, at)


@bare_kernel
def _offers_all(x: Exchange, at: int) -> bool:
    if not x.head[IS_PARTIAL]:
        return True
    sign = x.orders[at, SIGN]
    lots, _, is_exact = lots_within(x.book, ASK if sign > 0 else BID, worst_price(sign, x.orders[at, LIMIT]))
    return lots >= x.orders[at, LEFT] or not is_exact


@bare_kernel
def _take(x: Exchange, at: int, bound: int) -> None:
    sign = x.orders[at, SIGN]
    side = ASK if sign > 0 else BID
    worst = worst_price(sign, x.orders[at, LIMIT])
    while x.orders[at, LEFT] > 0:
        price, lots = best(x.book, side)
        if price == 0 or (worst - paid(sign, price, bound)) * sign < 0:
            return
        taken = min(x.orders[at, LEFT], lots) if x.head[IS_PARTIAL] else x.orders[at, LEFT]
        tell(x, FILLED, at, paid(sign, price, bound), taken, NO_REASON)
        x.orders[at, LEFT] -= taken
        if x.head[IS_PARTIAL]:
            set_level(x.book, side, price, lots - taken)


# --- what waits ---


# Orders that came without a book: the first trade that they see is theirs, what is left of a limit order rests then.
@bare_kernel
def _meet_taking(x: Exchange, price: int, lots: int) -> None:
    left = lots
    at = 0
    while at < x.head[N_ORDERS]:
        if x.orders[at, STATE] != TAKING:
            at += 1
            continue
        sign, limit, tif = x.orders[at, SIGN], x.orders[at, LIMIT], x.orders[at, TIF]
        fill = 0
        if (worst_price(sign, limit) - price) * sign >= 0:
            fill = min(x.orders[at, LEFT], left) if x.head[IS_PARTIAL] else x.orders[at, LEFT]
        if tif == FOK and fill < x.orders[at, LEFT]:
            _end(x, at, UNFILLED)
            continue
        if fill:
            tell(x, FILLED, at, price, fill, NO_REASON)
            x.orders[at, LEFT] -= fill
            left -= fill
        if x.orders[at, LEFT] == 0:
            remove(x, at)
        elif tif == IOC:
            _end(x, at, REMAINDER if limit else NO_LIQUIDITY)
        else:
            if limit:
                x.orders[at, STATE] = SETTLING
            at += 1
    at = 0
    while at < x.head[N_ORDERS]:
        if x.orders[at, STATE] == SETTLING:
            _rest(x, at)
            at = 0
        else:
            at += 1


@bare_kernel
def _meet_waiting(x: Exchange, price: int) -> None:
    for at in range(x.head[N_ORDERS]):
        if x.orders[at, STATE] == WAITING and x.orders[at, TRAIL]:
            x.orders[at, TRIGGER] = trailing(
                x.orders[at, SIGN], x.orders[at, TRIGGER], x.orders[at, TRAIL], price
            )
    at = 0
    while at < x.head[N_ORDERS]:
        if x.orders[at, STATE] == WAITING and wakes(x, at, price):
            wake(x, at, price)
            at = 0  # The table has changed.
        else:
            at += 1


@bare_kernel
def wakes(x: Exchange, at: int, price: int) -> bool:
    """Say whether a trade at `price` triggers the waiting order at `at`."""
    is_take_profit = x.orders[at, IS_TAKE_PROFIT] != 0
    return triggered(x.orders[at, SIGN], is_take_profit, x.orders[at, TRIGGER], price)


@bare_kernel
def wake(x: Exchange, at: int, price: int) -> None:
    """Trigger an order by a trade at `price`, and let it arrive."""
    tell(x, TRIGGERED, at, price, x.orders[at, LEFT], NO_REASON)
    arrive(x, at, price)
