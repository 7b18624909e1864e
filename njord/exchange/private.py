"""What may an account ask, and what is it told? The signed endpoints: checked parameters in, plain data for JSON out.

REST and the WebSocket API carry the same calls. Order: key, then signature and time, then parameters, then filters, then
the account's money. Listen keys belong to the user stream and are reached through it.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

from njord.core.units import FOREVER_NS, NS_PER_DAY, NS_PER_MS
from njord.exchange import errors, reports
from njord.exchange.orders import Order, Status, Ticket
from njord.exchange.params import Params
from njord.exchange.replacing import NOT_ATTEMPTED, both, half
from njord.exchange.rules import SymbolRules
from njord.exchange.signing import Security, account_of, check_signed
from njord.exchange.tickets import ORDER_PARAMS, ticket_of
from njord.exchange.trading import Account, Trading
from njord.exchange.user_stream import UserStreams
from njord.exchange.weights import Budgets

ROOT: Final = "/api/v3/"
SIGNATURE_PARAMS: Final = ("timestamp", "recvWindow", "signature", "apiKey")
_RESPONSES: Final = ("ACK", "RESULT", "FULL")
_ONE_ORDER: Final = ("symbol", "orderId", "origClientOrderId")
_CANCEL: Final = (*_ONE_ORDER, "newClientOrderId", "cancelRestrictions")
_RESTRICTIONS: Final = {"ONLY_NEW": Status.NEW, "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED}
_REPLACE_MODES: Final = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
# What a cancel's parameters are called where the same request also places an order.
_REPLACED: Final = {
    "symbol": "symbol",
    "cancelOrderId": "orderId",
    "cancelOrigClientOrderId": "origClientOrderId",
    "cancelNewClientOrderId": "newClientOrderId",
    "cancelRestrictions": "cancelRestrictions",
}
_ROWS: Final = ("symbol", "orderId", "startTime", "endTime", "limit")
Call = Callable[[Account, Params, int], Any]


class Endpoint(NamedTuple):
    """One call: what it asks of its caller, which parameters it reads, and what it does."""

    security: Security
    names: tuple[str, ...]
    call: Call


class _Withdrawal(NamedTuple):
    """A cancel that is asked for: what to end, the cancel's own id, and the only status that allows it, if any."""

    order: Order | None
    cancel_id: str
    only: Status | None


