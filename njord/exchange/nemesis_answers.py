"""Trouble in answers: what the venue says of a request, or does not say, against what it did."""

import math
from typing import Any

import msgspec
from msgspec.structs import replace

from njord.core.units import NS_PER_S
from njord.exchange.calls import ORDER_MOVES, ORDER_PATH
from njord.exchange.nemesis import HTML, Trouble, error
from njord.exchange.wire import JSON_HEADERS, Fate, Request, Response

_HUGE_BYTES = 10 * 1024 * 1024
_SNAPSHOTS = frozenset({"/api/v3/account", "/api/v3/openOrders"})


class ServerError(Trouble):
    """A4: an order or cancel is answered with a 5xx, having been done or not."""

    def before(self, request: Request, now_ns: int) -> Response | None:
        """Fail in front of the exchange."""
        if not _moves(request) or self.random.random() < self.number("done_share"):
            return None
        return self._failed() if self.strikes() else None

    def after(self, request: Request, response: Response, now_ns: int) -> Response:
        """Fail behind the exchange."""
        return self._failed() if _moves(request) and self.strikes() else response

    def _failed(self) -> Response:
        status = self.random.choice((500, 502, 503, 504))
        if status == 504 and self.random.random() < 0.5:
            return error(status, -1007, "Timeout waiting for response from backend server.")
        return Response(status=status, body=HTML, headers={"content-type": "text/html"})


class BadBody(Trouble):
    """A5: what was asked was done, and the answer is of no use."""

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """Break the answer off on its way, if that is the form."""
        is_cut = self.form() == "cut" and self.strikes()
        return replace(fate, cuts_at=self.random.randrange(20)) if is_cut else fate

    def after(self, request: Request, response: Response, now_ns: int) -> Response:
        """Spoil the answer."""
        form = self.form()
        if response.status != 200 or form == "cut" or not self.strikes():
            return response
        if form == "html":
            return replace(response, body=HTML, headers={"content-type": "text/html"})
        if form == "truncated":
            return replace(response, body=response.body[: max(1, len(response.body) * 2 // 3)])
        if form == "shape":
            return replace(response, body=self.random.choice((b"[]", b"{}", b"null", b"7", b'{"data":[1]}')))
        return replace(response, body=b"" if form == "empty" else b" " * _HUGE_BYTES)


class UnknownCancel(Trouble):
    """A7: a cancel is refused as unknown, although the order works."""

    def before(self, request: Request, now_ns: int) -> Response | None:
        """Refuse it in front of the exchange."""
        if request.method != "DELETE" or request.path != ORDER_PATH or not self.strikes():
            return None
        return error(400, -2011, "Unknown order sent.")


class RateLimit(Trouble):
    """A16: 429 with Retry-After; a request from the same caller before that is a ban."""

    def begin(self, now_ns: int) -> None:
        """Nobody has to wait yet."""
        self._told_ns: dict[str, int] = {}

    def before(self, request: Request, now_ns: int) -> Response | None:
        """Refuse a request, or ban a caller that was told to wait and did not."""
        address = request.address
        told_ns = self._told_ns.get(address)
        wait_s = math.ceil(self.number("wait_s"))
        if told_ns is not None and now_ns < told_ns + wait_s * NS_PER_S:
            if now_ns < told_ns + NS_PER_S:  # It may have left before its sender was told.
                return _too_many(wait_s)
            del self._told_ns[address]
            self.n_struck += 1
            self.setting.exchange.operator.ban(address, math.ceil(self.number("ban_s")))
            return None  # The exchange itself says so.
        if not self.strikes():
            return None
        self._told_ns[address] = now_ns
        return _too_many(wait_s)


class WrongSnapshot(Trouble):
    """A23: an account or a list of open orders is an old one, or somebody else's."""

    def begin(self, now_ns: int) -> None:
        """Remember answers from now on."""
        self._old: dict[str, Response] = {}

    def after(self, request: Request, response: Response, now_ns: int) -> Response:
        """Tell something else than what is."""
        if request.method != "GET" or request.path not in _SNAPSHOTS or response.status != 200:
            return response
        old = self._old.setdefault(request.path, response)
        form = self.form()
        if form == "stale":
            return old if old.body != response.body and self.strikes() else response
        return replace(response, body=_foreign(request.path, response.body)) if self.strikes() else response


class WrongOpenOrders(Trouble):
    """A24: the list of open orders fails, or is empty though orders work."""

    def after(self, request: Request, response: Response, now_ns: int) -> Response:
        """Lose the list."""
        if request.method != "GET" or request.path != "/api/v3/openOrders" or response.status != 200:
            return response
        if self.form() == "fails":
            return error(500, -1000, "An unknown error occurred.") if self.strikes() else response
        if response.body.strip() == b"[]" or not self.strikes():
            return response
        return replace(response, body=b"[]")


def _too_many(wait_s: int) -> Response:
    headers = {**JSON_HEADERS, "retry-after": str(wait_s)}
    return error(
        429, -1003, "Too much request weight used; please use the websocket for live updates.", headers
    )


def _moves(request: Request) -> bool:
    return (request.method, request.path) in ORDER_MOVES


# The same answer as for a rich stranger, who has other orders and another number; what another fault has spoiled stays so.
def _foreign(path: str, body: bytes) -> bytes:
    try:
        if path == "/api/v3/account":
            account = msgspec.json.decode(body, type=dict[str, Any])
            balances = account.get("balances", [])
            foreign = [{**each, "free": "7777.00000000", "locked": "0.00000000"} for each in balances]
            return msgspec.json.encode({**account, "uid": 99_999_999, "balances": foreign})
        orders = msgspec.json.decode(body, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        return body
    strangers = [
        {**each, "clientOrderId": f"stranger-{number}", "orderId": 900_000_000 + number}
        for number, each in enumerate(orders)
    ]
    return msgspec.json.encode(strangers)
