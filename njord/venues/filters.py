"""What does the venue refuse before an order exists? Quantities, prices and triggers outside the filters of the time."""

from collections.abc import Sequence

from njord.core.contracts import BrokerOrderReq
from njord.core.filters import Filters
from njord.core.instrument import Instrument
from njord.core.types import LIMIT, MARKET, OrderReason, OrderType, TimeInForce

_GTD = TimeInForce.GTD
_TRAILING_STOP = OrderType.TRAILING_STOP


class FilterCheck:
    """The filters of all instruments, at any time.

    Args:
        instruments: With their filters, and how those changed.
    """

    __slots__ = ("_constant", "_instruments")

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = instruments
        # Looked up once where they never change: this is asked for every order.
        self._constant = [None if each.filter_changes else each.filters_at(0) for each in instruments]

    def order(self, req: BrokerOrderReq, last_ticks: int) -> OrderReason | None:
        """Return why an order is refused, None if it is not; `last_ticks` is the last price, 0 if there is none."""
        kind = req.type
        if kind is MARKET or kind is LIMIT:
            if req.trigger_price_ticks or req.trail_ticks:
                return OrderReason.FILTER_TRIGGER
            has_limit = kind is LIMIT
        else:
            is_trailing = kind is _TRAILING_STOP
            if is_trailing is not (req.trail_ticks > 0) or req.trigger_price_ticks < 0:
                return OrderReason.FILTER_TRIGGER
            if not is_trailing and req.trigger_price_ticks == 0:
                return OrderReason.FILTER_TRIGGER
            has_limit = kind.has_limit
        if has_limit is not (req.limit_price_ticks > 0):
            return OrderReason.FILTER_PRICE
        if req.tif is _GTD and req.expire_ns <= req.ts_ns:
            return OrderReason.GTD_EXPIRED
        limit, trigger = req.limit_price_ticks, req.trigger_price_ticks
        price = limit or trigger or last_ticks
        return self.numbers(req.instrument, req.ts_ns, req.qty_lots, limit, trigger, price)

    def numbers(
        self, index: int, ts_ns: int, qty_lots: int, limit_ticks: int, trigger_ticks: int, price_ticks: int
    ) -> OrderReason | None:
        """Return why numbers are refused at a time; `price_ticks` is what the order is valued at."""
        instrument = self._instruments[index]
        rules: Filters = self._constant[index] or instrument.filters_at(ts_ns)
        if not rules.min_qty_lots <= qty_lots <= rules.max_qty_lots or qty_lots % rules.lot_multiple:
            return OrderReason.FILTER_QTY
        if rules.tick_multiple != 1:
            if limit_ticks % rules.tick_multiple:
                return OrderReason.FILTER_PRICE
            if trigger_ticks % rules.tick_multiple:
                return OrderReason.FILTER_TRIGGER
        if rules.min_notional and instrument.notional(price_ticks, qty_lots) < rules.min_notional:
            return OrderReason.FILTER_NOTIONAL
        return None
