"""How are many values distributed, in memory that does not grow? Float64 values in, one more in the bin of each out.

Bins are whole numbers of the value's own bits or of a fixed width, and counts are whole numbers: whoever adds up parts in
whatever order gets the same.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import kernel

IntArray = NDArray[np.int64]


@kernel
def count_bits(bits: IntArray, shift: int, first: int, counts: IntArray) -> None:
    """Count values by the leading bits of their float64 pattern: bins of equal width within each power of two.

    Args:
        bits: The patterns of values >= 0 (`values.view(np.int64)`), shape (n,).
        shift: How many trailing bits do not count, 52 less the digits (base 2) that do.
        first: The pattern, shifted, of what bin 0 begins with; what lies below counts there too.
        counts: Shape (n_bins,); the last bin takes all beyond.
    """
    last = counts.size - 1
    for number in range(bits.size):
        place = (bits[np.uint64(number)] >> shift) - first
        place = place if place > 0 else 0
        place = place if place < last else last
        counts[np.uint64(place)] += 1


@kernel
def count_evenly(values: NDArray[np.float64], per_unit: float, counts: IntArray) -> None:
    """Count values >= 0 in bins of width 1 / `per_unit`, the last of which takes all beyond."""
    last = counts.size - 1
    for number in range(values.size):
        scaled = values[np.uint64(number)] * per_unit
        place = np.int64(scaled) if scaled < last else last
        counts[np.uint64(place)] += 1
