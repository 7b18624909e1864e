"""What does the venue answer about its market? Public REST requests in the Binance.US dialect in; their answers out.

No signatures, no accounts, no weights: they belong to whoever routes requests. Sources: the venue's public documents of
REST endpoints, and CCXT as the reader.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from njord.core.units import NS_PER_MINUTE, NS_PER_MS
from njord.exchange import errors
from njord.exchange.errors import ApiError
from njord.exchange.market import BookView, PublicMarket
from njord.exchange.market_history import AggTrade, Trade
from njord.exchange.market_klines import INTERVALS, NS_PER_HOUR, Kline, bounds
from njord.exchange.market_text import Texts, to_ms
from njord.exchange.options import ExchangeOptions
from njord.exchange.public_query import Query
from njord.exchange.rules import AVERAGE_MINUTES, Rules, SymbolRules
from njord.exchange.wire import Request, Response

ROOT = "/api/v3/"
DAY_NS = 24 * NS_PER_HOUR
_SHOWING_THE_CLOCK = ("time", "exchangeInfo")


class RateLimit(msgspec.Struct, frozen=True, rename="camel"):
    """A budget as exchangeInfo names it."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class PublicApi:
    """The public endpoints of one market.

    Args:
        market: What is asked about.
        rules: In force.
        options: The exchange's limits and order types.
    """

    def __init__(self, market: PublicMarket, rules: Rules, options: ExchangeOptions) -> None:
        self._market = market
        self._options = options
        self._texts = [Texts(instrument) for instrument in market.instruments]
        self._rules = rules
        self._routes: dict[str, Callable[[Query, int], Any]] = {
            "ping": lambda query, now_ns: {},
            "time": lambda query, now_ns: {"serverTime": to_ms(now_ns)},
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self._trades,
            "historicalTrades": self._historical_trades,
            "aggTrades": self._agg_trades,
            "klines": self._klines,
            "avgPrice": self._avg_price,
            "ticker/24hr": self._day_tickers,
            "ticker/price": self._prices,
            "ticker/bookTicker": self._book_tickers,
        }

    # --- requests ---

    def handles(self, request: Request) -> bool:
        """Say whether a request is one for here, by its path."""
        return request.path.startswith(ROOT) and request.path[len(ROOT) :] in self._routes

    def answer(self, request: Request, now_ns: int, clock_offset_ns: int = 0) -> Response:
        """Answer one request of `handles`; the market has come to `now_ns`, and the clock shows as much more.

        Raises:
            ApiError: The venue says no.
        """
        if request.method != "GET":
            raise ApiError(-1000, f"Request method '{request.method}' not supported", 405)
        name = request.path[len(ROOT) :]
        if name == "historicalTrades" and not request.headers.get("x-mbx-apikey"):
            raise errors.bad_key_format()
        query = Query(request.query)
        at_ns = now_ns + clock_offset_ns if name in _SHOWING_THE_CLOCK else now_ns
        said = self._routes[name](query, at_ns)
        query.end()
        return Response(status=200, body=msgspec.json.encode(said))

    # --- rules ---

    def _exchange_info(self, query: Query, now_ns: int) -> dict[str, Any]:
        asked = query.symbols()
        query.text("permissions")
        listed = range(len(self._texts)) if asked is None else [self._of(symbol) for symbol in asked]
        return {
            "timezone": "UTC",
            "serverTime": to_ms(now_ns),
            "rateLimits": _rate_limits(self._options),
            "exchangeFilters": [],
            "symbols": [self._symbol_info(self._rules.at(index)) for index in listed],
        }

    def _symbol_info(self, rules: SymbolRules) -> dict[str, Any]:
        return {
            "symbol": rules.symbol,
            "status": rules.status,
            "baseAsset": rules.instrument.base,
            "baseAssetPrecision": 8,
            "quoteAsset": rules.instrument.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": self._options.order_types,
            "icebergAllowed": False,
            "ocoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": rules.filters(self._options),
            "permissions": ["SPOT"],
            "defaultSelfTradePreventionMode": self._options.self_trade.upper(),
            "allowedSelfTradePreventionModes": [self._options.self_trade.upper()],
        }

    # --- book and trades ---

    def _depth(self, query: Query, now_ns: int) -> dict[str, Any]:
        index, limit = self._of(query.symbol()), query.limit(100, 5000)
        return book_top(self._texts[index], self._market.book(index, limit))

    def _trades(self, query: Query, now_ns: int) -> list[dict[str, Any]]:
        index, limit = self._of(query.symbol()), query.limit(500, 1000)
        rows = self._market.history[index].trades.latest(limit)
        return [self._trade(index, row) for row in rows]

    def _historical_trades(self, query: Query, now_ns: int) -> list[dict[str, Any]]:
        index, limit, first_id = self._of(query.symbol()), query.limit(500, 1000), query.number("fromId")
        trades = self._market.history[index].trades
        rows = trades.latest(limit) if first_id is None else trades.from_id(first_id, limit)
        return [self._trade(index, row) for row in rows]

    def _trade(self, index: int, row: Trade) -> dict[str, Any]:
        texts = self._texts[index]
        return {
            "id": row.trade_id,
            "price": texts.price(row.price_ticks),
            "qty": texts.qty(row.qty_lots),
            "quoteQty": texts.quote(row.price_ticks * row.qty_lots),
            "time": to_ms(row.ts_ns),
            "isBuyerMaker": row.is_buyer_maker,
            "isBestMatch": True,
        }

    def _agg_trades(self, query: Query, now_ns: int) -> list[dict[str, Any]]:
        index, limit, first_id = self._of(query.symbol()), query.limit(500, 1000), query.number("fromId")
        begin_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
        has_time = begin_ns is not None or end_ns is not None
        trades = self._market.history[index].agg_trades
        if first_id is not None and has_time:
            raise errors.bad_combination()
        if first_id is not None:
            rows = trades.from_id(first_id, limit)
        elif has_time:
            rows = trades.between(begin_ns or 0, _past_ms(end_ns, now_ns), limit)
        else:
            rows = trades.latest(limit)
        return [self._agg_trade(index, row) for row in rows]

    def _agg_trade(self, index: int, row: AggTrade) -> dict[str, Any]:
        texts = self._texts[index]
        return {
            "a": row.agg_id,
            "p": texts.price(row.price_ticks),
            "q": texts.qty(row.qty_lots),
            "f": row.first_id,
            "l": row.last_id,
            "T": to_ms(row.ts_ns),
            "m": row.is_buyer_maker,
            "M": True,
        }

    # --- bars and sums ---

    def _klines(self, query: Query, now_ns: int) -> list[list[Any]]:
        index, interval = self._of(query.symbol()), query.text("interval")
        limit = query.limit(500, 1000)
        begin_ns, end_ns = query.time_ns("startTime"), query.time_ns("endTime")
        if interval is None:
            raise errors.missing("interval")
        if interval not in INTERVALS:
            raise ApiError(-1120, "Invalid interval.")
        klines, until_ns = self._market.klines[index], min(_past_ms(end_ns, now_ns) - 1, now_ns)
        if begin_ns is None:
            begin_ns = _back(interval, until_ns, limit)
        rows: list[Kline] = []
        for row in klines.between(interval, begin_ns, until_ns):
            if len(rows) == limit:
                break
            rows.append(row)
        return [kline_row(self._texts[index], row) for row in rows]

    def _avg_price(self, query: Query, now_ns: int) -> dict[str, Any]:
        index = self._of(query.symbol())
        texts, history = self._texts[index], self._market.history[index]
        whole = self._market.klines[index].over(AVERAGE_MINUTES * NS_PER_MINUTE, now_ns)
        if whole is None or not whole.volume_lots:
            price = texts.price(history.last_price_ticks)
        else:
            price = texts.average(whole.quote, whole.volume_lots)
        latest = history.trades.latest(1)
        return {
            "mins": AVERAGE_MINUTES,
            "price": price,
            "closeTime": to_ms(latest[-1].ts_ns) if latest else 0,
        }

    def _day_tickers(self, query: Query, now_ns: int) -> Any:
        kind = query.text("type") or "FULL"
        if kind not in ("FULL", "MINI"):
            raise ApiError(-1139, "Invalid ticker type.")
        return self._of_symbols(query, lambda index: self._day_ticker(index, now_ns, kind == "FULL"))

    def _day_ticker(self, index: int, now_ns: int, is_full: bool) -> dict[str, Any]:
        texts, day = self._texts[index], day_of(self._market, index, now_ns)
        said = {
            "symbol": texts.symbol,
            "openPrice": texts.price(day.open),
            "highPrice": texts.price(day.high),
            "lowPrice": texts.price(day.low),
            "lastPrice": texts.price(day.close),
            "volume": texts.qty(day.volume_lots),
            "quoteVolume": texts.quote(day.quote),
            "openTime": to_ms(day.open_ns),
            "closeTime": to_ms(day.end_ns),
            "firstId": day.first_id,
            "lastId": day.last_id,
            "count": day.n_trades,
        }
        if not is_full:
            return said
        bid, bid_lots, ask, ask_lots = self._market.best(index)
        latest = self._market.history[index].trades.latest(1)
        return said | {
            "priceChange": texts.price(day.close - day.open),
            "priceChangePercent": texts.percent(day.close - day.open, day.open),
            "weightedAvgPrice": texts.average(day.quote, day.volume_lots),
            "prevClosePrice": texts.price(day.open),
            "lastQty": texts.qty(latest[-1].qty_lots if latest else 0),
            "bidPrice": texts.price(bid),
            "bidQty": texts.qty(bid_lots),
            "askPrice": texts.price(ask),
            "askQty": texts.qty(ask_lots),
        }

    def _prices(self, query: Query, now_ns: int) -> Any:
        def one(index: int) -> dict[str, str]:
            texts = self._texts[index]
            return {"symbol": texts.symbol, "price": texts.price(self._market.last_price_ticks(index))}

        return self._of_symbols(query, one)

    def _book_tickers(self, query: Query, now_ns: int) -> Any:
        def one(index: int) -> dict[str, str]:
            texts, (bid, bid_lots, ask, ask_lots) = self._texts[index], self._market.best(index)
            return {
                "symbol": texts.symbol,
                "bidPrice": texts.price(bid),
                "bidQty": texts.qty(bid_lots),
                "askPrice": texts.price(ask),
                "askQty": texts.qty(ask_lots),
            }

        return self._of_symbols(query, one)

    # One symbol is answered with an object, `symbols` and nothing with a list.
    def _of_symbols(self, query: Query, one: Callable[[int], dict[str, Any]]) -> Any:
        is_single, asked = query.is_sent("symbol"), query.symbols()
        if is_single and asked:
            return one(self._of(asked[0]))
        listed = range(len(self._texts)) if asked is None else [self._of(each) for each in asked]
        return [one(index) for index in listed]

    def _of(self, symbol: str) -> int:
        return self._rules.of(symbol).index


