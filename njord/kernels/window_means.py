"""Moving averages of many windows over one column: running sums once, then one pass for each window.

The same bits as `rolling_batch.mean` followed by the scaling of `strategies/indicator_steps.py`.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels.book_jit import bare_kernel

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@bare_kernel
def running_sums(xs: IntArray, sums: IntArray) -> None:
    """Write the sums of the first 0, 1, ... n values, shape (n + 1,); they may wrap, their differences are right."""
    total = 0
    sums[0] = 0
    for row in range(xs.size):
        total += xs[row]
        sums[row + 1] = total


@bare_kernel
def scaled_means(sums: IntArray, window: int, multiple: float, divisor: float, out: FloatArray) -> None:
    """Write the mean of the last `window` values x multiple / divisor at every row; NaN until there are as many.

    Args:
        sums: Of `running_sums`, shape (n + 1,); a window's own sum must fit (`rolling_batch.check_total`).
        window: In rows, >= 1.
        multiple: A whole number.
        divisor: A power of ten.
        out: Shape (n,).
    """
    n, length = out.size, float(window)
    for row in range(min(n, window - 1)):
        out[row] = np.nan
    for row in range(window - 1, n):
        out[row] = float(sums[row + 1] - sums[row + 1 - window]) / length * multiple / divisor
