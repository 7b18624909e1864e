"""What happens in a run's market, and in which order? Recorded data of all instruments in, blocks of messages out.

A `Market` is read from its start as often as it is asked for, always the same. `blocks` is what the engine is told,
ordered by when it became known; `tick_rows` is what happened at the exchange, ordered by the exchange's own time, for
the venue alone. Where they come from is in `market_bars.py` and `market_ticks.py`; several instruments are merged here.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.backtest.reported import PricePiece, Source
from njord.core.contracts import Bar, Message, Ref, TradeEvent
from njord.core.instrument import Instrument
from njord.core.ordering import INBOUND_CLASS
from njord.strategies.features import BarColumns

if TYPE_CHECKING:
    from njord.venues.tick_market import MarketRows  # Its kernel is loaded where ticks are traded.

IntArray = NDArray[np.int64]


class Marks(msgspec.Struct, frozen=True):
    """What the messages of a block say about prices, as int64 arrays with one value per message.

    Attributes:
        ts_ns: When the message became known.
        instrument: Its instrument.
        ticks: The price that positions are valued at from then on; 0 where the message says none.
    """

    ts_ns: IntArray
    instrument: IntArray
    ticks: IntArray


class MarketBlock(msgspec.Struct, frozen=True):
    """Successive messages of a market.

    Attributes:
        refs: The rows of datasets that they come from, to be journaled before them.
        messages: Bars, trades and changes of books, in inbound order.
        given_marks: Their prices, where somebody has them as arrays already.
    """

    refs: tuple[Ref, ...]
    messages: Sequence[Message]
    given_marks: Marks | None = None

    def marks(self) -> Marks:
        """Return the prices that the messages say."""
        return self.given_marks or marks_of(self.messages)


class Market(Protocol):
    """The market of one run; closing it lets go of its data."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What is traded in it; messages name an instrument by its place."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it is made of, in the order of the instruments; trades before their book."""

    @property
    def n_events(self) -> int:
        """How many messages `blocks` has in all."""

    @property
    def start_ns(self) -> int:
        """When the run begins: the first bar's open or the first tick."""

    @property
    def end_ns(self) -> int:
        """When the last message is known."""

    @property
    def feed_delays_ns(self) -> IntArray:
        """A sample of how long ticks were on their way from the venue; empty where there are none."""

    def has_ticks(self, instrument: int) -> bool:
        """Say whether the instrument is traded on ticks: it has `tick_rows`."""

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield everything that the engine is told, from the start."""

    def tick_rows(self, instrument: int) -> "Iterator[MarketRows] | None":
        """Return what happens at the exchange in its own time, from the start; None for bars."""

    def columns(self, instrument: int) -> BarColumns | None:
        """Return all bars of an instrument as arrays; None for ticks."""

    def prices(self, instrument: int) -> Iterator[PricePiece]:
        """Yield the prices of one instrument in order, in pieces: bars, or the trades where none are."""

    def close(self) -> None:
        """Let go of the data."""


class Piece(msgspec.Struct, frozen=True):
    """Successive messages of one feed.

    Attributes:
        messages: In the order in which they became known.
        ts_ns: When, never falling; the last time of a piece does not go on in the next.
        row_ends: For each message, the row of its dataset behind the last row that was read for it, never falling.
        ticks: For each message the price that it says, or 0.
    """

    messages: Sequence[Message]
    ts_ns: IntArray
    row_ends: IntArray
    ticks: IntArray


class Feed(Protocol):
    """One dataset as a run reads it: the part of a market that comes from one place."""

    @property
    def source(self) -> Source:
        """What it is."""

    @property
    def n_events(self) -> int:
        """How many messages it has."""

    def pieces(self) -> Iterator[Piece]:
        """Yield its messages from the start."""


def marks_of(messages: Sequence[Message]) -> Marks:
    """Return the prices that `messages` say: a bar its close, a trade its price, a change of a book none."""
    ticks = [
        message.close
        if isinstance(message, Bar)
        else message.price_ticks
        if isinstance(message, TradeEvent)
        else 0
        for message in messages
    ]
    return Marks(
        np.array([message.ts_ns for message in messages], dtype=np.int64),
        np.array([getattr(message, "instrument", 0) for message in messages], dtype=np.int64),
        np.array(ticks, dtype=np.int64),
    )


def blocks_of(feeds: Sequence[Feed]) -> Iterator[MarketBlock]:
    """Yield the messages of all feeds in the one inbound order (`core/ordering.py`).

    A block reaches up to the earliest time at which a feed's piece ends: up to there nothing can be missing.
    """
    readers = [_Reader(feed) for feed in feeds]
    while waiting := [reader for reader in readers if reader.fill()]:
        upto = min(reader.last_ns for reader in waiting)
        taken = [reader.take(upto) for reader in waiting]
        yield _block([(ref, piece) for ref, piece in taken if ref is not None])


# What of a feed was read and not yet passed on.
class _Reader:
    def __init__(self, feed: Feed) -> None:
        self._source = feed.source
        self._pieces = feed.pieces()
        self._held: Piece | None = None
        self._begin = 0
        self._next_row = feed.source.first_row

    @property
    def last_ns(self) -> int:
        return int(self._held.ts_ns[-1]) if self._held is not None else 0

    # Returns whether there is anything left.
    def fill(self) -> bool:
        while self._held is None or self._begin >= len(self._held.messages):
            self._held, self._begin = next(self._pieces, None), 0
            if self._held is None:
                return False
        return True

    def take(self, upto_ns: int) -> tuple[Ref | None, Piece]:
        held, begin = self._held, self._begin
        assert held is not None
        end = int(np.searchsorted(held.ts_ns, upto_ns, "right"))
        piece = held
        if begin or end < len(held.messages):
            piece = Piece(
                held.messages[begin:end],
                held.ts_ns[begin:end],
                held.row_ends[begin:end],
                held.ticks[begin:end],
            )
        self._begin = end
        if end <= begin:
            return None, piece
        ref = Ref(
            ts_ns=int(piece.ts_ns[0]),
            dataset_hash=self._source.hash,
            instrument=self._source.instrument,
            first_row=self._next_row,
            last_row=int(piece.row_ends[-1]) - 1,
        )
        self._next_row = int(piece.row_ends[-1])
        return ref, piece


# One feed's messages are in order already; of several, equal times are ordered by class, instrument, feed.
def _block(taken: list[tuple[Ref, Piece]]) -> MarketBlock:
    if len(taken) == 1:
        ref, piece = taken[0]
        instruments = np.full(len(piece.messages), ref.instrument, dtype=np.int64)
        return MarketBlock((ref,), piece.messages, Marks(piece.ts_ns, instruments, piece.ticks))
    taken.sort(key=lambda pair: (INBOUND_CLASS[type(pair[1].messages[0])], pair[0].instrument))
    ts_ns = np.concatenate([piece.ts_ns for _, piece in taken])
    order = np.argsort(ts_ns, kind="stable")
    messages = [message for _, piece in taken for message in piece.messages]
    instruments = np.concatenate([np.full(len(piece.messages), ref.instrument) for ref, piece in taken])
    ticks = np.concatenate([piece.ticks for _, piece in taken])
    first_ns = int(ts_ns[order[0]])
    refs = sorted((ref for ref, _ in taken), key=lambda ref: ref.instrument)
    return MarketBlock(
        tuple(msgspec.structs.replace(ref, ts_ns=first_ns) for ref in refs),
        [messages[index] for index in order.tolist()],
        Marks(ts_ns[order], instruments[order].astype(np.int64), ticks[order]),
    )
