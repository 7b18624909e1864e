"""Order against bar, in whole ticks: the one set of fill rules for every caller.

A bar says where the market opened, how far it went, and not in which order. So the open is a price that was there,
and inside the bar the pessimistic reading wins: a limit order gets its limit, never better.
"""

NO_FILL = 0
AT_OPEN = 1
INSIDE = 2


def worse_ticks(ticks: int, sign: int, slippage_numerator: int, slippage_denominator: int) -> int:
    """Return `ticks` moved by a fraction against `sign` (+1 buy, -1 sell), to the next worse whole tick.

    Never below 1 tick, the lowest price there is.
    """
    moved = (ticks * slippage_numerator + slippage_denominator - 1) // slippage_denominator
    return max(1, ticks + sign * moved)


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
