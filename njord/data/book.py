"""What does the order book of an instrument look like now? Snapshots and changes in; best prices, depth, measures out.

`Book` is the kernel's book for Python callers; `BookBuilder` is the component that keeps one per instrument from
BookEvent messages, in step with the venue's update ids.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Self

import msgspec
import numpy as np

from njord.core.component import Handler
from njord.core.contracts import BookEvent, Message
from njord.core.types import BUY, Side
from njord.data import book_stats
from njord.data.book_stats import BookStats, Level
from njord.data.book_sync import BookSync, Gap
from njord.kernels.book import (
    ASK,
    BID,
    INT64_MAX,
    PRICE_MAX,
    IntArray,
    best,
    clear,
    grown,
    n_levels,
    new_book,
    set_level,
)
from njord.kernels.book_depth import depth, lots_within, sweep
from njord.kernels.book_events import apply_rows

LEVELS = 10  # What measures look at unless asked otherwise.
WITHIN_BPS = Decimal(10)


class Fill(msgspec.Struct, frozen=True):
    """What a market order would get.

    Attributes:
        qty_lots: Filled; less than asked where the side ends first.
        cost: Sum of price x quantity, in ticks x lots, exact.
        worst_ticks: The last price touched; 0 where nothing was filled.
    """

    qty_lots: int
    cost: int
    worst_ticks: int


class Book:
    """The order book of one instrument, in whole ticks and lots.

    Args:
        window: Ticks of each side held densely; levels beyond it are as exact, and slower.
    """

    def __init__(self, window: int = 2**16) -> None:
        self._state = new_book(window)

    # --- changing it ---

    def set(self, side: Side, price_ticks: int, qty_lots: int) -> None:
        """Set the quantity at a price, 0 to remove the level; BUY is the bid side.

        Raises:
            ValueError: The price is not from 1 to 2**62-1 ticks, or the quantity not from 0 to 2**63-1 lots.
        """
        if not 1 <= price_ticks <= PRICE_MAX:
            raise ValueError(f"price_ticks must be from 1 to 2**62-1, was {price_ticks}")
        if not 0 <= qty_lots <= INT64_MAX:
            raise ValueError(f"qty_lots must be from 0 to 2**63-1, was {qty_lots}")
        which = BID if side is BUY else ASK
        while not set_level(self._state, which, price_ticks, qty_lots):
            self._state = grown(self._state)

    def set_all(self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        """Set levels of both sides, each (price_ticks, qty_lots)."""
        for side, levels in ((BUY, bids), (BUY.opposite, asks)):
            for price_ticks, qty_lots in levels:
                self.set(side, price_ticks, qty_lots)

    def apply_rows(self, flags: IntArray, prices: IntArray, lots: IntArray) -> None:
        """Set the levels of stored rows, whose flags say which side; prices and quantities as `set` takes them.

        Nothing is checked here: `first_bad_row` of the kernel finds what is no level.
        """
        row, n = 0, len(flags)
        while (row := int(apply_rows(self._state, flags, prices, lots, row, n))) < n:
            self._state = grown(self._state)

    def clear(self) -> None:
        """Remove every level."""
        clear(self._state)

    def grow(self) -> None:
        """Make room for more levels far from the best."""
        self._state = grown(self._state)

    # --- questions ---

    @property
    def state(self) -> IntArray:
        """The kernel's array: for kernels that walk the book themselves. It is another one after the book grew."""
        return self._state

    @property
    def best_bid(self) -> Level | None:
        """The highest bid."""
        return self._best(BID)

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask."""
        return self._best(ASK)

    @property
    def n_bids(self) -> int:
        """Levels on the bid side."""
        return int(n_levels(self._state, BID))

    @property
    def n_asks(self) -> int:
        """Levels on the ask side."""
        return int(n_levels(self._state, ASK))

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bid, ask = self.best_bid, self.best_ask
        return bid is not None and ask is not None and bid.price_ticks >= ask.price_ticks

    def bids(self, n: int) -> list[Level]:
        """Return the `n` best bids, best first."""
        return self._depth(BID, n)

    def asks(self, n: int) -> list[Level]:
        """Return the `n` best asks, best first."""
        return self._depth(ASK, n)

    @property
    def spread_ticks(self) -> int | None:
        """Best ask minus best bid; negative where crossed, None where a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else ask.price_ticks - bid.price_ticks

    @property
    def mid_ticks(self) -> float:
        """Halfway between best bid and best ask, in ticks; NaN where a side is empty."""
        return book_stats.mid_ticks(self.best_bid, self.best_ask)

    @property
    def microprice_ticks(self) -> float:
        """The mid price weighted by the other side's quantity, in ticks; NaN where a side is empty."""
        return book_stats.microprice(self.best_bid, self.best_ask)

    def imbalance(self, n: int = LEVELS) -> float:
        """Return (bids - asks) / (bids + asks) of the lots in `n` levels of each side; NaN for an empty book."""
        return book_stats.imbalance(_total(self.bids(n)), _total(self.asks(n)))

    def slope(self, side: Side, n: int = LEVELS) -> float:
        """Return the lots that a side gains per basis point from the mid price, over `n` levels; see book_stats."""
        return book_stats.slope(self._depth(BID if side is BUY else ASK, n), self.mid_ticks)

    def market_order(self, side: Side, qty_lots: int) -> Fill:
        """Return what a market order of `qty_lots` would get: a BUY takes asks.

        Raises:
            ValueError: `qty_lots` is negative or beyond 2**63-1.
        """
        if not 0 <= qty_lots <= INT64_MAX:
            raise ValueError(f"qty_lots must be from 0 to 2**63-1, was {qty_lots}")
        taken_from = ASK if side is BUY else BID
        filled, cost, worst, exact = sweep(self._state, taken_from, qty_lots)
        return Fill(int(filled), int(cost) if exact else self._cost(taken_from, int(filled)), int(worst))

    def lots_until(self, side: Side, limit_ticks: int) -> int:
        """Return the lots of a side at `limit_ticks` or better; BUY is the bid side."""
        which = BID if side is BUY else ASK
        total, levels, exact = lots_within(self._state, which, limit_ticks)
        return int(total) if exact else _total(self._depth(which, int(levels)))

    def stats(self, levels: int = LEVELS, within_bps: Decimal = WITHIN_BPS) -> BookStats:
        """Return the book in numbers: over `levels` of each side, and within `within_bps` of the mid price."""
        bid, ask, mid = self.best_bid, self.best_ask, self.mid_ticks
        bids, asks = self.bids(levels), self.asks(levels)
        bid_lots, ask_lots = _total(bids), _total(asks)
        bids_within = asks_within = 0
        if bid is not None and ask is not None:
            lowest, highest = book_stats.limits_within(bid, ask, within_bps)
            bids_within = self.lots_until(BUY, lowest)
            asks_within = self.lots_until(BUY.opposite, highest)
        return BookStats(
            bid=bid,
            ask=ask,
            spread_ticks=self.spread_ticks,
            spread_bps=book_stats.spread_bps(bid, ask),
            mid_ticks=mid,
            microprice_ticks=self.microprice_ticks,
            n_bids=self.n_bids,
            n_asks=self.n_asks,
            n_levels=levels,
            bid_lots=bid_lots,
            ask_lots=ask_lots,
            imbalance=book_stats.imbalance(bid_lots, ask_lots),
            bid_slope=book_stats.slope(bids, mid),
            ask_slope=book_stats.slope(asks, mid),
            within_bps=within_bps,
            bid_lots_within=bids_within,
            ask_lots_within=asks_within,
        )

    def copy(self) -> Self:
        """Return a book of its own with the same levels."""
        other = type(self).__new__(type(self))
        other._state = self._state.copy()
        return other

    def _best(self, side: int) -> Level | None:
        price, lots = best(self._state, side)
        return Level(int(price), int(lots)) if price else None

    def _depth(self, side: int, n: int) -> list[Level]:
        n = min(n, int(n_levels(self._state, side)))
        levels = np.empty((2, n), dtype=np.int64)
        depth(self._state, side, levels)
        return [Level(price, lots) for price, lots in zip(*levels.tolist(), strict=True)]

    # What the kernel could not sum in 64 bits, in Python's own numbers.
    def _cost(self, side: int, lots: int) -> int:
        cost = 0
        for level in self._depth(side, int(n_levels(self._state, side))):
            taken = min(lots, level.qty_lots)
            cost += taken * level.price_ticks
            lots -= taken
            if not lots:
                break
        return cost


