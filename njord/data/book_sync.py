"""Which changes may be applied to an order book, in which order? The venue's rule about update ids, without any I/O.

A change covers the update ids `first_id` to `last_id`. Before the first snapshot, and after a hole, changes wait. With
a snapshot of id s, waiting changes that end at or before s are dropped, the next must hold s + 1, and each one after it
must begin one id behind its predecessor. Changes that end no later than the book are old and dropped; one that begins
too late shows a hole: the book is out of step until the next snapshot.

Source: Binance spot, "How to manage a local order book correctly".
"""

from collections import deque
from typing import Generic, TypeVar

import msgspec

from njord.kernels.book_events import FOLLOWS, HOLE, OLD, sequence

Payload = TypeVar("Payload")

WAITING_MAX = 10_000  # A quarter of an hour of changes every 100 ms.
GAPS_MAX = 1_000  # Remembered; all are counted.


class Gap(msgspec.Struct, frozen=True):
    """A hole in the update ids.

    Attributes:
        ts_ns: When the change that shows it was received.
        book_id: The book's update id before it.
        first_id: First update id of the change behind it: those between are missing.
        last_id: Last update id of that change.
    """

    ts_ns: int
    book_id: int
    first_id: int
    last_id: int

    @property
    def n_missing(self) -> int:
        """Update ids in the hole."""
        return self.first_id - self.book_id - 1


class SyncCounts(msgspec.Struct):
    """What became of snapshots and changes.

    Attributes:
        n_applied: Changes applied.
        n_dropped: Changes that waited in vain: older than the snapshot that came, or too many waiting.
        n_old: Changes older than a book in step.
        n_overlapping: Changes applied although they begin before the book's next id, the first one after a snapshot aside;
            quantities are absolute.
        n_snapshots: Snapshots that became the book.
        n_stale: Snapshots older than a book in step, ignored.
        n_resyncs: Times a snapshot put a book in step again.
        n_gaps: Holes.
    """

    n_applied: int = 0
    n_dropped: int = 0
    n_old: int = 0
    n_overlapping: int = 0
    n_snapshots: int = 0
    n_stale: int = 0
    n_resyncs: int = 0
    n_gaps: int = 0


class BookSync(Generic[Payload]):
    """Puts the snapshots and changes of one book in step; what they hold is the caller's.

    Attributes:
        book_id: Update id of the book; None while it is out of step.
        is_fresh: Whether nothing was applied since the last snapshot.
        counts: What happened so far.
        gaps: The first holes.
    """

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self.book_id: int | None = None
        self.is_fresh = False
        self.counts = SyncCounts()
        self.gaps: list[Gap] = []
        self._waiting: deque[tuple[int, int, int, Payload]] = deque()
        self._waiting_max = waiting_max
        self._lost_step = False

    @property
    def is_synced(self) -> bool:
        """Whether the book is in step with its changes."""
        return self.book_id is not None

    @property
    def n_waiting(self) -> int:
        """Changes that wait for a snapshot."""
        return len(self._waiting)

    def snapshot(self, update_id: int, payload: Payload) -> list[Payload]:
        """Take a snapshot; return what to apply now, in order: it first, then the changes that waited for it."""
        if self.book_id is not None and update_id < self.book_id:
            self.counts.n_stale += 1
            return []
        self.counts.n_snapshots += 1
        self.book_id = update_id
        self.is_fresh = True
        ready = [payload]
        waiting, self._waiting = self._waiting, deque()
        for first_id, last_id, ts_ns, change in waiting:
            if not self.is_synced:
                self._waiting.append((first_id, last_id, ts_ns, change))
            elif sequence(self.book_id, first_id, last_id) == OLD:
                self.counts.n_dropped += 1
            else:
                ready += self.change(first_id, last_id, ts_ns, change)
        if self._lost_step and self.is_synced:
            self._lost_step = False
            self.counts.n_resyncs += 1
        return ready

    def change(self, first_id: int, last_id: int, ts_ns: int, payload: Payload) -> list[Payload]:
        """Take a change; return what to apply now: it, or nothing."""
        if self.book_id is None:
            self._wait(first_id, last_id, ts_ns, payload)
            return []
        place = sequence(self.book_id, first_id, last_id)
        if place == FOLLOWS:
            self.counts.n_applied += 1
            if first_id <= self.book_id and not self.is_fresh:
                self.counts.n_overlapping += 1
            self.is_fresh = False
            self.book_id = last_id
            return [payload]
        if place == HOLE:
            self._lose_step(Gap(ts_ns, self.book_id, first_id, last_id))
            self._wait(first_id, last_id, ts_ns, payload)
        else:
            self.counts.n_old += 1
        return []

    def _lose_step(self, gap: Gap) -> None:
        self.counts.n_gaps += 1
        if len(self.gaps) < GAPS_MAX:
            self.gaps.append(gap)
        self.book_id = None
        self._lost_step = True

    def _wait(self, first_id: int, last_id: int, ts_ns: int, payload: Payload) -> None:
        if len(self._waiting) >= self._waiting_max:
            self._waiting.popleft()
            self.counts.n_dropped += 1
        self._waiting.append((first_id, last_id, ts_ns, payload))
