"""When do ticks ruin a perpetual account? The markets themselves watch for the prices at which margin could run out.

In each market with a contract an order stands that can be triggered only by such a price: until then nobody has to look
at every trade. With several contracts each watches for the loss of its part of what is left, so that no combination of
prices is missed; when one wakes without ruin, the rest is shared out anew.
"""

from njord.venues.desk import Desk
from njord.venues.tick_market import TickMarket, TickOrder

WATCH = 2**62  # The number of the order that watches.


class MarginGuard:
    """Liquidates a desk's contracts on ticks.

    Args:
        desk: Whose account.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._markets: dict[int, TickMarket] = {}
        self._watched_ticks: dict[int, int] = {}

    def add(self, index: int, market: TickMarket) -> None:
        """Take in an instrument."""
        self._markets[index] = market

    def woke(self, index: int) -> None:
        """Clear the watch of a market in which its price has come."""
        if self._watched_ticks.pop(index, 0):
            self._markets[index].withdraw(WATCH)

    def check(self, ts_ns: int) -> None:
        """Liquidate what must be at the desk's marks, and let the markets watch for the prices that would be next."""
        account, marks = self._desk.account, self._desk.marks
        for index in self._markets:
            ruin, held = account.ruin_ticks(index), account.held[index]
            if ruin and (marks[index] <= ruin if held > 0 else marks[index] >= ruin):
                self._desk.liquidate(index, marks[index], ts_ns)
        for index in self._markets:
            ticks = account.ruin_ticks(index, account.n_contracts)
            if ticks != self._watched_ticks.get(index, 0):
                self.woke(index)
                if ticks:
                    self._watch(index, ticks)

    # A stop beside the market: it wakes us at its trigger, and its limit is where the price came from.
    def _watch(self, index: int, ticks: int) -> None:
        self._watched_ticks[index] = ticks
        is_long = self._desk.account.held[index] > 0
        self._markets[index].add(
            TickOrder(
                number=WATCH,
                sign=-1 if is_long else 1,
                remaining_lots=1,
                limit_ticks=max(1, 2 * self._desk.marks[index] - ticks),
                trigger_ticks=ticks,
            )
        )
