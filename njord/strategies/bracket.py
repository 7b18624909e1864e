"""How is an entry sent with its exits? One entry in; the entry, its take-profit and its stop out, linked by names."""

from msgspec.structs import replace

from njord.core.contracts import OrderIntent
from njord.core.types import BUY, OrderType

ENTRY = "entry"


def bracket(
    entry: OrderIntent, *, take_profit_ticks: int, stop_ticks: int, stop_limit_ticks: int = 0
) -> list[OrderIntent]:
    """Return the entry and its two exits, of which one cancels the other; return the list from a callback.

    The exits sleep until the entry fills, close no more than has filled, and only ever reduce the position.

    Args:
        entry: Any order. Its `intent_id` is the name that links the three; name it where one list holds two brackets.
        take_profit_ticks: Limit price of the exit with a profit.
        stop_ticks: What wakes the exit with a loss.
        stop_limit_ticks: Its limit price once awake; 0 = it then takes what the market offers.

    Raises:
        ValueError: The stop is not on the losing side, or a price is not positive.
    """
    _check(entry, take_profit_ticks, stop_ticks, stop_limit_ticks)
    name = entry.intent_id or ENTRY
    exit_ = OrderIntent(
        side=entry.side.opposite,
        qty_lots=entry.qty_lots,
        reduce_only=True,
        after_intent_id=name,
        group_id=f"{name} exits",
    )
    take_profit = replace(
        exit_, type=OrderType.LIMIT, limit_price_ticks=take_profit_ticks, reason="take profit"
    )
    stop = replace(
        exit_,
        type=OrderType.STOP_LIMIT if stop_limit_ticks else OrderType.STOP,
        trigger_price_ticks=stop_ticks,
        limit_price_ticks=stop_limit_ticks,
        reason="stop",
    )
    return [replace(entry, intent_id=name), take_profit, stop]


# A stop beyond the target would close the position the moment it opens.
def _check(entry: OrderIntent, take_profit_ticks: int, stop_ticks: int, stop_limit_ticks: int) -> None:
    for name, ticks in (("take_profit_ticks", take_profit_ticks), ("stop_ticks", stop_ticks)):
        if ticks < 1:
            raise ValueError(f"{name} must be a price in ticks, >= 1, was {ticks}")
    if stop_limit_ticks < 0:
        raise ValueError(f"stop_limit_ticks must be a price in ticks, or 0 for none, was {stop_limit_ticks}")
    is_buy = entry.side is BUY
    entry_ticks = entry.limit_price_ticks
    low, high = (stop_ticks, take_profit_ticks) if is_buy else (take_profit_ticks, stop_ticks)
    if not low < high or (entry_ticks and not low < entry_ticks < high):
        order = "stop < entry < take profit" if is_buy else "take profit < entry < stop"
        raise ValueError(
            f"a bracket around a {entry.side} needs {order}, was stop {stop_ticks}, "
            f"entry {entry_ticks or 'at market'}, take profit {take_profit_ticks}"
        )
