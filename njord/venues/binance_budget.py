"""May a request be sent now? The venue's weight by the minute, its orders by ten seconds and by day, and its bans.

In come requests about to leave and the headers of answers, out goes how long to wait. Queries may use a share of the
weight, orders half of the rest, cancels all of it: so a cancel finds room when everything else has to wait. The venue's
own count in its answers is believed; what was sent and not yet answered is added to it.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_rules import RateLimit
from njord.venues.broker_wire import Lane

_TEN_SECONDS_NS = 10 * NS_PER_S
_USED_WEIGHT = "x-mbx-used-weight-1m"
_ORDERS_TODAY = "x-mbx-order-count-1d"
_INTERVAL_NS = {"SECOND": NS_PER_S, "MINUTE": NS_PER_MINUTE, "DAY": NS_PER_DAY}


class Budget:
    """What the venue lets us do. Times are the venue's, as far as they are known: its windows begin at its minutes.

    Args:
        options: Limits until the venue's are known, and the shares of the lanes.
    """

    def __init__(self, options: CoreOptions) -> None:
        self._share = options.budget_share
        self.weight_per_minute = options.weight_per_minute
        self.orders_per_10s = options.orders_per_10s
        self.orders_per_day = options.orders_per_day
        self._minute = self._day = 0
        self._used = self._orders_today = 0
        self._under_way: dict[int, tuple[int, int]] = {}  # Request id -> minute and weight.
        self._orders: deque[int] = (
            deque()
        )  # When the last ones left: no ten seconds hold more than the limit.
        self.blocked_until_ns = 0

    def adopt(self, limits: Sequence[RateLimit]) -> None:
        """Take the venue's limits; one that it does not name stays."""
        for each in limits:
            span_ns = _INTERVAL_NS.get(each.interval, 0) * each.interval_num
            if each.limit <= 0 or span_ns <= 0:
                continue
            if each.rate_limit_type == "REQUEST_WEIGHT" and span_ns == NS_PER_MINUTE:
                self.weight_per_minute = each.limit
            elif each.rate_limit_type == "ORDERS" and span_ns == NS_PER_DAY:
                self.orders_per_day = each.limit
            elif each.rate_limit_type == "ORDERS" and span_ns <= _TEN_SECONDS_NS:
                # So many in every ten seconds keep within so many in any shorter span as well.
                self.orders_per_10s = each.limit

    def wait_ns(self, lane: Lane, weight: int, is_order: bool, now_ns: int) -> int:
        """Return how long a request has to wait, 0 if it may leave now."""
        self._turn(now_ns)
        wait = max(0, self.blocked_until_ns - now_ns)
        if self._used + weight > self._room(lane) and self._used:
            wait = max(wait, (self._minute + 1) * NS_PER_MINUTE - now_ns)
        if is_order:
            if len(self._orders) >= self.orders_per_10s:
                wait = max(wait, self._orders[-self.orders_per_10s] + _TEN_SECONDS_NS - now_ns)
            if self._orders_today >= self.orders_per_day:
                wait = max(wait, (self._day + 1) * NS_PER_DAY - now_ns)
        return wait

    def _room(self, lane: Lane) -> int:
        if lane is Lane.CANCEL:
            return self.weight_per_minute
        share = self._share if lane is Lane.QUERY else (1 + self._share) / 2
        return int(self.weight_per_minute * share)

    def sent(self, request_id: int, weight: int, is_order: bool, now_ns: int) -> None:
        """Count a request that leaves now."""
        self._turn(now_ns)
        self._used += weight
        self._under_way[request_id] = (self._minute, weight)
        if is_order:
            self._orders.append(now_ns)
            self._orders_today += 1

    def answered(self, request_id: int, headers: Mapping[str, str], now_ns: int) -> None:
        """Believe the venue's count, if it can only be of this minute."""
        self._turn(now_ns)
        minute, _ = self._under_way.pop(request_id, (-1, 0))
        used = _number(headers.get(_USED_WEIGHT, ""))
        if used is not None and minute == self._minute:
            self._used = used + sum(weight for _, weight in self._under_way.values())
        today = _number(headers.get(_ORDERS_TODAY, ""))
        if today is not None:
            self._orders_today = max(self._orders_today, today)

    def block(self, until_ns: int) -> None:
        """Leave the venue alone until a time: it has asked for that."""
        self.blocked_until_ns = max(self.blocked_until_ns, until_ns)

    def _turn(self, now_ns: int) -> None:
        minute, day = now_ns // NS_PER_MINUTE, now_ns // NS_PER_DAY
        if minute != self._minute:
            self._minute, self._used = minute, sum(weight for _, weight in self._under_way.values())
        if day != self._day:
            self._day, self._orders_today = day, 0
        while self._orders and self._orders[0] <= now_ns - _TEN_SECONDS_NS:
            self._orders.popleft()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
