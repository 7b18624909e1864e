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


@bare_kernel
def rolled_means(
    xs: IntArray,
    window: int,
    multiple: float,
    divisor: float,
    first: int,
    total: int,
    sums: IntArray,
    out: FloatArray,
) -> int:
    """Write what `scaled_means` says from row `first` on, without running sums of the whole column.

    Args:
        xs: Shape (n,); a window's own sum must fit.
        window: In rows, >= 1.
        multiple: A whole number.
        divisor: A power of ten.
        first: The row of the first value that is written.
        total: The sum of the window that ends before `first`, as this function returned it; 0 at row 0.
        sums: Shape (n_rows,), scratch.
        out: Shape (n_rows,).

    Returns:
        The sum of the window that ends with the last row written.
    """
    n, length = out.size, float(window)
    n_without = max(0, min(n, window - first))
    for at in range(n_without):
        total += xs[first + at]
        sums[at] = total
    for at in range(n_without, n):
        total += xs[first + at] - xs[first + at - window]
        sums[at] = total
    if multiple == 1.0:
        for at in range(n):
            out[at] = float(sums[at]) / length / divisor
    else:
        for at in range(n):
            out[at] = float(sums[at]) / length * multiple / divisor
    for at in range(max(0, min(n, window - 1 - first))):
        out[at] = np.nan
    return total
