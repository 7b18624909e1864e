"""Order against bar, in whole ticks: the one set of fill rules for every caller.

A bar says where the market opened, how far it went, and not in which order. So the open is a price that was there,
and inside the bar the pessimistic reading wins: a limit order gets its limit, never better. What lies between the open
and an extreme was passed on the way to it; what must have come after a moment inside the bar is `reached_after`.
"""

from math import isqrt

from njord.kernels.triggers import is_triggered

NO_FILL = 0
AT_OPEN = 1
INSIDE = 2


def worse_ticks(ticks: int, sign: int, slippage_numerator: int, slippage_denominator: int) -> int:
    """Return `ticks` moved by a fraction against `sign` (+1 buy, -1 sell), to the next worse whole tick.

    Never below 1 tick, the lowest price there is.
    """
    moved = (ticks * slippage_numerator + slippage_denominator - 1) // slippage_denominator
    worse = ticks + sign * moved
    return worse if worse > 1 else 1


def limit_fill(sign: int, limit: int, open_: int, high: int, low: int) -> tuple[int, int]:
    """Say whether and where a limit order fills on a bar.

    Args:
        sign: +1 for a buy, -1 for a sell.
        limit: The order's price.
        open_: The bar's first price.
        high: The bar's highest price.
        low: The bar's lowest price.

    Returns:
        (phase, price): AT_OPEN with the open if the bar opens at the limit or better (a gap fills at the open),
        INSIDE with the limit if the bar touches it later, (NO_FILL, 0) otherwise.
    """
    if sign * (limit - open_) >= 0:
        return AT_OPEN, open_
    touched = low <= limit if sign > 0 else high >= limit
    return (INSIDE, limit) if touched else (NO_FILL, 0)


def stop_fill(
    sign: int, is_take_profit: bool, trigger: int, open_: int, high: int, low: int
) -> tuple[int, int]:
    """Say whether and where a bar reaches the trigger of a stop or take-profit order.

    Args:
        sign: +1 for a buy, -1 for a sell.
        is_take_profit: Whether it waits for a price that moves for it, not against it.
        trigger: The price that wakes it.
        open_: The bar's first price.
        high: The bar's highest price.
        low: The bar's lowest price.

    Returns:
        (phase, price): AT_OPEN with the open if the bar opens at the trigger or beyond, INSIDE with the trigger if the
        bar reaches it later, (NO_FILL, 0) otherwise.
    """
    if is_triggered(sign, is_take_profit, trigger, open_):
        return AT_OPEN, open_
    furthest = high if (sign > 0) is not is_take_profit else low
    return (INSIDE, trigger) if is_triggered(sign, is_take_profit, trigger, furthest) else (NO_FILL, 0)


def reached_after(level: int, at: int, direction: int, high: int, low: int, close: int) -> bool:
    """Say whether a bar must have seen the price `level` after a moment inside it at which the price was `at`.

    Args:
        level: The price in question.
        at: The price of the moment.
        direction: +1 or -1 if the bar was at `at` for the first time, on its way up or down from its open, so that
            its extreme on that side came later; 0 if only its close is known to have come later.
        high: The bar's highest price.
        low: The bar's lowest price.
        close: The bar's last price.
    """
    if level == at:
        return True
    if level > at:
        return (high if direction > 0 else close) >= level
    return (low if direction < 0 else close) <= level


def linear_impact(ticks: int, numerator: int, denominator: int, qty_lots: int, volume_lots: int) -> int:
    """Return the whole ticks, rounded up, that ticks x fraction x participation is worth.

    participation = qty / volume. Source: Almgren, Chriss (2000), "Optimal execution of portfolio transactions",
    J. Risk 3(2), 5-39: temporary impact that is linear in the rate of trading.
    """
    return -(-ticks * numerator * qty_lots // (denominator * volume_lots))


def square_root_impact(ticks: int, numerator: int, denominator: int, qty_lots: int, volume_lots: int) -> int:
    """Return the whole ticks, rounded up, that ticks x fraction x sqrt(participation) is worth.

    participation = qty / volume. Source: Torre (1997), "BARRA Market Impact Model Handbook": cost grows with the
    square root of an order's share of the volume. Exact: the smallest m with m**2 >= (ticks x fraction)**2 x share.
    """
    squared = (ticks * numerator) ** 2 * qty_lots
    divisor = denominator**2 * volume_lots
    root = isqrt(squared // divisor)
    return root if root * root * divisor >= squared else root + 1
