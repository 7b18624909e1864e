"""What did a recorded book look like at a given time, and does it agree with the venue's own best prices?

Rows of the stored kinds `book` and `quotes` in, any number of blocks, an event of the book possibly in two of them;
the book, and an account of every event, out. Blocks are mappings of column name to int64 array.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from njord.core.errors import DataError
from njord.core.units import FOREVER_NS
from njord.data.book import Book
from njord.data.book_sync import BookSync, Gap
from njord.kernels.book import IntArray
from njord.kernels.book_events import (
    AFTER_HOLE,
    ALL_DONE,
    BOOK_END,
    BOOK_SNAPSHOT,
    FIRST_CROSSED_NS,
    IS_FRESH,
    LAST_ID,
    LAST_NS,
    N_CROSSED,
    N_EVENTS,
    N_OLD,
    N_OVERLAPPING,
    N_TOPS,
    NO_ROOM,
    PAST_END,
    RUN_SIZE,
    TOP_ROWS,
    apply_events,
    first_bad_row,
    note_top,
)

Columns = Mapping[str, IntArray]
Clock = Literal["local", "venue"]

_BOOK_COLUMNS = (
    "ts_ns",
    "ts_venue_ns",
    "first_update_id",
    "last_update_id",
    "flags",
    "price_ticks",
    "qty_lots",
)
_QUOTE_COLUMNS = ("ts_ns", "update_id", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
_MISMATCHES_MAX = 20
_NO_TOPS = np.empty((TOP_ROWS, 0), dtype=np.int64)


class BookAudit(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events of a recorded book.

    Attributes:
        is_synced: Whether the book is in step at the end; if not, it is that of the last moment it was.
        update_id: Of the book, the last one applied; 0 without any.
        last_ts_ns: Local time of the last event applied; 0 without any.
        n_events: Changes and snapshots read.
        n_applied: Changes applied.
        n_dropped: Changes that are older than the snapshot they waited for.
        n_old: Changes older than a book in step.
        n_waiting: Changes still waiting for a snapshot at the end.
        n_overlapping: Changes applied that begin before the book's next id.
        n_snapshots: Snapshots that became the book.
        n_stale: Snapshots older than a book in step, ignored.
        n_resyncs: Times a snapshot put the book in step again after a hole.
        n_gaps: Holes in the update ids.
        gaps: The first of them.
        n_crossed: Changes after which the best bid is at or above the best ask.
        first_crossed_ns: Local time of the first of them; 0 without any.
        n_torn_rows: Rows of a last event whose end is missing.
    """

    is_synced: bool
    update_id: int
    last_ts_ns: int
    n_events: int
    n_applied: int
    n_dropped: int
    n_old: int
    n_waiting: int
    n_overlapping: int
    n_snapshots: int
    n_stale: int
    n_resyncs: int
    n_gaps: int
    gaps: tuple[Gap, ...]
    n_crossed: int
    first_crossed_ns: int
    n_torn_rows: int


class QuoteMismatch(msgspec.Struct, frozen=True):
    """One update id at which the book and the venue's best prices differ; each (bid, lots, ask, lots)."""

    ts_ns: int
    update_id: int
    book: tuple[int, int, int, int]
    quote: tuple[int, int, int, int]


class QuoteCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How a recorded book compares with recorded quotes.

    Attributes:
        n_both: Quotes whose update id is that of an event of the book in step.
        n_equal: Those whose four numbers equal the book's.
        mismatches: The first of the others.
        audit: What became of the book's events.
    """

    n_both: int
    n_equal: int
    mismatches: tuple[QuoteMismatch, ...]
    audit: BookAudit


def book_at(
    blocks: Iterable[Columns], at_ns: int = FOREVER_NS, by: Clock = "local", window: int = 2**16
) -> tuple[Book, BookAudit]:
    """Return the book as it was at `at_ns`, events of that very moment included.

    Args:
        blocks: Stored rows of one book, in order; no more of them are read than needed.
        at_ns: Nanoseconds since 1970.
        by: Whose clock `at_ns` is of: when events were received, or when they happened at the venue. A snapshot has no
            time of the venue's and counts as soon as it comes.
        window: See Book.
    """
    replay = BookReplay(at_ns, by, window)
    for block in blocks:
        if not replay.feed(block):
            break
    return replay.book, replay.audit()


def check_quotes(book_blocks: Iterable[Columns], quote_blocks: Iterable[Columns]) -> QuoteCheck:
    """Compare a book with the venue's own best prices at every update id that both report.

    Args:
        book_blocks: Stored rows of the book, in order.
        quote_blocks: Stored rows of the quotes; their update ids rise.
    """
    replay = BookReplay()
    quotes = _Quotes(iter(quote_blocks))
    n_both = n_equal = 0
    mismatches: list[QuoteMismatch] = []
    for block in book_blocks:
        replay.feed(block, with_tops=True)
        for tops in replay.take_tops():
            rows, found = quotes.of(tops[1])
            same = (rows[2:] == tops[2:, found]).all(axis=0)
            n_both += len(same)
            n_equal += int(same.sum())
            for at in np.flatnonzero(~same)[: _MISMATCHES_MAX - len(mismatches)]:
                ours, theirs = tops[2:, found[at]].tolist(), rows[2:, at].tolist()
                mismatches.append(
                    QuoteMismatch(int(rows[0, at]), int(rows[1, at]), tuple(ours), tuple(theirs))
                )
    return QuoteCheck(n_both=n_both, n_equal=n_equal, mismatches=tuple(mismatches), audit=replay.audit())


class _Event(NamedTuple):
    """The rows of one event, kept until they can be applied."""

    ts_ns: int
    update_id: int
    is_snapshot: bool
    flags: IntArray
    prices: IntArray
    lots: IntArray


class BookReplay:
    """Rebuilds a book from stored rows, block by block.

    Args:
        at_ns: Events after this time are not applied.
        by: Whose clock `at_ns` is of.
        window: See Book.
    """

    def __init__(self, at_ns: int = FOREVER_NS, by: Clock = "local", window: int = 2**16) -> None:
        self.book = Book(window)
        self._sync: BookSync[_Event] = BookSync()
        self._at_ns = at_ns
        self._by = by
        self._run = np.zeros(RUN_SIZE, dtype=np.int64)
        self._rest: tuple[IntArray, ...] | None = None
        self._n_single = 0
        self._tops: list[IntArray] = []

    def feed(self, block: Columns, with_tops: bool = False) -> bool:
        """Apply the events of `block`; return whether more may follow before the asked time.

        Raises:
            DataError: A row holds a price or quantity that can not be.
        """
        columns = tuple(_plain(block[name]) for name in _BOOK_COLUMNS)
        bad = int(first_bad_row(*columns[4:]))
        if bad < len(columns[4]):
            price, lots = int(columns[5][bad]), int(columns[6][bad])
            raise DataError(
                f"the book holds a level of {lots} lots at {price} ticks, expected a price from 1 to 2**62-1 and no negative quantity",
                "import it again",
            )
        if self._rest is not None:
            columns = tuple(np.concatenate(both) for both in zip(self._rest, columns, strict=True))
            self._rest = None
        row, n = 0, len(columns[0])
        while row < n:
            row, why = self._in_step(columns, row, with_tops)
            if why == ALL_DONE:
                break
            if why == PAST_END:
                return False
            end = _event_end(columns[4], row)
            if end < 0:
                self._rest = tuple(column[row:] for column in columns)
                break
            if not self._single(columns, row, end, with_tops):
                return False
            row = end
        return True

    def audit(self) -> BookAudit:
        """Return what became of the events so far."""
        sync, run, counts = self._sync, self._run, self._sync.counts
        return BookAudit(
            is_synced=sync.is_synced,
            update_id=int(run[LAST_ID]),
            last_ts_ns=int(run[LAST_NS]),
            n_events=self._n_single + int(run[N_EVENTS] + run[N_OLD]),
            n_applied=counts.n_applied + int(run[N_EVENTS]),
            n_dropped=counts.n_dropped,
            n_old=counts.n_old + int(run[N_OLD]),
            n_waiting=sync.n_waiting,
            n_overlapping=counts.n_overlapping + int(run[N_OVERLAPPING]),
            n_snapshots=counts.n_snapshots,
            n_stale=counts.n_stale,
            n_resyncs=counts.n_resyncs,
            n_gaps=counts.n_gaps,
            gaps=tuple(sync.gaps),
            n_crossed=int(run[N_CROSSED]),
            first_crossed_ns=int(run[FIRST_CROSSED_NS]),
            n_torn_rows=0 if self._rest is None else len(self._rest[0]),
        )

    def take_tops(self) -> Iterator[IntArray]:
        """Yield the best levels after each event fed with `with_tops`, as TOP_ROWS rows, and forget them."""
        tops, self._tops = self._tops, []
        yield from tops

    # Applies the events that follow a book in step; returns where it stopped, and why.
    def _in_step(self, columns: tuple[IntArray, ...], row: int, with_tops: bool) -> tuple[int, int]:
        if self._sync.book_id is None:
            return row, AFTER_HOLE
        ts_ns, ts_venue_ns, first_ids, last_ids, flags, prices, lots = columns
        times = ts_ns if self._by == "local" else ts_venue_ns
        tops = np.empty((TOP_ROWS, len(ts_ns) - row), dtype=np.int64) if with_tops else _NO_TOPS
        self._run[N_TOPS] = 0
        while True:
            row, why = apply_events(
                self.book.state, self._run, times, ts_ns, first_ids, last_ids, flags, prices, lots,
                row, self._at_ns, tops,
            )  # fmt: skip
            if why != NO_ROOM:
                break
            self.book.grow()
        self._sync.book_id, self._sync.is_fresh = int(self._run[LAST_ID]), bool(self._run[IS_FRESH])
        if self._run[N_TOPS]:
            self._tops.append(tops[:, : self._run[N_TOPS]])
        return int(row), int(why)

    # Takes one event that needs a decision: a snapshot, or a change to a book out of step. False if it is too late.
    def _single(self, columns: tuple[IntArray, ...], row: int, end: int, with_tops: bool) -> bool:
        ts_ns, ts_venue_ns, first_id, last_id, flags, *_ = (int(column[row]) for column in columns)
        is_snapshot = bool(flags & BOOK_SNAPSHOT)
        if self._by == "local":
            if ts_ns > self._at_ns:
                return False
        elif not is_snapshot and ts_venue_ns > self._at_ns:
            return False
        self._n_single += 1
        event = _Event(ts_ns, last_id, is_snapshot, *(column[row:end].copy() for column in columns[4:]))
        if is_snapshot:
            ready = self._sync.snapshot(last_id, event)
        else:
            ready = self._sync.change(first_id, last_id, ts_ns, event)
        for each in ready:
            if each.is_snapshot:
                self.book.clear()
            self.book.apply_rows(each.flags, each.prices, each.lots)
            self._run[[LAST_ID, LAST_NS, N_TOPS]] = each.update_id, ts_ns, 0
            self._run[IS_FRESH] = self._sync.is_fresh
            tops = np.empty((TOP_ROWS, int(with_tops)), dtype=np.int64)
            note_top(self.book.state, self._run, each.ts_ns, tops)
            if with_tops:
                self._tops.append(tops)
        return True


class _Quotes:
    """Recorded quotes, read no further than the update ids asked for."""

    def __init__(self, blocks: Iterator[Columns]) -> None:
        self._blocks = blocks
        self._held = np.empty((TOP_ROWS, 0), dtype=np.int64)

    # The quotes whose update id is one of `ids` (rising), as TOP_ROWS rows, and which of `ids` each has.
    def of(self, ids: IntArray) -> tuple[IntArray, IntArray]:
        while not len(self._held[1]) or self._held[1, -1] <= ids[-1]:
            block = next(self._blocks, None)
            if block is None:
                break
            self._held = np.concatenate(
                [self._held, np.stack([block[name] for name in _QUOTE_COLUMNS])], axis=1
            )
        n = int(np.searchsorted(self._held[1], ids[-1], side="right"))
        rows, self._held = self._held[:, :n], self._held[:, n:]
        found = np.searchsorted(ids, rows[1])
        both = ids[np.minimum(found, len(ids) - 1)] == rows[1]
        return rows[:, both], found[both]


def _event_end(flags: IntArray, row: int) -> int:
    ends = np.flatnonzero(flags[row:] & BOOK_END)
    return row + int(ends[0]) + 1 if len(ends) else -1


# One kind of array, so that the kernels are compiled once: what comes from files may be read-only or strided.
def _plain(column: IntArray) -> IntArray:
    return np.require(column, np.int64, ["C", "W"])
