"""All combinations of some axes, without listing them: a number in, its combination out, and its neighbors.

Combinations are counted like digits: the last axis turns fastest. `permuted` walks through the numbers in a random
order without remembering where it has been.
"""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from njord.backtest.point import Params
from njord.research.axes import Axis

_ROUNDS = 4
_WORD = (1 << 64) - 1


class Grid:
    """The combinations of `axes`, numbered from 0 in axis order."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = tuple(axes)
        self.lengths = tuple(len(axis.values) for axis in axes)
        self.size = prod(self.lengths)
        self._strides = tuple(prod(self.lengths[place + 1 :]) for place in range(len(self.lengths)))

    def places(self, index: int) -> tuple[int, ...]:
        """Return the place on every axis of combination `index`."""
        return tuple(
            index // stride % length for stride, length in zip(self._strides, self.lengths, strict=True)
        )

    def at(self, index: int) -> Params:
        """Return combination `index`."""
        return tuple(
            (axis.name, axis.values[place]) for axis, place in zip(self.axes, self.places(index), strict=True)
        )

    def index_of(self, places: Sequence[int]) -> int:
        """Return the number of the combination at `places`."""
        return sum(place * stride for place, stride in zip(places, self._strides, strict=True))

    def neighbors(self, index: int) -> Iterator[int]:
        """Yield the combinations that are one step away on one axis."""
        for place, stride, length in zip(self.places(index), self._strides, self.lengths, strict=True):
            if place > 0:
                yield index - stride
            if place < length - 1:
                yield index + stride


def spread(size: int, n: int) -> Iterator[int]:
    """Yield at most `n` numbers below `size`, evenly spread, rising, none twice."""
    n = min(n, size)
    for k in range(n):
        yield (2 * k + 1) * size // (2 * n)


def permuted(size: int, seed: int) -> Iterator[int]:
    """Yield every number below `size` once, in an order that `seed` decides, in constant memory.

    A Feistel network permutes the next power of four; what lies beyond `size` is passed over.

    Source: Black and Rogaway (2002), "Ciphers with Arbitrary Finite Domains", CT-RSA 2002.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    keys = [int(key) for key in np.random.SeedSequence(seed).generate_state(_ROUNDS, np.uint64)]
    for number in range(1 << (2 * half)):
        left, right = number >> half, number & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        index = left << half | right
        if index < size:
            yield index


# The finalizer of SplitMix64: Steele, Lea and Flood (2014), "Fast Splittable Pseudorandom Number Generators".
def _mixed(word: int) -> int:
    word = (word + 0x9E3779B97F4A7C15) & _WORD
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _WORD
    return word ^ word >> 31
