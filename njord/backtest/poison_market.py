"""A market whose future is noise: what was known until the cut is as it was, every later row is another.

Three readers, three clocks: the engine's messages are cut by the time they became known, the venue's rows by the
venue's own time, the bars that a strategy computes with by their close.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from njord.backtest.market import Market, MarketBlock
from njord.backtest.market_view import MarketView
from njord.backtest.noise import Noise
from njord.strategies.features import BarColumns

if TYPE_CHECKING:
    from njord.venues.tick_market import MarketRows

# The run ends at the cut: whoever looks ahead in a block finds noise, and then no more.
AHEAD = 64
SHORT_ROWS = 256  # Of a market that ends soon after the cut, at least.


class PoisonedMarket(MarketView):
    """`market` until `cut_ns`, noise after it.

    Args:
        market: What really happened.
        cut_ns: The last moment that is real.
        seed: Of the noise.
        is_short: Let the bars end soon after the cut (as many again, `SHORT_ROWS` at least): how long the recording is
            belongs to the future too.
    """

    def __init__(self, market: Market, cut_ns: int, seed: Sequence[int], is_short: bool) -> None:
        super().__init__(market)
        self.cut_ns = cut_ns
        self._seed = tuple(seed)
        self._is_short = is_short

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield what the engine sees: real until the cut, then a little noise."""
        noise = Noise((*self._seed, 0))
        for block in self._market.blocks():
            messages = block.messages
            if messages[-1].ts_ns <= self.cut_ns:
                yield block
                continue
            n_known = bisect_right(messages, self.cut_ns, key=lambda message: message.ts_ns)
            later = messages[n_known : n_known + AHEAD]
            told = [*messages[:n_known], *(noise.message(each) for each in later)]
            yield replace(block, messages=told, given_marks=None)
            return

    def tick_rows(self, instrument: int) -> "Iterator[MarketRows] | None":
        """Return the venue's rows of one instrument, None where it has none."""
        rows = self._market.tick_rows(instrument)
        return None if rows is None else self._poisoned_rows(rows, Noise((*self._seed, 1, instrument)))

    def _poisoned_rows(self, blocks: "Iterator[MarketRows]", noise: Noise) -> "Iterator[MarketRows]":
        for rows in blocks:
            n_known = int(np.searchsorted(rows.ts_ns, self.cut_ns, side="right"))
            if n_known < rows.ts_ns.size:
                prices, lots = rows.price_ticks.copy(), rows.qty_lots.copy()
                prices[n_known:] = np.where(prices[n_known:] > 0, noise.prices(prices[n_known:]), 0)
                lots[n_known:] = noise.lots(lots[n_known:])
                rows = type(rows)(kind=rows.kind, ts_ns=rows.ts_ns, price_ticks=prices, qty_lots=lots)
            yield rows

    def columns(self, instrument: int) -> BarColumns | None:
        """Return all bars of one instrument: real until the cut, then noise; None for ticks."""
        real = self._market.columns(instrument)
        if real is None:
            return None
        n_known = int(np.searchsorted(real.ts_ns, self.cut_ns, side="right"))
        end = len(real)
        if self._is_short:
            end = max(n_known, min(end - 1, n_known + max(SHORT_ROWS, n_known)))
        known = real.rows(0, n_known)
        noise = Noise((*self._seed, 2, instrument))
        later = noise.bars(known, real.ts_open_ns[n_known:end], real.ts_ns[n_known:end])
        names = ("ts_open_ns", "ts_ns", "open", "high", "low", "close", "volume_lots")
        joined = {name: np.concatenate((getattr(known, name), getattr(later, name))) for name in names}
        return BarColumns(instrument=real.instrument, **joined)
