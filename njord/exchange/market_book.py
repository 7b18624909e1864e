"""What does the public book look like? Changes as rows of a tape in; levels out, exact, and only what really changed."""

import numpy as np

from njord.data.book import Book
from njord.exchange.market_tape import ASK, BID, IntArray, level_changes
from njord.kernels.book import ASK as ASK_SIDE
from njord.kernels.book import BID as BID_SIDE
from njord.kernels.book import best
from njord.storage.store.kinds import BOOK_ASK, BOOK_BID

Levels = tuple[tuple[int, int], ...]  # (price_ticks, qty_lots)
ALL_LEVELS = 2**31


class PublicBook:
    """The book of one symbol.

    Attributes:
        last_id: Its last update id; 0 before the first change.
    """

    def __init__(self) -> None:
        self._book = Book()
        self.last_id = 0

    def apply(
        self, kind: IntArray, prices: IntArray, lots: IntArray, last_id: int, *, replaces: bool
    ) -> tuple[Levels, Levels]:
        """Apply one change; return the levels of bids and asks that it sets.

        A change that replaces the book is told as what differs, since those who follow the book know the one before.
        """
        self.last_id = last_id
        before = self.levels(ALL_LEVELS) if replaces else ((), ())
        if replaces:
            self._book.clear()
        is_bid, is_ask = kind == BID, kind == ASK
        some = is_bid | is_ask
        flags = np.where(is_bid[some], BOOK_BID, BOOK_ASK)
        self._book.apply_rows(flags, prices[some], lots[some])
        bids = tuple(zip(prices[is_bid].tolist(), lots[is_bid].tolist(), strict=True))
        asks = tuple(zip(prices[is_ask].tolist(), lots[is_ask].tolist(), strict=True))
        if not replaces:
            return bids, asks
        return (
            tuple(level_changes(dict(before[0]), dict(bids))),
            tuple(level_changes(dict(before[1]), dict(asks))),
        )

    def levels(self, limit: int) -> tuple[Levels, Levels]:
        """Return the best `limit` bids and asks, best first."""
        book = self._book
        return (
            tuple((level.price_ticks, level.qty_lots) for level in book.bids(limit)),
            tuple((level.price_ticks, level.qty_lots) for level in book.asks(limit)),
        )

    def best(self) -> tuple[int, int, int, int]:
        """Return best bid, its lots, best ask, its lots; 0 where a side is empty."""
        state = self._book.state
        bid, bid_lots = best(state, BID_SIDE)
        ask, ask_lots = best(state, ASK_SIDE)
        return int(bid), int(bid_lots), int(ask), int(ask_lots)
