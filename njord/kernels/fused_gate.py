"""May an order be sent while others work? The risk gate's rules for orders that a strategy places itself, in whole numbers.

What works counts as `risk/exposure.py` counts it; the order of the questions is the gate's (`risk/rules/__init__.py`).
Where nothing else works and the order is a market order this says what `limits.refusal` says.
"""

from typing import NamedTuple

from njord.kernels._jit import bare_kernel
from njord.kernels.fused_account import Held
from njord.kernels.fused_tables import (
    COLLAR,
    GROWS,
    MALFORMED,
    NAKED_SHORT,
    NOT_BACKED,
    OPEN_ORDERS,
    PASSED,
    Terms,
)
from njord.kernels.limits import cap_refusal, size_refusal
from njord.kernels.order_slots import IOC, IS_LIMIT, POST_ONLY, REDUCE_ONLY
from njord.kernels.wide import product_exceeds, sum_exceeds

# What ends where two limit orders of ours cross.
NOBODY, TAKER, MAKER, BOTH = 0, 1, 2, 3


class OrderTerms(NamedTuple):
    """The terms of a run whose strategy places orders.

    Attributes:
        base: What holds for any run.
        highest: The highest price that `lots_max` counts with, in ticks.
        max_open: So many orders may work.
        collar_numerator: Of the largest distance of a limit from the last price, as a fraction of it; 0 = any.
        self_trade: NOBODY, TAKER, MAKER or BOTH.
        maker_numerator: A maker's fee = notional x numerator / divisor steps.
        cost_numerator: Fee and slippage that must be free besides, as a fraction of what all orders would trade.
        buffer_numerator: What must be free besides, as a fraction of what the order itself would trade.
        cost_denominator: Of both.
    """

    base: Terms
    highest: int
    max_open: int
    collar_numerator: int
    collar_denominator: int
    self_trade: int
    maker_numerator: int
    maker_divisor: int
    cost_numerator: int
    buffer_numerator: int
    cost_denominator: int


class Wish(NamedTuple):
    """An order that the gate is asked about; `limit` in ticks, 0 = at any price, `kind` as in `order_slots.py`."""

    sign: int
    lots: int
    limit: int
    kind: int


class Open(NamedTuple):
    """The orders that work when another one is asked about.

    Attributes:
        n: How many.
        buys: Lots of all buys; `sells` of all sells.
        bought: Sum over all buys of lots x the higher of limit and last price; `sold` over all sells.
        cheapest: The lowest of those prices among the sells.
    """

    n: int
    buys: int
    sells: int
    bought: int
    sold: int
    cheapest: int


@bare_kernel
def answer(
    terms: OrderTerms,
    wish: Wish,
    open_: Open,
    account: Held,
    close: int,
    day_start: int,
    n_recent: int,
) -> int:
    """Return what the gate says of an order: PASSED, or why not.

    Args:
        terms: The limits.
        wish: The order.
        open_: What else is working.
        account: What is held.
        close: The last price.
        day_start: The equity that the day began with.
        n_recent: Orders approved in the last minute.
    """
    base, held = terms.base, account.lots
    equity = account.cash + held * close * base.unit
    sign, lots, unit = wish.sign, wish.lots, base.unit
    why = _form(terms, wish, close)
    if why != PASSED:
        return why
    ahead = open_.buys if sign > 0 else open_.sells
    size, highest = abs(held), max(close, wish.limit)
    is_against = held != 0 and (held > 0) != (sign > 0)
    growth = max(0, lots - max(0, size - ahead)) if is_against else lots
    if growth and wish.kind & REDUCE_ONLY:
        return GROWS
    if open_.n >= terms.max_open:
        return OPEN_ORDERS
    reached = abs(held + sign * (ahead + lots))
    is_larger = reached > max(size, abs(held + open_.buys), abs(held - open_.sells))
    worth = reached * highest * unit if is_larger else 0
    why = cap_refusal(base, growth * highest * unit, worth, equity, day_start, n_recent)
    if why != PASSED or growth == 0:
        return why
    if sign < 0 and not base.may_short:
        return NAKED_SHORT
    return PASSED if _is_backed(terms, wish, open_, held, equity, close) else NOT_BACKED


# The order itself, and the instrument's filters.
@bare_kernel
def _form(terms: OrderTerms, wish: Wish, close: int) -> int:
    base, limit = terms.base, wish.limit
    if _is_malformed(wish):
        return MALFORMED
    why = size_refusal(base, wish.lots, (limit or close) * wish.lots * base.unit)
    if why != PASSED:
        return why
    return COLLAR if limit and _is_outside(terms, limit, close) else PASSED


# Whether equity covers the position once all orders of this side have filled: what they close needs nothing more, a
# purchase above the market pays that premium at once, a sale closes with the cheapest order.
@bare_kernel
def _is_backed(terms: OrderTerms, wish: Wish, open_: Open, held: int, equity: int, close: int) -> bool:
    unit, highest, size = terms.base.unit, max(close, wish.limit), abs(held)
    is_buy = wish.sign > 0
    ahead = (open_.bought if is_buy else open_.sold) * unit
    notional = wish.lots * highest * unit
    traded = ahead + notional
    if held == 0 or (held > 0) == is_buy:
        backing = size * close * unit + traded
    else:
        lowest = min(open_.cheapest, highest) if ahead else highest
        backing = traded - size * (close if is_buy else lowest) * unit
    free, cost, buffer = equity - backing, terms.cost_numerator, terms.buffer_numerator
    if ahead == 0:
        return not product_exceeds(notional, cost + buffer, free, terms.cost_denominator)
    return not sum_exceeds(traded, cost, notional, buffer, free, terms.cost_denominator)


@bare_kernel
def _is_malformed(wish: Wish) -> bool:
    kind = wish.kind
    if wish.lots < 1 or wish.limit < 0 or (kind & IS_LIMIT != 0) != (wish.limit > 0):
        return True
    return kind & POST_ONLY != 0 and (kind & IS_LIMIT == 0 or kind & IOC != 0)


@bare_kernel
def _is_outside(terms: OrderTerms, limit: int, close: int) -> bool:
    return terms.collar_numerator != 0 and product_exceeds(
        abs(limit - close), terms.collar_denominator, close, terms.collar_numerator
    )
