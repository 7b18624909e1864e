"""What must an order obey now? Filters and trading status by symbol: exchangeInfo tells them, orders are held to them."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET

from njord.core.errors import ConfigError
from njord.core.filters import PriceBand
from njord.core.instrument import Instrument
from njord.core.units import EXACT, exponent, plain
from njord.exchange import errors
from njord.exchange.market_text import decimal_text
from njord.exchange.options import ExchangeOptions

ASSET_DECIMALS = 8
MAX_PRICE = Decimal(10_000_000)
MAX_QTY = Decimal(9_000_000)
AVERAGE_MINUTES = 5  # Over which the venue takes the price that a filter measures by.
_NONE, _NO_LIMIT = "0.00000000", "9000000000.00000000"
TRADING, BREAK = "TRADING", "BREAK"


class SymbolRules(msgspec.Struct, kw_only=True):
    """One symbol's filters in force, and whether it trades.

    Attributes:
        index: Of the instrument.
        instrument: With the steps of the market data, of which `tick` and `lot` are multiples.
        symbol: At the wire, such as BTCUSDT.
        status: TRADING, or BREAK while it is halted.
        tick: Step of prices.
        lot: Step of quantities.
        min_qty: Smallest order, in base.
        max_qty: Largest order, in base.
        min_notional: Smallest order value, in quote.
        max_market_qty: Largest market order, in base.
    """

    index: int
    instrument: Instrument
    symbol: str
    status: str
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    max_market_qty: Decimal

    @property
    def is_trading(self) -> bool:
        """Whether orders are taken."""
        return self.status == TRADING

    def price_ticks(self, price: Decimal) -> int:
        """Return a price in the instrument's ticks.

        Raises:
            ApiError: Too many decimals, or PRICE_FILTER.
        """
        if exponent(price) > ASSET_DECIMALS:
            raise errors.too_precise()
        if not self.tick <= price <= MAX_PRICE or EXACT.remainder(price, self.tick):
            raise errors.filter_failure("PRICE_FILTER")
        return int(EXACT.divide_int(price, self.instrument.tick_size))

    def qty_lots(self, qty: Decimal, is_market: bool) -> int:
        """Return a quantity in the instrument's lots.

        Raises:
            ApiError: Too many decimals, LOT_SIZE or MARKET_LOT_SIZE.
        """
        if exponent(qty) > ASSET_DECIMALS:
            raise errors.too_precise()
        if is_market and qty > self.max_market_qty:
            raise errors.filter_failure("MARKET_LOT_SIZE")
        if not self.min_qty <= qty <= self.max_qty or EXACT.remainder(qty, self.lot):
            raise errors.filter_failure("LOT_SIZE")
        return int(EXACT.divide_int(qty, self.instrument.lot_size))

    def check_notional(self, price_ticks: int, qty_lots: int) -> None:
        """Refuse an order that is worth too little; without a price nothing can be said.

        Raises:
            ApiError: NOTIONAL.
        """
        if price_ticks and self.instrument.notional(price_ticks, qty_lots) < self.min_notional:
            raise errors.filter_failure("NOTIONAL")

    def bands(self, options: ExchangeOptions) -> dict[str, PriceBand]:
        """Return what a limit must lie between, by side, as multiples of the average price."""
        buy, sell = self.instrument.buy_band, self.instrument.sell_band
        return {
            "BUY": options.price_band if buy is UNSET else buy,
            "SELL": options.price_band if sell is UNSET else sell,
        }

    def filters(self, options: ExchangeOptions) -> list[dict[str, Any]]:
        """Return what orders must obey, as exchangeInfo names it."""
        tick, min_notional = decimal_text(self.tick), decimal_text(self.min_notional)
        of_every_order = {"minQty": decimal_text(self.min_qty), "maxQty": decimal_text(self.max_qty)}
        of_market_orders = {"minQty": _NONE, "maxQty": decimal_text(self.max_market_qty), "stepSize": _NONE}
        average = {"avgPriceMins": AVERAGE_MINUTES}
        buy, sell = self.bands(options)["BUY"], self.bands(options)["SELL"]
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": decimal_text(MAX_PRICE),
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", **of_every_order, "stepSize": decimal_text(self.lot)},
            {"filterType": "MARKET_LOT_SIZE", **of_market_orders},
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": plain(buy[1]),
                "bidMultiplierDown": plain(buy[0]),
                "askMultiplierUp": plain(sell[1]),
                "askMultiplierDown": plain(sell[0]),
                **average,
            },
            {"filterType": "MIN_NOTIONAL", "minNotional": min_notional, "applyToMarket": True, **average},
            {
                "filterType": "NOTIONAL",
                "minNotional": min_notional,
                "applyMinToMarket": True,
                "maxNotional": _NO_LIMIT,
                "applyMaxToMarket": False,
                **average,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.most_open(options)},
        ]

    def most_open(self, options: ExchangeOptions) -> int:
        """Return how many orders of an account may be open."""
        most = self.instrument.max_open_orders
        return options.max_open_orders if most is UNSET else most


class Rules:
    """All symbols' rules, in the order of the instruments.

    Args:
        instruments: What is listed.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._by_symbol = {
            each.base + each.quote: _first(index, each) for index, each in enumerate(instruments)
        }
        self._by_index = list(self._by_symbol.values())

    def __iter__(self) -> Iterator[SymbolRules]:
        return iter(self._by_index)

    def at(self, index: int) -> SymbolRules:
        """Return the rules of one instrument."""
        return self._by_index[index]

    def of(self, symbol: str) -> SymbolRules:
        """Return the rules of one symbol at the wire.

        Raises:
            ApiError: It is not listed.
        """
        found = self._by_symbol.get(symbol)
        if found is None:
            raise errors.bad_symbol()
        return found

    def change(
        self,
        symbol: str,
        tick: Decimal | None = None,
        lot: Decimal | None = None,
        min_notional: Decimal | None = None,
        max_market_qty: Decimal | None = None,
    ) -> None:
        """Put other filters in force for new orders.

        Raises:
            ConfigError: A step is finer than, or no multiple of, the step of the market data.
        """
        rules = self.of(symbol)
        finest = rules.instrument
        for name, step, base in (("tick", tick, finest.tick_size), ("lot", lot, finest.lot_size)):
            if step is not None and (step <= 0 or EXACT.remainder(step, base)):
                raise ConfigError(f"{name} of {symbol} must be a multiple of {plain(base)}, was {step}")
        rules.tick = rules.tick if tick is None else tick
        if lot is not None:
            rules.lot, rules.min_qty = lot, max(lot, finest.min_qty)
        rules.min_notional = rules.min_notional if min_notional is None else min_notional
        rules.max_market_qty = rules.max_market_qty if max_market_qty is None else max_market_qty


def _first(index: int, each: Instrument) -> SymbolRules:
    max_qty, most = each.max_qty or MAX_QTY, each.max_market_qty
    return SymbolRules(
        index=index,
        instrument=each,
        symbol=each.base + each.quote,
        status=TRADING,
        tick=each.tick_size,
        lot=each.lot_size,
        min_qty=max(each.min_qty, each.lot_size),
        max_qty=max_qty,
        min_notional=each.min_notional,
        max_market_qty=max_qty if most is UNSET or not most else most,
    )
