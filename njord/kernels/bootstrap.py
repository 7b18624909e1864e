"""What would other orders of the same trades have come to? Growth factors in; of each path its end, depths and waits out.

A path is `n_steps` factors, drawn with replacement: each for itself, or in blocks of random length that begin anywhere
and wrap around (the stationary bootstrap of Politis & Romano 1994). The numbers are counted, not handed on: a path's
stream is SplitMix64 (Steele, Lea & Flood 2014) started from (seed, path), so that no chunk and no thread changes it.
LANES paths go side by side, the arithmetic of each being its own: the lanes hide how long a multiplication takes.

Everything is scalars and arrays that the caller owns, indices are unsigned, and comparisons stand where `min` and `max`
would bring Python's rules for NaN: the loops turn into vector instructions without `fastmath`.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import kernel

FloatArray = NDArray[np.float64]
UintArray = NDArray[np.uint64]
IndexArray = NDArray[np.uint32]

LANES = 32  # Paths side by side.
BATCH_STEPS = 8  # Looked up at a time, even: what is under way stays in the nearest cache.
N_STATES = 6  # Of a lane: equity, its lowest, depth, the deepest, steps under water, the most of them.
EVERY_STEP = 2**32  # The chance of a new block, in 2**-32, at which each step is drawn for itself.
STEPS_MAX = 2**31

_GAMMA, _PATH = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1342543DE82EF95)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_LANES, _TWO_LANES = np.uint64(LANES), np.uint64(2 * LANES)
_LOWEST, _DEPTH, _DEEPEST, _UNDER, _LONGEST = (np.uint64(state * LANES) for state in range(1, N_STATES))


@kernel
def mixed(z: np.uint64) -> np.uint64:
    """Return 64 bits that look like chance, made of 64 that count."""
    z = (z ^ (z >> _SHIFT_1)) * _MIX_1
    z = (z ^ (z >> _SHIFT_2)) * _MIX_2
    return z ^ (z >> _SHIFT_3)


@kernel
def stream_start(seed: np.uint64, path: np.uint64) -> np.uint64:
    """Return where a path begins to count."""
    return mixed(mixed(seed) + path * _PATH)


@kernel
def draw_singly(counters: UintArray, n: np.uint64, n_pairs: int, index: IndexArray) -> None:
    """Draw two indices below `n` (< 2**32) from each number: its halves, scaled (bias below n / 2**32)."""
    at = _ZERO
    for _ in range(n_pairs):
        for number in range(LANES):
            lane = np.uint64(number)
            counter = counters[lane] + _GAMMA
            counters[lane] = counter
            z = mixed(counter)
            index[at + lane] = np.uint32(((z >> _HALF) * n) >> _HALF)
            index[at + lane + _LANES] = np.uint32(((z & _LOW) * n) >> _HALF)
        at += _TWO_LANES


@kernel
def draw_blocks(
    counters: UintArray, places: UintArray, n: np.uint64, restart: np.uint64, n_steps: int, index: IndexArray
) -> None:
    """Draw one index below `n` from each number: the next one of the block, or where a new block begins."""
    at = _ZERO
    for _ in range(n_steps):
        for number in range(LANES):
            lane = np.uint64(number)
            counter = counters[lane] + _GAMMA
            counters[lane] = counter
            z = mixed(counter)
            begun = ((z >> _HALF) * n) >> _HALF
            following = places[lane] + _ONE
            following = _ZERO if following == n else following
            place = begun if (z & _LOW) < restart else following
            places[lane] = place
            index[at + lane] = np.uint32(place)
        at += _LANES


@kernel
def look_up(factors: FloatArray, index: IndexArray, n_values: int, drawn: FloatArray) -> None:
    """Copy the factors that were drawn."""
    for number in range(n_values):
        drawn[np.uint64(number)] = factors[index[np.uint64(number)]]


@kernel
def follow_pairs(drawn: FloatArray, n_pairs: int, states: FloatArray) -> None:
    """Apply two steps at a time to the lanes; what they are is said at `resample`."""
    at = _ZERO
    for _ in range(n_pairs):
        for number in range(LANES):
            lane = np.uint64(number)
            first, second = drawn[at + lane], drawn[at + lane + _LANES]
            equity_1 = states[lane] * first
            equity_2 = equity_1 * second
            states[lane] = equity_2
            lowest = states[lane + _LOWEST]
            lower = equity_1 if equity_1 < equity_2 else equity_2
            states[lane + _LOWEST] = lower if lower < lowest else lowest
            depth_1 = states[lane + _DEPTH] * first
            depth_1 = depth_1 if depth_1 < 1.0 else 1.0
            depth_2 = depth_1 * second
            depth_2 = depth_2 if depth_2 < 1.0 else 1.0
            states[lane + _DEPTH] = depth_2
            deepest = states[lane + _DEEPEST]
            deeper = depth_1 if depth_1 < depth_2 else depth_2
            states[lane + _DEEPEST] = deeper if deeper < deepest else deepest
            under_1 = states[lane + _UNDER] + 1.0 if depth_1 < 1.0 else 0.0
            under_2 = under_1 + 1.0 if depth_2 < 1.0 else 0.0
            states[lane + _UNDER] = under_2
            longest = states[lane + _LONGEST]
            longer = under_1 if under_1 > under_2 else under_2
            states[lane + _LONGEST] = longer if longer > longest else longest
        at += _TWO_LANES


@kernel
def follow_last(drawn: FloatArray, at: np.uint64, states: FloatArray) -> None:
    """Apply the one step that stands at `at`, where their number is odd."""
    for number in range(LANES):
        lane = np.uint64(number)
        factor = drawn[at + lane]
        equity = states[lane] * factor
        states[lane] = equity
        states[lane + _LOWEST] = equity if equity < states[lane + _LOWEST] else states[lane + _LOWEST]
        depth = states[lane + _DEPTH] * factor
        depth = depth if depth < 1.0 else 1.0
        states[lane + _DEPTH] = depth
        states[lane + _DEEPEST] = depth if depth < states[lane + _DEEPEST] else states[lane + _DEEPEST]
        under = states[lane + _UNDER] + 1.0 if depth < 1.0 else 0.0
        states[lane + _UNDER] = under
        states[lane + _LONGEST] = under if under > states[lane + _LONGEST] else states[lane + _LONGEST]


@kernel
def resample(
    factors: FloatArray,
    seed: np.uint64,
    first_path: np.uint64,
    checkpoints: NDArray[np.int64],
    restart: np.uint64,
    counters: UintArray,
    index: IndexArray,
    drawn: FloatArray,
    states: FloatArray,
    ends: FloatArray,
    fan: FloatArray,
) -> None:
    """Follow the paths from `first_path` on, LANES at a time.

    Args:
        factors: Shape (n,), n < 2**32: equity after a step as a fraction of equity before it, finite, >= 0; 0 is ruin, and
            nothing follows it.
        seed: Of all paths.
        first_path: The number of the first one.
        checkpoints: Shape (n_checkpoints,): after how many steps equity is noted, rising, all even but the last, which is
            how long a path is.
        restart: The chance that a step begins a new block, in 2**-32: 2**32 over the mean block length. EVERY_STEP draws
            each step for itself, two of a number.
        counters: Scratch, shape (2 * LANES,).
        index: Scratch, shape (BATCH_STEPS * LANES,); so is `drawn`.
        states: Scratch, shape (N_STATES * LANES,).
        ends: Shape (4, n_paths), n_paths a multiple of LANES. Of each path: equity at the end as a multiple of that at the
            start; its lowest; 1 - maximum drawdown, the lowest of equity over its peak so far, rounded at each step; and
            the most successive steps that ended below the peak.
        fan: Shape (n_checkpoints, n_paths): equity as a multiple of that at the start.
    """
    n = np.uint64(factors.size) & _LOW
    places = counters[LANES:]
    singly = restart >= np.uint64(EVERY_STEP)
    for group in range(ends.shape[1] // LANES):
        column = group * LANES
        for lane in range(LANES):
            counters[lane] = stream_start(seed, first_path + np.uint64(column + lane))
            places[lane] = ((mixed(counters[lane]) >> _HALF) * n) >> _HALF
            for state in range(4):
                states[lane + state * LANES] = 1.0
            states[lane + 4 * LANES] = 0.0
            states[lane + 5 * LANES] = 0.0
        done = 0
        for row in range(checkpoints.size):
            while done < checkpoints[row]:
                n_steps = min(BATCH_STEPS, checkpoints[row] - done)
                if singly:
                    draw_singly(counters, n, (n_steps + 1) // 2, index)
                else:
                    draw_blocks(counters, places, n, restart, n_steps, index)
                look_up(factors, index, n_steps * LANES, drawn)
                follow_pairs(drawn, n_steps // 2, states)
                if n_steps % 2:
                    follow_last(drawn, np.uint64((n_steps - 1) * LANES), states)
                done += n_steps
            for lane in range(LANES):
                fan[row, column + lane] = states[lane]
        for lane in range(LANES):
            ends[0, column + lane] = states[lane]
            ends[1, column + lane] = states[lane + LANES]
            ends[2, column + lane] = states[lane + 3 * LANES]
            ends[3, column + lane] = states[lane + 5 * LANES]


@kernel
def block_rows(
    seed: np.uint64, path: np.uint64, n: np.uint64, restart: np.uint64, rows: NDArray[np.int64]
) -> None:
    """Write which rows (of `n`) a path of `resample` takes, in blocks, one for each of `rows`, shape (n_steps,)."""
    counter = stream_start(seed, path)
    place = ((mixed(counter) >> _HALF) * n) >> _HALF
    for step in range(rows.size):
        counter += _GAMMA
        z = mixed(counter)
        following = place + _ONE
        following = _ZERO if following == n else following
        place = ((z >> _HALF) * n) >> _HALF if (z & _LOW) < restart else following
        rows[step] = np.int64(place)
