"""Which grid do amounts in units of 1e-8 lie on, and which step of it is each of them? Whole numbers only."""

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import kernel

IntArray = NDArray[np.int64]


@kernel
def common_zeros(amounts: IntArray, zeros: int) -> int:
    """Return how many decimal zeros, `zeros` at most, every one of `amounts` ends in; 0 ends in any number of them.

    Args:
        amounts: Shape (n,), >= 0.
        zeros: 0 to 18.
    """
    step = np.int64(10) ** zeros
    for amount in amounts:
        while amount % step:
            step //= 10
            zeros -= 1
    return zeros


@kernel
def whole_steps(amounts: IntArray, step: int, multiple: int, out: IntArray) -> int:
    """Write amount x multiple / step for each amount into `out`; return the first row where that is no whole number.

    Args:
        amounts: Shape (n,), >= 0.
        step: >= 1.
        multiple: >= 1.
        out: Shape (n,).

    Returns:
        n if all are whole and within int64; else the row, and `out` holds the rows before it.
    """
    most = np.int64(2**63 - 1) // multiple
    for row in range(len(amounts)):
        amount = amounts[row]
        if amount > most:
            return row
        scaled = amount * multiple
        steps = scaled // step
        if steps * step != scaled:
            return row
        out[row] = steps
    return len(amounts)
