"""What did the windows of `rolling.py` say at every row? Whole int64 arrays in, float64 or int64 arrays out.

Each function folds the step of its name over `xs`, shape (n,), and writes what it says after each row into `out`, the
same shape, bit for bit what the step gives when called row by row. Call `check_range` first: beyond it sums would wrap.
Deviations and slopes do not change when one number is taken from all values, so they are summed from `origin` on,
which keeps the squares small.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels import rolling
from njord.kernels._jit import kernel
from njord.kernels.rolling import NO_LINE, NO_SUMS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_sums_step, _mean_value = kernel(rolling.sums_step), kernel(rolling.mean_value)
_deviation_value = kernel(rolling.deviation_value)
_line_step, _slope_value = kernel(rolling.line_step), kernel(rolling.slope_value)
_extreme_step = kernel(rolling.extreme_step)


def check_range(xs: IntArray, window: int) -> int:
    """Return the origin to sum from, the smallest of `xs` (0 if there is none).

    Raises:
        ValueError: `window` is not >= 1, or a sum over a window could leave an int64 (MONEY_RANGE).
    """
    if window < 1:
        raise ValueError(f"window must be >= 1, was {window}")
    if not xs.size:
        return 0
    low, high = int(xs.min()), int(xs.max())
    reach, largest = high - low, max(abs(low), abs(high))
    # n sum(x^2), 12 n sum(i y) and n sum(y), the largest things that are summed.
    if max((window * reach) ** 2, 12 * window * window * reach, window * largest) >= 2**62:
        raise ValueError(
            f"MONEY_RANGE: {low} to {high} over a window of {window} does not fit int64; use a shorter window"
        )
    return low


@kernel
def mean(xs: IntArray, window: int, out: FloatArray) -> None:
    """Fold `sums_step` and write `mean_value`."""
    state = NO_SUMS
    for row in range(xs.size):
        leaving = xs[row - window] if row >= window else 0
        state = _sums_step(state, xs[row], leaving, window)
        out[row] = _mean_value(state, window)


@kernel
def deviation(xs: IntArray, window: int, origin: int, out: FloatArray) -> None:
    """Fold `sums_step` and write `deviation_value`."""
    state = NO_SUMS
    for row in range(xs.size):
        leaving = xs[row - window] - origin if row >= window else 0
        state = _sums_step(state, xs[row] - origin, leaving, window)
        out[row] = _deviation_value(state, window)


@kernel
def slope(xs: IntArray, window: int, origin: int, out: FloatArray) -> None:
    """Fold `line_step` and write `slope_value`."""
    state = NO_LINE
    for row in range(xs.size):
        leaving = xs[row - window] - origin if row >= window else 0
        state = _line_step(state, xs[row] - origin, leaving, window)
        out[row] = _slope_value(state, window)


@kernel
def extreme(xs: IntArray, window: int, sign: int, out: IntArray) -> None:
    """Fold `extreme_step` and write the maximum (sign +1) or minimum (-1) of the last `window` rows, fewer at the start."""
    rows, values = np.zeros(window, np.int64), np.zeros(window, np.int64)
    head, n = 0, 0
    for row in range(xs.size):
        head, n = _extreme_step(rows, values, head, n, row, xs[row], sign)
        out[row] = values[head]
