"""What could the market have been instead? Rows of a market in, rows of the same times with other numbers out.

The numbers are of another level, another volatility and other volumes, so that a single one of them that is read too
early changes whatever is computed from it. They are the same for the same seed.
"""

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from njord.core.contracts import Bar, BookEvent, Message, TickerEvent, TradeEvent
from njord.strategies.features import BarColumns

IntArray = NDArray[np.int64]

TICKS_MAX = 2**62
_UNKNOWN_TICKS, _UNKNOWN_LOTS = 1_000, 1_000  # Where nothing was known before the cut.


class Noise:
    """Other numbers for a market.

    Args:
        seed: What they are drawn from; equal seeds give equal numbers.
    """

    def __init__(self, seed: Sequence[int]) -> None:
        self._random = np.random.default_rng(list(seed))
        # Far enough from 1 that no rounding to ticks hides it; above 1 for books, which it must not cross.
        self.level = float(self._random.uniform(1.4, 2.9))
        self._is_below = bool(self._random.integers(2))
        self._volatility = float(self._random.choice([0.002, 0.02, 0.1]))

    def bars(self, known: BarColumns, ts_open_ns: IntArray, ts_ns: IntArray) -> BarColumns:
        """Return bars of the given times, which have nothing but the instrument in common with what came."""
        n = ts_ns.size
        level = float(known.close[-1]) if len(known) else float(_UNKNOWN_TICKS)
        level = max(1.0, level / self.level if self._is_below else level * self.level + 7)
        drawn = self._random.standard_normal((n, 5))
        open_, close = (self._ticks(level * np.exp(self._volatility * drawn[:, column])) for column in (0, 1))
        wicks = self._ticks(level * self._volatility * np.abs(drawn[:, 2:4]))
        volume = float(np.median(known.volume_lots)) if len(known) else 0.0
        lots = (volume + _UNKNOWN_LOTS) * np.exp(drawn[:, 4]) * self.level
        return BarColumns(
            instrument=known.instrument,
            ts_open_ns=ts_open_ns,
            ts_ns=ts_ns,
            open=open_,
            high=np.maximum(open_, close) + wicks[:, 0],
            low=np.maximum(np.minimum(open_, close) - wicks[:, 1], 1),
            close=close,
            volume_lots=np.minimum(lots, TICKS_MAX).astype(np.int64),
        )

    def prices(self, ticks: IntArray) -> IntArray:
        """Return other prices in the same order: what was below is below still, so that no book crosses."""
        higher = np.minimum(ticks.astype(np.float64) * self.level, TICKS_MAX // 2).astype(np.int64)
        return higher + 7

    def lots(self, lots: IntArray) -> IntArray:
        """Return other quantities; 0, which removes a level, stays 0."""
        other = self._random.integers(1, 1 + 2 * max(1, int(lots.max(initial=0))), lots.size)
        return np.where(lots > 0, other, 0)

    def message(self, message: Message) -> Message:
        """Return one message of market data of the same time with other numbers; any other as it is."""
        if isinstance(message, Bar):
            open_, close = self._price(message.open), self._price(message.close)
            high, low = max(open_, close) + 3, max(1, min(open_, close) - 3)
            lots = self._quantity(message.volume_lots + 1)
            return replace(message, open=open_, high=high, low=low, close=close, volume_lots=lots)
        if isinstance(message, TradeEvent):
            price, lots = self._price(message.price_ticks), self._quantity(message.qty_lots)
            return replace(message, price_ticks=price, qty_lots=lots)
        if isinstance(message, BookEvent):
            return replace(message, bids=self._levels(message.bids), asks=self._levels(message.asks))
        if isinstance(message, TickerEvent):
            quoted = (message.bid_ticks, message.ask_ticks, message.last_ticks)
            bid, ask, last = (self._price(ticks) if ticks else 0 for ticks in quoted)
            return replace(message, bid_ticks=bid, ask_ticks=ask, last_ticks=last)
        return message

    def _levels(self, levels: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        return tuple((self._price(ticks), self._quantity(lots) if lots else 0) for ticks, lots in levels)

    def _price(self, ticks: int) -> int:
        return int(self.prices(np.array([ticks], dtype=np.int64))[0])

    def _quantity(self, lots: int) -> int:
        return int(self._random.integers(1, 2 * lots + 2))

    @staticmethod
    def _ticks(prices: NDArray[np.float64]) -> IntArray:
        return np.clip(np.rint(prices), 1, TICKS_MAX // 4).astype(np.int64)
