"""What does the venue say, and when is it known? Reports on their way back, and what they will change in our books.

The reports that one event caused are one word: they are known at one time. Words do not overtake each other.
"""

from collections import Counter, deque
from decimal import Decimal

import msgspec

from njord.core.contracts import BrokerFill, BrokerOrderUpdate, BrokerReport
from njord.core.units import EXACT, FOREVER_NS, ZERO
from njord.venues.latency import Latency
from njord.venues.margin import CashAccount, PerpetualAccount


class _Word(msgspec.Struct):
    known_ns: int
    reports: list[BrokerReport]
    cash: Decimal  # What they add to it.
    held: list[tuple[int, Decimal]]


class Words:
    """The reports on their way from a venue.

    Args:
        account: The truth that they tell of.
        latency: What they take.
    """

    def __init__(self, account: CashAccount | PerpetualAccount, latency: Latency) -> None:
        self._account = account
        self._latency = latency
        self._under_way: deque[_Word] = deque()
        self._n_sent: Counter[str] = Counter()
        self._last_known_ns = 0
        self._truth = (account.cash, tuple(account.held))

    def send(self, reports: list[BrokerReport], ts_ns: int) -> None:
        """Let the reports of one event go on their way."""
        first = reports[0]
        name = first.client_order_id if isinstance(first, BrokerFill | BrokerOrderUpdate) else ""
        delay_ns = self._latency.response_ns(name, self._n_sent[name])
        self._n_sent[name] += 1
        self._last_known_ns = max(self._last_known_ns, ts_ns + delay_ns)
        cash, held = self._truth
        self.caught_up()
        changes = [
            (index, EXACT.subtract(now, before))
            for index, (before, now) in enumerate(zip(held, self._truth[1], strict=True))
            if now != before
        ]
        self._under_way.append(
            _Word(self._last_known_ns, reports, EXACT.subtract(self._truth[0], cash), changes)
        )

    def caught_up(self) -> None:
        """Take note that what has changed by now is told: by a word, or without one where it happened on bars."""
        self._truth = (self._account.cash, tuple(self._account.held))

    @property
    def next_ns(self) -> int:
        """When the earliest word becomes known."""
        return self._under_way[0].known_ns if self._under_way else FOREVER_NS

    def take(self, until_ns: int) -> list[BrokerReport]:
        """Return the reports known until a time."""
        reports: list[BrokerReport] = []
        while self._under_way and self._under_way[0].known_ns <= until_ns:
            reports += self._under_way.popleft().reports
        return reports

    def untold_cash(self) -> Decimal:
        """Return what the words under way add to cash."""
        total = ZERO
        for word in self._under_way:
            total = EXACT.add(total, word.cash)
        return total

    def untold_qty(self, instrument: int) -> Decimal:
        """Return what the words under way add to a holding."""
        total = ZERO
        for word in self._under_way:
            for index, qty in word.held:
                if index == instrument:
                    total = EXACT.add(total, qty)
        return total
