"""How long must a block be that keeps what successive returns have in common? A series in, the mean block length out.

The rule of Politis & White (2004), "Automatic block-length selection for the dependent bootstrap", Econometric Reviews
23(1), 53-70, with the correction of Patton, Politis & White (2009), Econometric Reviews 28(4), 372-375, for the stationary
bootstrap: the length that makes the variance of the mean come out best, as far as the correlogram tells.
"""

import math

import numpy as np

from njord.performance.returns import FloatArray

_BAND = 2.0  # Of the correlogram, in multiples of sqrt(log10(n) / n): beyond it a correlation counts.
_QUIET_LEAST = 5  # Successive lags within the band that end the correlation, at least.


def automatic_block(returns: FloatArray) -> float:
    """Return the mean block length of the stationary bootstrap, in steps.

    Args:
        returns: Shape (n,), n >= 2, finite; of any unit.

    Returns:
        From 1 (no dependence was found, or the returns never change) to min(3 sqrt(n), n / 3).
    """
    n = returns.size
    most = max(1.0, min(3 * math.sqrt(n), n / 3))
    n_quiet = max(_QUIET_LEAST, math.ceil(math.sqrt(math.log10(n))))
    n_lags = min(n - 1, math.ceil(math.sqrt(n)) + n_quiet)
    covariance = _autocovariance(returns, n_lags)
    if not covariance[0] > 0:
        return 1.0
    reach = min(2 * _last_dependent(covariance / covariance[0], n, n_quiet), n_lags)
    if reach < 1:
        return 1.0
    lags = np.arange(1, reach + 1)
    weighted = np.minimum(1.0, 2 * (1 - lags / reach)) * covariance[1 : reach + 1]
    spectrum = covariance[0] + 2 * float(weighted.sum())
    bend = 2 * float((weighted * lags).sum())
    if not spectrum * spectrum > 0:
        return most
    length = float(np.cbrt(n * (bend / spectrum) ** 2))  # 2 G^2 / D with D = 2 g(0)^2.
    return min(most, max(1.0, length))


# By way of the spectrum, padded so that the ends do not meet.
def _autocovariance(returns: FloatArray, n_lags: int) -> FloatArray:
    n = returns.size
    size = 1 << (n + n_lags).bit_length()
    spectrum = np.fft.rfft(returns - returns.mean(), size)
    full = np.fft.irfft(np.abs(spectrum) ** 2, size)
    covariance: FloatArray = full[: n_lags + 1] / n
    return covariance


# The last lag before `n_quiet` insignificant ones in a row; if these never come, the last significant one.
def _last_dependent(correlation: FloatArray, n: int, n_quiet: int) -> int:
    counts = np.abs(correlation[1:]) > _BAND * math.sqrt(math.log10(n) / n)
    quiet = 0
    for lag, is_dependent in enumerate(counts.tolist(), 1):
        quiet = 0 if is_dependent else quiet + 1
        if quiet == n_quiet:
            return lag - n_quiet
    found = np.nonzero(counts)[0]
    return int(found[-1]) + 1 if found.size else 0
