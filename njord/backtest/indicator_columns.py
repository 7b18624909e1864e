"""What do declared indicators say over the bars of a fused run? Indicators in, whole columns out, the usual ones at once.

A moving average shares its column's running sums with all other windows; everything else is computed as the ordered
engine computes it. The bits are the same either way.
"""

import numpy as np

from njord.kernels.rolling_batch import SUM_MAX
from njord.kernels.window_means import running_sums, scaled_means
from njord.strategies.features import BarColumns, FloatArray, IntArray
from njord.strategies.indicator_steps import start
from njord.strategies.indicators import Indicator, Sma


class IndicatorColumns:
    """Indicators of one stretch of bars.

    Args:
        bars: The bars, the first one being the first that the strategy sees.
    """

    def __init__(self, bars: BarColumns) -> None:
        self._bars = bars
        self._sums: dict[str, IntArray] = {}
        self._longest: dict[str, int] = {}  # Up to this length every window can be summed up.
        self._whole: dict[Indicator, FloatArray] = {}  # Those that are being read piece by piece.

    def write(self, indicator: Indicator, out: FloatArray, first: int = 0) -> None:
        """Write an indicator's values at the rows from `first` on, as many as `out` has room for."""
        if isinstance(indicator, Sma) and self._has_means(indicator):
            sums, instrument = self._sums[indicator.of], self._bars.instrument
            multiple, scale = instrument.tick_multiple, instrument.tick_scale
            if indicator.of == "volume":
                multiple, scale = instrument.lot_multiple, instrument.lot_scale
            scaled_means(sums, indicator.window, float(multiple), float(10**scale), first, out)
            return
        if indicator not in self._whole:
            self._whole[indicator] = start(indicator, self._bars.instrument).piece(self._bars)
        out[:] = self._whole[indicator][first : first + out.size]
        if first + out.size == len(self._bars):
            del self._whole[indicator]  # Who reads on begins anew.

    # Whether all windows of that length can be summed up; then the running sums are there.
    def _has_means(self, indicator: Sma) -> bool:
        column = indicator.of
        if column not in self._sums:
            xs = self._bars.volume_lots if column == "volume" else getattr(self._bars, column)
            sums = self._sums[column] = np.empty(xs.size + 1, np.int64)
            self._longest[column] = (SUM_MAX - 1) // max(1, running_sums(np.ascontiguousarray(xs), sums))
        return indicator.window <= min(self._longest[column], len(self._bars))
