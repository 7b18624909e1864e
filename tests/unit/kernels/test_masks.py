"""Masks of 64 rows say what a look at each row says, compiled and in plain Python, the highest bit included."""

import numpy as np
import pytest

from njord.kernels import masks
from njord.kernels.masks import ROWS, changes, fetch, lowest, others


def rows_of(mask: int) -> list[int]:
    """Return the bits of a mask in the order in which a loop meets them."""
    found = []
    while mask:
        found.append(int(lowest(mask)))
        mask = int(others(mask))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_every_row_at_which_a_byte_changes_has_its_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = np.repeat(rng.integers(-128, 128, 4 * ROWS + 1), rng.integers(1, 2 + 9 * seed))[: 4 * ROWS + 1]
    xs = drawn.astype(np.int8)
    changed = [0, *(np.flatnonzero(xs[1:] != xs[:-1]) + 1).tolist()]
    for block in range(4):
        expected = [row - block * ROWS for row in changed if row // ROWS == block]
        assert rows_of(changes(xs, block)) == expected


def test_plain_masks_are_the_compiled_ones() -> None:
    rng = np.random.default_rng(3)
    xs = rng.integers(0, 2, 3 * ROWS + 1).astype(np.int8)
    for block in range(1, 3):
        plain = masks._differing(xs, block * ROWS, block * ROWS - 1)
        compiled = int(changes(xs, block))
        assert plain == compiled % 2**64
        assert rows_of(compiled) == [at for at in range(ROWS) if plain >> at & 1]
        assert masks._lowest(plain) == lowest(compiled)
        assert masks._others(plain) == int(others(compiled)) % 2**64


def test_rows_behind_the_end_are_fetched_without_harm() -> None:
    fetch(np.zeros(3, np.int64), 3)
