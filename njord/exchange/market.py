"""What does the public see of the local exchange's market? Tapes in; books, trades, bars and public events out.

The market is not moved by accounts: their orders rest beside it (`venue_rows` feeds each account's own matching) and the
public never sees them. All times are those of the exchange's clock. Nothing here does I/O or knows the wire's format.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import tee
from operator import attrgetter
from typing import NamedTuple

import msgspec

from njord.core.instrument import Instrument
from njord.core.units import FOREVER_NS
from njord.exchange.market_book import ALL_LEVELS, Levels, PublicBook
from njord.exchange.market_history import TradeHistory
from njord.exchange.market_klines import Klines
from njord.exchange.market_tape import CLEAR, TRADE_BUY, TRADE_SELL, Tape, TapeBlock, block_of, market_rows
from njord.venues.tick_market import MarketRows


class BookView(msgspec.Struct, frozen=True):
    """A book's levels, best first."""

    bids: Levels
    asks: Levels
    last_update_id: int


class TradePrint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A public trade; `is_buyer_maker`: the seller took."""

    instrument: int
    ts_ns: int
    trade_id: int
    price_ticks: int
    qty_lots: int
    is_buyer_maker: bool


class AggTradePrint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Successive trades of one moment, price and side; told when the next trade is another or time has gone on."""

    instrument: int
    ts_ns: int
    agg_id: int
    price_ticks: int
    qty_lots: int
    first_id: int
    last_id: int
    is_buyer_maker: bool


