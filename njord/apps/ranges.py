"""Which places are missing? Half-open ranges of int places at a fixed step, and what rows leave of them."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Range = tuple[int, int]


def count(ranges: Iterable[Range], step: int) -> int:
    """Return the number of places in `ranges`; both ends of each lie on the grid of its first place."""
    return sum(-((first - end) // step) for first, end in ranges)


def missing_between(first: int, end: int, places: IntArray, step: int) -> list[Range]:
    """Return the ranges of [first, end) that `places` leave out.

    Args:
        first: On the grid.
        end: The first place that does not count.
        places: Strictly rising, on the grid; those outside [first, end) do not matter.
        step: Distance of neighboring places, > 0.
    """
    if first >= end:
        return []
    inside = places[np.searchsorted(places, first) : np.searchsorted(places, end)]
    edges = np.concatenate(([first - step], inside, [end]))
    before = np.flatnonzero(np.diff(edges) > step)
    holes = [(int(edges[index]) + step, int(edges[index + 1])) for index in before]
    # `end` need not lie on the grid: the last hole may be shorter than a step.
    return [hole for hole in holes if hole[0] < hole[1]]


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return `ranges` in order, those that touch each other joined."""
    joined: list[Range] = []
    for first, end in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return joined
