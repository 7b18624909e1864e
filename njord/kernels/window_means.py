"""Moving averages of many windows over one column: running sums once, then one pass for each window.

The same bits as `rolling_batch.mean` followed by the scaling of `strategies/indicator_steps.py`.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel
from njord.kernels.quotients import quotient, reciprocal

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@bare_kernel
def running_sums(xs: IntArray, sums: IntArray) -> None:
    """Write the sums of the first 0, 1, ... n values, shape (n + 1,); they may wrap, their differences are right."""
    total = 0
    sums[0] = 0
    after = sums[1:]
    for row in range(np.uint64(xs.size)):
        total += xs[row]
        after[row] = total


@bare_kernel
def scaled_means(
    sums: IntArray, window: int, multiple: float, divisor: float, first: int, out: FloatArray
) -> None:
    """Write the mean of the last `window` values x multiple / divisor at rows from `first` on; NaN until there are as many.

    Args:
        sums: Of `running_sums`, shape (n + 1,); a window's own sum must fit (`rolling_batch.check_total`).
        window: In rows, >= 1.
        multiple: A whole number.
        divisor: A power of ten, at most 10**18.
        first: The row of the first value that is written.
        out: Shape (n_rows,).
    """
    length = float(window)
    n_without = max(0, min(out.size, window - 1 - first))
    out[:n_without] = np.nan
    means = out[n_without:]
    heads, tails = sums[first + n_without + 1 :], sums[first + n_without + 1 - window :]
    length_high, length_low = reciprocal(length)
    high, low = reciprocal(divisor)
    n = np.uint64(means.size)  # Unsigned rows need no look at what they would be from the end.
    if multiple == 1.0:  # Nearly always, and a multiplication by it changes no bit.
        for row in range(n):
            mean = quotient(float(heads[row] - tails[row]), length, length_high, length_low)
            means[row] = quotient(mean, divisor, high, low)
        return
    for row in range(n):
        mean = quotient(float(heads[row] - tails[row]), length, length_high, length_low)
        means[row] = quotient(mean * multiple, divisor, high, low)


@bare_kernel
def tile_means(
    xs: IntArray,
    first: int,
    windows: IntArray,
    rows: IntArray,
    multiple: float,
    divisor: float,
    sums: IntArray,
    tile: FloatArray,
) -> None:
    """Write what `scaled_means` says of some windows from row `first` on, without running sums of the whole column.

    Args:
        xs: Shape (n,); a window's own sum must fit.
        first: The row of the first value that is written.
        windows: Shape (k,), in rows, >= 1.
        rows: Shape (k,): where in `tile` each goes.
        multiple: A whole number.
        divisor: A power of ten, at most 10**18.
        sums: Scratch, longer than twice the longest window.
        tile: Shape (m, n_rows).
    """
    longest = 0
    for window in windows:
        longest = max(longest, window)
    length = sums.size - longest - 1
    for at in range(0, tile.shape[1], length):
        end = min(at + length, tile.shape[1])
        begin = max(0, first + at - longest)
        running_sums(xs[begin : first + end], sums)
        for each in range(windows.size):
            out = tile[rows[each], at:end]
            scaled_means(sums, windows[each], multiple, divisor, first + at - begin, out)
