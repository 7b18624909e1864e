"""What do declared indicators say over the bars of a fused run? Indicators in, whole columns out, the usual ones at once.

Moving averages of one column share its running sums, whatever their windows; everything else is computed as the ordered
engine computes it. The bits are the same either way.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from njord.kernels.rolling_batch import SUM_MAX
from njord.kernels.window_means import running_sums, scaled_means, tile_means
from njord.strategies.features import BarColumns, FloatArray, IntArray
from njord.strategies.indicator_steps import start
from njord.strategies.indicators import Indicator, Sma

_LONGEST = 65_536  # Beyond it a tile would sum up mostly what other tiles have summed up.
_AT_ONCE = 1_024  # Rows whose running sums stay in the nearest cache.


class IndicatorColumns:
    """Indicators of one stretch of bars, each as one column.

    Args:
        bars: The bars, the first one being the first that the strategy sees.
    """

    def __init__(self, bars: BarColumns) -> None:
        self._bars = bars
        self._numbers: dict[str, IntArray] = {}
        self._longest: dict[str, int] = {}  # Up to this length every window can be summed up.
        self._sums: dict[str, IntArray] = {}

    def write(self, indicator: Indicator, out: FloatArray) -> None:
        """Write an indicator's value at every bar, shape (n,); averages of one column share its running sums."""
        if not isinstance(indicator, Sma) or not self.has_means(indicator):
            out[:] = start(indicator, self._bars.instrument).piece(self._bars)
            return
        xs = self.numbers(indicator.of)
        if indicator.of not in self._sums:
            self._sums[indicator.of] = np.empty(xs.size + 1, np.int64)
            running_sums(xs, self._sums[indicator.of])
        scaled_means(self._sums[indicator.of], indicator.window, *self.scale(indicator.of), 0, out)

    def numbers(self, column: str) -> IntArray:
        """Return a column of the bars in ticks or lots, shape (n,)."""
        if column not in self._numbers:
            xs = self._bars.volume_lots if column == "volume" else getattr(self._bars, column)
            self._numbers[column] = np.ascontiguousarray(xs)
        return self._numbers[column]

    def has_means(self, indicator: Sma) -> bool:
        """Say whether all windows of that length can be summed up."""
        column = indicator.of
        if column not in self._longest:
            xs = self.numbers(column)
            # Prices and volumes are not negative; what is, is left to the general way.
            largest = int(xs.max()) if int(xs.min()) >= 0 else SUM_MAX
            self._longest[column] = (SUM_MAX - 1) // max(1, largest)
        return indicator.window <= min(self._longest[column], len(self._bars))

    def scale(self, column: str) -> tuple[float, float]:
        """Return what a number of a column is to be multiplied with and divided by."""
        instrument = self._bars.instrument
        if column == "volume":
            return float(instrument.lot_multiple), float(10**instrument.lot_scale)
        return float(instrument.tick_multiple), float(10**instrument.tick_scale)


class _Means(NamedTuple):
    """Averages over one column, as `tile_means` takes them."""

    xs: IntArray
    windows: IntArray
    rows: IntArray
    scale: tuple[float, float]
    sums: IntArray


class IndicatorTiles:
    """Indicators of one stretch of bars, a tile of it at a time, which stays in the cache.

    Args:
        bars: As for `IndicatorColumns`.
        indicators: In the order of a tile's rows.
    """

    def __init__(self, bars: BarColumns, indicators: Sequence[Indicator]) -> None:
        columns = IndicatorColumns(bars)
        self._whole: dict[int, FloatArray] = {}
        averages: dict[str, dict[int, int]] = {}  # Windows by row.
        for row, each in enumerate(indicators):
            if isinstance(each, Sma) and each.window <= _LONGEST and columns.has_means(each):
                averages.setdefault(each.of, {})[row] = each.window
            else:
                self._whole[row] = np.empty(len(bars))
                columns.write(each, self._whole[row])
        self._means = [
            _Means(
                columns.numbers(column),
                np.array(list(windows.values())),
                np.array(list(windows)),
                columns.scale(column),
                np.empty(max(_AT_ONCE, 2 * max(windows.values())) + max(windows.values()) + 1, np.int64),
            )
            for column, windows in averages.items()
        ]

    def write(self, first: int, tile: FloatArray) -> None:
        """Write the values at the rows from `first` on, shape (k, n_rows)."""
        for each in self._means:
            tile_means(each.xs, first, each.windows, each.rows, *each.scale, each.sums, tile)
        for row, values in self._whole.items():
            tile[row] = values[first : first + tile.shape[1]]
