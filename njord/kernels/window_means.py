"""Moving averages of many windows over one column: running sums once, then one pass for each window.

The same bits as `rolling_batch.mean` followed by the scaling of `strategies/indicator_steps.py`.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels.book_jit import bare_kernel

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@bare_kernel
def running_sums(xs: IntArray, sums: IntArray) -> int:
    """Write the sums of the first 0, 1, ... n values, shape (n + 1,), and return the greatest magnitude of a value.

    The sums may wrap, their differences are right.
    """
    total = largest = 0
    sums[0] = 0
    for row in range(xs.size):
        total += xs[row]
        sums[row + 1] = total
        largest = max(largest, abs(xs[row]))
    return largest


@bare_kernel
def scaled_means(
    sums: IntArray, window: int, multiple: float, divisor: float, first: int, out: FloatArray
) -> None:
    """Write the mean of the last `window` values x multiple / divisor at rows from `first` on; NaN until there are as many.

    Args:
        sums: Of `running_sums`, shape (n + 1,); a window's own sum must fit (`rolling_batch.check_total`).
        window: In rows, >= 1.
        multiple: A whole number.
        divisor: A power of ten.
        first: The row of the first value that is written.
        out: Shape (n_rows,).
    """
    n, length = out.size, float(window)
    n_without = max(0, min(n, window - 1 - first))
    for at in range(n_without):
        out[at] = np.nan
    if multiple == 1.0:  # Nearly always, and a multiplication by it changes no bit.
        for at in range(n_without, n):
            end = first + at + 1
            out[at] = float(sums[end] - sums[end - window]) / length / divisor
        return
    for at in range(n_without, n):
        end = first + at + 1
        out[at] = float(sums[end] - sums[end - window]) / length * multiple / divisor
