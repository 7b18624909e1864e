"""The local exchange as python-binance sees it: where to find it as JSON on stdin, all that was said as JSON on stdout.

Started by `test_second_client` with the interpreter of python-binance's own environment, never by ours. The library is as
installed: its addresses and its patience are set, and nothing else. Input: {"rest", "ws", "key", "secret"}.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable
from typing import Any

binance: Any = importlib.import_module("binance")  # Lives in its own environment only.
sockets: Any = importlib.import_module("binance.ws.reconnecting_websocket")
exceptions: Any = importlib.import_module("binance.exceptions")

SYMBOL = "BTCUSDT"
N_TRADES = 5
STREAMS = ("trade", "aggTrade", "depth@100ms", "bookTicker", "kline_1m")
WITHIN_S = 90.0


async def refusal(asked: Awaitable[Any]) -> list[Any]:
    """Return the code and the words of a request that is to be refused."""
    try:
        return ["not refused", await asked]
    except exceptions.BinanceAPIException as error:
        return [error.code, error.message]


async def market(client: Any) -> dict[str, Any]:
    """Ask what everybody may ask."""
    one = {"symbol": SYMBOL}
    return {
        "ping": await client.ping(),
        "time": await client.get_server_time(),
        "exchangeInfo": await client.get_exchange_info(),
        "symbol": await client.get_symbol_info(SYMBOL),
        "depth": await client.get_order_book(**one, limit=20),
        "trades": await client.get_recent_trades(**one, limit=50),
        "historicalTrades": await client.get_historical_trades(**one, fromId=1, limit=10),
        "aggTrades": await client.get_aggregate_trades(**one, limit=50),
        "klines": await client.get_klines(**one, interval="1m", limit=5),
        "history": await client.get_historical_klines(SYMBOL, "1m", 0),
        "avgPrice": await client.get_avg_price(**one),
        "price": await client.get_symbol_ticker(**one),
        "ticker": await client.get_ticker(**one),
        "bookTicker": await client.get_orderbook_ticker(**one),
        "tickers": await client.get_all_tickers(),
        "overWebSocket": {
            "time": await client.ws_get_time(),
            "depth": await client.ws_get_order_book(**one, limit=20),
            "klines": await client.ws_get_klines(**one, interval="1m", limit=5),
            "price": await client.ws_get_symbol_ticker(**one),
        },
    }


async def streams(client: Any, manager: Any) -> dict[str, list[Any]]:
    """Listen to combined streams until each of them spoke and some trades were told; then ask for those trades."""
    heard: dict[str, list[Any]] = {f"{SYMBOL.lower()}@{name}": [] for name in STREAMS}
    trades = heard[f"{SYMBOL.lower()}@trade"]
    async with manager.multiplex_socket(list(heard)) as socket:
        while len(trades) < N_TRADES or not all(heard.values()):
            message = await socket.recv()
            heard[message["stream"]].append(message["data"])
    first_id = trades[0]["t"]
    asked = await client.get_historical_trades(symbol=SYMBOL, fromId=first_id, limit=len(trades))
    return {**heard, "asked": asked}


async def orders(client: Any, price: float) -> dict[str, Any]:
    """Place, ask for, replace and cancel orders, by REST and over the WebSocket API."""
    low, high = f"{price * 0.9:.2f}", f"{price * 1.1:.2f}"
    one, size = {"symbol": SYMBOL}, {"symbol": SYMBOL, "quantity": "0.01000"}
    said: dict[str, Any] = {
        "test": await client.create_test_order(**size, side="BUY", type="MARKET"),
        "bought": await client.order_market_buy(**size),
        "sold": await client.order_market_sell(**size, newClientOrderId="NJ-sold"),
        "rests": await client.order_limit_buy(**size, price=low),
        "expires": await client.order_limit_buy(**size, price=low, timeInForce="IOC"),
        "stop": await client.create_order(
            **size, side="SELL", type="STOP_LOSS_LIMIT", timeInForce="GTC", price=low, stopPrice=low
        ),
    }
    rests = said["rests"]["orderId"]
    said["asked"] = await client.get_order(**one, orderId=rests)
    said["open"] = await client.get_open_orders(**one)
    said["replaced"] = await client.cancel_replace_order(
        **size, side="SELL", type="LIMIT", timeInForce="GTC", price=high, cancelOrderId=rests,
        cancelReplaceMode="STOP_ON_FAILURE",
    )  # fmt: skip
    said["canceled"] = await client.cancel_order(
        **one, orderId=said["replaced"]["newOrderResponse"]["orderId"]
    )
    said["wsRests"] = await client.ws_order_limit_sell(**size, price=high, newClientOrderId="NJ-ws")
    said["wsAsked"] = await client.ws_get_order(**one, origClientOrderId="NJ-ws")
    said["wsCanceled"] = await client.ws_cancel_order(**one, origClientOrderId="NJ-ws")
    said["wsBought"] = await client.ws_order_market_buy(**size)
    said["allCanceled"] = await client.cancel_all_open_orders(**one)
    return said


async def refusals(client: Any, stranger: Any) -> dict[str, list[Any]]:
    """Ask for what is not to be had."""
    size = {"symbol": SYMBOL, "quantity": "0.01000"}
    return {
        "cancel": await refusal(client.cancel_order(symbol=SYMBOL, orderId=999)),
        "query": await refusal(client.get_order(symbol=SYMBOL, orderId=999)),
        "dust": await refusal(client.order_market_buy(symbol=SYMBOL, quantity="0.00001")),
        "money": await refusal(client.order_limit_buy(symbol=SYMBOL, quantity="900", price="50000")),
        "symbol": await refusal(client.get_order_book(symbol="NOPEUSDT")),
        "replace": await refusal(
            client.cancel_replace_order(
                **size, side="BUY", type="MARKET", cancelOrderId=999, cancelReplaceMode="STOP_ON_FAILURE"
            )
        ),
        "ws": await refusal(client.ws_cancel_order(symbol=SYMBOL, orderId=999)),
        "signature": await refusal(stranger.get_account()),
    }


async def account(client: Any) -> dict[str, Any]:
    """Ask for what the account has, by REST and over the WebSocket API."""
    one = {"symbol": SYMBOL}
    return {
        "orders": await client.get_all_orders(**one),
        "trades": await client.get_my_trades(**one),
        "account": await client.get_account(),
        "wsOrders": await client.ws_get_all_orders(**one),
        "wsTrades": await client.ws_get_my_trades(**one),
        "wsAccount": await client.ws_get_account(),
    }


def is_told(events: list[Any], ended: dict[int, str]) -> bool:
    """Say whether the account's events have come to the last one: each order's end, and then the balances."""
    last = {each["i"]: each["X"] for each in events if each["e"] == "executionReport"}
    return last == ended and bool(events[-1]["e"] == "outboundAccountPosition")


async def listen(socket: Any, events: list[Any]) -> None:
    """Keep what an account is told."""
    while True:
        events.append(await socket.recv())


async def talk(where: dict[str, str]) -> dict[str, Any]:
    """Hold the whole conversation."""
    binance.AsyncClient.REQUEST_TIMEOUT = sockets.ReconnectingWebsocket.TIMEOUT = WITHIN_S
    binance.AsyncClient.API_URL = f"{where['rest']}/api"
    binance.AsyncClient.WS_API_URL = f"{where['ws']}/ws-api/v3"
    binance.BinanceSocketManager.STREAM_URL = f"{where['ws']}/"
    client = await binance.AsyncClient.create(where["key"], where["secret"], tld="us")
    stranger = await binance.AsyncClient.create(where["key"], "another", tld="us")
    manager = binance.BinanceSocketManager(client)
    said: dict[str, Any] = {"version": binance.__version__, "market": await market(client)}
    events: list[Any] = []
    said["listenKey"] = await client.stream_get_listen_key()
    said["kept"] = await client.stream_keepalive(said["listenKey"])
    said["ended"] = await client.stream_close(said["listenKey"])
    async with manager.user_socket() as socket:
        listening = asyncio.ensure_future(listen(socket, events))
        said["orders"] = await orders(client, float(said["market"]["price"]["price"]))
        said["account"] = await account(client)
        ended = {each["orderId"]: each["status"] for each in said["account"]["orders"]}
        while not is_told(events, ended):
            await asyncio.sleep(0.02)
        said["streams"] = await streams(client, manager)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    said["refusals"] = await refusals(client, stranger)
    for each in (client, stranger):  # Its own way to close waits for a message that does not come.
        await each.session.close()
    return {**said, "events": events}


async def main() -> None:
    """Talk in bounded time, and tell."""
    print(json.dumps(await asyncio.wait_for(talk(json.load(sys.stdin)), WITHIN_S)))


if __name__ == "__main__":
    asyncio.run(main())
