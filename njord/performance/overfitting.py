"""Overfitting: does what was chosen in one half of time do well in the other?

Sums of the returns of many points (parameter sets), block by block of time, come in; of all ways to split the blocks
into two halves, the share in which the best of one half falls to the lower half of the ranking in the other goes out.
No series of returns is needed, and memory does not grow with the number of splits.
"""

import math
from collections.abc import Iterator
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.performance.returns import FloatArray

BLOCKS_MAX = 16  # C(16, 8) = 12,870 splits; the paper's own choice.
_GROUP = 4  # Sums of every subset of so many blocks are kept: 16 of them each.
_VALUES_MAX = 65_536  # Of one temporary array, so that it stays in the processor's cache.
# Below this the deviation is what is left of rounding after the square of the mean was taken away.
_NOISE = 1e-12
IndexArray = NDArray[np.intp]


class Pbo(msgspec.Struct, frozen=True, kw_only=True):
    """What all splits of time into two halves have shown.

    Attributes:
        pbo: Share of splits in which the best of the one half has, in the other, no higher rank than the middle.
        n_points: Points among which the best was chosen.
        n_blocks: Blocks of time.
        n_splits: C(n_blocks, n_blocks / 2).
        slope: Of the least-squares line, best Sharpe ratio outside over its own inside; negative = the better it
            looked, the worse it did. NaN if the best was always equally good inside.
        intercept: Of that line, per bar; NaN likewise.
        r_squared: Share of the variance outside that the line explains; NaN likewise.
        probability_of_loss: Share of splits in which the best inside lost money outside.
        logits: Shape (n_splits,): ln(w / (1 - w)) with w = rank outside / (n_points + 1), 0 = the middle.
        inside: Shape (n_splits,): Sharpe ratio per bar of the best inside.
        outside: Shape (n_splits,): Sharpe ratio per bar of the same point outside.
    """

    pbo: float
    n_points: int
    n_blocks: int
    n_splits: int
    slope: float
    intercept: float
    r_squared: float
    probability_of_loss: float
    logits: FloatArray
    inside: FloatArray
    outside: FloatArray


