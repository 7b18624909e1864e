"""An order that rests, begins to fill at 8 s and would fill whole at 20 s: what tests of amendments begin with."""

from tests.unit.exchange.exchange_case import trade
from tests.unit.venues.binance_case import CoreCase


def resting() -> CoreCase:
    """Return a core with an order of 10 lots at 95; at 8 s 4 lots trade at 95, at 20 s all bids are swept to 90."""
    case = CoreCase(trade(8, 95, 4, trade_id=5), trade(20, 90, 400, trade_id=6))
    case.to(2)
    case.place("NJ-1", price=95)
    case.to(3)
    return case


def executed(case: CoreCase) -> list[tuple[str, str, str, str]]:
    """Return the legs of NJ-1: name, quantity, of it executed, and status."""
    names = ("client_order_id", "orig_qty", "executed_qty", "status")
    rows = [tuple(str(each[name]) for name in names) for each in case.legs("NJ-1")]
    return [(name, qty, done, status) for name, qty, done, status in rows]


def holds(case: CoreCase) -> tuple[int, int, int, int]:
    """Return what the last update says: quantity, filled, limit, trigger."""
    last = case.updates("NJ-1")[-1]
    return last.qty_lots, last.filled_lots, last.limit_price_ticks, last.trigger_price_ticks
