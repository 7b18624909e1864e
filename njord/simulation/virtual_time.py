"""One clock for everything that is simulated, and what is to happen on it: events in the order of their time.

Events of one instant happen in the order in which they were asked for, so that a run depends on its seed alone.
"""

import heapq
from collections.abc import Callable
from typing import Final

from njord.core.errors import InvariantError

AT_ONCE_MAX: Final = 100_000


class VirtualTime:
    """A clock that moves from event to event; also the host's clock.

    Args:
        begin_ns: Epoch ns.
    """

    def __init__(self, begin_ns: int) -> None:
        self._now_ns = begin_ns
        self._n_asked = 0
        self._n_at_once = 0  # Events of this instant so far.
        self._events: list[tuple[int, int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch."""
        return self._now_ns

    def at(self, due_ns: int, happen: Callable[[], None]) -> None:
        """Let something happen at a time; what is due already happens next."""
        self._n_asked += 1
        heapq.heappush(self._events, (max(due_ns, self._now_ns), self._n_asked, happen))

    def run(self, until_ns: int) -> None:
        """Let everything happen until a time, and come to it.

        Raises:
            InvariantError: One instant does not end: somebody asks to be woken at once, again and again.
        """
        events = self._events
        while events and events[0][0] <= until_ns:
            due_ns, _, happen = heapq.heappop(events)
            self._n_at_once = self._n_at_once + 1 if due_ns == self._now_ns else 0
            if self._n_at_once > AT_ONCE_MAX:
                raise InvariantError(
                    f"more than {AT_ONCE_MAX} events at {due_ns}: somebody does not come to rest"
                )
            self._now_ns = due_ns
            happen()
        self._now_ns = max(self._now_ns, until_ns)
