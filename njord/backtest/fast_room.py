"""Where do fused points keep what they share, and what is their own? Bars of a window, indicators in a bounded pool, tables.

Bars are held once for all threads. A pool of indicators belongs to one thread and has a fixed size: however many
parameters are tried, no more columns are kept than fit.
"""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from njord.backtest.fused import bars_of
from njord.backtest.fused_terms import NotFused, columns_range
from njord.backtest.indicator_columns import IndicatorColumns
from njord.backtest.market_open import RecordedMarket
from njord.kernels.fused_tables import N_REFUSALS, ORDER_SIZE, Bars
from njord.kernels.order_stats import BLOCK, Closes, extremes
from njord.kernels.signals import Tables, padded
from njord.strategies.features import BarColumns, FloatArray, IntArray
from njord.strategies.indicators import Indicator


class Cut(NamedTuple):
    """The bars that a point sees: those of its window, and the warm-up before."""

    market: RecordedMarket
    columns: BarColumns
    bars: Bars
    closes: Closes
    highest: int  # Price, in ticks.
    edges: IntArray  # Rows at which the blocks of the score begin and end.

    @property
    def n(self) -> int:
        """How many bars there are."""
        return self.bars.close.size


def cut_of(market: RecordedMarket, start_ns: int | None, n_blocks: int) -> Cut:
    """Return a market's bars, measured from `start_ns` on.

    Raises:
        NotFused: They are no bars, or a price is none.
    """
    columns = market.columns(0)
    if columns is None:
        raise NotFused("trades or a book instead of bars")
    first = 0 if start_ns is None else int(np.searchsorted(columns.ts_ns, start_ns))
    close = columns.close.astype(np.float64)
    highest, lowest = np.empty(close.size // BLOCK), np.empty(close.size // BLOCK)
    extremes(close, highest, lowest)
    n_seen = close.size - first
    edges = np.array([first + n_seen * k // n_blocks for k in range(n_blocks + 1)])
    closes = Closes(close, highest, lowest, first)
    return Cut(market, columns, bars_of(columns), closes, columns_range(columns), edges)


class Room:
    """Tables and indicators of one thread at a time, on one cut.

    Args:
        cut: The bars.
        n_indicators: Of one point; two points' fit in any case.
        pool_bytes: What the pool of indicators takes.
    """

    def __init__(self, cut: Cut, n_indicators: int, pool_bytes: int) -> None:
        n = cut.n
        self._cut = cut
        self.tables = Tables(
            signal=np.empty(padded(n), np.int8),
            orders=np.zeros((n, ORDER_SIZE), np.int64),
            open_lots=np.zeros((n + 1, 3), np.int64),
            refusals=np.zeros(N_REFUSALS, np.int64),
            sums=np.empty(5),
            state=np.empty(0),
        )
        self.equity = np.empty(n, np.int64)
        self._indicators = IndicatorColumns(cut.columns)
        self.columns: FloatArray = np.empty((max(2 * n_indicators, pool_bytes // (8 * n)), n))
        self._row_of: OrderedDict[Indicator, int] = OrderedDict()  # The one used last is at the end.

    def serves(self, cut: Cut, n_indicators: int) -> bool:
        """Say whether it is a room for these bars, with as many indicators of one point."""
        return self._cut is cut and self.columns.shape[0] >= 2 * n_indicators

    def fits(self, wanted: dict[Indicator, None], more: tuple[Indicator, ...]) -> bool:
        """Say whether all of these indicators can be held at once."""
        return bool(len(wanted.keys() | set(more)) <= self.columns.shape[0])

    def rows(self, indicators: tuple[Indicator, ...], kept: dict[Indicator, None]) -> list[int]:
        """Return where indicators stand in `columns`, computed if need be; none of `kept` makes room for them."""
        return [self._row(indicator, kept) for indicator in indicators]

    def _row(self, indicator: Indicator, kept: dict[Indicator, None]) -> int:
        row = self._row_of.get(indicator)
        if row is None:
            row = len(self._row_of)
            if row == self.columns.shape[0]:
                # A grid comes round again and again: what was used last is needed last.
                newest = next(each for each in reversed(self._row_of) if each not in kept)
                row = self._row_of.pop(newest)
            self._indicators.write(indicator, self.columns[row])
            self._row_of[indicator] = row
        self._row_of.move_to_end(indicator)
        return row
