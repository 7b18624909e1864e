"""A local exchange behind faults, driven by hand: signed requests, one user stream and one market stream."""

import hashlib
import hmac
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.fault_plan import FaultPlan, FaultSpec
from njord.exchange.faults import Nemesis
from njord.exchange.synthetic_market import SyntheticMarket, SyntheticTerms
from njord.exchange.wire import Fate, Request, Response

BEGIN_NS = 1_790_000_034 * NS_PER_S  # Six seconds before a minute ends.
USER, MARKET_STREAM = 1, 2
BTC = Instrument(
    symbol="BTC/USDT",
    venue="binanceus",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    min_qty=Decimal("0.00001"),
    min_notional=Decimal(10),
)


class FaultyExchange:
    """An exchange with one account, a plan of faults before it, and both streams open once `listen` was called.

    Attributes:
        now_ns: Moves only by `run`.
        heard: Events of the account, decoded, with the connection that they came by.
        market: Frames of the market stream, decoded.
        closed: Connections that were closed.
    """

    def __init__(self, *faults: FaultSpec, seed: int = 1) -> None:
        self.now_ns = BEGIN_NS
        balances = {"USDT": Decimal(10_000), "BTC": Decimal(1), "BNB": Decimal(10)}
        self.exchange = Exchange(
            SyntheticMarket((BTC,), seed, BEGIN_NS, terms=SyntheticTerms(levels=5)),
            [AccountSpec(name="main", key="key1", secret="secret1", balances=balances)],
            ExchangeOptions(),
            BEGIN_NS,
        )
        self.nemesis = Nemesis(self.exchange, FaultPlan(faults), seed, BEGIN_NS, ("main",), ("key1",))
        self.heard: list[dict[str, Any]] = []
        self.market: list[dict[str, Any]] = []
        self.closed: list[int] = []
        self.run(1)

    def run(self, seconds: float) -> None:
        """Let time pass in small steps."""
        end_ns = self.now_ns + round(seconds * NS_PER_S)
        while self.now_ns < end_ns:
            self.now_ns = max(self.now_ns, min(end_ns, self.nemesis.next_ns))
            self.nemesis.advance(self.now_ns)
            self._take()

    def _take(self) -> None:
        for frame in self.nemesis.frames():
            if frame.text is None:
                self.closed.append(frame.connection)
            elif frame.connection == USER:
                said = msgspec.json.decode(frame.text)
                if "event" in said or "data" in said:
                    self.heard.append(said.get("event") or said["data"])
            else:
                self.market.append(msgspec.json.decode(frame.text))

    def listen(self, streams: Sequence[str] = ("trade",)) -> bool:
        """Open both streams; False if they are turned away."""
        path = "/stream"
        names = "/".join(f"btcusdt@{each}" for each in streams)
        is_open = self.nemesis.opened(USER, "/ws-api/v3", "", "127.0.0.1", self.now_ns)
        is_open &= self.nemesis.opened(MARKET_STREAM, path, f"streams={names}", "127.0.0.1", self.now_ns)
        params = {"apiKey": "key1", "timestamp": self.now_ns // NS_PER_MS}
        params["signature"] = self._signature(urlencode(sorted(params.items())))
        call = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
        self.nemesis.said(USER, msgspec.json.encode(call).decode(), self.now_ns)
        self._take()
        return is_open

    def listen_by_key(self) -> None:
        """Open the user stream with a listen key, among combined streams."""
        request = Request(method="POST", path="/api/v3/userDataStream", headers={"x-mbx-apikey": "key1"})
        key = msgspec.json.decode(self.nemesis.request(request, self.now_ns).body)["listenKey"]
        assert self.nemesis.opened(USER, "/stream", f"streams={key}", "127.0.0.1", self.now_ns)

    def _signature(self, text: str) -> str:
        return hmac.new(b"secret1", text.encode(), hashlib.sha256).hexdigest()

    # --- requests ---

    def signed(self, method: str, path: str, **params: object) -> Request:
        """Return a signed request."""
        text = urlencode({**params, "timestamp": self.now_ns // NS_PER_MS})
        text += "&signature=" + self._signature(text)
        return Request(method=method, path=f"/api/v3/{path}", query=text, headers={"x-mbx-apikey": "key1"})

    def ask(self, method: str, path: str, **params: object) -> Response:
        """Ask it at once, whatever the way does."""
        response = self.nemesis.request(self.signed(method, path, **params), self.now_ns)
        self._take()
        return response

    def order(self, name: str = "a", price: object = None, qty: str = "0.001") -> Request:
        """Return a buy: at market, or at a limit."""
        kind = (
            {"type": "MARKET"} if price is None else {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        )
        return self.signed(
            "POST", "order", symbol="BTCUSDT", side="BUY", quantity=qty, newClientOrderId=name, **kind
        )

    def place(self, name: str = "a", price: object = None, qty: str = "0.001") -> Response:
        """Place it."""
        response = self.nemesis.request(self.order(name, price, qty), self.now_ns)
        self._take()
        return response

    def cancel(self, name: str = "a") -> Response:
        """Cancel an order."""
        return self.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId=name)

    def way(self, request: Request) -> Fate:
        """Return what the way does to a request."""
        return self.nemesis.fate(request, self.now_ns)

    # --- what is true ---

    def orders(self) -> dict[str, str]:
        """Return the status of every order of the account."""
        rows = self.exchange.truth()["accounts"]["main"]["orders"]
        return {row["client_order_id"]: row["status"] for row in rows}

    def trades(self) -> list[dict[str, Any]]:
        """Return the account's trades."""
        rows: list[dict[str, Any]] = self.exchange.truth()["accounts"]["main"]["trades"]
        return rows

    def reports(self, name: str = "a") -> list[str]:
        """Return the execution reports heard of an order: what each is about."""
        return [each["x"] for each in self.heard if each.get("e") == "executionReport" and each["c"] == name]

    def struck(self, fault: str) -> int:
        """Return how often a fault struck."""
        return self.nemesis.struck()[fault]


def fault(name: str, for_s: float = 0.0, from_s: float = 0.0, share: float = 1.0, **params: Any) -> FaultSpec:
    """Return a fault that takes every opportunity."""
    return FaultSpec(fault=name, from_s=from_s, for_s=for_s, share=share, params=params)
