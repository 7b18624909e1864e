"""The unmodified `ccxt.binanceus` against the local exchange, in one process: its requests are carried as values.

CCXT signs, forms and parses as it does with the venue, its addresses included; only the transport is ours.
"""

from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter

from njord.core.units import NS_PER_S
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.synthetic_market import SyntheticMarket
from njord.exchange.wire import Request
from tests.property.strategies import instrument

pytestmark = pytest.mark.integration
BEGIN_NS = 1_700_000_040_000_000_000
PAIR = instrument(tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"), min_notional=Decimal(10))
SYMBOL = "BTC/USDT"
HOST = "api.binance.us"


class Wire(BaseAdapter):
    """Carries the requests of `requests` to an exchange; refuses every other host."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        self.now_ns = BEGIN_NS

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Answer one request, a millisecond after the last one."""
        url = urlsplit(str(request.url))
        assert url.hostname == HOST
        self.to(self.now_ns + 1_000_000)
        body = request.body or ""
        answer = self._exchange.request(
            Request(
                method=str(request.method),
                path=url.path,
                query=url.query,
                body=body.decode() if isinstance(body, bytes) else str(body),
                headers={name.lower(): str(value) for name, value in request.headers.items()},
            ),
            self.now_ns,
        )
        response = requests.Response()
        response.status_code = answer.status
        response.reason = HTTPStatus(answer.status).phrase if answer.status != 418 else "I'm a teapot"
        response._content = answer.body
        response.headers.update(answer.headers)
        response.url = str(request.url)
        response.request = request
        return response

    def to(self, now_ns: int) -> None:
        """Let the time pass."""
        self.now_ns = now_ns
        self._exchange.advance(now_ns)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def ccxt() -> Any:
    """The library; it takes its time to load, which collecting the tests need not wait for."""
    return import_module("ccxt")


def _venue(ccxt: Any, wire: Wire) -> Any:
    session = requests.Session()
    session.mount("https://", wire)
    venue = ccxt.binanceus(
        {"apiKey": "toykey", "secret": "toysecret", "session": session, "enableRateLimit": False}
    )
    venue.number = str
    venue.milliseconds = lambda: wire.now_ns // 1_000_000  # The exchange's time in place of this machine's.
    return venue


def _wire(**options: Any) -> Wire:
    balances = {"BTC": Decimal(1), "USDT": Decimal(100_000)}
    accounts = [AccountSpec(name="a", key="toykey", secret="toysecret", balances=balances)]
    market = SyntheticMarket([PAIR], 1, BEGIN_NS)
    wire = Wire(Exchange(market, accounts, ExchangeOptions(**options), BEGIN_NS))
    wire.to(BEGIN_NS + NS_PER_S)
    return wire


@pytest.fixture
def venue(ccxt: Any) -> Any:
    """CCXT's venue, its transport a local exchange."""
    return _venue(ccxt, _wire())


def _price(venue: Any, factor: float) -> str:
    return str(venue.price_to_precision(SYMBOL, float(venue.fetch_ticker(SYMBOL)["last"]) * factor))


def test_it_lists_the_market_and_the_balances(venue: Any) -> None:
    market = venue.load_markets()[SYMBOL]
    assert market["active"]
    assert (market["precision"]["price"], market["precision"]["amount"]) == ("0.01000000", "0.00001000")
    assert market["limits"]["cost"]["min"] == "10.00000000"
    balance = venue.fetch_balance()
    assert (balance["BTC"]["free"], balance["USDT"]["total"]) == ("1.00000000", "100000")


@pytest.mark.parametrize(
    ("kind", "side", "factor", "params", "status"),
    [
        ("market", "buy", None, {}, "closed"),
        ("market", "sell", None, {}, "closed"),
        ("limit", "buy", 0.9, {}, "open"),
        ("limit", "buy", 1.1, {"timeInForce": "IOC"}, "closed"),
        ("limit", "buy", 0.9, {"timeInForce": "FOK"}, "expired"),
        ("limit", "sell", 1.1, {"postOnly": True}, "open"),
        ("limit", "sell", 0.9, {"stopLossPrice": 0.95}, "open"),
        ("limit", "sell", 1.1, {"takeProfitPrice": 1.05}, "open"),
    ],
)
def test_it_places_and_finds_orders_of_every_kind(
    venue: Any, kind: str, side: str, factor: float | None, params: Mapping[str, Any], status: str
) -> None:
    venue.load_markets()
    given: dict[str, Any] = {"clientOrderId": "NJ-1", "newOrderRespType": "RESULT"}
    for name, value in params.items():
        given[name] = _price(venue, value) if name.endswith("Price") else value
    price = _price(venue, factor) if factor else None
    order = venue.create_order(SYMBOL, kind, side, 0.01, price, given)
    assert (order["clientOrderId"], order["status"], order["side"]) == ("NJ-1", status, side)
    found = venue.fetch_order(order["id"], SYMBOL)
    for name in (
        "id",
        "clientOrderId",
        "status",
        "side",
        "type",
        "price",
        "amount",
        "filled",
        "triggerPrice",
    ):
        assert found[name] == order[name], name
    assert found["amount"] == "0.01000000"
    if status == "open":
        assert [each["id"] for each in venue.fetch_open_orders(SYMBOL)] == [order["id"]]
        assert venue.cancel_order(order["id"], SYMBOL)["status"] == "canceled"
        assert venue.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    assert venue.fetch_open_orders(SYMBOL) == []
    assert len(venue.fetch_orders(SYMBOL)) == 1


def test_its_trades_and_balances_add_up(venue: Any) -> None:
    venue.load_markets()
    venue.create_order(SYMBOL, "market", "buy", 0.2)
    venue.create_order(SYMBOL, "market", "sell", 0.1)
    venue.create_market_buy_order_with_cost(SYMBOL, 500)
    held = {"BTC": Decimal(1), "USDT": Decimal(100_000)}
    for trade in venue.fetch_my_trades(SYMBOL):
        sign = 1 if trade["side"] == "buy" else -1
        held["BTC"] += sign * Decimal(trade["amount"])
        held["USDT"] -= sign * Decimal(trade["cost"])
        held[trade["fee"]["currency"]] -= Decimal(trade["fee"]["cost"])
    balance = venue.fetch_balance()
    assert held == {asset: Decimal(balance[asset]["total"]) for asset in held}


def test_refusals_are_the_errors_that_it_expects(venue: Any, ccxt: Any) -> None:
    venue.load_markets()
    low = _price(venue, 0.9)
    venue.create_order(SYMBOL, "limit", "buy", 0.01, low, {"clientOrderId": "NJ-1"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        venue.create_order(SYMBOL, "limit", "buy", 0.01, low, {"clientOrderId": "NJ-1"})
    with pytest.raises(ccxt.InsufficientFunds):
        venue.create_order(SYMBOL, "limit", "buy", 100, low)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        venue.create_order(SYMBOL, "limit", "buy", 0.01, _price(venue, 1.1), {"postOnly": True})
    with pytest.raises(ccxt.OrderNotFound):
        venue.fetch_order("999", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound):
        venue.cancel_order("999", SYMBOL)
    with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
        venue.create_order(SYMBOL, "limit", "buy", 0.0001, low)
    venue.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        venue.fetch_balance()


def test_throttling_and_bans_are_told_as_such(ccxt: Any) -> None:
    venue = _venue(ccxt, _wire(weight_per_minute=45, strikes_to_ban=1))
    venue.load_markets()
    for _ in range(3):
        venue.fetch_balance()
    for status in (429, 418):
        with pytest.raises(ccxt.DDoSProtection, match=str(status)):
            venue.fetch_balance()
