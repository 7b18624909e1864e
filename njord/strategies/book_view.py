"""What does the order book look like to a strategy? BookEvents in; best prices, quantities and levels out, read-only.

Imported only where a book exists: the kernel below needs a compiler that a run on bars has no use for.
"""

import numpy as np

from njord.core.contracts import BookEvent
from njord.core.instrument import Instrument
from njord.kernels.book import ASK, BID, best, clear, grown, new_book, set_level
from njord.kernels.book_depth import depth

Levels = list[tuple[int, int]]


class BookView:
    """The order book of one instrument as it is now: it goes on changing, so note the numbers, not the view.

    Args:
        instrument: Whose book it is; turns ticks into the price of `mid`.
    """

    __slots__ = ("_instrument", "_state")

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._state = new_book()

    @property
    def best_bid_ticks(self) -> int:
        """The highest bid; 0 while there is none."""
        return int(best(self._state, BID)[0])

    @property
    def best_ask_ticks(self) -> int:
        """The lowest ask; 0 while there is none."""
        return int(best(self._state, ASK)[0])

    @property
    def bid_lots(self) -> int:
        """What is bid at the best bid; 0 while there is none."""
        return int(best(self._state, BID)[1])

    @property
    def ask_lots(self) -> int:
        """What is offered at the best ask; 0 while there is none."""
        return int(best(self._state, ASK)[1])

    @property
    def mid(self) -> float | None:
        """Halfway between best bid and best ask, a price for signals; None while a side is empty."""
        bid, ask = self.best_bid_ticks, self.best_ask_ticks
        if not bid or not ask:
            return None
        return (self._instrument.price_float(bid) + self._instrument.price_float(ask)) / 2

    def levels(self, n: int) -> tuple[Levels, Levels]:
        """Return the `n` best bids and the `n` best asks as (price_ticks, qty_lots), best first; fewer if fewer exist.

        Raises:
            ValueError: `n` is negative.
        """
        if n < 0:
            raise ValueError(f"levels takes how many levels a side, >= 0, was {n}")
        return self._side(BID, n), self._side(ASK, n)

    def _side(self, side: int, n: int) -> Levels:
        found = np.empty((2, n), dtype=np.int64)
        n_found = int(depth(self._state, side, found))
        prices, lots = found[:, :n_found].tolist()
        return list(zip(prices, lots, strict=True))

    # The runner's way in: a strategy is given no verb.
    def _apply(self, event: BookEvent) -> None:
        if event.is_snapshot:
            clear(self._state)
        for side, levels in ((BID, event.bids), (ASK, event.asks)):
            for price_ticks, qty_lots in levels:
                while not set_level(self._state, side, price_ticks, qty_lots):
                    self._state = grown(self._state)
