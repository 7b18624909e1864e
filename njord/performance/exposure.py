"""Exposure: how much of the time, and with how much of the equity, was the account in the market?

Times with a position, and samples of positions' worth beside equity come in; shares of time and the mean and largest
gross exposure as a fraction of equity go out.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from njord.performance.returns import FloatArray, IntArray

Ranges = Sequence[tuple[int, int]]


class GrossExposure(msgspec.Struct, frozen=True, kw_only=True):
    """Gross exposure over a run: the sum of all positions' absolute worth as a fraction of equity.

    Attributes:
        n_samples: Moments it was looked at, evenly spread; what happened between two of them is not seen.
        mean: Over all of them, those without a position included; NaN without any.
        mean_invested: Over those with a position; NaN without any.
        largest: NaN without any sample.
        largest_ns: When that was; None without any sample.
    """

    n_samples: int
    mean: float
    mean_invested: float
    largest: float
    largest_ns: int | None


def union(ranges: Sequence[Ranges]) -> list[tuple[int, int]]:
    """Return the times that lie in any of the rising [start_ns, end_ns) lists, as one rising list."""
    joined: list[tuple[int, int]] = []
    for start_ns, end_ns in sorted(each for some in ranges for each in some):
        if joined and start_ns <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_ns))
        else:
            joined.append((start_ns, end_ns))
    return joined


def share_of_time(ranges: Ranges, start_ns: int, end_ns: int) -> float:
    """Return the share of [start_ns, end_ns) that lies within disjoint `ranges`, a fraction; NaN if it is empty."""
    if end_ns <= start_ns:
        return math.nan
    held_ns = sum(max(0, min(end, end_ns) - max(start, start_ns)) for start, end in ranges)
    return held_ns / (end_ns - start_ns)


def gross_fractions(qty: FloatArray, prices: FloatArray, equity: FloatArray) -> FloatArray:
    """Return the gross exposure at each sample.

    Args:
        qty: Shape (n_instruments, n_samples), signed, in base.
        prices: Same shape, in quote; NaN where no price is known yet, which counts as no exposure.
        equity: Shape (n_samples,).

    Returns:
        Shape (n_samples,), fractions >= 0; NaN where equity is zero or below.
    """
    gross = np.nansum(np.abs(qty * prices), axis=0)
    fractions = np.full(equity.shape, np.nan)
    np.divide(gross, equity, out=fractions, where=equity > 0)
    return fractions


def gross_exposure(ts_ns: IntArray, fractions: FloatArray) -> GrossExposure:
    """Return the figures of the samples `fractions` at `ts_ns`; NaN samples (equity gone) are left out."""
    known = ~np.isnan(fractions)
    times, values = ts_ns[known], fractions[known]
    invested = values[values > 0]
    largest = int(values.argmax()) if values.size else 0
    return GrossExposure(
        n_samples=int(values.size),
        mean=float(values.mean()) if values.size else math.nan,
        mean_invested=float(invested.mean()) if invested.size else math.nan,
        largest=float(values[largest]) if values.size else math.nan,
        largest_ns=int(times[largest]) if values.size else None,
    )
