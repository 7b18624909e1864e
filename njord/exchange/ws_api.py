"""What does the WebSocket API answer? Messages of a connection in, answers out: the same calls that REST has."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from njord.exchange.calls import Call, Calls, Outcome, refused
from njord.exchange.errors import ApiError
from njord.exchange.params import Params
from njord.exchange.private import ROOT, Endpoint
from njord.exchange.signing import Security, ws_payload
from njord.exchange.user_stream import UserStreams
from njord.exchange.wire import Request

PATH: Final = "/ws-api/v3"
SUBSCRIBE: Final = "userDataStream.subscribe.signature"
UNSUBSCRIBE: Final = "userDataStream.unsubscribe"
RETURN_LIMITS: Final = "returnRateLimits"
_VERSION: Final = "v3/"
_METHODS: Final[Mapping[str, tuple[str, str]]] = {
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
    "exchangeInfo": ("GET", "exchangeInfo"),
    "depth": ("GET", "depth"),
    "trades.recent": ("GET", "trades"),
    "trades.historical": ("GET", "historicalTrades"),
    "trades.aggregate": ("GET", "aggTrades"),
    "klines": ("GET", "klines"),
    "avgPrice": ("GET", "avgPrice"),
    "ticker.24hr": ("GET", "ticker/24hr"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.status": ("GET", "order"),
    "order.cancel": ("DELETE", "order"),
    "order.cancelReplace": ("POST", "order/cancelReplace"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "account.status": ("GET", "account"),
    "account.rateLimits.orders": ("GET", "rateLimit/order"),
    "userDataStream.start": ("POST", "userDataStream"),
    "userDataStream.ping": ("PUT", "userDataStream"),
    "userDataStream.stop": ("DELETE", "userDataStream"),
}


class _Asked(msgspec.Struct, frozen=True):
    """A message of a client."""

    method: str
    id: int | str | None = None
    params: dict[str, msgspec.Raw] | None = None


class WsApi:
    """The WebSocket API of an exchange.

    Args:
        calls: What answers.
        users: Whose subscriptions it makes.
    """

    def __init__(self, calls: Calls, users: UserStreams) -> None:
        self._calls = calls
        self._users = users
        self._is_brief: set[int] = set()

    def opened(self, connection: int, query: str) -> None:
        """Take a connection; its address may say that answers are to leave the limits out."""
        if dict(parse_qsl(query)).get(RETURN_LIMITS) == "false":
            self._is_brief.add(connection)

    def closed(self, connection: int) -> None:
        """Forget a connection."""
        self._is_brief.discard(connection)

    def answer(self, connection: int, address: str, text: str, now_ns: int) -> str:
        """Return the answer to one message."""
        try:
            asked = msgspec.json.decode(text, type=_Asked)
            values = {name: _text(raw) for name, raw in (asked.params or {}).items()}
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _written(None, refused(ApiError(-1000, "Malformed JSON message.")), [])
        limits_shown = values.get(RETURN_LIMITS, "false" if connection in self._is_brief else "true")
        method = asked.method.removeprefix(_VERSION)
        if method == UNSUBSCRIBE:
            number = values.get("subscriptionId", "")
            self._users.unsubscribe(connection, int(number) if number.isdecimal() else None)
            return _written(asked.id, Outcome(200, b"{}", {}), [])
        call = self._call(connection, address, method, values)
        if call is None:
            return _written(asked.id, refused(ApiError(-1000, "Unknown method.")), [])
        outcome = self._calls.answer(call, now_ns)
        limits = self._calls.rate_limits(call, now_ns) if limits_shown == "true" else None
        return _written(asked.id, outcome, limits)

    def _call(self, connection: int, address: str, method: str, values: dict[str, str]) -> Call | None:
        key, payload = values.get("apiKey", ""), ws_payload(values)
        values = {name: value for name, value in values.items() if name != RETURN_LIMITS}
        if method == SUBSCRIBE:
            subscribe = Endpoint(
                Security.SIGNED,
                (),
                lambda account, params, now_ns: {
                    "subscriptionId": self._users.subscribe(connection, account)
                },
            )
            return Call("WS", method, address, key, Params(values), payload, subscribe)
        if method not in _METHODS:
            return None
        verb, name = _METHODS[method]
        path = ROOT + name
        endpoint = self._calls.endpoint(verb, path)
        if endpoint is not None:
            return Call(verb, path, address, key, Params(values), payload, endpoint)
        query = urlencode({each: value for each, value in values.items() if each != "apiKey"})
        request = Request(
            method=verb, path=path, query=query, headers={"x-mbx-apikey": key} if key else {}, address=address
        )
        return Call(verb, path, address, key, Params(values), payload, None, request)


# A value as it is signed and read: texts without quotes, all else as it is written.
def _text(raw: msgspec.Raw) -> str:
    written = bytes(raw).decode()
    if written.startswith('"'):
        return msgspec.json.decode(written, type=str)
    return written


def _written(call_id: int | str | None, outcome: Outcome, rate_limits: list[dict[str, object]] | None) -> str:
    kind = "result" if outcome.status == 200 else "error"
    answer: dict[str, object] = {
        "id": call_id,
        "status": outcome.status,
        kind: msgspec.Raw(outcome.body),
    }
    if rate_limits is not None:
        answer["rateLimits"] = rate_limits
    return msgspec.json.encode(answer).decode()
