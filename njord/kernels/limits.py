"""May an order be sent while no other one is working? Whole numbers in, the gate's answer out.

The order of the questions is the gate's (`risk/rules/__init__.py`). They are plain Python, so that the gate asks them
with integers that have no bounds; `fused_account` compiles them as they stand, with exact products of 64-bit numbers.
"""

from dataclasses import dataclass

from njord.kernels.fused_tables import (
    ABOVE_MAX,
    BELOW_MIN,
    DAILY_LOSS,
    GROSS,
    NAKED_SHORT,
    NOT_BACKED,
    NOTIONAL_BELOW_MIN,
    ORDER_NOTIONAL,
    PASSED,
    POSITION,
    RATE,
    STRATEGY_RATE,
    Cap,
    Terms,
)

NO_LIMIT = 2**62


# What follows is read for every order, and a field of a slotted class comes three times as fast as one of a named tuple.
@dataclass(frozen=True, slots=True)
class CapLimit:
    """What a `Cap` says, in integers that have no bounds."""

    is_on: bool
    has_notional: bool
    notional: int
    numerator: int
    denominator: int


OFF = CapLimit(False, False, 0, 0, 1)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a gate's rules ask of an order, of the names and units that `Terms` has."""

    unit: int
    may_short: bool
    cost_numerator: int
    cost_denominator: int
    min_lots: int = 1
    max_lots: int = NO_LIMIT
    min_notional: int = 0
    per_minute: int = NO_LIMIT
    strategy_per_minute: int = NO_LIMIT
    daily_loss: CapLimit = OFF
    order_notional: CapLimit = OFF
    position: CapLimit = OFF
    gross: CapLimit = OFF


def product_exceeds(a: int, b: int, c: int, d: int) -> bool:
    """Say whether a x b > c x d."""
    return a * b > c * d


def cap_exceeded(cap: CapLimit | Cap, worth: int, equity: int) -> bool:
    """Say whether a worth is above a cap; one that is not on exceeds nothing."""
    if cap.has_notional and worth > cap.notional:
        return True
    if cap.numerator == 0:
        return False
    return product_exceeds(worth, cap.denominator, equity if equity > 0 else 0, cap.numerator)


def day_is_lost(cap: CapLimit | Cap, loss: int, began_with: int) -> bool:
    """Say whether a day's loss has reached a cap, whose fraction is one of what the day began with."""
    if cap.has_notional and loss >= cap.notional:
        return True
    return cap.numerator != 0 and not product_exceeds(
        max(0, began_with), cap.numerator, loss, cap.denominator
    )


def size_refusal(limits: Limits | Terms, lots: int, notional: int) -> int:
    """Return what the instrument's filters say of an order's size: PASSED, or why not."""
    if lots < limits.min_lots:
        return BELOW_MIN
    if lots > limits.max_lots:
        return ABOVE_MAX
    return NOTIONAL_BELOW_MIN if notional < limits.min_notional else PASSED


def cap_refusal(
    limits: Limits | Terms, growth: int, reached: int, equity: int, day_start: int, n_recent: int
) -> int:
    """Return what rates, the day's loss and the caps on worth say: PASSED, or why not.

    Args:
        limits: What is asked.
        growth: What the order adds to the position, in units; 0 if it adds nothing.
        reached: The largest position that it can lead to, in units; 0 if that is none larger than without it.
        equity: In units, as is `day_start`.
        day_start: What the UTC day began with.
        n_recent: Orders approved in the last minute, all of one strategy.
    """
    if n_recent >= limits.per_minute:
        return RATE
    if n_recent >= limits.strategy_per_minute:
        return STRATEGY_RATE
    if growth and limits.daily_loss.is_on and day_is_lost(limits.daily_loss, day_start - equity, day_start):
        return DAILY_LOSS
    if growth and cap_exceeded(limits.order_notional, growth, equity):
        return ORDER_NOTIONAL
    if reached and cap_exceeded(limits.position, reached, equity):
        return POSITION
    return GROSS if reached and cap_exceeded(limits.gross, reached, equity) else PASSED


def refusal(
    limits: Limits | Terms, change: int, held: int, close: int, equity: int, day_start: int, n_recent: int
) -> int:
    """Return what the gate says of an order for `change` signed lots while none is working: PASSED, or why not.

    Args:
        limits: What is asked.
        change: Signed lots, not 0.
        held: Signed lots.
        close: The market's price in ticks, at least 1.
        equity: In units, as is `day_start`, what the UTC day began with.
        n_recent: Orders approved in the last minute, all of one strategy.
    """
    lots, lot_worth = abs(change), close * limits.unit
    notional = lots * lot_worth
    why = size_refusal(limits, lots, notional)
    if why != PASSED:
        return why
    before, after, growth = abs(held), abs(held + change), lots
    if held != 0 and (held > 0) != (change > 0):
        if lots <= before:
            return cap_refusal(limits, 0, 0, equity, day_start, n_recent)
        growth = lots - before
    worth = after * lot_worth  # Of the position after the fill.
    reached = worth if after > before else 0
    why = cap_refusal(limits, growth * lot_worth, reached, equity, day_start, n_recent)
    if why != PASSED:
        return why
    if change < 0 and not limits.may_short:
        return NAKED_SHORT
    # Fee, slippage and buffer are paid on all that is traded.
    if product_exceeds(notional, limits.cost_numerator, equity - worth, limits.cost_denominator):
        return NOT_BACKED
    return PASSED
