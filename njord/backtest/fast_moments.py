"""How do the sums of powers that the fused loop keeps become moments?"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels import fused_tables as table
from njord.performance.ratios import ReturnMoments

FloatArray = NDArray[np.float64]


def moments_of(out: FloatArray) -> ReturnMoments:
    """Return the central moments of the returns per bar; their mean is smaller still, so the subtraction loses little.

    Args:
        out: A row of `kernels/fused_tables.py`: the sums of the first four powers, and of the squares below zero.
    """
    n = int(out[table.N_RETURNS])
    if not n:
        return ReturnMoments()
    first, second, third, fourth, downside = out[table.FIRST : table.DEEPEST].tolist()
    mean = first / n
    squares = max(0.0, second - first * mean)
    cubes = third - 3.0 * mean * second + 2.0 * n * mean**3
    quartics = fourth - 4.0 * mean * third + 6.0 * mean**2 * second - 3.0 * n * mean**4
    return ReturnMoments(n, mean, squares, downside, cubes, quartics)
