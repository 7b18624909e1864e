"""A small local exchange for tests by hand: one BTC market of tick 1 and lot 0.1 that does what it is told.

`Case` is the exchange with two accounts and short words for asking it. The market has a book from the beginning (bids 5
at 99 and 10 at 98, asks 5 at 101 and 10 at 102, a trade at 100) and then whatever rows a test gives, at seconds after it.
"""

import hmac
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.market import PublicMarket
from njord.exchange.market_tape import TRADE_BUY, TRADE_SELL, TapeBlock, block_of, change_rows
from njord.exchange.orders import Order
from njord.exchange.wire import Request, Response
from tests.property.strategies import START_NS, instrument

BTC = instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"), min_notional=Decimal(20))
KEY, SECRET = "alicekey", "alicesecret"
OTHER_KEY, OTHER_SECRET = "bobkey", "bobsecret"
BALANCES = {"BTC": Decimal(10), "USDT": Decimal(10_000)}
Row = tuple[int, int, int, int, int, int, int]
Json = dict[str, Any]


def trade(at_s: float, price: int, lots: int, *, buys: bool = False, trade_id: int = 0) -> list[Row]:
    """Return a trade so many seconds after the beginning; its id by its time unless told otherwise."""
    ts_ns = START_NS + round(at_s * NS_PER_S)
    number = trade_id or 2 + round(at_s * 1000)
    return [(TRADE_BUY if buys else TRADE_SELL, ts_ns, price, lots, number, number, 1)]


def change(
    at_s: float, bids: Iterable[tuple[int, int]] = (), asks: Iterable[tuple[int, int]] = ()
) -> list[Row]:
    """Return a change of the book so many seconds after the beginning."""
    number = 2 + round(at_s * 1000)
    return change_rows(START_NS + round(at_s * NS_PER_S), number, number, bids, asks)


def market(*rows: list[Row]) -> PublicMarket:
    """Return the market: its book from the beginning, and then `rows`."""
    opening = change(0, [(99, 50), (98, 100)], [(101, 50), (102, 100)])
    told = [*opening, *trade(0, 100, 1, trade_id=1), *(row for some in rows for row in some)]

    def tape() -> Iterator[TapeBlock]:
        yield block_of(told)

    return PublicMarket([BTC], [tape], START_NS)


