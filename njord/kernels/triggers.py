"""When does a price wake an order, and where does a trailing stop's trigger stand? Whole ticks in, the same out.

Bars and ticks share these functions. They are plain, so that they run interpreted where numba is not wanted;
`exchange_orders` compiles them as they stand.
"""


def is_triggered(sign: int, is_take_profit: bool, trigger_ticks: int, price_ticks: int) -> bool:
    """Say whether a price reaches an order's trigger.

    Args:
        sign: +1 for a buy, -1 for a sell.
        is_take_profit: A take-profit waits for the price to move for it, a stop for it to move against it.
        trigger_ticks: The trigger; a stop buys at or above it and sells at or below it, a take-profit the reverse.
        price_ticks: The last price.
    """
    toward = -sign if is_take_profit else sign
    return toward * (price_ticks - trigger_ticks) >= 0


def trailed(sign: int, trigger_ticks: int, trail_ticks: int, price_ticks: int) -> int:
    """Return a trailing stop's trigger after a price: it follows the best price at a distance and never goes back.

    Args:
        sign: +1 for a buy (its trigger falls with the price), -1 for a sell (it rises).
        trigger_ticks: The trigger so far; 0 where it has none yet.
        trail_ticks: The distance, > 0.
        price_ticks: The last price.

    Returns:
        The new trigger, 1 at least.
    """
    wanted = max(1, price_ticks + sign * trail_ticks)
    if trigger_ticks == 0:
        return wanted
    return min(trigger_ticks, wanted) if sign > 0 else max(trigger_ticks, wanted)
