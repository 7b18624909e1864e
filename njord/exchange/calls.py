"""How is one call answered, whichever way it came? Weight, rights, the call itself, the truth ledger; JSON and headers out."""

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from njord.exchange.errors import ApiError
from njord.exchange.params import Params
from njord.exchange.private import Endpoint, PrivateApi
from njord.exchange.public import PublicApi
from njord.exchange.trading import Account, Trading
from njord.exchange.truth import Truth
from njord.exchange.weights import Budgets, weight_of
from njord.exchange.wire import Request

ORDER_PATH: Final = "/api/v3/order"
PLACING: Final = frozenset({("POST", ORDER_PATH), ("POST", f"{ORDER_PATH}/cancelReplace")})
ORDER_MOVES: Final = PLACING | {("DELETE", ORDER_PATH)}  # Requests that may change what is open.


class Call(NamedTuple):
    """A call about an account (`endpoint`) or about the market (`public`).

    Attributes:
        method: GET, POST, PUT, DELETE; WS for what REST has not.
        path: Of REST, or the WebSocket API's method where REST has none.
        address: Who pays its weight.
        key: Of the account, as it was sent.
        params: As they were sent.
        payload: What its signature is over.
        endpoint: What answers it, or
        public: the request for the market's side.
    """

    method: str
    path: str
    address: str
    key: str
    params: Params
    payload: str
    endpoint: Endpoint | None
    public: Request | None = None


class Outcome(NamedTuple):
    """An answer: JSON, and headers with names in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]
    code: int = 0


class Calls:
    """Answers calls.

    Args:
        trading: The accounts.
        public: What the market is asked.
        private: What accounts ask.
        budgets: What is counted.
        truth: What is remembered.
    """

    def __init__(
        self, trading: Trading, public: PublicApi, private: PrivateApi, budgets: Budgets, truth: Truth
    ) -> None:
        self._trading = trading
        self._public = public
        self._private = private
        self._budgets = budgets
        self._truth = truth

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint of a request about an account; None if it is none."""
        return self._private.endpoint(method, path)

    def is_public(self, request: Request) -> bool:
        """Say whether a request is about the market."""
        return self._public.handles(request)

    def answer(self, call: Call, now_ns: int) -> Outcome:
        """Answer one call."""
        headers: dict[str, str] = {}
        sent = dict(parse_qsl(call.public.query)) if call.public is not None else call.params.values
        weight = weight_of(call.method, call.path, sent)
        try:
            headers |= self._budgets.charge(call.address, weight, now_ns)
            outcome = Outcome(200, self._do(call, now_ns), headers)
        except ApiError as error:
            outcome = refused(error, headers)
        account = self._trading.account_of(call.key) if call.key else None
        if account is not None:
            if (call.method, call.path) in PLACING:
                headers |= self._budgets.order_headers(account.name, now_ns)
            self._remember(account, call, outcome, now_ns)
        return outcome

    def rate_limits(self, call: Call, now_ns: int) -> list[dict[str, Any]]:
        """Return the limits that a call counts against, and what is used of them, as the WebSocket API lists them."""
        account = self._trading.account_of(call.key)
        limits = [self._budgets.weight_limit(call.address, now_ns)]
        if account is not None and (call.method, call.path) in PLACING:
            limits = [*self._budgets.order_limits(account.name, now_ns), *limits]
        return limits

    def _do(self, call: Call, now_ns: int) -> bytes:
        if call.public is not None:
            return self._public.answer(call.public, now_ns, self._trading.clock_offset_ns).body
        if call.endpoint is None:
            raise ApiError(-1000, f"{call.method} {call.path} is not served here.", 404)
        account = self._private.admit(call.endpoint, call.key, call.params, call.payload, now_ns)
        return msgspec.json.encode(call.endpoint.call(account, call.params, now_ns))

    def _remember(self, account: Account, call: Call, outcome: Outcome, now_ns: int) -> None:
        self._truth.asked(
            account,
            self._trading.shown_ns(now_ns),
            call.method,
            call.path,
            call.params.sent("newClientOrderId", "origClientOrderId"),
            outcome.status,
            outcome.code,
        )


def refused(error: ApiError, headers: dict[str, str] | None = None) -> Outcome:
    """Return the answer that says no; headers that are counted already go with it."""
    body = msgspec.json.encode(error.body)
    return Outcome(error.status, body, {**(headers or {}), **error.headers}, error.code)
