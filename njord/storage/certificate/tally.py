"""How is one kind of fault counted? Places by array in; how many, the first twenty, the worst one, and times out.

Memory is bounded: places are the first ones, runs are joined across the border of two pieces, and of ranges of bad
time at most `RANGES_MAX` are kept; beyond that the ones closest together are joined, which overstates the bad time.
"""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.storage.certificate.facts import PLACES_MAX, Place

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Detail = Callable[[int], str]  # Position within the arrays at hand -> words.

RANGES_MAX = 10_000
_JOIN_EVERY = 4 * RANGES_MAX


def _no_words(_: int) -> str:
    return ""


def far_from(at: IntArray, distances: NDArray[np.float64], what: str) -> Detail:
    """Return the words for positions `at` that lie log `distances` away from `what`."""
    known = dict(zip(at.tolist(), distances.tolist(), strict=True))
    return lambda index: f"{np.expm1(known[index]):.2%} from {what}"


class Tally:
    """Counts one kind of fault."""

    def __init__(self) -> None:
        self.n = 0
        self.places: list[Place] = []
        self.worst: Place | None = None
        self._worst_size: float = -1.0

    def add(
        self,
        at: IntArray,
        ts_ns: IntArray,
        first_row: int,
        detail: Detail = _no_words,
        counts: IntArray | None = None,
        sizes: NDArray[np.float64] | IntArray | None = None,
        rows: IntArray | None = None,
    ) -> None:
        """Count a fault at each position `at` of the arrays whose times are `ts_ns`.

        Args:
            at: Rising positions.
            ts_ns: Times of the arrays' rows.
            first_row: Row of position 0.
            detail: Gives the words for a position; called for the places that are kept.
            counts: How many faults each position stands for, if not one.
            sizes: How bad each is; the largest, the first of equals, is the worst.
            rows: Row of each element of the arrays, where they do not follow each other.
        """
        if not len(at):
            return
        self.n += len(at) if counts is None else int(counts.sum())

        def place(index: int) -> Place:
            row = first_row + index if rows is None else int(rows[index])
            return Place(int(ts_ns[index]), row, detail(index))

        self.places += [place(index) for index in at[: PLACES_MAX - len(self.places)].tolist()]
        if sizes is not None:
            largest = int(sizes.argmax())
            if float(sizes[largest]) > self._worst_size:
                self._worst_size = float(sizes[largest])
                self.worst = place(int(at[largest]))

    def add_place(self, ts_ns: int, row: int, detail: str, size: float, n: int = 1) -> None:
        """Count `n` faults at one place; the one of the largest `size` is the worst."""
        self.n += n
        place = Place(ts_ns, row, detail)
        if len(self.places) < PLACES_MAX:
            self.places.append(place)
        if size > self._worst_size:
            self._worst_size, self.worst = float(size), place


class Run(msgspec.Struct, frozen=True):
    """Successive rows that share a property."""

    start_ns: int
    end_ns: int
    first_row: int
    length: int


class Runs:
    """Finds runs of True of at least `length_min`, across the borders of pieces."""

    def __init__(self, length_min: int) -> None:
        self._length_min = length_min
        self._open: Run | None = None

    def feed(self, flags: BoolArray, starts_ns: IntArray, ends_ns: IntArray, first_row: int) -> Iterator[Run]:
        """Yield the runs that end within these rows.

        Args:
            flags: Whether each row has the property.
            starts_ns: When a run begins that begins at this row.
            ends_ns: When a run ends whose last row this is.
            first_row: Row of position 0.
        """
        if not flags.any():
            yield from self.finish()
            return
        edges = np.flatnonzero(np.diff(flags.view(np.int8), prepend=np.int8(0), append=np.int8(0)))
        for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            run = Run(int(starts_ns[first]), int(ends_ns[end - 1]), first_row + first, end - first)
            if self._open is not None:
                if first == 0:
                    before = self._open
                    run = Run(before.start_ns, run.end_ns, before.first_row, before.length + run.length)
                    self._open = None
                else:
                    yield from self.finish()
            if end == len(flags):
                self._open = run
            elif run.length >= self._length_min:
                yield run

    def finish(self) -> Iterator[Run]:
        """Yield the run that was still open."""
        run, self._open = self._open, None
        if run is not None and run.length >= self._length_min:
            yield run


class BadRanges:
    """Collects [start_ns, end_ns) in any order."""

    def __init__(self) -> None:
        self._pieces: list[IntArray] = []
        self._n = 0
        self.is_coarse = False

    def add(self, starts_ns: IntArray, ends_ns: IntArray) -> None:
        """Add ranges; empty ones are left out."""
        kept = np.stack((starts_ns, ends_ns), axis=1)[ends_ns > starts_ns]
        # Joined after every so many, not after every call: what comes out must not depend on the size of the calls.
        while len(kept):
            room = _JOIN_EVERY - self._n
            self._pieces.append(kept[:room])
            self._n += len(kept[:room])
            kept = kept[room:]
            if self._n == _JOIN_EVERY:
                self._pieces = [self.merged()]
                self._n = len(self._pieces[0])

    def add_one(self, start_ns: int, end_ns: int) -> None:
        """Add one range."""
        self.add(np.array([start_ns], dtype=np.int64), np.array([end_ns], dtype=np.int64))

    def add_all(self, other: "BadRanges") -> None:
        """Add the ranges of another one."""
        ranges = other.merged()
        self.is_coarse |= other.is_coarse
        self.add(ranges[:, 0], ranges[:, 1])

    def merged(self) -> IntArray:
        """Return the ranges, merged and rising, as an int64 array of shape (n, 2); n is at most `RANGES_MAX`."""
        if not self._pieces:
            return np.empty((0, 2), dtype=np.int64)
        ranges = merge(np.concatenate(self._pieces))
        if len(ranges) > RANGES_MAX:
            self.is_coarse = True
            between = ranges[1:, 0] - ranges[:-1, 1]
            kept = np.sort(np.argsort(-between, kind="stable")[: RANGES_MAX - 1])
            starts = np.concatenate((ranges[:1, 0], ranges[1:, 0][kept]))
            ends = np.concatenate((ranges[:-1, 1][kept], ranges[-1:, 1]))
            ranges = np.stack((starts, ends), axis=1)
        return ranges


def merge(ranges: IntArray) -> IntArray:
    """Return half-open ranges, an array of shape (n, 2), in rising order with what touches or overlaps joined."""
    if not len(ranges):
        return ranges
    ordered = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    first = np.flatnonzero(np.concatenate(([True], ordered[1:, 0] > reach[:-1])))
    last = np.append(first[1:], len(ordered)) - 1
    return np.stack((ordered[first, 0], reach[last]), axis=1)


def overlap_ns(ranges: IntArray, others: IntArray) -> int:
    """Return how long both hold, in nanoseconds; each is merged and rising, of shape (n, 2)."""
    if not len(ranges) or not len(others):
        return 0
    lengths = np.concatenate(([0], np.cumsum(ranges[:, 1] - ranges[:, 0])))

    def covered_before(moments: IntArray) -> IntArray:
        index = np.searchsorted(ranges[:, 0], moments, side="right")
        past = lengths[index]
        inside = index > 0
        last_end = ranges[np.maximum(index - 1, 0), 1]
        covered: IntArray = past - np.where(inside, np.maximum(0, last_end - moments), 0)
        return covered

    return int((covered_before(others[:, 1]) - covered_before(others[:, 0])).sum())
