"""Which changes of a recorded book may be believed, in which order? Stored rows in; changes in step with the book out.

The venue's rule about update ids (`data/book_sync.py`) decides: changes wait for a snapshot, old ones are dropped, and
where ids are missing the book is empty until the next snapshot, because nobody knows it. Engine and exchange read the
same changes from here, each with its own clock.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.data.book_sync import BookSync
from njord.storage.store.kinds import (
    BOOK_ASK,
    BOOK_BID,
    BOOK_EVENT_END,
    BOOK_SNAPSHOT,
    COLUMNS,
    Columns,
    DataKind,
)

IntArray = NDArray[np.int64]
_NO_ROWS = np.empty(0, dtype=np.int64)


class BookChange(NamedTuple):
    """One change of a book in step.

    Attributes:
        ts_ns: When it was known, by the recording's clock.
        ts_venue_ns: When it happened, by the venue's.
        first_id: Its first update id.
        last_id: Its last.
        is_snapshot: It replaces the book.
        bids: Prices and lots, shape (2, n).
        asks: Likewise.
        row_end: The row of the dataset behind the last that was read for it.
    """

    ts_ns: int
    ts_venue_ns: int
    first_id: int
    last_id: int
    is_snapshot: bool
    bids: IntArray
    asks: IntArray
    row_end: int


def book_changes(blocks: Iterable[Columns], from_ns: int | None) -> Iterator[list[BookChange]]:
    """Yield the changes of one block after the other; the times of the recording do not fall.

    A snapshot has no time of the venue: it counts from the last change before it. What happened before `from_ns` is
    one snapshot, known with the first event from then on.

    Raises:
        DataError: A row is none of a book.
    """
    stepper = _Stepper()
    opening = None if from_ns is None else _Opening(from_ns)
    for block in _whole_events(blocks):
        changes = [change for event in _events(block, stepper) for change in stepper.take(event)]
        if opening is not None:
            changes = opening.pass_on(changes)
        if changes:
            yield changes


class _Stepper:
    def __init__(self) -> None:
        self._sync: BookSync[BookChange] = BookSync()
        self._venue_ns = 0
        self.n_rows = 0

    # The event as it counts: a snapshot of one clock takes the venue's time of the last change.
    def take(self, event: BookChange) -> list[BookChange]:
        was_synced = self._sync.is_synced
        if event.is_snapshot:
            if event.ts_venue_ns == event.ts_ns and self._venue_ns:
                event = event._replace(ts_venue_ns=self._venue_ns)
            ready = self._sync.snapshot(event.last_id, event)
        else:
            self._venue_ns = event.ts_venue_ns
            ready = self._sync.change(event.first_id, event.last_id, event.ts_ns, event)
        ready = [change._replace(ts_ns=event.ts_ns, row_end=event.row_end) for change in ready]
        if was_synced and not self._sync.is_synced:
            nothing = _NO_ROWS.reshape(2, 0)
            ready.append(event._replace(is_snapshot=True, bids=nothing, asks=nothing))
        return ready


# Cuts blocks so that no event goes on in the next, and checks what no book can hold.
def _whole_events(blocks: Iterable[Columns]) -> Iterator[tuple[IntArray, ...]]:
    rest: tuple[IntArray, ...] | None = None
    for block in blocks:
        columns = tuple(block[name] for name in COLUMNS[DataKind.BOOK])
        flags, prices, lots = columns[4:]
        bad = ((flags & (BOOK_BID | BOOK_ASK)) != 0) & ((prices < 1) | (lots < 0))
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"the book holds a level of {lots[row]} lots at {prices[row]} ticks, expected a price above 0 and no "
                "negative quantity",
                "import it again",
            )
        if rest is not None:
            columns = tuple(np.concatenate(both) for both in zip(rest, columns, strict=True))
        ends = np.flatnonzero(columns[4] & BOOK_EVENT_END)
        cut = int(ends[-1]) + 1 if ends.size else 0
        if cut:
            yield tuple(column[:cut] for column in columns)
        rest = tuple(column[cut:] for column in columns)


def _events(columns: tuple[IntArray, ...], stepper: _Stepper) -> Iterator[BookChange]:
    ts_ns, ts_venue_ns, first_ids, last_ids, flags, prices, lots = columns
    levels = np.stack((prices, lots))
    ends = np.flatnonzero(flags & BOOK_EVENT_END) + 1
    starts = np.concatenate(([0], ends[:-1]))
    heads = (column[starts].tolist() for column in (ts_ns, ts_venue_ns, first_ids, last_ids, flags))
    before = stepper.n_rows
    for begin, end, known, happened, first_id, last_id, flag in zip(
        starts.tolist(), ends.tolist(), *heads, strict=True
    ):
        own, side = levels[:, begin:end], flags[begin:end]
        bids, asks = own[:, (side & BOOK_BID) != 0], own[:, (side & BOOK_ASK) != 0]
        is_snapshot = bool(flag & BOOK_SNAPSHOT)
        yield BookChange(known, happened, first_id, last_id, is_snapshot, bids, asks, before + end)
    stepper.n_rows = before + len(flags)


# Folds what happened before the run into one snapshot.
class _Opening:
    def __init__(self, from_ns: int) -> None:
        self._from_ns = from_ns
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._last: BookChange | None = None
        self._is_open = False

    def pass_on(self, changes: list[BookChange]) -> list[BookChange]:
        if self._is_open:
            return changes
        for index, change in enumerate(changes):
            if change.ts_ns >= self._from_ns:
                self._is_open = True
                return [*self._snapshot(change), *changes[index:]]
            self._apply(change)
        return []

    def _apply(self, change: BookChange) -> None:
        self._last = change
        for side, levels in zip(self._sides, (change.bids, change.asks), strict=True):
            if change.is_snapshot:
                side.clear()
            for price, lots in levels.T.tolist():
                if lots:
                    side[price] = lots
                else:
                    side.pop(price, None)

    def _snapshot(self, first: BookChange) -> list[BookChange]:
        if self._last is None:
            return []
        bids, asks = (np.array(list(side.items()), dtype=np.int64).reshape(-1, 2).T for side in self._sides)
        last = self._last
        opening = last._replace(
            ts_ns=first.ts_ns, first_id=last.last_id, is_snapshot=True, bids=bids, asks=asks
        )
        return [opening]
