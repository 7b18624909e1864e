"""Which price can not have been? Neighboring prices in; the ones that stand out beyond all robust deviations out.

The scale is that of the Hampel identifier: 1.4826 x the median absolute deviation from the median, which estimates the
standard deviation of normal data and is not moved by up to half of bad values. F. R. Hampel, "The influence curve and
its role in robust estimation", Journal of the American Statistical Association 69 (1974); R. K. Pearson, "Outliers in
process modeling and identification", IEEE Transactions on Control Systems Technology 10 (2002).
"""

import numpy as np
from numpy.typing import NDArray

from njord.storage.certificate.grading import (
    OUTLIER_BARS_BEFORE,
    OUTLIER_MIN,
    OUTLIER_SCALES,
    OUTLIER_TRADES_AROUND,
)

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

TO_SIGMA = 1.4826
_CANDIDATES_AT_ONCE = 20_000


def deviation(values: FloatArray) -> FloatArray:
    """Return the robust deviation of each row of `values`, shape (n, m): 1.4826 x its median absolute deviation.

    NaNs are left out; a row of NaNs gives NaN.
    """
    median = np.nanmedian if np.isnan(values).any() else np.median  # The first is many times slower.
    scales: FloatArray = TO_SIGMA * median(np.abs(values - median(values, axis=1, keepdims=True)), axis=1)
    return scales


def bar_outliers(
    high: IntArray, low: IntArray, close: IntArray, start: int, end: int
) -> tuple[IntArray, FloatArray]:
    """Return the bars in [start, end) that reach further than their neighbors' closes allow, and how far.

    A bar sticks out by the larger of log(high / highest of the closes before and after) and log(lowest of these / low).
    It is an outlier if that is more than OUTLIER_MIN, more than OUTLIER_SCALES robust deviations of the
    OUTLIER_BARS_BEFORE log returns before it, and more than OUTLIER_SCALES times as far as the median of these bars. A jump that stays is none: the close after it is as high. The first and
    the last bar of all have one neighbor only and are not asked.

    Args:
        high: Ticks, > 0, surroundings included.
        low: Ticks, > 0.
        close: Ticks, > 0.
        start: First bar asked.
        end: End of the bars asked.

    Returns:
        Positions, and log distances of as many.
    """
    start, end = max(start, 1), min(end, len(close) - 1)
    if end <= start:
        return np.empty(0, dtype=np.int64), np.empty(0)
    before, after = close[start - 1 : end - 1], close[start + 1 : end + 1]
    factor = np.exp(OUTLIER_MIN)
    above = high[start:end] > np.maximum(before, after) * factor
    below = low[start:end] * factor < np.minimum(before, after)
    at = np.flatnonzero(above | below) + start
    if not len(at):
        return at, np.empty(0)
    reach = _reach(high, low, close, at)
    scales = np.concatenate([_scales(high, low, close, some) for some in _pieces(at)])
    found = (reach > OUTLIER_MIN) & (reach > OUTLIER_SCALES * scales)
    return at[found], reach[found]


def trade_outliers(prices: IntArray, start: int, end: int) -> tuple[IntArray, FloatArray]:
    """Return the prices in [start, end) far from the median of those around them, and how far.

    A price is an outlier if |log(price / median)| of the OUTLIER_TRADES_AROUND prices before it, itself and as many
    after it is more than OUTLIER_MIN and OUTLIER_SCALES robust deviations of these. A jump that stays is none.

    Args:
        prices: Ticks, surroundings included; what is not > 0 is no price, and left out.
        start: First price asked.
        end: End of the prices asked.

    Returns:
        Positions, and log distances of as many.
    """
    around = OUTLIER_TRADES_AROUND
    near = np.zeros(len(prices), dtype=np.bool_)
    # Only where the price moved at once by half the smallest outlier can one begin or end within reach.
    factor = np.exp(OUTLIER_MIN / 2)
    low, high = np.minimum(prices[1:], prices[:-1]), np.maximum(prices[1:], prices[:-1])
    for jump in np.flatnonzero(high > low * factor).tolist():
        near[max(0, jump - around) : jump + around + 2] = True
    at = np.flatnonzero(near[start:end] & (prices[start:end] > 0)) + start
    if not len(at):
        return at, np.empty(0)
    logs = np.log(np.where(prices > 0, prices.astype(np.float64), np.nan))
    padded = np.concatenate((np.full(around, np.nan), logs, np.full(around, np.nan)))
    reach, scales = [], []
    for some in _pieces(at):
        windows = padded[some[:, None] + np.arange(2 * around + 1)]
        reach.append(np.abs(logs[some] - np.nanmedian(windows, axis=1)))
        scales.append(deviation(windows))
    distances = np.concatenate(reach)
    found = (distances > OUTLIER_MIN) & (distances > OUTLIER_SCALES * np.concatenate(scales))
    return at[found], distances[found]


def _reach(high: IntArray, low: IntArray, close: IntArray, at: IntArray) -> FloatArray:
    before, after = close[at - 1], close[at + 1]
    # A price of zero, which an importer refuses and another hand may have written, is as far as can be.
    with np.errstate(divide="ignore", invalid="ignore"):
        upper = np.log(high[at] / np.maximum(before, after))
        reach: FloatArray = np.maximum(upper, np.log(np.minimum(before, after) / low[at]))
    return reach


# What ends before the bar; at the start of the data the earliest there is, the bar itself included.
def _scales(high: IntArray, low: IntArray, close: IntArray, at: IntArray) -> FloatArray:
    n = min(OUTLIER_BARS_BEFORE, len(close) - 2)
    first = np.clip(at - n, 1, len(close) - 1 - n)
    bars = first[:, None] + np.arange(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.log(close[bars] / close[bars - 1])
    usual_reach = np.median(_reach(high, low, close, bars), axis=1)
    scales: FloatArray = np.maximum(deviation(returns), usual_reach)
    return scales


def _pieces(at: IntArray) -> list[IntArray]:
    return [at[index : index + _CANDIDATES_AT_ONCE] for index in range(0, len(at), _CANDIDATES_AT_ONCE)]
