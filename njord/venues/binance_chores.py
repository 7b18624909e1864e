"""What is to be asked of the venue next, and when? Each question by name, once at a time, with growing patience.

A question that is asked while its answer is under way is asked again after it: the answer may be older than the wish.
"""

from random import Random

import msgspec

from njord.core.units import FOREVER_NS

Key = tuple[str, ...]


class _Chore(msgspec.Struct):
    due_ns: int
    is_under_way: bool = False
    again_ns: int = FOREVER_NS
    n_failed: int = 0


class Chores:
    """Questions by name.

    Args:
        first_ns: First wait after a failure; doubled each time.
        max_ns: The longest.
        jitter: Spreads the waits.
    """

    def __init__(self, first_ns: int, max_ns: int, jitter: Random) -> None:
        self._first_ns = first_ns
        self._max_ns = max_ns
        self._jitter = jitter
        self._chores: dict[Key, _Chore] = {}

    @property
    def next_ns(self) -> int:
        """When the next one is due."""
        return min(
            (each.due_ns for each in self._chores.values() if not each.is_under_way), default=FOREVER_NS
        )

    def want(self, key: Key, at_ns: int) -> None:
        """Ask at a time or before; one that has failed keeps its patience."""
        chore = self._chores.get(key)
        if chore is None:
            self._chores[key] = _Chore(at_ns)
        elif chore.is_under_way:
            chore.again_ns = min(chore.again_ns, at_ns)
        elif not chore.n_failed:
            chore.due_ns = min(chore.due_ns, at_ns)

    def ensure(self, key: Key, at_ns: int) -> None:
        """Ask at a time, unless it is to be asked already."""
        if key not in self._chores:
            self._chores[key] = _Chore(at_ns)

    def drop(self, key: Key) -> None:
        """Ask no more."""
        self._chores.pop(key, None)

    def clear(self) -> None:
        """Ask nothing more."""
        self._chores.clear()

    def due_ns(self, key: Key) -> int:
        """Return when a question is asked next; in the past if it is under way."""
        chore = self._chores.get(key)
        return FOREVER_NS if chore is None else chore.due_ns

    def take_due(self, now_ns: int) -> list[Key]:
        """Return the questions to be asked now; they are under way from here on."""
        keys = [
            key for key, chore in self._chores.items() if chore.due_ns <= now_ns and not chore.is_under_way
        ]
        for key in keys:
            self._chores[key].is_under_way = True
        return keys

    def done(self, key: Key) -> None:
        """Take note of an answer that settles it; asked again only if it was wished meanwhile."""
        chore = self._chores.get(key)
        if chore is None:
            return
        if chore.again_ns == FOREVER_NS:
            del self._chores[key]
        else:
            self._chores[key] = _Chore(chore.again_ns)

    def failed(self, key: Key, now_ns: int, max_ns: int = FOREVER_NS) -> None:
        """Take note that nothing came of it: it is asked again after a wait, of `max_ns` at most."""
        chore = self._chores.get(key)
        if chore is None:
            return
        chore.n_failed += 1
        chore.is_under_way = False
        chore.again_ns = FOREVER_NS
        chore.due_ns = now_ns + min(self.patience_ns(chore.n_failed), max_ns)

    def patience_ns(self, n_failed: int) -> int:
        """Return how long to wait after so many failures in a row."""
        wait_ns = min(self._max_ns, self._first_ns << min(n_failed - 1, 30))
        return int(wait_ns * self._jitter.uniform(0.5, 1.0))
