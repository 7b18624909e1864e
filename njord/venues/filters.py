"""What does the venue refuse before an order exists? Quantities, prices and triggers outside the filters of the time."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET

from njord.core.contracts import BrokerOrderReq
from njord.core.filters import INT64_MAX, Filters, PriceBand, is_within
from njord.core.instrument import Instrument
from njord.core.types import LIMIT, MARKET, SELL, OrderReason, OrderType, Side, TimeInForce

_GTD = TimeInForce.GTD
_TRAILING_STOP = OrderType.TRAILING_STOP


class _Limits(msgspec.Struct, frozen=True):
    max_market_lots: int
    max_open_orders: int
    bands: tuple[PriceBand | None, PriceBand | None]  # Of a buy, of a sale.


class FilterCheck:
    """The filters of all instruments, at any time.

    Args:
        instruments: With their filters, and how those changed.
        n_open: How many orders are open in an instrument, by its index.
    """

    __slots__ = ("_constant", "_instruments", "_limits", "_n_open")

    def __init__(self, instruments: Sequence[Instrument], n_open: Callable[[int], int]) -> None:
        self._instruments = instruments
        self._n_open = n_open
        self._limits = [_limits_of(each) for each in instruments]
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
        limits = self._limits[req.instrument]
        if limits is not None:
            if kind is MARKET and req.qty_lots > limits.max_market_lots:
                return OrderReason.FILTER_QTY
            if self._n_open(req.instrument) >= limits.max_open_orders:
                return OrderReason.RATE_LIMITED
        limit, trigger = req.limit_price_ticks, req.trigger_price_ticks
        return self.numbers(req.instrument, req.side, req.ts_ns, req.qty_lots, limit, trigger, last_ticks)

    def numbers(
        self,
        index: int,
        side: Side,
        ts_ns: int,
        qty_lots: int,
        limit_ticks: int,
        trigger_ticks: int,
        last_ticks: int,
    ) -> OrderReason | None:
        """Return why an order's numbers are refused at a time; without a limit or trigger the last price is its worth."""
        price_ticks = limit_ticks or trigger_ticks or last_ticks
        limits = self._limits[index]
        if limits is not None and limit_ticks and last_ticks:
            band = limits.bands[side is SELL]
            if band is not None and not is_within(band, limit_ticks, last_ticks):
                return OrderReason.FILTER_PRICE
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


# None where nothing is limited: this is asked for every order.
def _limits_of(instrument: Instrument) -> _Limits | None:
    if not instrument.has_limits:
        return None
    n_open, buy, sell = instrument.max_open_orders, instrument.buy_band, instrument.sell_band
    return _Limits(
        instrument.max_market_lots,
        INT64_MAX if n_open is UNSET else n_open,
        (None if buy is UNSET else buy, None if sell is UNSET else sell),
    )
