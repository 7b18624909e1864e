"""Two clients that are neither ours nor CCXT trade at the local exchange, and all that they saw is what really happened.

Each runs as installed in an environment of its own, made from its lock; its whole transcript comes back as JSON and is held
against the truth ledger here.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.differential.peers import lock
from njord.adapters.clock import WallClock
from njord.core.units import NS_PER_S
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.server import serve_in_thread
from njord.exchange.synthetic_market import SyntheticMarket, SyntheticTerms
from tests.integration.peer_environment import peer_python
from tests.unit.exchange.faulty_exchange import BTC

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

KEY, SECRET = "toykeyofnoworth", "toysecretofnoworth"
BALANCES = {"BTC": Decimal(5), "USDT": Decimal(500_000)}
AGE_S = 90
CLIENTS = {  # The library and its script, by the name of its environment.
    "binance": ("python-binance", "python_binance_child.py"),
    "binance-connector": ("binance-connector", "binance_connector_child.py"),
}
HERE = Path(__file__).parent
Json = dict[str, Any]


class Talk(NamedTuple):
    """What a client said that it saw, and the account's truth."""

    said: Json
    truth: Json


@pytest.fixture(scope="module", params=CLIENTS)
def talk(request: pytest.FixtureRequest) -> Talk:
    """One client's whole conversation with an exchange."""
    library, child = CLIENTS[request.param]
    python = peer_python(request.param)
    begin_ns = WallClock().now_ns() - AGE_S * NS_PER_S
    account = AccountSpec(name="main", key=KEY, secret=SECRET, balances=BALANCES)
    market = SyntheticMarket([BTC], 5, begin_ns, terms=SyntheticTerms(levels=20))
    exchange = Exchange(market, [account], ExchangeOptions(), begin_ns)
    exchange.advance(WallClock().now_ns())
    with serve_in_thread(exchange) as host:
        where = {"rest": host.address.rest, "ws": host.address.ws, "key": KEY, "secret": SECRET}
        done = subprocess.run(
            [python, HERE / child],
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            input=json.dumps(where),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        truth = host.call(exchange.truth)["accounts"]["main"]
    said = json.loads(done.stdout.splitlines()[-1])
    assert f"{library}=={said['version']} " in lock(request.param).read_text()
    return Talk(said, truth)


def order_said(order: Json) -> tuple[object, ...]:
    names = ("orderId", "clientOrderId", "symbol", "side", "type", "timeInForce", "status")
    return (*(order[name] for name in names), *numbers(order, "price", "origQty", "executedQty"))


def order_true(order: Json) -> tuple[object, ...]:
    names = ("order_id", "client_order_id", "symbol", "side", "type", "time_in_force", "status")
    return (*(order[name] for name in names), *numbers(order, "price", "orig_qty", "executed_qty"))


def trade_said(trade: Json) -> tuple[object, ...]:
    side = "BUY" if trade["isBuyer"] else "SELL"
    names = ("id", "orderId", "commissionAsset", "isMaker")
    return (side, *(trade[name] for name in names), *numbers(trade, "price", "qty", "quoteQty", "commission"))


def trade_true(trade: Json) -> tuple[object, ...]:
    names = ("side", "trade_id", "order_id", "commission_asset", "is_maker")
    return (*(trade[name] for name in names), *numbers(trade, "price", "qty", "quote_qty", "commission"))


def trade_told(event: Json) -> tuple[object, ...]:
    return (*(event[name] for name in "StiNm"), *numbers(event, "L", "l", "Y", "n"))


def numbers(row: Mapping[str, str], *names: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(row[name]) for name in names)


def balances_true(truth: Json) -> dict[str, tuple[Decimal, ...]]:
    return {asset: numbers(each, "free", "locked") for asset, each in truth["balances"].items()}


def test_orders_trades_and_balances_that_it_asks_for_are_those_of_the_ledger(talk: Talk) -> None:
    asked = talk.said["account"]
    for way in ("", "ws"):
        if way and "wsOrders" not in asked:
            continue
        orders, trades, account = (
            asked[f"{way}{name}" if way else name.lower()] for name in ("Orders", "Trades", "Account")
        )
        assert [order_said(each) for each in orders] == [order_true(each) for each in talk.truth["orders"]]
        assert [trade_said(each) for each in trades] == [trade_true(each) for each in talk.truth["trades"]]
        held = {each["asset"]: numbers(each, "free", "locked") for each in account["balances"]}
        assert held == balances_true(talk.truth)
    assert len(asked["orders"]) >= 7
    assert len(asked["trades"]) >= 2


def test_its_user_stream_tells_every_order_trade_and_balance_of_the_ledger(talk: Talk) -> None:
    reports = [each for each in talk.said["events"] if each["e"] == "executionReport"]
    last = {each["i"]: (each["C"] or each["c"], each["X"], *numbers(each, "z")) for each in reports}
    assert last == {
        each["order_id"]: (each["client_order_id"], each["status"], *numbers(each, "executed_qty"))
        for each in talk.truth["orders"]
    }
    fills = [trade_told(each) for each in reports if each["x"] == "TRADE"]
    assert fills == [trade_true(each) for each in talk.truth["trades"]]
    told = [each["B"] for each in talk.said["events"] if each["e"] == "outboundAccountPosition"]
    held = {each["a"]: numbers(each, "f", "l") for balances in told for each in balances}
    assert held == balances_true(talk.truth)


def test_orders_of_each_kind_are_answered_as_they_went(talk: Talk) -> None:
    said = talk.said["orders"]
    states = {
        name: said[name]["status"] for name in ("bought", "sold", "rests", "expires", "asked", "canceled")
    }
    assert states == {
        "bought": "FILLED", "sold": "FILLED", "rests": "NEW", "expires": "EXPIRED", "asked": "NEW", "canceled": "CANCELED",
    }  # fmt: skip
    assert said["test"] == {}
    assert said["sold"]["clientOrderId"] == "NJ-sold"
    spent = sum(
        price * qty for price, qty in (numbers(each, "price", "qty") for each in said["bought"]["fills"])
    )
    assert spent == Decimal(said["bought"]["cummulativeQuoteQty"])
    assert [each["orderId"] for each in said["open"]] == [said[name]["orderId"] for name in ("rests", "stop")]
    replaced = said["replaced"]
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert replaced["cancelResponse"]["orderId"] == said["rests"]["orderId"]
    assert replaced["newOrderResponse"]["orderId"] == said["canceled"]["orderId"]
    assert [each["orderId"] for each in said["allCanceled"]] == [said["stop"]["orderId"]]


def test_the_websocket_api_answers_it_as_rest_does(talk: Talk) -> None:
    if "overWebSocket" in talk.said:
        answers = talk.said["overWebSocket"]
        assert [each["status"] for each in answers] == [200] * len(answers)
        pong, *orders, account = (each["result"] for each in answers)
        assert (pong, [each["status"] for each in orders]) == ({}, ["NEW", "NEW", "CANCELED"])
        assert {each["asset"] for each in account["balances"]} == set(BALANCES)
        return
    said, market = talk.said["orders"], talk.said["market"]["overWebSocket"]
    names = ("wsRests", "wsAsked", "wsCanceled", "wsBought")
    assert [said[name]["status"] for name in names] == ["NEW", "NEW", "CANCELED", "FILLED"]
    assert market["klines"][0] == talk.said["market"]["klines"][0]
    assert market["time"]["serverTime"] >= talk.said["market"]["time"]["serverTime"]
    assert market["depth"]["lastUpdateId"] >= talk.said["market"]["depth"]["lastUpdateId"]


def test_a_refusal_reaches_it_as_the_venues_code(talk: Talk) -> None:
    codes = {name: code for name, (code, _) in talk.said["refusals"].items()}
    expected = {
        "cancel": -2011, "query": -2013, "dust": -1013, "money": -2010, "symbol": -1121, "replace": -2022,
        "signature": -1022,
    }  # fmt: skip
    assert {name: codes[name] for name in expected} == expected
    assert codes.get("ws", -2011) == -2011


def test_what_it_asks_of_the_market_fits_together(talk: Talk) -> None:
    said = talk.said["market"]
    (symbol,) = said["exchangeInfo"]["symbols"]
    assert (symbol["symbol"], symbol["status"], said["ping"]) == ("BTCUSDT", "TRADING", {})
    tick = next(
        Decimal(each["tickSize"]) for each in symbol["filters"] if each["filterType"] == "PRICE_FILTER"
    )
    bids, asks = ([Decimal(price) for price, _ in said["depth"][side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert all(price % tick == 0 for price in bids + asks)
    for rows, name in ((said["trades"], "id"), (said["historicalTrades"], "id"), (said["aggTrades"], "a")):
        assert all(after[name] == before[name] + 1 for before, after in pairwise(rows))
    assert said["historicalTrades"][0]["id"] == 1
    assert all(after[0] == before[0] + 60_000 for before, after in pairwise(said["klines"]))
    whole = [each for each in said["klines"] if each[6] < said["time"]["serverTime"]]
    assert all(Decimal(low) <= min(Decimal(open_), Decimal(close)) for _, open_, _, low, close, *_ in whole)
    assert said.get("history", said["klines"])[0] == said["klines"][0]
    low, high = numbers(said["ticker"], "lowPrice", "highPrice")
    assert low <= Decimal(said["price"]["price"]) <= high
    assert low <= Decimal(said["avgPrice"]["price"]) <= high
    assert Decimal(said["bookTicker"]["bidPrice"]) < Decimal(said["bookTicker"]["askPrice"])


def test_its_combined_streams_tell_trades_without_a_hole_and_changes_that_join(talk: Talk) -> None:
    streams = talk.said["streams"]
    trades, asked = streams["btcusdt@trade"], streams["asked"]
    assert [(each["t"], each["p"], each["q"], each["T"], each["m"]) for each in trades] == [
        (each["id"], each["price"], each["qty"], each["time"], each["isBuyerMaker"]) for each in asked
    ]
    assert all(after["t"] == before["t"] + 1 for before, after in pairwise(trades))
    changes = streams["btcusdt@depth@100ms"]
    assert all(after["U"] == before["u"] + 1 for before, after in pairwise(changes))
    assert all(Decimal(each["b"]) < Decimal(each["a"]) for each in streams["btcusdt@bookTicker"])
    assert {each["k"]["i"] for each in streams["btcusdt@kline_1m"]} == {"1m"}


def test_its_listen_key_is_kept_and_ended(talk: Talk) -> None:
    assert len(talk.said["listenKey"]) == 60
    assert (talk.said["kept"], talk.said["ended"]) == ({}, {})
