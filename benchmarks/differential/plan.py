"""Which orders do both sides send? A rule over past bars and the position: whole numbers in, orders out.

Standard library only: njord's strategy (`plan_strategy`) and the other simulator (`backtesting_peer`) both run this
very class. Bars are cut into episodes that begin and end flat, so that a difference stays inside its episode. Each
takes the next pair of an entry (market, limit, stop) and an exit (market, limit, stop, both at once, or both sent
with the entry), at distances from one tick to one and a half mean ranges, so that touches, gaps and misses all occur.
"""

from collections import deque
from typing import NamedTuple

WARM_UP = 20  # Bars of the mean range and of the mean close.
EPISODE = 24  # Bars.
ENTRY_UNTIL = 8  # Bars into the episode: an entry that has not filled by then is canceled.
HOLD = 4  # Bars: when a market exit is sent.
EXIT_UNTIL = 18  # Bars into the episode: exits are canceled, and one bar later the rest is sold.

ENTRIES = ("market", "limit", "stop")
EXITS = ("market", "limit", "stop", "either", "bracket")
COMBINATIONS = tuple((entry, leave) for leave in EXITS for entry in ENTRIES)
DISTANCES = 4


class PlanBar(NamedTuple):
    """One finished bar, in whole ticks."""

    open: int
    high: int
    low: int
    close: int


class Enter(NamedTuple):
    """Open one unit; `limit` and `stop` above 0 are a take-profit and a stop that come with it."""

    sign: int  # +1 buys.
    kind: str  # market, limit or stop
    price: int  # Ticks; 0 at market.
    limit: int
    stop: int


class Leave(NamedTuple):
    """Close the position, by one order or by whichever of two comes first; `sign` is the order's."""

    sign: int
    kind: str  # market, limit, stop or either
    limit: int
    stop: int


class CancelAll(NamedTuple):
    """Cancel every working order."""


Action = Enter | Leave | CancelAll


def episode_of(bar: int) -> int:
    """Return the episode that a bar's orders belong to, by the bar's number from 0; -1 while warming up."""
    return (bar - WARM_UP) // EPISODE


def combination_of(episode: int) -> tuple[str, str]:
    """Return the entry and the exit that an episode uses."""
    return COMBINATIONS[episode % len(COMBINATIONS)]


class Plan:
    """The rule, fed bar by bar; it never sees more than has closed.

    Args:
        may_short: Whether an episode may begin with a sale.
    """

    def __init__(self, may_short: bool) -> None:
        self.n_bars = 0
        self._may_short = may_short
        self._bars: deque[PlanBar] = deque(maxlen=WARM_UP)
        self._sign = 0
        self._distance = 0
        self._entered_at = -1  # Bars into the episode when the position was first seen.

    def on_bar(self, bar: PlanBar, position: int) -> list[Action]:
        """Take the bar that has just closed and the position held now (+1, 0, -1); return what to send."""
        number = self.n_bars
        self.n_bars += 1
        self._bars.append(bar)
        if number < WARM_UP:
            return []
        entry, leave = combination_of(episode_of(number))
        step = (number - WARM_UP) % EPISODE
        if step == 0:
            return self._enter(episode_of(number), entry, leave)
        if position and self._entered_at < 0 and step <= EXIT_UNTIL:
            self._entered_at = step
            if leave in ("limit", "stop", "either"):
                near, far = self._around(bar.close)
                return [Leave(-self._sign, leave, far, near)]
        if step == ENTRY_UNTIL and self._entered_at < 0:
            return [CancelAll()]
        if position and leave == "market" and step == self._entered_at + HOLD:
            return [Leave(-self._sign, "market", 0, 0)]
        if step == EXIT_UNTIL:
            return [CancelAll()]
        if position and step == EXIT_UNTIL + 1:
            return [Leave(-self._sign, "market", 0, 0)]
        return []

    def _enter(self, episode: int, entry: str, leave: str) -> list[Action]:
        bars = self._bars
        close = bars[-1].close
        above = close * len(bars) >= sum(bar.close for bar in bars)
        self._sign = 1 if above or not self._may_short else -1
        mean_range = sum(bar.high - bar.low for bar in bars) // len(bars)
        self._distance = max(1, mean_range * (episode // len(COMBINATIONS) % DISTANCES) // 2)
        self._entered_at = -1
        below, beyond = self._around(close)
        price = {"market": 0, "limit": below, "stop": beyond}[entry]
        stop, limit = self._around(price or close) if leave == "bracket" else (0, 0)
        return [Enter(self._sign, entry, price, limit, stop)]

    # The prices one distance against and for the position, never below one tick.
    def _around(self, price: int) -> tuple[int, int]:
        against, onward = price - self._sign * self._distance, price + self._sign * self._distance
        return max(1, against), max(1, onward)