class BookBuilder:
    """Component: keeps the book of each instrument from its BookEvents, in step with the venue's update ids.

    It causes no messages. A book that is out of step keeps its last levels; `is_synced` says so, `gaps` lists why.
    """

    def __init__(self, n_instruments: int) -> None:
        self.books = tuple(Book() for _ in range(n_instruments))
        self._syncs = tuple(BookSync[BookEvent]() for _ in range(n_instruments))

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {BookEvent: self._on_book}

    def is_synced(self, instrument: int) -> bool:
        """Return whether the book of `instrument` is in step with its changes."""
        return self._syncs[instrument].is_synced

    def gaps(self, instrument: int) -> Sequence[Gap]:
        """Return the holes in the update ids of `instrument`, oldest first."""
        return tuple(self._syncs[instrument].gaps)

    def _on_book(self, event: BookEvent) -> None:
        sync, book = self._syncs[event.instrument], self.books[event.instrument]
        if event.is_snapshot:
            ready = sync.snapshot(event.last_update_id, event)
        else:
            ready = sync.change(event.first_update_id, event.last_update_id, event.ts_ns, event)
        for each in ready:
            if each.is_snapshot:
                book.clear()
            book.set_all(each.bids, each.asks)


def _total(levels: Iterable[Level]) -> int:
    return sum(level.qty_lots for level in levels)
