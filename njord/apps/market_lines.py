"""What of a market's public streams is recorded? What came in, and when; lines of a raw capture out.

A line is `<received, ns> <JSON>`, as `njord data import` reads it. Trades come out once each, in the order of their ids,
what the stream lost among them as REST tells it (`venues/feed_stream.py`). Changes of the book and quotes are written as
they came, those that came before already left out; where the changes have a hole, a new snapshot is wanted. No clock, no
I/O: times are handed in.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, NS_PER_S, plain
from njord.data.book_sync import BookSync
from njord.venues.feed_rows import FeedTrade, page_trades, pushed_trade
from njord.venues.feed_stream import Missing, TradeStream
from njord.venues.history import Depth, HistoryPage

ASK_AGAIN_NS = 2 * NS_PER_S  # Between two snapshots that were asked for.


class MarketCounts(msgspec.Struct):
    """What was written, and what was not.

    Attributes:
        n_depth: Changes of the book.
        n_quotes: Best bids and asks.
        n_snapshots: Books.
        n_trades: Trades.
        n_missing: Trades that exist and could not be had.
        n_old: Changes and quotes that had come before.
        n_other: Messages of no use.
    """

    n_depth: int = 0
    n_quotes: int = 0
    n_snapshots: int = 0
    n_trades: int = 0
    n_missing: int = 0
    n_old: int = 0
    n_other: int = 0


class _Change(msgspec.Struct):
    first_id: int = msgspec.field(name="U")
    last_id: int = msgspec.field(name="u")


class MarketLines:
    """One market.

    Args:
        instrument: Which.
        first_id: The first trade that is wanted.

    Attributes:
        counts: What happened so far.
        trades: Which trades are there, and which are missing.
        heard_ns: When the market said something last; 0 before that.
        top: Best bid and ask as the venue's texts; empty before the first quote.
    """

    def __init__(self, instrument: Instrument, first_id: int) -> None:
        self.instrument = instrument
        self.counts = MarketCounts()
        self.trades = TradeStream(first_id)
        self.heard_ns = 0
        self.top: tuple[str, str] = ("", "")
        self._name = instrument.base + instrument.quote
        self._sync: BookSync[None] = BookSync()
        self._ask_from_ns = 0
        self._must_look = False  # A book that is in step is looked at all the same.
        self._last_change = self._last_quote = -1
        self._stamp_ns = 0

    @property
    def is_in_step(self) -> bool:
        """Whether the book and its changes belong together."""
        return self._sync.is_synced

    @property
    def book_id(self) -> int:
        """The last change of the book; -1 while it is out of step."""
        return -1 if self._sync.book_id is None else self._sync.book_id

    @property
    def n_gaps(self) -> int:
        """How often changes of the book were missing."""
        return self._sync.counts.n_gaps

    def interrupted(self) -> None:
        """Note that the streams may have left something out."""
        self.trades.interrupted()

    def begin_file(self) -> None:
        """Ask for a snapshot: the next lines are to stand by themselves."""
        self._must_look = True
        self._ask_from_ns = 0

    def wants_snapshot(self, now_ns: int) -> bool:
        """Say whether the book is to be asked for now: after changes have come, so that none is missing between."""
        is_due = self._must_look or (not self._sync.is_synced and self._sync.n_waiting > 0)
        if not is_due or now_ns < self._ask_from_ns:
            return False
        self._ask_from_ns = now_ns + ASK_AGAIN_NS
        return True

    # --- what comes in ---

    def said(self, message: dict[str, Any], now_ns: int) -> bytes:
        """Return the lines of what a stream said; empty where it is nothing new."""
        kind = message.get("e")
        if kind == "aggTrade":
            trade = pushed_trade(message, self.instrument)
            if trade is None:
                self.trades.refused()
                return b""
            self.heard_ns = now_ns
            return self._told(self.trades.received((trade,), now_ns), now_ns)
        if kind == "depthUpdate":
            return self._change(message, now_ns)
        if kind is None and "B" in message and "A" in message:
            return self._quote(message, now_ns)
        self.counts.n_other += 1
        return b""

    def answered(self, asked: tuple[int, int], page: HistoryPage, now_ns: int) -> bytes:
        """Return the lines of trades that REST has told, and of those that had waited for them."""
        return self._told(self.trades.answered(asked, page_trades(page), now_ns), now_ns)

    def snapshot(self, depth: Depth, now_ns: int) -> bytes:
        """Return the line of a book that REST has told; one that is older than what came since is left out."""
        self._must_look = False
        if not self._sync.snapshot(depth.update_id, None):
            return b""
        self.counts.n_snapshots += 1
        return self._line(now_ns, depth.body.replace(b"\n", b" "))

    # --- lines ---

    def _change(self, message: dict[str, Any], now_ns: int) -> bytes:
        try:
            change = msgspec.convert(message, _Change)
        except msgspec.ValidationError:
            self.counts.n_other += 1
            return b""
        self.heard_ns = now_ns
        if change.last_id <= self._last_change:
            self.counts.n_old += 1
            return b""
        self._last_change = change.last_id
        self._sync.change(change.first_id, change.last_id, now_ns, None)
        self.counts.n_depth += 1
        return self._line(now_ns, msgspec.json.encode(message))

    def _quote(self, message: dict[str, Any], now_ns: int) -> bytes:
        update_id = message.get("u")
        if not isinstance(update_id, int):
            self.counts.n_other += 1
            return b""
        self.heard_ns = now_ns
        if update_id <= self._last_quote:
            self.counts.n_old += 1
            return b""
        self._last_quote = update_id
        self.top = (str(message.get("b")), str(message.get("a")))
        self.counts.n_quotes += 1
        return self._line(now_ns, msgspec.json.encode(message))

    def _told(self, rows: Iterable[FeedTrade | Missing], now_ns: int) -> bytes:
        return b"".join(self._trades(rows, now_ns))

    def _trades(self, rows: Iterable[FeedTrade | Missing], now_ns: int) -> Sequence[bytes]:
        lines = []
        for row in rows:
            if isinstance(row, Missing):
                self.counts.n_missing += row.end_id - row.first_id
                continue
            self.counts.n_trades += 1
            lines.append(self._line(now_ns, self._trade(row)))
        return lines

    # As the stream would have said it, wherever it came from.
    def _trade(self, row: FeedTrade) -> bytes:
        venue_ms = row.ts_venue_ns // NS_PER_MS
        said = {
            "e": "aggTrade",
            "E": venue_ms,
            "s": self._name,
            "a": row.trade_id,
            "p": plain(self.instrument.price(row.price_ticks)),
            "q": plain(self.instrument.qty(row.qty_lots)),
            "T": venue_ms,
            "m": row.sign < 0,
        }
        return msgspec.json.encode(said)

    # Received times never run backwards in a capture.
    def _line(self, now_ns: int, body: bytes) -> bytes:
        self._stamp_ns = max(self._stamp_ns, now_ns)
        return b"%d %s\n" % (self._stamp_ns, body)
