"""What did the windows of `rolling.py` say at every row? Whole int64 arrays in, float64 arrays out.

Each function says at every row of `xs`, shape (n,), what the step of its name says there, bit for bit, into `out`, the
same shape. Sums over a window are whole numbers and exact, so they are differences of running sums, which may wrap: a
difference that fits an int64 is right all the same. Check the range first: beyond it a window's own sum would not fit.
Deviations and slopes do not change when one number is taken from all values, so they are summed from `origin` on,
which keeps the squares small. No compiler is loaded for any of this; extremes, which need one, are in
`rolling_extreme.py`.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SUM_MAX = 2**62  # No sum may come to it.


def check_total(xs: IntArray, window: int) -> None:
    """Check that a plain sum over a window fits; all that `mean` needs.

    Raises:
        ValueError: `window` is not >= 1, or a sum could leave an int64 (MONEY_RANGE).
    """
    if window < 1:
        raise ValueError(f"window must be >= 1, was {window}")
    if xs.size:
        low, high = int(xs.min()), int(xs.max())
        if window * max(abs(low), abs(high)) >= SUM_MAX:
            raise _out_of_range(low, high, window)


def check_range(xs: IntArray, window: int) -> int:
    """Return the origin to sum from, the smallest of `xs` (0 if there is none).

    Raises:
        ValueError: `window` is not >= 1, or a sum over a window could leave an int64 (MONEY_RANGE).
    """
    check_total(xs, window)
    if not xs.size:
        return 0
    low, high = int(xs.min()), int(xs.max())
    reach = high - low
    # n sum(x^2) and 12 n sum(i y), the largest things that are summed.
    if max((window * reach) ** 2, 12 * window * window * reach) >= SUM_MAX:
        raise _out_of_range(low, high, window)
    return low


def mean(xs: IntArray, window: int, out: FloatArray) -> None:
    """Write what `mean_value` says at every row."""
    out[: window - 1] = np.nan
    if xs.size >= window:
        out[window - 1 :] = _sums(xs, window) / float(window)


def deviation(xs: IntArray, window: int, origin: int, out: FloatArray) -> None:
    """Write what `deviation_value` says at every row."""
    out[: window - 1] = np.nan
    if xs.size >= window:
        from_origin = xs - origin
        total = _sums(from_origin, window)
        spread = window * _sums(from_origin * from_origin, window) - total * total
        out[window - 1 :] = np.sqrt(spread.astype(np.float64)) / float(window)


def slope(xs: IntArray, window: int, origin: int, out: FloatArray) -> None:
    """Write what `slope_value` says at every row."""
    out[: window - 1 if window > 1 else None] = np.nan
    if xs.size < window or window < 2:
        return
    from_origin, rows = xs - origin, np.arange(xs.size)
    total = _sums(from_origin, window)
    # Places count from the window's oldest row, whose number is taken from the row numbers.
    weighted = _sums(from_origin * rows, window) - rows[: total.size] * total
    rise = 12 * weighted - 6 * (window - 1) * total
    out[window - 1 :] = rise.astype(np.float64) / float(window * (window * window - 1))


# Of every full window, by the row of its last value; shape (n - window + 1,).
def _sums(xs: IntArray, window: int) -> IntArray:
    sums = np.cumsum(xs)
    totals = sums[window - 1 :].copy()
    totals[1:] -= sums[:-window]
    return totals


def _out_of_range(low: int, high: int, window: int) -> ValueError:
    return ValueError(
        f"MONEY_RANGE: {low} to {high} over a window of {window} does not fit int64; use a shorter window"
    )
