"""The unmodified `ccxt.pro.binanceus` against the local exchange over real sockets: what it reads is what there is."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest

from njord.adapters.clock import WallClock
from njord.core.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from njord.exchange.exchange import Exchange, ExchangeOptions
from njord.exchange.market import BookView
from njord.exchange.server import Address, serve
from njord.exchange.synthetic_market import SyntheticMarket
from tests.unit.exchange.faulty_exchange import BTC

pytestmark = pytest.mark.integration

SYMBOL, ID = "BTC/USDT", "BTCUSDT"
AGE_NS = 2 * NS_PER_MINUTE  # Fewer aggregate trades than one answer holds.


class Watched(Exchange):
    """The exchange, and its book after every change, by update id."""

    def __init__(self) -> None:
        begin_ns = WallClock().now_ns() - AGE_NS
        super().__init__(SyntheticMarket([BTC], 5, begin_ns), [], ExchangeOptions(), begin_ns)
        self.books: dict[int, BookView] = {}

    def advance(self, now_ns: int) -> None:
        """Go on change by change."""
        while (next_ns := self.market.next_ns) <= now_ns:
            super().advance(next_ns)
            view = self.market.book(0)
            self.books[view.last_update_id] = view
        super().advance(now_ns)


def point_at(exchange: Any, address: Address) -> None:
    """Point an instance at a local exchange, and nowhere else."""
    api = exchange.urls["api"]
    for name, url in list(api.items()):
        if isinstance(url, str):
            api[name] = f"{address.rest}/nowhere"
    api["public"] = api["private"] = api["v3"] = f"{address.rest}/api/v3"
    api["ws"] = {"spot": f"{address.ws}/stream/ws", "ws-api": {"spot": f"{address.ws}/ws-api/v3"}}
    exchange.timeout_on_exit = 0


def with_ccxt(do: Callable[[Any, Watched], Awaitable[None]]) -> None:
    """Run a conversation of ccxt with an exchange that is two minutes old."""
    pro = import_module("ccxt.pro")

    async def talk() -> None:
        exchange = Watched()
        exchange.advance(WallClock().now_ns())
        async with serve(exchange, port=0) as address:
            client = pro.binanceus({"apiKey": "anykey"})
            point_at(client, address)
            try:
                await client.load_markets()
                await asyncio.wait_for(do(client, exchange), 100)
            finally:
                await client.close()

    asyncio.run(talk())


def levels(side: tuple[tuple[int, int], ...]) -> list[list[float]]:
    return [[float(BTC.price(price)), float(BTC.qty(lots))] for price, lots in side]


def test_ccxt_reads_rules_book_trades_ticker_and_bars() -> None:
    async def do(client: Any, exchange: Watched) -> None:
        market = client.market(SYMBOL)
        assert market["id"] == ID
        assert market["precision"] == {"amount": 1e-05, "price": 0.01, "base": 1e-08, "quote": 1e-08}
        assert market["limits"]["cost"]["min"] == 10
        book = await client.fetch_order_book(SYMBOL, 20)
        view = exchange.books[book["nonce"]]
        assert (book["bids"], book["asks"]) == (levels(view.bids[:20]), levels(view.asks[:20]))
        history = {"fetchTradesMethod": "publicGetHistoricalTrades", "fromId": 1}
        trades = await client.fetch_trades(SYMBOL, limit=1000, params=history)
        ours = exchange.market.history[0].trades.from_id(1, len(trades))
        assert len(trades) > 100
        assert [(int(each["id"]), each["price"], each["amount"], each["side"]) for each in trades] == [
            (
                each.trade_id,
                float(BTC.price(each.price_ticks)),
                float(BTC.qty(each.qty_lots)),
                "sell" if each.is_buyer_maker else "buy",
            )
            for each in ours
        ]
        joined = await client.fetch_trades(SYMBOL, limit=1000)
        bars = await client.fetch_ohlcv(SYMBOL, "1m", limit=3)
        minute_ms = NS_PER_MINUTE // NS_PER_MS
        for opened_ms, open_, high, low, close, volume in bars[:2]:
            inside = [each for each in joined if opened_ms <= each["timestamp"] < opened_ms + minute_ms]
            prices = [each["price"] for each in inside]
            assert (open_, high, low, close) == (prices[0], max(prices), min(prices), prices[-1])
            assert volume == pytest.approx(sum(each["amount"] for each in inside), abs=1e-9)
        ticker = await client.fetch_ticker(SYMBOL)
        assert ticker["last"] == float(BTC.price(exchange.market.last_price_ticks(0)))
        assert ticker["bid"] < ticker["ask"]
        assert abs(await client.fetch_time() - WallClock().now_ns() // NS_PER_MS) < 30 * NS_PER_S // NS_PER_MS

    with_ccxt(do)


def test_ccxt_watches_trades_without_a_hole_and_a_book_that_is_exact() -> None:
    async def do(client: Any, exchange: Watched) -> None:
        ids: list[int] = []
        nonces: set[int] = set()

        async def watch_trades() -> None:
            while len(ids) < 6:
                ids.extend(int(each["id"]) for each in await client.watch_trades(SYMBOL))

        async def watch_book() -> None:
            while len(nonces) < 8:
                book = await client.watch_order_book(SYMBOL)
                view = exchange.books[book["nonce"]]
                assert list(book["bids"]) == levels(view.bids)
                assert list(book["asks"]) == levels(view.asks)
                nonces.add(book["nonce"])

        await asyncio.gather(watch_trades(), watch_book())
        assert ids == list(range(ids[0], ids[0] + len(ids)))

    with_ccxt(do)


def test_ccxt_watches_ticker_quotes_and_bars() -> None:
    async def do(client: Any, exchange: Watched) -> None:
        ticker, quotes, bars = await asyncio.gather(
            client.watch_ticker(SYMBOL), client.watch_bids_asks([SYMBOL]), client.watch_ohlcv(SYMBOL, "1m")
        )
        trades = exchange.market.history[0].trades.latest(1000)
        prices = {float(BTC.price(each.price_ticks)) for each in trades}
        assert ticker["last"] in prices
        assert quotes[SYMBOL]["bid"] < quotes[SYMBOL]["ask"]
        (bar,) = bars
        assert bar[0] % (NS_PER_MINUTE // NS_PER_MS) == 0
        assert set(bar[1:5]) <= prices

    with_ccxt(do)