class BookDiff(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the book: the levels that are now as they say, 0 lots = gone."""

    instrument: int
    ts_ns: int
    first_id: int
    last_id: int
    bids: Levels
    asks: Levels


class BestQuote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The best levels after a change that changed them; 0 where a side is empty."""

    instrument: int
    ts_ns: int
    update_id: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


PublicEvent = TradePrint | AggTradePrint | BookDiff | BestQuote
_when = attrgetter("ts_ns", "instrument")


class PublicMarket:
    """The market of all symbols.

    Args:
        instruments: What is traded.
        tapes: What happens to each.
        begin_ns: When the market begins; nothing happens before.

    Attributes:
        instruments: What is traded, with the rules of the beginning.
        begin_ns: When the market began.
        now_ns: The time it has come to.
        history: By instrument: trades and aggregate trades.
        klines: By instrument: bars.
    """

    def __init__(self, instruments: Sequence[Instrument], tapes: Sequence[Tape], begin_ns: int) -> None:
        self.instruments = tuple(instruments)
        self.begin_ns = self.now_ns = begin_ns
        self._tapes = tuple(tapes)
        # Passes that begin together share what they draw; what all of them have seen is forgotten.
        self._beginnings = [tee(tape(), 1)[0] for tape in self._tapes]
        self._symbols = [_Symbol(index, copy(tape)) for index, tape in enumerate(self._beginnings)]
        self._has_begun = False
        self._events: list[PublicEvent] = []

    @property
    def history(self) -> list[TradeHistory]:
        """Trades by instrument."""
        return [symbol.history for symbol in self._symbols]

    @property
    def klines(self) -> list[Klines]:
        """Bars by instrument."""
        return [symbol.klines for symbol in self._symbols]

    def venue_rows(self, index: int) -> Iterator[MarketRows]:
        """Return the rows that one account's orders meet, from the beginning: lazily drawn, and maybe endless."""
        blocks = self._tapes[index]() if self._has_begun else copy(self._beginnings[index])
        return market_rows(blocks)

    @property
    def next_ns(self) -> int:
        """When something happens next; 2**63 - 1 after the end."""
        return min((symbol.next_ns for symbol in self._symbols), default=FOREVER_NS)

    def advance(self, now_ns: int) -> None:
        """Let everything happen up to `now_ns`; public events wait for `take_events`."""
        if not self._has_begun:
            self._has_begun = True
            self._beginnings = []
        self.now_ns = max(self.now_ns, now_ns)
        events = [event for symbol in self._symbols for event in symbol.advance(now_ns)]
        if len(self._symbols) > 1:
            events.sort(key=_when)
        self._events += events

    def take_events(self) -> list[PublicEvent]:
        """Return what happened since the last call, in order; whoever never asks keeps it all in memory."""
        events, self._events = self._events, []
        return events

    def last_price_ticks(self, index: int) -> int:
        """The last trade's price; 0 before the first."""
        return self._symbols[index].history.last_price_ticks

    def book(self, index: int, limit: int = ALL_LEVELS) -> BookView:
        """Return the best `limit` levels of each side."""
        book = self._symbols[index].book
        bids, asks = book.levels(limit)
        return BookView(bids, asks, book.last_id)

    def best(self, index: int) -> tuple[int, int, int, int]:
        """Return best bid, its lots, best ask, its lots; 0 where a side is empty."""
        return self._symbols[index].book.best()


class _Event(NamedTuple):
    """Rows [begin, end) of a block."""

    ts_ns: int
    first_id: int
    last_id: int
    begin: int
    end: int


class _Symbol:
    """One instrument's public state, and its place on its tape."""

    def __init__(self, index: int, blocks: Iterator[TapeBlock]) -> None:
        self._index = index
        self._blocks = blocks
        self._block = block_of([])
        self._ahead: list[_Event] = []  # The latest first.
        self.book = PublicBook()
        self.history = TradeHistory()
        self.klines = Klines()
        self._best = (0, 0, 0, 0)

    @property
    def next_ns(self) -> int:
        if not self._ahead:
            self._draw()
        return self._ahead[-1].ts_ns if self._ahead else FOREVER_NS

    def advance(self, now_ns: int) -> list[PublicEvent]:
        out: list[PublicEvent] = []
        while self.next_ns <= now_ns:
            event, block = self._ahead.pop(), self._block
            kind = int(block.kind[event.begin])
            if kind in (TRADE_BUY, TRADE_SELL):
                self._trade(block, event, kind, out)
            else:
                self._change(block, event, kind, out)
        self._close_agg(FOREVER_NS, out)  # No more of this moment will come.
        return out

    # Draws until there is an event; empty blocks are blocks.
    def _draw(self) -> None:
        for block in self._blocks:
            ends = block.ends.nonzero()[0] + 1
            if not len(ends):
                continue
            starts = [0, *ends[:-1].tolist()]
            heads = (column[starts].tolist() for column in (block.ts_ns, block.first_id, block.last_id))
            self._ahead = list(map(_Event, *heads, starts, ends.tolist()))[::-1]
            self._block = block
            return

    def _trade(self, block: TapeBlock, event: _Event, kind: int, out: list[PublicEvent]) -> None:
        at = event.begin
        price, lots, is_buyer_maker = int(block.price_ticks[at]), int(block.qty_lots[at]), kind == TRADE_SELL
        trade = TradePrint(
            instrument=self._index,
            ts_ns=event.ts_ns,
            trade_id=event.last_id,
            price_ticks=price,
            qty_lots=lots,
            is_buyer_maker=is_buyer_maker,
        )
        closed = self.history.add(event.ts_ns, event.last_id, price, lots, is_buyer_maker)
        if closed is not None:
            out.append(AggTradePrint(instrument=self._index, **closed._asdict()))
        self.klines.add(event.ts_ns, event.last_id, price, lots, not is_buyer_maker)
        out.append(trade)

    def _change(self, block: TapeBlock, event: _Event, kind: int, out: list[PublicEvent]) -> None:
        self._close_agg(event.ts_ns, out)
        some = slice(event.begin, event.end)
        rows = (block.kind[some], block.price_ticks[some], block.qty_lots[some])
        bids, asks = self.book.apply(*rows, event.last_id, replaces=kind == CLEAR)
        out.append(
            BookDiff(
                instrument=self._index,
                ts_ns=event.ts_ns,
                first_id=event.first_id,
                last_id=event.last_id,
                bids=bids,
                asks=asks,
            )
        )
        best = self.book.best()
        if best != self._best:
            self._best = best
            bid, bid_lots, ask, ask_lots = best
            out.append(
                BestQuote(
                    instrument=self._index,
                    ts_ns=event.ts_ns,
                    update_id=event.last_id,
                    bid_ticks=bid,
                    bid_lots=bid_lots,
                    ask_ticks=ask,
                    ask_lots=ask_lots,
                )
            )

    def _close_agg(self, before_ns: int, out: list[PublicEvent]) -> None:
        closed = self.history.close(before_ns)
        if closed is not None:
            out.append(AggTradePrint(instrument=self._index, **closed._asdict()))
