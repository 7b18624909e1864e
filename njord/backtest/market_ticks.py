"""How does a run read ticks? Stored trades, and a stored book beside them, in; the engine's messages out, as they became known.

A recording whose clock ran behind the venue's knows events before they happened: both its datasets are moved on by one
constant, so that nothing is known early. What the exchange itself sees of the same rows is in `market_rows.py`.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from njord.backtest.market import IntArray, Piece
from njord.backtest.reported import PricePiece, Source
from njord.core.contracts import BookEvent, TradeEvent
from njord.core.errors import DataError
from njord.core.types import BUY, SELL
from njord.core.units import NS_PER_S
from njord.storage.certificate.certificate import Certificate
from njord.storage.store.kinds import BOOK_SNAPSHOT, Columns
from njord.storage.store.manifest import read_certificate
from njord.storage.store.stored import StoredDataset

if TYPE_CHECKING:
    from njord.backtest.market_book import (
        BookChange,  # Compiled, as the checks below: a run on bars does without.
    )

ROWS = 8192
_DELAYS_MAX = 4096


class Recording:
    """The ticks of one instrument in a run's range, read as often as asked for.

    Args:
        instrument: The index that the messages carry.
        trades: Its trades.
        book: The changes of its book; None = it has none.
        start_ns: First time of the recording that counts; None = from its start.
        end_ns: End of what counts; None = to its end.

    Raises:
        DataError: There are no trades in the range.
    """

    def __init__(
        self,
        instrument: int,
        trades: StoredDataset,
        book: StoredDataset | None,
        start_ns: int | None,
        end_ns: int | None,
    ) -> None:
        self.instrument = instrument
        self.trades, self.book = trades, book
        self.start_ns, self.end_ns = start_ns, end_ns
        datasets = [trades] if book is None else [trades, book]
        least_ns = 0
        sampled: list[IntArray] = []
        for dataset in datasets:
            for delays in _delays(dataset, end_ns):
                least_ns = min(least_ns, int(delays.min(initial=0)))
                sampled.append(delays[:: max(1, dataset.n_rows // _DELAYS_MAX)])
        self.shift_ns = -least_ns  # Added to the times of the recording's own clock.
        self.delays_ns = np.concatenate(sampled) - least_ns if sampled else np.empty(0, dtype=np.int64)
        self.feeds: tuple[TradeFeed | BookFeed, ...] = (TradeFeed(self),)
        if book is not None:
            self.feeds = (TradeFeed(self), BookFeed(self, book))

    def trade_blocks(self) -> Iterator[Columns]:
        """Yield the trades of the range; every side is known."""
        return _with_sides(self.trades.chunks(self.start_ns, self.end_ns, size=ROWS))

    def book_changes(self) -> "Iterator[list[BookChange]]":
        """Yield the changes of the book of the range, the book before it as their first."""
        from njord.backtest.market_book import book_changes

        if self.book is not None:
            yield from book_changes(self.book.chunks(None, self.end_ns, size=ROWS), self.start_ns)

    def prices(self) -> Iterator[PricePiece]:
        """Yield the trades for a report."""
        for block in self.trade_blocks():
            ts_ns, ticks = block["ts_ns"] + self.shift_ns, block["price_ticks"]
            yield PricePiece(ts_ns, ts_ns, ticks, ticks, ticks, ticks)

    def assumptions(self, dataset: StoredDataset) -> tuple[str, ...]:
        """Return what was assumed to read a dataset, in sentences."""
        said = dataset.manifest.assumptions
        if not self.shift_ns or dataset is not self.trades:
            return said
        return (
            *said,
            f"The clock that recorded {dataset.instrument.symbol} was behind the venue's: its times are moved on by "
            f"{self.shift_ns / NS_PER_S:.9f} s, so that nothing is known before it happened.",
        )

    def close(self) -> None:
        """Let go of the data."""
        self.trades.close()
        if self.book is not None:
            self.book.close()


class TradeFeed:
    """The trades of a recording as the engine is told of them."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        dataset = recording.trades
        first, end = _rows_between(dataset, recording.start_ns, recording.end_ns)
        if first >= end:
            raise DataError(f"{dataset.path} has no trades in the range asked for", "check --start and --end")
        self.n_events = end - first
        self.source = _source(recording, dataset, "trades", (first, end))

    def pieces(self) -> Iterator[Piece]:
        """Yield the trades as messages."""
        return _whole_times(self._messages())

    def _messages(self) -> Iterator[Piece]:
        index, shift_ns, row = self._recording.instrument, self._recording.shift_ns, self.source.first_row
        names = ("ts_venue_ns", "trade_id", "side", "price_ticks", "qty_lots")
        for block in self._recording.trade_blocks():
            ts_ns = block["ts_ns"] + shift_ns
            rows = zip(ts_ns.tolist(), *(block[name].tolist() for name in names), strict=True)
            messages = [
                TradeEvent(
                    ts_ns=known,
                    instrument=index,
                    price_ticks=price,
                    qty_lots=lots,
                    side=BUY if side > 0 else SELL,
                    trade_id=trade_id,
                    ts_venue_ns=happened,
                )
                for known, happened, trade_id, side, price, lots in rows
            ]
            yield Piece(messages, ts_ns, np.arange(row + 1, row + 1 + len(ts_ns)), block["price_ticks"])
            row += len(ts_ns)


