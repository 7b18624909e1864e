"""What happened at a recorded market, again? Recorded trades and changes of the book in; the exchange's tape out.

Order and ids are those of the recording: trades and changes by the venue's time, at one time trades first. A change that
must not be believed (before the first snapshot, or behind a hole) does not happen; a snapshot is told as what differs, so
that who follows the changes stays in step. Repeated, ids move on by what the recording spans.
"""

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import count
from typing import NamedTuple

import numpy as np

from njord.backtest.market_book import BookChange, book_changes
from njord.core.instrument import Instrument
from njord.exchange.market_pace import Pace
from njord.exchange.market_tape import (
    CLEAR,
    TRADE_BUY,
    TRADE_SELL,
    IntArray,
    Row,
    Tape,
    TapeBlock,
    block_of,
    change_rows,
)
from njord.storage.store.kinds import BOOK_SNAPSHOT, Columns

_BLOCK_ROWS = 4096


class Recorded(NamedTuple):
    """One symbol's recording, read as often as asked for.

    Attributes:
        instrument: With the steps of its prices and quantities.
        trades: Starts reading rows of the stored kind.
        book: Likewise; None = there is no book.
    """

    instrument: Instrument
    trades: Callable[[], Iterable[Columns]]
    book: Callable[[], Iterable[Columns]] | None


class _Happened(NamedTuple):
    """A trade or a change, by the times of the recording; sorts as they happened."""

    venue_ns: int
    known_ns: int
    rows: list[Row]


def recorded_tape(recorded: Recorded, pace: Pace) -> Tape:
    """Return what happens at the exchange to one symbol."""

    def blocks() -> Iterator[TapeBlock]:
        rows: list[Row] = []
        ids = _Ids()
        for n_before in count() if pace.repeats else range(1):
            for happened in _merged(recorded):
                ts_ns = pace.at(happened.venue_ns, n_before)
                rows += ids.moved(happened.rows, ts_ns)
                if len(rows) >= _BLOCK_ROWS:
                    yield block_of(rows)
                    rows = []
            ids.begin_again()
        if rows:
            yield block_of(rows)

    return blocks


def recorded_bounds(recorded: Recorded) -> tuple[int, int]:
    """Return the venue's times of the first and the last that happened; a snapshot has none."""
    first_ns, last_ns = 2**63 - 1, 0
    for read in (recorded.trades, recorded.book):
        for block in read() if read is not None else ():
            times = block["ts_venue_ns"]
            if "flags" in block:
                times = times[(block["flags"] & BOOK_SNAPSHOT) == 0]
            if len(times):
                first_ns, last_ns = min(first_ns, int(times.min())), max(last_ns, int(times.max()))
    return (first_ns, last_ns) if last_ns else (0, 0)


def _merged(recorded: Recorded) -> Iterator[_Happened]:
    trades = _rising(_trades(recorded.trades()))
    if recorded.book is None:
        return trades
    changes = (_change(change) for changes in book_changes(recorded.book(), None) for change in changes)
    return merge(trades, _rising(changes), key=_when)


def _when(happened: _Happened) -> tuple[int, int]:
    return happened.venue_ns, happened.known_ns


def _rising(all_happened: Iterable[_Happened]) -> Iterator[_Happened]:
    latest = 0
    for happened in all_happened:
        latest = max(latest, happened.venue_ns)
        yield happened if happened.venue_ns == latest else happened._replace(venue_ns=latest)


# Where the source says no side, a trade above the one before bought, below it sold, at its price did as that did.
def _trades(blocks: Iterable[Columns]) -> Iterator[_Happened]:
    names = ("ts_venue_ns", "ts_ns", "trade_id", "side", "price_ticks", "qty_lots")
    last_price, last_side = 0, 1
    for block in blocks:
        for venue_ns, known_ns, trade_id, side, price, lots in zip(
            *(block[name].tolist() for name in names), strict=True
        ):
            says = side or int(np.sign(price - (last_price or price))) or last_side
            last_price, last_side = price, says
            kind = TRADE_BUY if says > 0 else TRADE_SELL
            yield _Happened(venue_ns, known_ns, [(kind, 0, price, lots, trade_id, trade_id, 1)])


def _change(change: BookChange) -> _Happened:
    rows = change_rows(0, change.first_id, change.last_id, _levels(change.bids), _levels(change.asks))
    if change.is_snapshot:
        rows = [(CLEAR, 0, 0, 0, change.first_id, change.last_id, int(not _has_levels(change))), *rows]
        if not _has_levels(change):
            rows.pop()
    return _Happened(change.ts_venue_ns, change.ts_ns, rows)


def _levels(levels: IntArray) -> list[tuple[int, int]]:
    return list(zip(*levels.tolist(), strict=True))


def _has_levels(change: BookChange) -> bool:
    return bool(change.bids.size or change.asks.size)


class _Numbers:
    """The ids of trades, or of changes: those of the recording, moved on where it is repeated."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.last = 0
        self.shift = 0

    def moved(self, recorded_id: int) -> int:
        """Return what a recorded id is here; a source without ids is numbered."""
        if self.first is None:
            self.first = recorded_id
        return recorded_id + self.shift if recorded_id else self.last + 1

    def begin_again(self) -> None:
        """Go on behind the last id."""
        self.shift = self.last - (self.first or 0) + 1


class _Ids:
    """Gives rows their time and their ids."""

    def __init__(self) -> None:
        self._trades = _Numbers()
        self._changes = _Numbers()

    def moved(self, rows: list[Row], ts_ns: int) -> list[Row]:
        kind, _, _, _, first_id, last_id, _ = rows[0]
        numbers = self._trades if kind in (TRADE_BUY, TRADE_SELL) else self._changes
        first_id, last_id = numbers.moved(first_id), numbers.moved(last_id)
        if kind == CLEAR and numbers.last:
            # What differs from the book before covers all that was missed.
            first_id, last_id = numbers.last + 1, max(last_id, numbers.last + 1)
        numbers.last = last_id
        return [
            (kind, ts_ns, price, lots, first_id, last_id, ends) for kind, _, price, lots, _, _, ends in rows
        ]

    def begin_again(self) -> None:
        self._trades.begin_again()
        self._changes.begin_again()