class PrivateApi:
    """The endpoints of accounts.

    Args:
        trading: The accounts and their orders.
        budgets: What is counted of orders.
        users: The user streams, which hold the listen keys.
    """

    def __init__(self, trading: Trading, budgets: Budgets, users: UserStreams) -> None:
        self._trading = trading
        self._options = trading.options
        self._budgets = budgets
        self._users = users
        signed, trade, key = Security.SIGNED, Security.TRADE, Security.KEY
        self._endpoints: Mapping[tuple[str, str], Endpoint] = {
            ("POST", "order"): Endpoint(trade, ORDER_PARAMS, self._place),
            ("POST", "order/test"): Endpoint(trade, ORDER_PARAMS, self._test),
            ("GET", "order"): Endpoint(signed, _ONE_ORDER, self._query),
            ("DELETE", "order"): Endpoint(trade, _CANCEL, self._cancel),
            ("POST", "order/cancelReplace"): Endpoint(
                trade, (*ORDER_PARAMS, *_REPLACED, "cancelReplaceMode"), self._replace
            ),
            ("DELETE", "openOrders"): Endpoint(trade, ("symbol",), self._cancel_all),
            ("GET", "openOrders"): Endpoint(signed, ("symbol",), self._open_orders),
            ("GET", "allOrders"): Endpoint(signed, _ROWS, self._all_orders),
            ("GET", "myTrades"): Endpoint(signed, (*_ROWS, "fromId"), self._my_trades),
            ("GET", "account"): Endpoint(signed, ("omitZeroBalances",), self._account),
            ("GET", "rateLimit/order"): Endpoint(signed, (), self._order_limits),
            ("POST", "userDataStream"): Endpoint(key, (), self._new_listen_key),
            ("PUT", "userDataStream"): Endpoint(key, ("listenKey",), self._keep_listen_key),
            ("DELETE", "userDataStream"): Endpoint(key, ("listenKey",), self._end_listen_key),
        }

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint of a request; None if it is none of these."""
        return self._endpoints.get((method, path.removeprefix(ROOT))) if path.startswith(ROOT) else None

    def admit(self, endpoint: Endpoint, key: str, params: Params, payload: str, now_ns: int) -> Account:
        """Return whose request it is.

        Args:
            endpoint: What is asked.
            key: As it was sent.
            params: As they were sent.
            payload: What the signature is over.
            now_ns: The host's time.

        Raises:
            ApiError: The caller may not do that, or the signature, the time or a parameter is wrong.
        """
        account = account_of(self._trading, key, endpoint.security)
        if endpoint.security >= Security.SIGNED:
            check_signed(account, params, payload, self._options, self._trading.shown_ns(now_ns))
        params.refuse_others((*endpoint.names, *SIGNATURE_PARAMS))
        return account

    # --- orders ---

    def _place(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        response = _response(params)
        ticket = ticket_of(params, self._trading, self._trading.new_id)
        self._budgets.charge_order(account.name, now_ns)
        return self._enter(account, ticket, response, now_ns)

    def _enter(self, account: Account, ticket: Ticket, response: str, now_ns: int) -> reports.Json:
        order = self._trading.enter(account, ticket, now_ns)
        if response == "ACK":
            return reports.acknowledged(order)
        return reports.placed(order, self._options, response == "FULL")

    def _test(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        params.choice("newOrderRespType", _RESPONSES, "ACK")
        ticket_of(params, self._trading, self._trading.new_id)
        return {}

    def _query(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        order = self._order(account, params)
        if order is None:
            raise errors.no_such_order()
        return reports.queried(order, self._options)

    def _cancel(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        return self._withdraw(account, self._withdrawal(account, params), now_ns)

    def _withdrawal(self, account: Account, params: Params) -> _Withdrawal:
        order = self._order(account, params)
        has_id, is_restricted = "newClientOrderId" in params, "cancelRestrictions" in params
        cancel_id = params.client_id("newClientOrderId") if has_id else self._trading.new_id()
        only = _RESTRICTIONS[params.choice("cancelRestrictions", _RESTRICTIONS)] if is_restricted else None
        return _Withdrawal(order, cancel_id, only)

    def _withdraw(self, account: Account, asked: _Withdrawal, now_ns: int) -> reports.Json:
        order = asked.order
        if order is None:
            raise errors.unknown_order()
        if order.is_open and asked.only not in (None, order.status):
            raise errors.restricted()
        self._trading.withdraw(account, order, now_ns, asked.cancel_id)
        return reports.canceled(order, asked.cancel_id, self._options)

    # Filters and rates are looked at first; from then on each half is done, or not, for itself.
    def _replace(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        mode, response = params.choice("cancelReplaceMode", _REPLACE_MODES), _response(params)
        withdrawal = self._withdrawal(account, _replaced(params))
        ticket = ticket_of(params, self._trading, self._trading.new_id)
        self._trading.check_room(account, ticket.rules)
        self._budgets.charge_order(account.name, now_ns)
        canceled = half(lambda: self._withdraw(account, withdrawal, now_ns))
        if not canceled.is_done and mode == "STOP_ON_FAILURE":
            return both(canceled, NOT_ATTEMPTED)
        return both(canceled, half(lambda: self._enter(account, ticket, response, now_ns)))

    def _cancel_all(self, account: Account, params: Params, now_ns: int) -> list[reports.Json]:
        rules = self._rules(params)
        orders = [each for each in account.open_orders.values() if each.ticket.rules is rules]
        if not orders:
            raise errors.unknown_order()
        answers = []
        for order in orders:
            cancel_id = self._trading.new_id()
            self._trading.withdraw(account, order, now_ns, cancel_id)
            answers.append(reports.canceled(order, cancel_id, self._options))
        return answers

    # The order by its number, or else by its owner's name for it: the latest of that name.
    def _order(self, account: Account, params: Params) -> Order | None:
        rules = self._rules(params)
        if "orderId" in params:
            found = account.orders.get(params.integer("orderId"))
            if found is not None and "origClientOrderId" in params:
                is_it = found.ticket.client_id == params.client_id("origClientOrderId")
                found = found if is_it else None
        elif "origClientOrderId" in params:
            found = account.by_client.get(params.client_id("origClientOrderId"))
        else:
            words = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise errors.ApiError(-1102, words)
        return found if found is not None and found.ticket.rules is rules else None

    def _open_orders(self, account: Account, params: Params, now_ns: int) -> list[reports.Json]:
        rules = self._rules(params) if "symbol" in params else None
        return [
            reports.queried(order, self._options)
            for order in account.open_orders.values()
            if rules is None or order.ticket.rules is rules
        ]

    def _all_orders(self, account: Account, params: Params, now_ns: int) -> list[reports.Json]:
        rules = self._rules(params)
        limit = params.limit(500, 1000)
        begin_ns, end_ns = _times(params)
        first_id = params.integer("orderId", 0)
        found = [
            order
            for order in account.orders.values()
            if order.ticket.rules is rules
            and order.order_id >= first_id
            and begin_ns <= order.placed_ns < end_ns
        ]
        some = found[:limit] if first_id or begin_ns else found[-limit:]
        return [reports.queried(order, self._options) for order in some]

    # --- trades and the account ---

    def _my_trades(self, account: Account, params: Params, now_ns: int) -> list[reports.Json]:
        rules = self._rules(params)
        limit = params.limit(500, 1000)
        if "fromId" in params and ("startTime" in params or "endTime" in params):
            raise errors.bad_combination()
        begin_ns, end_ns = _times(params)
        first_id, order_id = params.integer("fromId", 0), params.integer("orderId", 0)
        trades = account.trades_of.get(rules.symbol, [])
        found = [
            trade
            for trade in trades[bisect_left(trades, first_id, key=attrgetter("trade_id")) :]
            if order_id in (0, trade.order.order_id) and begin_ns <= trade.ts_ns < end_ns
        ]
        some = found[:limit] if "fromId" in params or begin_ns else found[-limit:]
        return [reports.traded(trade) for trade in some]

    def _account(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        omits_zero = params.choice("omitZeroBalances", ("true", "false"), "false") == "true"
        return reports.account_state(account, self._options, omits_zero)

    def _order_limits(self, account: Account, params: Params, now_ns: int) -> list[reports.Json]:
        return self._budgets.order_limits(account.name, now_ns)

    def _rules(self, params: Params) -> SymbolRules:
        return self._trading.rules.of(params.symbol())

    # --- listen keys ---

    def _new_listen_key(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        return {"listenKey": self._users.new_key(account, now_ns)}

    def _keep_listen_key(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        self._users.keep_key(account, params.text("listenKey"), now_ns)
        return {}

    def _end_listen_key(self, account: Account, params: Params, now_ns: int) -> reports.Json:
        self._users.end_key(account, params.text("listenKey"))
        return {}


# The cancel in a request that replaces; its number, if it is there, is all that names the order.
def _replaced(params: Params) -> Params:
    unread = "cancelOrigClientOrderId" if "cancelOrderId" in params else ""
    return params.renamed({sent: name for sent, name in _REPLACED.items() if sent != unread})


def _response(params: Params) -> str:
    usual = "FULL" if params.text("type", "") in ("LIMIT", "MARKET") else "ACK"
    return params.choice("newOrderRespType", _RESPONSES, usual)


# The end includes its last millisecond.
def _times(params: Params) -> tuple[int, int]:
    begin_ms = params.integer("startTime", 0)
    end_ms = params.integer("endTime", 0)
    if begin_ms and end_ms and (end_ms - begin_ms) * NS_PER_MS > NS_PER_DAY:
        raise errors.ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return begin_ms * NS_PER_MS, (end_ms + 1) * NS_PER_MS if end_ms else FOREVER_NS
