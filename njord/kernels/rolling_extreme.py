"""What were the extremes of the windows of `rolling.py` at every row? A whole int64 array in, one out, compiled."""

import numpy as np
from numpy.typing import NDArray

from njord.kernels import rolling
from njord.kernels._jit import kernel

IntArray = NDArray[np.int64]

_extreme_step = kernel(rolling.extreme_step)


@kernel
def extreme(xs: IntArray, window: int, sign: int, out: IntArray) -> None:
    """Fold `extreme_step` and write the maximum (sign +1) or minimum (-1) of the last `window` rows, fewer at the start.

    Args:
        xs: Shape (n,), whole numbers.
        window: In rows, >= 1.
        sign: +1 maximum, -1 minimum.
        out: Shape (n,); written.
    """
    rows, values = np.zeros(window, np.int64), np.zeros(window, np.int64)
    head, n = 0, 0
    for row in range(xs.size):
        head, n = _extreme_step(rows, values, head, n, row, xs[row], sign)
        out[row] = values[head]
