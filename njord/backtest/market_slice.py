"""Part of a market: what became known within a stretch of time, and nothing else of it."""

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from njord.backtest.market import Market, MarketBlock
from njord.backtest.market_view import MarketView
from njord.strategies.features import BarColumns


class MarketSlice(MarketView):
    """`market` in (from_ns, until_ns].

    Args:
        market: All of it.
        from_ns: What became known until then is left out; the venue's ticks are not, since a book is made of its past.
        until_ns: The last moment.
    """

    def __init__(self, market: Market, from_ns: int, until_ns: int) -> None:
        super().__init__(market)
        self._from_ns, self._until_ns = from_ns, until_ns

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield what the engine sees of it."""
        for block in self._market.blocks():
            messages = block.messages
            first, end = (
                bisect_right(messages, ts_ns, key=lambda message: message.ts_ns)
                for ts_ns in (self._from_ns, self._until_ns)
            )
            if first < end:
                yield replace(block, messages=messages[first:end], given_marks=None)
            if end < len(messages):
                return

    def columns(self, instrument: int) -> BarColumns | None:
        """Return the bars of one instrument that closed in it; None for ticks."""
        every = self._market.columns(instrument)
        if every is None:
            return None
        first, end = (
            int(np.searchsorted(every.ts_ns, ts_ns, side="right"))
            for ts_ns in (self._from_ns, self._until_ns)
        )
        return every.rows(first, end)