def pbo_cscv(blocks: FloatArray) -> Pbo:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    For each of the C(S, S/2) ways to make one half of the S blocks the inside and the rest the outside, the point
    with the highest Sharpe ratio inside (the first of equals) is ranked by its Sharpe ratio outside.

    Args:
        blocks: Shape (n_points, n_blocks, 3): of each block the number of returns, their sum and the sum of their
            squares. NaN and infinity are refused. n_blocks is even, 2 to 16; n_points at least 2.

    Returns:
        The shares and logits. A logit of 0 or below counts as overfit. Points with equal Sharpe ratios outside share
        the middle of their ranks. A half without a return or without deviation has a Sharpe ratio of 0 here: not to
        have traded is neither good nor bad. Sharpe ratios are per bar with ddof=0, as the ranking needs no more.

    Raises:
        ValueError: Another shape, NaN or infinity, or negative counts.

    Source: Bailey, Borwein, Lopez de Prado and Zhu (2017), "The Probability of Backtest Overfitting", J. Computational
    Finance 20(4), 39-69, section 2.
    """
    n_points, n_blocks = _checked(blocks)
    sums = _SubsetSums(blocks)
    # Sets of blocks in lexicographic order: the complement of the i-th is the i-th from the end.
    chosen = list(combinations(range(n_blocks), n_blocks // 2))
    masks = np.array([sum(1 << block for block in each) for each in chosen], dtype=np.intp)
    n_splits = masks.size
    logits, inside, outside = (np.empty(n_splits) for _ in range(3))
    n_rows = max(1, _VALUES_MAX // n_points)
    for first in range(0, n_splits // 2, n_rows):
        rows = np.arange(first, min(first + n_rows, n_splits // 2))
        others = n_splits - 1 - rows
        ours, theirs = sums.sharpes(masks[rows]), sums.sharpes(masks[others])
        for at, own, other in ((rows, ours, theirs), (others, theirs, ours)):
            logits[at], inside[at], outside[at] = _judge(own, other)
    slope, intercept, r_squared = _line(inside, outside)
    return Pbo(
        pbo=float(np.count_nonzero(logits <= 0.0)) / n_splits,
        n_points=n_points,
        n_blocks=n_blocks,
        n_splits=n_splits,
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        probability_of_loss=float(np.count_nonzero(outside < 0.0)) / n_splits,
        logits=logits,
        inside=inside,
        outside=outside,
    )


def _checked(blocks: FloatArray) -> tuple[int, int]:
    if blocks.ndim != 3 or blocks.shape[2] != 3:
        raise ValueError(f"blocks must have shape (n_points, n_blocks, 3), was {blocks.shape}")
    n_points, n_blocks, _ = blocks.shape
    if n_points < 2:
        raise ValueError(f"blocks must hold at least 2 points to choose from, had {n_points}")
    if n_blocks % 2 or not 2 <= n_blocks <= BLOCKS_MAX:
        raise ValueError(f"n_blocks must be even, 2 to {BLOCKS_MAX}, was {n_blocks}")
    if not np.isfinite(blocks).all():
        raise ValueError("blocks must be finite, they hold NaN or infinity")
    if (blocks[:, :, 0] < 0).any() or (blocks[:, :, 2] < 0).any():
        raise ValueError("blocks must hold no negative count and no negative sum of squares")
    return n_points, n_blocks


class _SubsetSums:
    # Sums over any set of blocks from the sums over all subsets of each group of four: three additions a set. Plain
    # additions in one order, and no matrix product: equal points stay equal to the last bit, on any machine.
    def __init__(self, blocks: FloatArray) -> None:
        moments = [np.ascontiguousarray(blocks[:, :, moment].T) for moment in range(3)]
        if (moments[0] == moments[0][:, :1]).all():  # Every point has seen the same bars.
            moments[0] = np.ascontiguousarray(moments[0][:, :1])
        self._tables = [
            [_subset_sums(moment[first : first + _GROUP]) for first in range(0, len(moment), _GROUP)]
            for moment in moments
        ]

    def sharpes(self, masks: IndexArray) -> FloatArray:
        """Return mean / deviation of every point over each set of blocks, shape (n_sets, n_points)."""
        n, total, squares = (self._sum(tables, masks) for tables in self._tables)
        n = np.maximum(n, 1.0)
        mean = total / n
        square = squares / n
        variance = square - mean * mean
        is_noise = variance <= _NOISE * square
        variance[is_noise] = 1.0
        mean[is_noise] = 0.0
        sharpes: FloatArray = np.divide(mean, np.sqrt(variance, out=variance), out=mean)
        return sharpes

    def _sum(self, tables: list[FloatArray], masks: IndexArray) -> FloatArray:
        total: FloatArray = tables[0][masks & (1 << _GROUP) - 1]
        for group, table in enumerate(tables[1:], start=1):
            total += table[masks >> group * _GROUP & (1 << _GROUP) - 1]
        return total


def _subset_sums(rows: FloatArray) -> FloatArray:
    sums = np.zeros((1 << len(rows), rows.shape[1]))
    for index, row in enumerate(rows):
        np.add(sums[: 1 << index], row, out=sums[1 << index : 1 << index + 1])
    return sums


# Of each split: the logit of the relative rank outside, and both Sharpe ratios of the best inside.
def _judge(inside: FloatArray, outside: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    at = np.arange(len(inside))
    best = inside.argmax(axis=1)
    own = outside[at, best]
    n_below = np.count_nonzero(outside < own[:, None], axis=1)
    n_equal = np.count_nonzero(outside == own[:, None], axis=1)
    n_points = inside.shape[1]
    # ln(w / (1 - w)) = ln(rank) - ln(N + 1 - rank), exactly 0 in the middle.
    rank = n_below + (n_equal + 1) / 2
    return np.log(rank) - np.log(n_points + 1 - rank), inside[at, best], own


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float, float]:
    dx, dy = x - x.mean(), y - y.mean()
    xx, xy, yy = float((dx * dx).sum()), float((dx * dy).sum()), float((dy * dy).sum())
    if xx <= _NOISE * max(float((x * x).sum()), 1e-300):
        return math.nan, math.nan, math.nan
    slope = xy / xx
    return slope, float(y.mean()) - slope * float(x.mean()), xy * xy / (xx * yy) if yy > 0 else math.nan


def group_logits(logits: FloatArray, n_groups: int = 20) -> Iterator[tuple[float, int]]:
    """Yield (lower edge, number of logits) of `n_groups` equal ranges from the lowest to the highest logit."""
    counts, edges = np.histogram(logits, bins=n_groups)
    yield from zip(edges[:-1].tolist(), counts.tolist(), strict=True)
