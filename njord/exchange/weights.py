"""How much may be asked? Weights of endpoints, what each address and account has used, 429 and bans.

Windows are those of the clock: a minute, ten seconds, a UTC day. Endpoints that are not listed weigh 1.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from njord.exchange import errors
from njord.exchange.options import ExchangeOptions

MAX_BAN_S: Final = 3 * 86_400
_TEN_S: Final = 10 * NS_PER_S

# (weight, weight where no symbol is given)
_WEIGHTS: Final[Mapping[tuple[str, str], tuple[int, int]]] = {
    ("GET", "/api/v3/exchangeInfo"): (10, 10),
    ("GET", "/api/v3/historicalTrades"): (5, 5),
    ("GET", "/api/v3/ticker/price"): (1, 2),
    ("GET", "/api/v3/ticker/bookTicker"): (1, 2),
    ("GET", "/api/v3/order"): (2, 2),
    ("GET", "/api/v3/openOrders"): (3, 40),
    ("GET", "/api/v3/allOrders"): (10, 10),
    ("GET", "/api/v3/myTrades"): (10, 10),
    ("GET", "/api/v3/account"): (10, 10),
    ("GET", "/api/v3/rateLimit/order"): (20, 20),
}
_DEPTH: Final = ((100, 1), (500, 5), (1000, 10))  # Up to so many levels; 50 beyond.
_DAY_TICKERS: Final = ((20, 1), (100, 20))  # Up to so many symbols; 40 beyond, or for all.


def weight_of(method: str, path: str, sent: Mapping[str, str]) -> int:
    """Return what a request weighs by its parameters as they were sent, whether or not it will be refused."""
    if path == "/api/v3/depth":
        limit = sent.get("limit", "")
        levels = int(limit) if limit.isdecimal() else 100
        return next((weight for most, weight in _DEPTH if levels <= most), 50)
    n_symbols = 1 if "symbol" in sent else sent.get("symbols", "").count('"') // 2
    if path == "/api/v3/ticker/24hr":
        return next((weight for most, weight in _DAY_TICKERS if 0 < n_symbols <= most), 40)
    with_symbol, without = _WEIGHTS.get((method, path), (1, 1))
    return with_symbol if n_symbols == 1 else without


class _Address(msgspec.Struct):
    window: int = -1
    used: int = 0
    n_strikes: int = 0
    n_bans: int = 0
    banned_until_ns: int = 0


class _Orders(msgspec.Struct):
    window_10s: int = -1
    n_10s: int = 0
    day: int = -1
    n_day: int = 0


class Budgets:
    """What has been used of every limit.

    Args:
        options: The limits.
    """

    def __init__(self, options: ExchangeOptions) -> None:
        self._options = options
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, _Orders] = {}

    def charge(self, address: str, weight: int, now_ns: int) -> dict[str, str]:
        """Take a request's weight from its address's minute; return the header that says how much is used.

        Raises:
            ApiError: 429 beyond the limit, 418 while banned.
        """
        state = self._addresses.setdefault(address, _Address())
        if now_ns < state.banned_until_ns:
            raise _ban(state, now_ns)
        window = now_ns // NS_PER_MINUTE
        if window != state.window:
            state.window, state.used, state.n_strikes = window, 0, 0
        state.used += weight
        if state.used <= self._options.weight_per_minute:
            return {"x-mbx-used-weight": str(state.used), "x-mbx-used-weight-1m": str(state.used)}
        state.n_strikes += 1
        if state.n_strikes > self._options.strikes_to_ban:
            self.ban(address, min(self._options.ban_s << state.n_bans, MAX_BAN_S), now_ns)
            raise _ban(state, now_ns)
        raise errors.too_much_weight(self._options.weight_per_minute, _left_s(now_ns, NS_PER_MINUTE))

    def ban(self, address: str, seconds: int, now_ns: int) -> None:
        """Shut an address out for so long."""
        state = self._addresses.setdefault(address, _Address())
        state.n_bans += 1
        state.banned_until_ns = now_ns + seconds * NS_PER_S

    def used_weight(self, address: str, now_ns: int) -> int:
        """Return what an address has used of this minute."""
        state = self._addresses.get(address)
        return state.used if state is not None and state.window == now_ns // NS_PER_MINUTE else 0

    def charge_order(self, account: str, now_ns: int) -> None:
        """Count an order that an account places.

        Raises:
            ApiError: One too many.
        """
        n_10s, n_day = self.orders(account, now_ns)
        limits = self._options
        if n_10s >= limits.orders_per_10s:
            raise errors.too_many_orders(limits.orders_per_10s, "10 SECOND", _left_s(now_ns, _TEN_S))
        if n_day >= limits.orders_per_day:
            raise errors.too_many_orders(limits.orders_per_day, "1 DAY", _left_s(now_ns, NS_PER_DAY))
        state = self._orders[account]
        state.n_10s, state.n_day = n_10s + 1, n_day + 1

    def orders(self, account: str, now_ns: int) -> tuple[int, int]:
        """Return how many orders an account placed in these ten seconds, and on this day."""
        state = self._orders.setdefault(account, _Orders())
        window, day = now_ns // _TEN_S, now_ns // NS_PER_DAY
        if window != state.window_10s:
            state.window_10s, state.n_10s = window, 0
        if day != state.day:
            state.day, state.n_day = day, 0
        return state.n_10s, state.n_day

    def order_headers(self, account: str, now_ns: int) -> dict[str, str]:
        """Return the headers that say how many orders an account placed."""
        n_10s, n_day = self.orders(account, now_ns)
        return {"x-mbx-order-count-10s": str(n_10s), "x-mbx-order-count-1d": str(n_day)}

    def order_limits(self, account: str, now_ns: int) -> list[dict[str, object]]:
        """Return the order limits and what is used of them, as the dialect lists them."""
        n_10s, n_day = self.orders(account, now_ns)
        limits = self._options
        return [
            _limit("ORDERS", "SECOND", 10, limits.orders_per_10s, n_10s),
            _limit("ORDERS", "DAY", 1, limits.orders_per_day, n_day),
        ]

    def weight_limit(self, address: str, now_ns: int) -> dict[str, object]:
        """Return the weight limit and what an address has used of it, as the dialect lists it."""
        used = self.used_weight(address, now_ns)
        return _limit("REQUEST_WEIGHT", "MINUTE", 1, self._options.weight_per_minute, used)


def _limit(kind: str, interval: str, number: int, limit: int, n_used: int) -> dict[str, object]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
        "count": n_used,
    }


def _left_s(now_ns: int, interval_ns: int) -> int:
    left_ns = interval_ns - now_ns % interval_ns
    return -(-left_ns // NS_PER_S)


def _ban(state: _Address, now_ns: int) -> errors.ApiError:
    until_ns = state.banned_until_ns
    return errors.banned(until_ns // NS_PER_MS, -(-(until_ns - now_ns) // NS_PER_S))