class BookFeed:
    """The changes of a recorded book as the engine is told of them."""

    def __init__(self, recording: Recording, book: StoredDataset) -> None:
        self._recording = recording
        self.n_events = sum(map(len, recording.book_changes()))
        end = _rows_between(book, None, recording.end_ns)[1]
        self.source = _source(recording, book, "book", (0, end))

    def pieces(self) -> Iterator[Piece]:
        """Yield the changes as messages."""
        return _whole_times(self._messages())

    def _messages(self) -> Iterator[Piece]:
        shift_ns = self._recording.shift_ns
        for changes in self._recording.book_changes():
            yield Piece(
                [self._event(change, shift_ns) for change in changes],
                np.array([change.ts_ns for change in changes], dtype=np.int64) + shift_ns,
                np.array([change.row_end for change in changes], dtype=np.int64),
                np.zeros(len(changes), dtype=np.int64),
            )

    def _event(self, change: "BookChange", shift_ns: int) -> BookEvent:
        return BookEvent(
            ts_ns=change.ts_ns + shift_ns,
            instrument=self._recording.instrument,
            bids=tuple(zip(*change.bids.tolist(), strict=True)),
            asks=tuple(zip(*change.asks.tolist(), strict=True)),
            is_snapshot=change.is_snapshot,
            first_update_id=change.first_id,
            last_update_id=change.last_id,
            ts_venue_ns=change.ts_venue_ns,
        )


# A snapshot that comes without the venue's time says nothing about clocks.
def _delays(dataset: StoredDataset, end_ns: int | None) -> Iterator[IntArray]:
    names = ["ts_ns", "ts_venue_ns"]
    if "flags" in dataset.columns:
        names.append("flags")
    for block in dataset.chunks(None, end_ns, columns=names):
        delays = block["ts_ns"] - block["ts_venue_ns"]
        yield delays if len(names) == 2 else delays[(block["flags"] & BOOK_SNAPSHOT) == 0]


# Where the source says no side, a trade above the one before bought, below it sold, at its price did as that did.
def _with_sides(blocks: Iterable[Columns]) -> Iterator[Columns]:
    last_price, last_side = 0, 1
    for block in blocks:
        side, price = block["side"], block["price_ticks"]
        if not side.all():
            moved = np.sign(np.diff(price, prepend=last_price or price[0]))
            says = np.where(side, side, moved)
            at = np.maximum.accumulate(np.where(says, np.arange(len(says)), -1))
            side = np.where(at < 0, last_side, says[at])
        last_price, last_side = int(price[-1]), int(side[-1])
        yield {**block, "side": side}


def _rows_between(dataset: StoredDataset, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
    first = 0 if start_ns is None else _rows_before(dataset, start_ns)
    return first, dataset.n_rows if end_ns is None else _rows_before(dataset, end_ns)


def _rows_before(dataset: StoredDataset, ts_ns: int) -> int:
    n_rows = 0
    for part in dataset.manifest.parts:
        if part.last_ns < ts_ns:
            n_rows += part.n_rows
        elif part.first_ns < ts_ns:
            times = dataset.part_rows(part, dataset.columns[:1], (0, part.n_rows))[0]
            n_rows += int(np.searchsorted(times, ts_ns, "left"))
    return n_rows


def _source(recording: Recording, dataset: StoredDataset, kind: str, rows: tuple[int, int]) -> Source:
    times = [
        block["ts_ns"][[0, -1]] for block in dataset.chunks(recording.start_ns, recording.end_ns, ["ts_ns"])
    ]
    if not times:
        raise DataError(f"{dataset.path} has no rows in the range asked for", "check --start and --end")
    return Source(
        instrument=recording.instrument,
        kind=kind,
        name=dataset.path,
        hash=dataset.hash,
        interval_ns=0,
        first_row=rows[0],
        end_row=rows[1],
        start_ns=int(times[0][0]) + recording.shift_ns,
        end_ns=int(times[-1][1]) + recording.shift_ns,
        certificate=_certificate(dataset),
        assumptions=recording.assumptions(dataset),
    )


def _certificate(dataset: StoredDataset) -> Certificate:
    stored = read_certificate(dataset.manifest)
    if stored is not None:
        return stored
    from njord.storage.certificate.by_kind import checks_for

    checks = checks_for(dataset.key.kind.value, dataset.instrument, dataset.interval_ns)
    for chunk in dataset.chunks():
        checks.add(chunk)
    return checks.finish(dataset.hash)


# Moves the rows of a piece's last time on to the next piece, so that no time is split between two.
def _whole_times(pieces: Iterable[Piece]) -> Iterator[Piece]:
    held: Piece | None = None
    for piece in pieces:
        both = piece if held is None else _joined(held, piece)
        cut = int(np.searchsorted(both.ts_ns, both.ts_ns[-1], "left"))
        if cut:
            yield _part(both, 0, cut)
        held = _part(both, cut, len(both.messages))
    if held is not None:
        yield held


def _joined(one: Piece, other: Piece) -> Piece:
    return Piece(
        [*one.messages, *other.messages],
        np.concatenate((one.ts_ns, other.ts_ns)),
        np.concatenate((one.row_ends, other.row_ends)),
        np.concatenate((one.ticks, other.ticks)),
    )


def _part(piece: Piece, begin: int, end: int) -> Piece:
    some = slice(begin, end)
    return Piece(piece.messages[some], piece.ts_ns[some], piece.row_ends[some], piece.ticks[some])
