"""How are figures distributed that nobody can keep? Values in, counted in bins that never grow; percentiles out.

The first paths (which depend on the seed alone) decide where the bins lie, three times as wide as these spread; what lies
beyond counts in the outermost bin. Counts are whole numbers and the extremes are exact, so that parts may be added in any
order, with the same result. A percentile is a bin's middle: it is off by half the bin's width at most, which `resolution`
tells; the bounds of its interval are bin edges, on the outer side.
"""

import math
from abc import ABC, abstractmethod
from typing import Self

import msgspec
import numpy as np

from njord.kernels.bootstrap_count import count_bits, count_evenly
from njord.performance.returns import FloatArray, IntArray
from njord.research.montecarlo_bounds import interval_ranks, rank_of

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
BINS = 16_384
_BARS = 64  # Of the histogram that is shown.
_INFINITY = 0x7FF0_0000_0000_0000  # Its pattern: the largest that a value may have.


class Percentile(msgspec.Struct, frozen=True, kw_only=True):
    """One percentile with its 95 % interval.

    Attributes:
        percent: 1 to 99.
        low: Null if there are too few paths for a bound; so is `high`.
    """

    percent: int
    value: float
    low: float | None
    high: float | None


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How a figure is distributed over the paths.

    Attributes:
        mean: Of the bins' middles.
        minimum: Exact; so is `maximum`.
        percentiles: 1, 5, 25, 50, 75, 95 and 99 %.
        resolution: How wide a bin is: a fraction of the value if `is_relative`, else in the figure's own unit.
        edges: Of the histogram to draw, rising; one more than `counts`.
        counts: Paths between two edges.
    """

    mean: float
    minimum: float
    maximum: float
    percentiles: list[Percentile]
    resolution: float
    is_relative: bool
    edges: list[float]
    counts: list[int]


class Bins(ABC):
    """Counts of values >= 0.

    Args:
        counts: One for each bin.

    Attributes:
        n: How many values were counted.
        minimum: The smallest, exact; so is `maximum` the largest.
    """

    is_relative = False

    def __init__(self, counts: IntArray, resolution: float) -> None:
        self.counts = counts
        self.resolution = resolution
        self.n = 0
        self.minimum, self.maximum = float("inf"), float("-inf")

    def add(self, values: FloatArray) -> None:
        """Count `values`, shape (n,), contiguous."""
        if values.size:
            self.add_between(values, float(values.min()), float(values.max()))

    def add_between(self, values: FloatArray, smallest: float, largest: float) -> None:
        """Count `values`, whose extremes are known: of many rows numpy finds them all at once."""
        self.n += values.size
        self.minimum = min(self.minimum, smallest)
        self.maximum = max(self.maximum, largest)
        self._count(values)

    def merge(self, other: Self) -> None:
        """Add what another one with the same bins has counted."""
        self.counts += other.counts
        self.n += other.n
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def values(self) -> list[float]:
        """Return the percentiles of PERCENTILES."""
        ranks = [rank_of(percent, self.n) for percent in PERCENTILES]
        low, high = self._within(ranks)
        return [float(value) for value in _middle(low, high)]

    def percentiles(self, unit: float = 1.0) -> list[Percentile]:
        """Return the percentiles of PERCENTILES and their intervals, times `unit`."""
        bounds = [interval_ranks(percent, self.n) for percent in PERCENTILES]
        lows, _ = self._within([low or 1 for low, _ in bounds])
        _, highs = self._within([high or self.n for _, high in bounds])
        return [
            Percentile(
                percent=percent,
                value=value * unit,
                low=None if bound[0] is None else float(low) * unit,
                high=None if bound[1] is None else float(high) * unit,
            )
            for percent, value, bound, low, high in zip(
                PERCENTILES, self.values(), bounds, lows, highs, strict=True
            )
        ]

    def distribution(self, unit: float = 1.0) -> Distribution:
        """Return everything, in multiples of 1 / `unit`: with a capital as unit, multiples of it become money."""
        used = np.flatnonzero(self.counts)
        first, last = int(used[0]), int(used[-1]) + 1
        step = -(-(last - first) // _BARS)
        starts = np.arange(first, last, step)
        edges = self._edges(np.append(starts, min(last, int(starts[-1]) + step)))
        weighted = float((self.counts[used] * _middle(*self._clipped(used))).sum())
        return Distribution(
            mean=weighted / self.n * unit,
            minimum=self.minimum * unit,
            maximum=self.maximum * unit,
            percentiles=self.percentiles(unit),
            resolution=self.resolution if self.is_relative else self.resolution * unit,
            is_relative=self.is_relative,
            edges=[float(edge) * unit for edge in np.clip(edges, self.minimum, self.maximum)],
            counts=[int(count) for count in np.add.reduceat(self.counts[:last], starts)],
        )

    # The edges of the bins that hold the values of these ranks.
    def _within(self, ranks: list[int]) -> tuple[FloatArray, FloatArray]:
        return self._clipped(np.searchsorted(np.cumsum(self.counts), ranks))

    def _clipped(self, places: IntArray) -> tuple[FloatArray, FloatArray]:
        low, high = self._edges(places), self._edges(places + 1)
        low = np.where(places == 0, self.minimum, np.maximum(low, self.minimum))
        high = np.where(places == self.counts.size - 1, self.maximum, np.minimum(high, self.maximum))
        return low, high

    @abstractmethod
    def _count(self, values: FloatArray) -> None: ...

    @abstractmethod
    def _edges(self, places: IntArray) -> FloatArray: ...


class RelativeBins(Bins):
    """Bins for values >= 0 that multiply: as wide as a fraction of the value, taken from its own binary pattern.

    Args:
        pilot: Values as they will come, any shape, at least one.
        n_bins: How many bins at most.
    """

    is_relative = True

    def __init__(self, pilot: FloatArray, n_bins: int = BINS) -> None:
        above = pilot[pilot > 0]
        patterns = (above if above.size else np.ones(1)).astype(np.float64).view(np.int64)
        low, high = int(patterns.min()), int(patterns.max())
        spread = high - low
        low, high = max(0, low - spread), min(_INFINITY, high + spread)
        self.shift = max(0, (high - low).bit_length() - n_bins.bit_length() + 2)
        self.first = (low >> self.shift) - 1
        counts = np.zeros((high >> self.shift) - self.first + 2, dtype=np.int64)
        super().__init__(counts, 2.0 ** (self.shift - 52))

    def _count(self, values: FloatArray) -> None:
        count_bits(values.view(np.int64), self.shift, self.first, self.counts)

    # What lies below bin 1 counts in bin 0: its edge is 0.
    def _edges(self, places: IntArray) -> FloatArray:
        patterns = np.minimum(self.first + places, _INFINITY >> self.shift) << self.shift
        edges: FloatArray = np.where(places <= 0, 0.0, patterns.view(np.float64))
        return edges


class EvenBins(Bins):
    """Bins of equal width, a power of two, for values from 0.

    Args:
        pilot: Values as they will come, any shape, at least one.
        most: What no value exceeds.
        is_whole: The values are whole numbers: no bin need be narrower than 1.
        n_bins: How many bins at most.
    """

    def __init__(self, pilot: FloatArray, most: float, is_whole: bool = False, n_bins: int = BINS) -> None:
        reach = min(most, 3 * float(pilot.max())) or most
        width = 2.0 ** math.ceil(math.log2(reach / (n_bins - 2)))
        width = max(1.0, width) if is_whole else width
        super().__init__(np.zeros(int(reach / width) + 2, dtype=np.int64), width)
        self._per_unit = 1.0 / width
        self._gap = 1.0 if is_whole else 0.0  # Between the largest value of a bin and the next bin.

    def _count(self, values: FloatArray) -> None:
        count_evenly(values, self._per_unit, self.counts)

    def _edges(self, places: IntArray) -> FloatArray:
        return places.astype(np.float64) * self.resolution

    def _clipped(self, places: IntArray) -> tuple[FloatArray, FloatArray]:
        low, high = super()._clipped(places)
        inside = np.minimum(high, self._edges(places + 1) - self._gap)
        return low, np.where(places == self.counts.size - 1, high, np.maximum(low, inside))


def _middle(low: FloatArray, high: FloatArray) -> FloatArray:
    return low + (high - low) / 2
