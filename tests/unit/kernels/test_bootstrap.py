"""Paths against the same arithmetic in plain Python, and chance against what it must come to."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from njord.kernels.bootstrap import EVERY_STEP, LANES, block_rows
from njord.kernels.bootstrap_count import count_bits, count_evenly
from njord.research.montecarlo_bootstrap import Follower, Plan
from njord.research.montecarlo_tally import Paths, checkpoints_of

MASK = 2**64 - 1
FACTORS = np.random.default_rng(3).normal(1.001, 0.05, 37)


def mixed(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def rows_by_hand(seed: int, path: int, n: int, n_steps: int, restart: int) -> list[int]:
    counter = mixed((mixed(seed) + path * 0xD1342543DE82EF95) & MASK)
    place = (mixed(counter) >> 32) * n >> 32
    rows: list[int] = []
    while len(rows) < n_steps:
        counter = (counter + 0x9E3779B97F4A7C15) & MASK
        z = mixed(counter)
        high, low = z >> 32, z & 0xFFFFFFFF
        if restart >= EVERY_STEP:
            rows += [high * n >> 32, low * n >> 32]
        else:
            place = high * n >> 32 if low < restart else (place + 1) % n
            rows.append(place)
    return rows[:n_steps]


def path_by_hand(rows: list[int]) -> tuple[list[float], list[float]]:
    """The four ends of a path, and its equity after each step."""
    equity = depth = lowest = deepest = 1.0
    under = longest = 0
    worth = []
    for row in rows:
        factor = float(FACTORS[row])
        equity *= factor
        depth = min(1.0, depth * factor)
        under = under + 1 if depth < 1.0 else 0
        lowest, deepest, longest = min(lowest, equity), min(deepest, depth), max(longest, under)
        worth.append(equity)
    return [equity, lowest, deepest, longest], worth


def follow(plan: Plan, first: int, n: int, factors: NDArray[np.float64] = FACTORS) -> Paths:
    ends, fan = Follower(factors, plan, n).paths(first, n)
    return Paths(ends.copy(), fan.copy())


@pytest.mark.parametrize("block", [1.0, 1.001, 4.0])
@pytest.mark.parametrize("n_steps", [1, 2, 13, 200])
def test_every_path_is_what_plain_python_makes_of_its_seed_and_number(block: float, n_steps: int) -> None:
    plan = Plan(n_paths=LANES + 3, n_steps=n_steps, seed=11, block=block)
    ends, fan = follow(plan, 5, LANES + 3)
    for path in (0, 1, LANES, LANES + 2):
        rows = rows_by_hand(11, 5 + path, FACTORS.size, n_steps, plan.restart)
        expected, worth = path_by_hand(rows)
        assert ends[:, path].tolist() == expected
        assert fan[:, path].tolist() == [worth[step - 1] for step in checkpoints_of(n_steps)]


@pytest.mark.parametrize("block", [1.0, 6.0])
def test_a_path_does_not_depend_on_its_neighbors(block: float) -> None:
    plan = Plan(n_paths=100, n_steps=31, seed=2, block=block)
    whole = follow(plan, 0, 100)
    part = follow(plan, 41, 7)
    assert np.array_equal(whole.ends[:, 41:48], part.ends)
    assert np.array_equal(whole.fan[:, 41:48], part.fan)


def test_seeds_and_paths_draw_differently() -> None:
    ends = [follow(Plan(n_paths=64, n_steps=50, seed=seed), 0, 64).ends[0] for seed in (1, 2)]
    assert len({*ends[0].tolist(), *ends[1].tolist()}) == 128


def test_nothing_follows_ruin() -> None:
    factors = np.array([1.1, 0.0])
    ends, fan = follow(Plan(n_paths=32, n_steps=60, seed=1), 0, 32, factors)
    assert (ends[0] == 0).all() and (ends[1] == 0).all() and (ends[2] == 0).all()
    assert (fan[-1] == 0).all()
    assert ((ends[3] > 30) & (ends[3] <= 60)).all()


def test_steps_that_change_nothing_are_not_under_water() -> None:
    ends, _ = follow(Plan(n_paths=32, n_steps=9, seed=1), 0, 32, np.ones(5))
    assert ends.tolist() == [[1.0] * 32] * 3 + [[0.0] * 32]


def test_rows_of_blocks_are_those_that_paths_take() -> None:
    rows = np.empty(40, dtype=np.int64)
    block_rows(np.uint64(9), np.uint64(4), np.uint64(37), np.uint64(EVERY_STEP // 5), rows)
    assert rows.tolist() == rows_by_hand(9, 4, 37, 40, EVERY_STEP // 5)


def test_blocks_are_as_long_on_average_as_asked_and_begin_anywhere() -> None:
    n, n_steps, block = 50, 60_000, 8
    rows = np.empty(n_steps, dtype=np.int64)
    block_rows(np.uint64(1), np.uint64(0), np.uint64(n), np.uint64(EVERY_STEP // block), rows)
    begins = np.flatnonzero(np.diff(rows) % n != 1) + 1
    # A new block follows its predecessor by chance once in n: it is not seen.
    assert n_steps / begins.size == pytest.approx(block / (1 - 1 / n), rel=0.03)
    expected = n_steps / n
    chi_square = float(((np.bincount(rows, minlength=n) - expected) ** 2).sum() / expected) / block
    assert chi_square < 100
    starts = np.bincount(rows[begins], minlength=n)
    expected = begins.size / n
    assert (
        float(((starts - expected) ** 2).sum() / expected) < 85.4
    )  # The 99.9 % point of 49 degrees of freedom.


def test_values_are_counted_by_the_leading_bits_of_their_pattern() -> None:
    values = np.array([0.0, 0.49, 1.0, 1.24, 1.25, 1.99, 2.0, 3.9, 4.0, math.inf])
    counts = np.zeros(10, dtype=np.int64)
    first = (int(np.array([1.0]).view(np.int64)[0]) >> 50) - 1
    count_bits(values.view(np.int64), 50, first, counts)  # Two bits: quarters from 1, halves from 2.
    assert counts.tolist() == [2, 2, 1, 0, 1, 1, 0, 0, 1, 2]


def test_values_are_counted_evenly_with_all_beyond_in_the_last_bin() -> None:
    counts = np.zeros(4, dtype=np.int64)
    count_evenly(np.array([0.0, 0.24, 0.25, 0.6, 0.75, 7.0, 1e300]), 4.0, counts)
    assert counts.tolist() == [2, 1, 1, 3]