class Case:
    """An exchange on a market, and its two customers.

    Args:
        rows: What the market does after its beginning.
        of: Another market.
        balances: Of both accounts.
        begin_ns: When it opens.
        options: Of ExchangeOptions.
    """

    def __init__(
        self,
        *rows: list[Row],
        of: PublicMarket | None = None,
        balances: dict[str, Decimal] | None = None,
        begin_ns: int = START_NS,
        **options: Any,
    ) -> None:
        held = BALANCES if balances is None else balances
        specs = [
            AccountSpec(name="alice", key=KEY, secret=SECRET, balances=held),
            AccountSpec(name="bob", key=OTHER_KEY, secret=OTHER_SECRET, balances=held),
        ]
        self.now_ns = begin_ns
        rates = {"maker_bps": Decimal(0), "taker_bps": Decimal(0)}
        self.exchange = Exchange(
            of or market(*rows), specs, ExchangeOptions(**{**rates, **options}), START_NS
        )
        self.alice = self.exchange.trading.accounts["alice"]
        self.exchange.advance(begin_ns)
        self._n = 0

    def to(self, at_s: float) -> None:
        """Let the time pass up to so many seconds after the beginning."""
        self.now_ns = max(self.now_ns, START_NS + round(at_s * NS_PER_S))
        self.exchange.advance(self.now_ns)

    # --- REST ---

    def send(self, method: str, path: str, key: str = KEY, secret: str = SECRET, **params: Any) -> Response:
        """Send a signed request, its time the exchange's unless told otherwise."""
        params.setdefault("timestamp", self.now_ns // NS_PER_MS)
        query = urlencode({name: value for name, value in params.items() if value is not None})
        query += "&signature=" + signed(secret, query)
        is_form = method == "POST"
        request = Request(
            method=method,
            path=f"/api/v3/{path}",
            query="" if is_form else query,
            body=query if is_form else "",
            headers={"x-mbx-apikey": key} if key else {},
        )
        return self.exchange.request(request, self.now_ns)

    def ask(self, method: str, path: str, **params: Any) -> Any:
        """Send a request that is to be answered, and return the answer."""
        response = self.send(method, path, **params)
        assert response.status == 200, response.body
        return msgspec.json.decode(response.body)

    def refused(self, method: str, path: str, **params: Any) -> tuple[int, str]:
        """Send a request that is to be refused, and return code and message."""
        response = self.send(method, path, **params)
        assert response.status != 200, response.body
        said = msgspec.json.decode(response.body)
        return said["code"], said["msg"]

    def keyed(self, method: str, path: str, key: str = KEY, **params: Any) -> Any:
        """Send a request with the key alone, and return the answer."""
        request = Request(
            method=method,
            path=f"/api/v3/{path}",
            query=urlencode(params),
            headers={"x-mbx-apikey": key},
        )
        return msgspec.json.decode(self.exchange.request(request, self.now_ns).body)

    def place(self, **given: Any) -> Any:
        """Place an order: a buy of 1 BTC unless told otherwise, a limit one if it has a price."""
        return self.ask("POST", "order", **self.order(**given))

    def refuse(self, **given: Any) -> tuple[int, str]:
        """Place an order that is to be refused, and return code and message."""
        return self.refused("POST", "order", **self.order(**given))

    def order(self, **given: Any) -> Json:
        """Return an order's parameters; None takes one away."""
        self._n += 1
        params: Json = {"symbol": "BTCUSDT", "side": "BUY", "newClientOrderId": f"NJ-{self._n}"}
        params["type"] = "LIMIT" if given.get("price") else "MARKET"
        params["quantity"] = None if "quoteOrderQty" in given else "1"
        params |= given
        if params["type"] in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
            params.setdefault("timeInForce", "GTC")
        return params

    def cancel(self, name: str) -> Any:
        """Cancel an order."""
        return self.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId=name)

    def state(self, name: str) -> Any:
        """Return an order as a query tells it."""
        return self.ask("GET", "order", symbol="BTCUSDT", origClientOrderId=name)

    def found(self, name: str) -> Order:
        """Return an order as the exchange has it."""
        return self.alice.by_client[name]

    # --- money ---

    def free(self, asset: str) -> Decimal:
        """Return what alice may spend."""
        return self.alice.wallet.free(asset)

    def locked(self, asset: str) -> Decimal:
        """Return what alice's open orders hold."""
        return self.alice.wallet.locked(asset)

    # --- streams ---

    def subscribe(self, connection: int = 1) -> Any:
        """Open a connection of the WebSocket API and let it hear alice; return the answer."""
        assert self.exchange.opened(connection, "/ws-api/v3", "", "127.0.0.1", self.now_ns)
        return self.call("userDataStream.subscribe.signature", connection)

    def call(self, method: str, connection: int = 1, **params: Any) -> Any:
        """Send a signed message to the WebSocket API; return its answer, which comes before what it causes."""
        params = {"apiKey": KEY, "timestamp": self.now_ns // NS_PER_MS, **params}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = signed(SECRET, payload)
        message = msgspec.json.encode({"id": "7", "method": method, "params": params})
        before = self.texts(connection)
        self.exchange.said(connection, message.decode(), self.now_ns)
        answer, *self.caused = self.texts(connection)
        assert not before
        assert answer["id"] == "7"
        return answer

    def texts(self, connection: int = 1) -> list[Any]:
        """Return what a connection was sent since the last call, decoded; None where it was closed."""
        return [
            None if frame.text is None else msgspec.json.decode(frame.text)
            for frame in self.exchange.frames()
            if frame.connection == connection
        ]

    def events(self, connection: int = 1) -> list[Json]:
        """Return the account's events that a connection was sent since the last call."""
        return [text.get("event", text) for text in self.texts(connection)]

    def reports(self, connection: int = 1) -> list[tuple[str, str, str]]:
        """Return the execution reports since the last call: the order's name, what, and its state."""
        return [
            (event["C"] or event["c"], event["x"], event["X"])
            for event in self.events(connection)
            if event["e"] == "executionReport"
        ]


def signed(secret: str, payload: str) -> str:
    """Return a signature."""
    return hmac.new(secret.encode(), payload.encode(), "sha256").hexdigest()
