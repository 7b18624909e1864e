"""What does an order cost, may it be sent, and what does its fill do? The gate, the venue and the account in whole numbers.

Everything here holds while no other order is working: a fused run sends one at a time, and it ends with the next bar.
The order of the questions is the gate's (`risk/rules/__init__.py`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba.extending import overload, register_jitable
from numpy.typing import NDArray

from njord.kernels import limits, matching
from njord.kernels._jit import inner_kernel
from njord.kernels.fused_tables import (
    BELOW_LOT,
    CASH_SHORT,
    END_OF_DATA,
    ENDED,
    FEE,
    FILLED,
    FILLED_ROW,
    INTENT,
    LOTS,
    MONEY_MAX,
    NO_FUNDS,
    NO_LOTS,
    PAID_TICKS,
    PASSED,
    SENT_ROW,
    SIGN,
    WOULD_GROW,
    Levels,
    Terms,
)
from njord.kernels.wide import ceil_ratio, floor_ratio, product_exceeds

IntArray = NDArray[np.int64]

MINUTE_NS = 60_000_000_000
_worse_ticks = inner_kernel(matching.worse_ticks)


class Held(NamedTuple):
    """What is in the account: money in units, signed lots."""

    cash: int
    lots: int


# What `limits` asks in plain Python, compiled as it stands.
@overload(limits.product_exceeds)
def _exact_products(a: int, b: int, c: int, d: int) -> Callable[[int, int, int, int], bool]:
    def exceeds(a: int, b: int, c: int, d: int) -> bool:
        return product_exceeds(a, b, c, d)

    return exceeds


register_jitable(limits.cap_exceeded)
register_jitable(limits.day_is_lost)
register_jitable(limits.size_refusal)
register_jitable(limits.cap_refusal)
refusal = inner_kernel(limits.refusal)


@inner_kernel
def wanted_lots(terms: Terms, levels: Levels, level: int, equity: int, close: int) -> tuple[int, int]:
    """Return (PASSED, signed lots) that a level stands for at a price, or (why not, 0)."""
    at = level + terms.n_levels
    if levels.lots[at] != NO_LOTS:
        return (PASSED, levels.lots[at]) if levels.lots[at] or level == 0 else (BELOW_LOT, 0)
    if levels.numerator[at] == 0:
        return PASSED, 0
    if equity <= 0:
        return CASH_SHORT, 0
    lots = floor_ratio(equity, abs(levels.numerator[at]), levels.denominator[at] * close)
    if lots == 0:
        return BELOW_LOT, 0
    return PASSED, lots if levels.numerator[at] > 0 else -lots


@inner_kernel
def fee_of(terms: Terms, notional: int) -> int:
    """Return the fee on a notional, rounded to the venue's step against us."""
    return fee_at(notional, terms.fee_numerator, terms.fee_divisor, terms.fee_step)


@inner_kernel
def fee_at(notional: int, numerator: int, divisor: int, step: int) -> int:
    """Return notional x numerator / divisor steps, rounded to a step against us."""
    if numerator >= 0:
        return ceil_ratio(notional, numerator, divisor) * step
    return -floor_ratio(notional, -numerator, divisor) * step


@inner_kernel
def first_recent(orders: IntArray, at: int, n_orders: int, ts_ns: IntArray, now_ns: int) -> int:
    """Return the first order of the last minute, looked for from `at` on; the first column says at which row each was sent."""
    while at < n_orders and ts_ns[orders[at, SENT_ROW]] <= now_ns - MINUTE_NS:
        at += 1
    return at


@inner_kernel
def send(orders: IntArray, at: int, row: int, change: int, intent: int) -> None:
    """Write an order that was approved at a bar's close."""
    orders[at, SENT_ROW] = row
    orders[at, SIGN] = 1 if change > 0 else -1
    orders[at, LOTS] = abs(change)
    orders[at, INTENT] = intent
    orders[at, ENDED] = END_OF_DATA


@inner_kernel
def fill(terms: Terms, orders: IntArray, at: int, row: int, seen: int, held: Held) -> Held:
    """Let an order meet the open `seen` of bar `row`; return what is held then, as before if there were no funds."""
    sign, size = orders[at, SIGN], orders[at, LOTS]
    paid = slipped(terms, seen, sign)
    fee = fee_of(terms, paid * size * terms.unit)
    ended, after = traded(terms, held, sign * size, paid, fee, False)
    orders[at, FILLED_ROW], orders[at, PAID_TICKS], orders[at, ENDED] = row, paid, ended
    if ended == FILLED:
        orders[at, FEE] = fee
    return after


@inner_kernel
def slipped(terms: Terms, seen: int, sign: int) -> int:
    """Return what a taker pays where the price `seen` was."""
    if terms.slippage_numerator == 0:  # Saves a division.
        return seen
    return int(_worse_ticks(seen, sign, terms.slippage_numerator, terms.slippage_denominator))


@inner_kernel
def traded(terms: Terms, held: Held, change: int, paid: int, fee: int, reduce_only: bool) -> tuple[int, Held]:
    """Return (FILLED, what is held then), or why the account does not allow it and what is held still."""
    cash, lots = held.cash - paid * change * terms.unit - fee, held.lots + change
    crosses = lots != 0 and (lots < 0) != (held.lots < 0)
    if crosses or abs(lots) > abs(held.lots):
        if reduce_only:
            return WOULD_GROW, held
        backing = cash + (2 * lots * paid * terms.unit if lots < 0 else 0)
        if backing < 0 or (lots < 0 and not terms.venue_may_short):
            return NO_FUNDS, held
    return FILLED, Held(cash, lots)


@inner_kernel
def is_out_of_range(terms: Terms, held: Held) -> bool:
    """Say whether what is held could soon leave the whole numbers that money is counted in."""
    return abs(held.cash) > MONEY_MAX or abs(held.lots) > terms.lots_max
