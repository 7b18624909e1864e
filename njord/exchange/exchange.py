"""The local exchange: a market, accounts and the Binance.US dialect, without I/O.

Requests, connections and the time go in, answers and frames come out (`Served`). This is all wiring: market streams and
public data in `streams.py` and `public.py`, accounts in `private.py`, `user_stream.py` and `ws_api.py`, what the world
does in `operator.py`, what really happened in `truth.py`. Paths below /njord/ are the exchange's own: they weigh nothing
and ask for no key.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from njord.core.errors import NjordError
from njord.core.units import FOREVER_NS, NS_PER_S
from njord.exchange.calls import Call, Calls, Outcome, refused
from njord.exchange.errors import ApiError
from njord.exchange.market import PublicMarket
from njord.exchange.operator import Operator
from njord.exchange.options import AccountSpec, ExchangeOptions
from njord.exchange.params import Params, parse
from njord.exchange.private import PrivateApi
from njord.exchange.public import PublicApi
from njord.exchange.signing import http_payload
from njord.exchange.streams import MarketStreams
from njord.exchange.trading import Trading
from njord.exchange.truth import Truth
from njord.exchange.user_stream import UserStreams
from njord.exchange.weights import Budgets
from njord.exchange.wire import BROKEN, JSON_HEADERS, UNTROUBLED, Fate, Frame, Request, Response
from njord.exchange.ws_api import PATH, WsApi

__all__ = ["AccountSpec", "Exchange", "ExchangeOptions"]

CONTROL: Final = "/njord/"
CONNECTION_WEIGHT: Final = 2
_GOING_AWAY: Final = 1001


class _Connection(msgspec.Struct):
    """An open WebSocket."""

    address: str
    is_api: bool
    closes_ns: int


class Exchange:
    """The local exchange.

    Args:
        market: What is traded, with its prices.
        accounts: Who trades.
        options: The exchange's own rules.
        begin_ns: When it opens, epoch ns.

    Attributes:
        market: The same.
        trading: The accounts and their orders.
        truth_ledger: What really happened.
        operator: What the world does to accounts.

    Raises:
        ConfigError: Two accounts share a name or a key, or a balance is negative.
    """

    def __init__(
        self,
        market: PublicMarket,
        accounts: Sequence[AccountSpec],
        options: ExchangeOptions,
        begin_ns: int,
    ) -> None:
        self.market = market
        self.options = options
        self.trading = Trading(market, accounts, options, begin_ns)
        self.truth_ledger = Truth(self.trading)
        self._now_ns = begin_ns
        self._budgets = Budgets(options)
        self._users = UserStreams(self.trading)
        self._streams = MarketStreams(market, self._users)
        public = PublicApi(market, self.trading.rules, options)
        private = PrivateApi(self.trading, self._budgets, self._users)
        self._calls = Calls(self.trading, public, private, self._budgets, self.truth_ledger)
        self._ws_api = WsApi(self._calls, self._users)
        self._connections: dict[int, _Connection] = {}
        self._frames: list[Frame] = []
        self.operator = Operator(
            self.trading, self._users, self._budgets, lambda: self._now_ns, self._drop_all
        )

    def truth(self) -> dict[str, Any]:
        """Return what really happened, as plain data."""
        return self.truth_ledger.data(self.trading.shown_ns(self._now_ns))

    # --- time ---

    @property
    def next_ns(self) -> int:
        """When something happens next by itself."""
        ends = (connection.closes_ns for connection in self._connections.values())
        return min(self._streams.next_ns, self._users.next_ns, min(ends, default=FOREVER_NS))

    def advance(self, now_ns: int) -> None:
        """Let everything happen until `now_ns`."""
        self._now_ns = now_ns = max(self._now_ns, now_ns)
        self._streams.advance(now_ns)
        self.trading.advance(now_ns)
        self._users.advance(now_ns)
        over = [number for number, each in self._connections.items() if each.closes_ns <= now_ns]
        for number in over:
            self._cut(number, _GOING_AWAY)

    # --- requests ---

    def fate(self, request: Request, now_ns: int) -> Fate:
        """Say what the way does to a request: nothing."""
        return UNTROUBLED

    def request(self, request: Request, now_ns: int) -> Response:
        """Answer a request that arrives at `now_ns`; the time was advanced to it."""
        self._now_ns = max(self._now_ns, now_ns)
        if request.path.startswith(CONTROL):
            outcome = self._control(request)
        else:
            outcome = self._answer(request, now_ns)
        return Response(status=outcome.status, body=outcome.body, headers={**JSON_HEADERS, **outcome.headers})

    def _answer(self, request: Request, now_ns: int) -> Outcome:
        key = request.headers.get("x-mbx-apikey", "")
        if self._calls.is_public(request):
            call = Call(request.method, request.path, request.address, key, Params({}), "", None, request)
            return self._calls.answer(call, now_ns)
        try:
            params = parse(request.query, request.body)
        except ApiError as error:
            return refused(error)
        endpoint = self._calls.endpoint(request.method, request.path)
        payload = http_payload(request)
        call = Call(request.method, request.path, request.address, key, params, payload, endpoint)
        return self._calls.answer(call, now_ns)

    def _control(self, request: Request) -> Outcome:
        try:
            if (request.method, request.path) == ("GET", "/njord/truth"):
                return Outcome(200, msgspec.json.encode(self.truth()), {})
            if (request.method, request.path) == ("POST", "/njord/operator"):
                self.operator.do(msgspec.json.decode(request.body, type=dict[str, Any]))
                return Outcome(200, b"{}", {})
        except ApiError as error:
            return refused(error)
        except (NjordError, msgspec.DecodeError) as error:
            return refused(ApiError(-1, str(error)))
        return refused(ApiError(-1, f"{request.method} {request.path} is not served here", 404))

    # --- connections ---

    def opened(self, connection: int, path: str, query: str, address: str, now_ns: int) -> bool:
        """Take a WebSocket connection; False if nothing is served at its path, or its caller is banned."""
        is_api = path.rstrip("/") == PATH
        try:
            self._budgets.charge(address, CONNECTION_WEIGHT, now_ns)
        except ApiError:
            return False
        if is_api:
            self._ws_api.opened(connection, query)
        else:
            if not self._streams.opened(connection, path, query, now_ns):
                return False
            self._users.opened(connection, path, query)
        closes_ns = now_ns + self.options.connection_s * NS_PER_S
        self._connections[connection] = _Connection(address, is_api, closes_ns)
        return True

    def said(self, connection: int, text: str, now_ns: int) -> None:
        """Take what a connection said."""
        self._now_ns = max(self._now_ns, now_ns)
        found = self._connections.get(connection)
        if found is None:
            return
        if found.is_api:
            self._collect()
            answer = self._ws_api.answer(connection, found.address, text, now_ns)
            self._frames.append(Frame(connection, answer))  # Before the events that it has caused.
        else:
            self._streams.said(connection, text, now_ns)

    def closed(self, connection: int, now_ns: int) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)
        self._streams.closed(connection)
        self._users.closed(connection)
        self._ws_api.closed(connection)

    def frames(self) -> list[Frame]:
        """Return what is to be sent, in order, since the last call."""
        self._collect()
        frames, self._frames = self._frames, []
        for frame in frames:
            if frame.text is None:
                self.closed(frame.connection, self._now_ns)
        return frames

    def _collect(self) -> None:
        self._frames += self._streams.take_frames()
        self._frames += self._users.take_frames()

    def _drop_all(self) -> None:
        for connection in list(self._connections):
            self._cut(connection, BROKEN)

    def _cut(self, connection: int, code: int) -> None:
        self._collect()
        self._frames.append(Frame(connection, None, code))
        self.closed(connection, self._now_ns)
