"""Is the book crossed? Levels event by event in; the best bid and ask out where the one is not below the other.

The rules of sequence are Binance's: a snapshot replaces the book, events that end at or before its id are left out, and
those that arrived before it and end after it are applied to it again.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

_BID, _ASK, _SNAPSHOT = 1, 2, 4
_RECENT_EVENTS = 256
_HEAP_SLACK = 1_000

Level = tuple[int, int, int]  # Flags, price in ticks, quantity in lots.
Top = tuple[int, int]


class BookSides:
    """The prices at which orders stand, and the best of each side."""

    def __init__(self) -> None:
        self._bids, self._asks = _Side(-1), _Side(1)
        self._snapshot_id: int | None = None
        self._recent: deque[tuple[int, list[Level]]] = deque(maxlen=_RECENT_EVENTS)

    def follow(
        self,
        lasts: list[int],
        flags: list[int],
        prices: list[int],
        lots: list[int],
        starts: list[int],
        ends: list[int],
    ) -> Iterator[Top | None]:
        """Apply the events whose rows are [start, end], and yield after each the crossed best bid and ask, or None."""
        for start, end in zip(starts, ends, strict=True):
            rows = slice(start, end + 1)
            levels = list(zip(flags[rows], prices[rows], lots[rows], strict=True))
            last = lasts[start]
            if flags[start] & _SNAPSHOT:
                self._replace(last, levels)
            else:
                self._recent.append((last, levels))
                if self._snapshot_id is not None and last > self._snapshot_id:
                    self._apply(levels)
            yield self._crossed()

    def _replace(self, snapshot_id: int, levels: list[Level]) -> None:
        self._bids, self._asks = _Side(-1), _Side(1)
        self._snapshot_id = snapshot_id
        self._apply(levels)
        for last, recent in self._recent:
            if last > snapshot_id:
                self._apply(recent)

    def _apply(self, levels: list[Level]) -> None:
        bids, asks = self._bids, self._asks
        for flags, price, qty in levels:
            if flags & _BID:
                bids.set(price, qty)
            elif flags & _ASK:
                asks.set(price, qty)

    def _crossed(self) -> Top | None:
        bid, ask = self._bids.best(), self._asks.best()
        return (bid, ask) if bid is not None and ask is not None and bid >= ask else None


class _Side:
    """Prices with the best on a heap; a price that is gone stays there until it surfaces, or the heap is built anew."""

    def __init__(self, sign: int) -> None:
        self._sign = sign  # -1 = the highest price is the best.
        self._prices: set[int] = set()
        self._heap: list[int] = []

    def set(self, price: int, qty: int) -> None:
        if qty <= 0:
            self._prices.discard(price)
        elif price not in self._prices:
            self._prices.add(price)
            heappush(self._heap, self._sign * price)
            if len(self._heap) > 2 * len(self._prices) + _HEAP_SLACK:
                self._heap = [self._sign * each for each in self._prices]
                heapify(self._heap)

    def best(self) -> int | None:
        heap, prices, sign = self._heap, self._prices, self._sign
        while heap and sign * heap[0] not in prices:
            heappop(heap)
        return sign * heap[0] if heap else None