def _rate_limits(options: ExchangeOptions) -> list[RateLimit]:
    return [
        RateLimit("REQUEST_WEIGHT", "MINUTE", 1, options.weight_per_minute),
        RateLimit("ORDERS", "SECOND", 10, options.orders_per_10s),
        RateLimit("ORDERS", "DAY", 1, options.orders_per_day),
    ]


def book_top(texts: Texts, view: BookView) -> dict[str, Any]:
    """Return the top of a book as REST gives it, and the stream of partial books."""
    return {
        "lastUpdateId": view.last_update_id,
        "bids": texts.levels(view.bids),
        "asks": texts.levels(view.asks),
    }


def kline_row(texts: Texts, row: Kline) -> list[Any]:
    """Return a bar as REST gives it."""
    return [
        to_ms(row.open_ns),
        texts.price(row.open),
        texts.price(row.high),
        texts.price(row.low),
        texts.price(row.close),
        texts.qty(row.volume_lots),
        to_ms(row.end_ns) - 1,
        texts.quote(row.quote),
        row.n_trades,
        texts.qty(row.taker_buy_lots),
        texts.quote(row.taker_buy_quote),
        "0",
    ]


def day_of(market: PublicMarket, index: int, now_ns: int) -> Kline:
    """Return the last 24 hours of a symbol as one bar; of nothing but zeros before its first trade."""
    return market.klines[index].over(DAY_NS, now_ns) or Kline(now_ns - DAY_NS, now_ns, 0, 0, 0, 0)


# The end of a range of times that includes its last millisecond.
def _past_ms(end_ns: int | None, now_ns: int) -> int:
    return now_ns + 1 if end_ns is None else end_ns + NS_PER_MS


# The open of the `n`th bar back from the one that holds a time.
def _back(interval: str, ts_ns: int, n: int) -> int:
    open_ns, _ = bounds(interval, max(ts_ns, 0))
    for _ in range(n - 1):
        if open_ns <= 0:
            break
        open_ns, _ = bounds(interval, open_ns - 1)
    return open_ns
