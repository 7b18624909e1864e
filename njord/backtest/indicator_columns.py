"""What do declared indicators say over the bars of a fused run? Indicators in, whole columns out, the usual ones at once.

A moving average shares its column's running sums with all other windows; everything else is computed as the ordered
engine computes it. The bits are the same either way.
"""

import numpy as np

from njord.kernels.rolling_batch import check_total
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

    def write(self, indicator: Indicator, out: FloatArray) -> None:
        """Write an indicator's value at every bar, shape (n,)."""
        if isinstance(indicator, Sma) and self._has_means(indicator):
            sums, instrument = self._sums[indicator.of], self._bars.instrument
            multiple, scale = instrument.tick_multiple, instrument.tick_scale
            if indicator.of == "volume":
                multiple, scale = instrument.lot_multiple, instrument.lot_scale
            scaled_means(sums, indicator.window, float(multiple), float(10**scale), out)
        else:
            out[:] = start(indicator, self._bars.instrument).piece(self._bars)

    # Whether all windows of that length can be summed up; then the running sums are there.
    def _has_means(self, indicator: Sma) -> bool:
        xs: IntArray = (
            self._bars.volume_lots if indicator.of == "volume" else getattr(self._bars, indicator.of)
        )
        if indicator.window > xs.size:
            return False
        try:
            check_total(xs, indicator.window)
        except ValueError:
            return False
        if indicator.of not in self._sums:
            self._sums[indicator.of] = np.empty(xs.size + 1, np.int64)
            running_sums(np.ascontiguousarray(xs), self._sums[indicator.of])
        return True
