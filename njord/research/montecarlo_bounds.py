"""How sure is a figure that few or many paths gave? Counts in, 95 % intervals out.

A quantile lies between two order statistics whose ranks the binomial distribution gives, whatever the values are
distributed like (David & Nagaraja 2003, "Order Statistics", 3rd ed., 7.1); a probability between the bounds of Wilson
(1927, JASA 22, 209-212).
"""

import math
from functools import lru_cache

import msgspec
import numpy as np

from njord.performance.returns import FloatArray

CONFIDENCE = 0.95
Z = 1.959963984540054  # The standard normal's 97.5 % quantile.
_TAIL = (1 - CONFIDENCE) / 2
_SPREADS = 12.0  # Standard deviations around the mean beyond which a binomial has nothing that counts.


class Probability(msgspec.Struct, frozen=True, kw_only=True):
    """A share of paths, and between which bounds the probability lies with 95 % confidence; all fractions."""

    value: float
    low: float
    high: float
    n: int


def rank_of(percent: int, n: int) -> int:
    """Return which of `n` rising values (1 = the smallest) is the percentile: the first with so many at or below it."""
    return max(1, -(-percent * n // 100))


@lru_cache(maxsize=64)  # The same for every figure of the same paths.
def interval_ranks(percent: int, n: int) -> tuple[int | None, int | None]:
    """Return the ranks between which the true percentile lies with at least 95 % confidence.

    None = open: there are too few values for a bound on that side.

    Args:
        percent: 1 to 99.
        n: How many independent values there are, >= 1.
    """
    first, below = _binomial(percent / 100, n)
    # The values with ranks `low` and `high` enclose the percentile unless fewer than `low`, or `high` or more, lie below.
    low = first + int(np.searchsorted(below, _TAIL, side="right"))
    high = first + int(np.searchsorted(below, 1 - _TAIL, side="left")) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


def wilson(n_hits: int, n: int) -> Probability:
    """Return the share `n_hits` / `n` (n >= 1) with Wilson's interval."""
    share = n_hits / n
    center = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    reach = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return Probability(
        value=share,
        low=0.0 if n_hits == 0 else max(0.0, center - reach),
        high=1.0 if n_hits == n else min(1.0, center + reach),
        n=n,
    )


# The first outcome that counts, and from it on P(X <= outcome) of a binomial X: ratios of neighbors, from the mode out.
def _binomial(chance: float, n: int) -> tuple[int, FloatArray]:
    spread = _SPREADS * math.sqrt(n * chance * (1 - chance)) + 40
    first, last = max(0, math.floor(n * chance - spread)), min(n, math.ceil(n * chance + spread))
    mode = min(n, int((n + 1) * chance))
    odds = chance / (1 - chance)
    above = np.arange(mode, last)
    below = np.arange(mode, first, -1)
    rising = np.cumprod((n - above) / (above + 1) * odds)
    falling = np.cumprod(below / (n - below + 1) / odds)
    weights = np.concatenate((falling[::-1], [1.0], rising))
    return first, np.cumsum(weights / weights.sum())
