"""What do declared indicators say over the bars of a fused run? Indicators in, whole columns out, the usual ones at once.

A moving average shares its column's running sums with all other windows; everything else is computed as the ordered
engine computes it. The bits are the same either way.
"""

import numpy as np

from njord.kernels.rolling_batch import SUM_MAX
from njord.kernels.window_means import rolled_means, running_sums, scaled_means
from njord.strategies.features import BarColumns, FloatArray, IntArray
from njord.strategies.indicator_steps import start
from njord.strategies.indicators import Indicator, Sma


class IndicatorColumns:
    """Indicators of one stretch of bars, each as one column or piece by piece.

    Args:
        bars: The bars, the first one being the first that the strategy sees.
    """

    def __init__(self, bars: BarColumns) -> None:
        self._bars = bars
        self._numbers: dict[str, IntArray] = {}
        self._longest: dict[str, int] = {}  # Up to this length every window can be summed up.
        self._sums: dict[str, IntArray] = {}
        self._totals: dict[Indicator, int] = {}  # Of the windows that are being read piece by piece.
        self._whole: dict[Indicator, FloatArray] = {}  # What else is being read piece by piece.
        self._scratch = np.empty(0, np.int64)

    def write(self, indicator: Indicator, out: FloatArray) -> None:
        """Write an indicator's value at every bar, shape (n,); averages of one column share its running sums."""
        if not isinstance(indicator, Sma) or not self._has_means(indicator):
            out[:] = start(indicator, self._bars.instrument).piece(self._bars)
            return
        xs = self._numbers[indicator.of]
        if indicator.of not in self._sums:
            self._sums[indicator.of] = np.empty(xs.size + 1, np.int64)
            running_sums(xs, self._sums[indicator.of])
        scaled_means(self._sums[indicator.of], indicator.window, *self._scale(indicator), 0, out)

    def write_piece(self, indicator: Indicator, first: int, out: FloatArray) -> None:
        """Write an indicator's values at the rows from `first` on; pieces follow each other from row 0."""
        if isinstance(indicator, Sma) and self._has_means(indicator):
            if self._scratch.size < out.size:
                self._scratch = np.empty(out.size, np.int64)
            xs, total = self._numbers[indicator.of], self._totals.get(indicator, 0)
            self._totals[indicator] = rolled_means(
                xs, indicator.window, *self._scale(indicator), first, total, self._scratch, out
            )
            return
        if indicator not in self._whole:
            self._whole[indicator] = start(indicator, self._bars.instrument).piece(self._bars)
        out[:] = self._whole[indicator][first : first + out.size]

    # Whether all windows of that length can be summed up.
    def _has_means(self, indicator: Sma) -> bool:
        column = indicator.of
        if column not in self._numbers:
            xs = self._bars.volume_lots if column == "volume" else getattr(self._bars, column)
            xs = self._numbers[column] = np.ascontiguousarray(xs)
            # Prices and volumes are not negative; what is, is left to the general way.
            largest = int(xs.max()) if int(xs.min()) >= 0 else SUM_MAX
            self._longest[column] = (SUM_MAX - 1) // max(1, largest)
        return indicator.window <= min(self._longest[column], len(self._bars))

    def _scale(self, indicator: Sma) -> tuple[float, float]:
        instrument = self._bars.instrument
        if indicator.of == "volume":
            return float(instrument.lot_multiple), float(10**instrument.lot_scale)
        return float(instrument.tick_multiple), float(10**instrument.tick_scale)
