"""The local exchange as binance-connector sees it: where to find it as JSON on stdin, all that was said as JSON on stdout.

Started by `test_second_client` with the interpreter of binance-connector's own environment, never by ours. The library is
as installed, and its addresses are arguments that it takes. Input: {"rest", "ws", "key", "secret"}.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

spot: Any = importlib.import_module("binance.spot")  # Lives in its own environment only.
stream: Any = importlib.import_module("binance.websocket.spot.websocket_stream")
api: Any = importlib.import_module("binance.websocket.spot.websocket_api")
error: Any = importlib.import_module("binance.error")
version: Any = importlib.import_module("binance.__version__")

SYMBOL = "BTCUSDT"
N_TRADES = 5
STREAMS = ("trade", "depth@100ms", "bookTicker", "kline_1m")
WITHIN_S = 90.0
_POLL_S = 0.02


def until(holds: Callable[[], object]) -> None:
    """Wait for a state."""
    end_s = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError("what was waited for did not come")
        time.sleep(_POLL_S)


def has(answers: list[Any], number: int) -> bool:
    """Say whether the answer of that number is there."""
    return len(answers) > number


def refusal(ask: Callable[[], Any]) -> list[Any]:
    """Return the code and the words of a request that is to be refused."""
    try:
        return ["not refused", ask()]
    except error.ClientError as refused:
        return [refused.error_code, refused.error_message]


def market(client: Any) -> dict[str, Any]:
    """Ask what everybody may ask."""
    return {
        "ping": client.ping(),
        "time": client.time(),
        "exchangeInfo": client.exchange_info(symbols=[SYMBOL]),
        "depth": client.depth(SYMBOL, limit=20),
        "trades": client.trades(SYMBOL, limit=50),
        "historicalTrades": client.historical_trades(SYMBOL, fromId=1, limit=10),
        "aggTrades": client.agg_trades(SYMBOL, limit=50),
        "klines": client.klines(SYMBOL, "1m", limit=5),
        "avgPrice": client.avg_price(SYMBOL),
        "price": client.ticker_price(SYMBOL),
        "ticker": client.ticker_24hr(SYMBOL),
        "bookTicker": client.book_ticker(SYMBOL),
    }


def streams(where: dict[str, str], client: Any) -> dict[str, list[Any]]:
    """Listen to combined streams until each of them spoke and some trades were told; then ask for those trades."""
    heard: dict[str, list[Any]] = {f"{SYMBOL.lower()}@{name}": [] for name in STREAMS}
    trades = heard[f"{SYMBOL.lower()}@trade"]

    def take(_: Any, text: str) -> None:
        message = json.loads(text)
        if "stream" in message:
            heard[message["stream"]].append(message["data"])

    socket = stream.SpotWebsocketStreamClient(stream_url=where["ws"], on_message=take, is_combined=True)
    socket.subscribe(list(heard))
    until(lambda: len(trades) >= N_TRADES and all(heard.values()))
    socket.stop()
    asked = client.historical_trades(SYMBOL, fromId=trades[0]["t"], limit=len(trades))
    return {**heard, "asked": asked}


def orders(client: Any, price: float) -> dict[str, Any]:
    """Place, ask for, replace and cancel orders."""
    low, high = f"{price * 0.9:.2f}", f"{price * 1.1:.2f}"
    limit = {"symbol": SYMBOL, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01000"}
    at_market = {"symbol": SYMBOL, "type": "MARKET", "quantity": "0.01000"}
    said: dict[str, Any] = {
        "test": client.new_order_test(**at_market, side="BUY"),
        "bought": client.new_order(**at_market, side="BUY"),
        "sold": client.new_order(**at_market, side="SELL", newClientOrderId="NJ-sold"),
        "rests": client.new_order(**limit, side="BUY", price=low),
        "expires": client.new_order(**{**limit, "timeInForce": "IOC"}, side="BUY", price=low),
        "stop": client.new_order(
            **{**limit, "type": "STOP_LOSS_LIMIT"}, side="SELL", price=low, stopPrice=low
        ),
    }
    rests = said["rests"]["orderId"]
    said["asked"] = client.get_order(SYMBOL, orderId=rests)
    said["open"] = client.get_open_orders(SYMBOL)
    said["replaced"] = client.cancel_and_replace(
        **limit, side="SELL", price=high, cancelOrderId=rests, cancelReplaceMode="STOP_ON_FAILURE"
    )
    said["canceled"] = client.cancel_order(SYMBOL, orderId=said["replaced"]["newOrderResponse"]["orderId"])
    said["allCanceled"] = client.cancel_open_orders(SYMBOL)
    return said


def over_websocket(where: dict[str, str], price: float) -> list[Any]:
    """Place, ask for and cancel an order over the WebSocket API, and ask for the account; return the answers."""
    answers: list[Any] = []
    socket = api.SpotWebsocketAPIClient(
        stream_url=f"{where['ws']}/ws-api/v3",
        api_key=where["key"],
        api_secret=where["secret"],
        on_message=lambda _, text: answers.append(json.loads(text)),
    )
    one: dict[str, Any] = {"symbol": SYMBOL, "newClientOrderId": "NJ-ws"}
    size = {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01000", "price": f"{price * 1.1:.2f}"}
    calls: tuple[Callable[[], Any], ...] = (
        lambda: socket.ping_connectivity(),
        lambda: socket.new_order(**one, **size, side="SELL"),
        lambda: socket.get_order(symbol=SYMBOL, origClientOrderId="NJ-ws"),
        lambda: socket.cancel_order(symbol=SYMBOL, origClientOrderId="NJ-ws"),
        lambda: socket.account(),
    )
    for number, call in enumerate(calls):
        call()
        until(partial(has, answers, number))
    socket.stop()
    return answers


def refusals(client: Any, stranger: Any) -> dict[str, list[Any]]:
    """Ask for what is not to be had."""
    dust = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.00001"}
    much = {**dust, "type": "LIMIT", "timeInForce": "GTC", "quantity": "900", "price": "50000"}
    one = {**dust, "quantity": "0.01000"}
    return {
        "cancel": refusal(lambda: client.cancel_order(SYMBOL, orderId=999)),
        "query": refusal(lambda: client.get_order(SYMBOL, orderId=999)),
        "dust": refusal(lambda: client.new_order(**dust)),
        "money": refusal(lambda: client.new_order(**much)),
        "symbol": refusal(lambda: client.depth("NOPEUSDT")),
        "replace": refusal(
            lambda: client.cancel_and_replace(**one, cancelOrderId=999, cancelReplaceMode="STOP_ON_FAILURE")
        ),
        "signature": refusal(lambda: stranger.account()),
    }


def is_told(events: list[Any], ended: dict[int, str]) -> bool:
    """Say whether the account's events have come to the last one: each order's end, and then the balances."""
    last = {each["i"]: each["X"] for each in events if each["e"] == "executionReport"}
    return last == ended and bool(events[-1]["e"] == "outboundAccountPosition")


def talk(where: dict[str, str]) -> dict[str, Any]:
    """Hold the whole conversation."""
    client = spot.Spot(where["key"], where["secret"], base_url=where["rest"])
    stranger = spot.Spot(where["key"], "another", base_url=where["rest"])
    said: dict[str, Any] = {"version": version.__version__, "market": market(client)}
    said["listenKey"] = client.new_listen_key()["listenKey"]
    said["kept"] = client.renew_listen_key(said["listenKey"])
    told: list[Any] = []
    socket = stream.SpotWebsocketStreamClient(
        stream_url=where["ws"], on_message=lambda _, text: told.append(json.loads(text))
    )
    socket.user_data(said["listenKey"])
    until(lambda: told)  # The answer, which comes before any event.
    price = float(said["market"]["price"]["price"])
    said["orders"] = orders(client, price)
    said["overWebSocket"] = over_websocket(where, price)
    said["account"] = {
        "orders": client.get_orders(SYMBOL),
        "trades": client.my_trades(SYMBOL),
        "account": client.account(),
    }
    ended = {each["orderId"]: each["status"] for each in said["account"]["orders"]}
    until(lambda: is_told(told[1:], ended))
    socket.stop()
    said["ended"] = client.close_listen_key(said["listenKey"])
    said["streams"] = streams(where, client)
    said["refusals"] = refusals(client, stranger)
    return {**said, "events": told[1:]}


if __name__ == "__main__":
    print(json.dumps(talk(json.load(sys.stdin))))
