"""In which order did a bar reach the prices that matter to us? As far as it must be, and then the pessimistic reading.

Prices on one side of the open are reached from the nearest to the furthest. Which side came first a bar does not say:
the side with a stop (or a liquidation) on it is taken first, since a stop counts before a profit; between sides without
stops, the older order.
"""

from bisect import insort
from collections.abc import Callable, Sequence

import msgspec

from njord.core.contracts import Bar
from njord.venues.working import Working

ANY = 2  # A moment from which both extremes are still ahead: the open.
Ruin = Callable[[Bar, int, int], tuple[int, int] | None]


class Event(msgspec.Struct):
    """A price inside a bar at which an order acts.

    Attributes:
        level: The price in ticks.
        order: Whose limit or trigger it is.
        cap_lots: What the order may fill here at most.
        is_stop: Whether it is a price that moved against the order.
        direction: +1 on the way up, -1 on the way down; 0 at a moment of which only the close is known to follow.
    """

    level: int
    order: Working
    cap_lots: int
    is_stop: bool
    direction: int = 0


class BarPath:
    """The events inside one bar, one after the other.

    Args:
        bar: The bar.
        touched: What it touched after its open, oldest order first.
        ruin: Says which price liquidates the position, if the bar reaches it after (price, direction).
    """

    def __init__(self, bar: Bar, touched: Sequence[Event], ruin: Ruin) -> None:
        self._bar = bar
        self._ruin = ruin
        self._ahead: dict[int, list[Event]] = {1: [], -1: []}
        self._turns: list[int] = []  # The directions of the touched orders by age.
        self._now: list[Event] = []  # What happens before all else.
        self._moment = (bar.open, ANY)
        for event in touched:
            event.direction = 1 if event.level > bar.open else -1
            self._turns.append(event.direction)
            self._ahead[event.direction].append(event)
        for direction, events in self._ahead.items():
            events.sort(key=lambda event: direction * event.level)

    def next(self) -> Event | int | None:
        """Return what happens next: an event, the price of a liquidation, or None at the end of the bar."""
        if self._now:
            return self._now.pop(0)
        ruin = self._ruin(self._bar, *self._moment)
        direction = self._side(0 if ruin is None else ruin[1])
        if ruin is not None and direction == ruin[1]:
            level, _ = ruin
            ahead = self._ahead[direction]
            if not ahead or direction * (ahead[0].level - level) >= 0:
                return level
        if direction == 0:
            return None
        self._turns.remove(direction)
        return self._ahead[direction].pop(0)

    def grew(self, event: Event) -> None:
        """Say that the position grew at an event: only what must have come after can ruin it."""
        self._moment = (event.level, event.direction)

    def insert_now(self, level: int, order: Working, cap_lots: int) -> None:
        """Let an order act at once, at the price of the moment."""
        self._drop(order)
        self._now.append(Event(level, order, cap_lots, True))

    def insert(self, level: int, order: Working, cap_lots: int, after: Event) -> None:
        """Let a stop act at a price that must have come after an event."""
        self._drop(order)
        event = Event(level, order, cap_lots, True, after.direction)
        if after.direction and after.direction * (level - after.level) > 0:
            insort(self._ahead[after.direction], event, key=lambda each: after.direction * each.level)
            self._turns.append(after.direction)
        else:
            event.direction = 0
            self._now.append(event)

    # An order that is queued already acts once, where it was put last.
    def _drop(self, order: Working) -> None:
        for direction, events in self._ahead.items():
            for event in events:
                if event.order is order:
                    events.remove(event)
                    self._turns.remove(direction)
                    return

    def _side(self, ruin: int) -> int:
        stops = [
            direction
            for direction, events in self._ahead.items()
            if direction == ruin or any(event.is_stop for event in events)
        ]
        if len(stops) == 1:
            return stops[0]
        return self._turns[0] if self._turns else ruin
