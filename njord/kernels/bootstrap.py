"""What would other orders of the same trades have come to? Growth factors in; of each path its end, depths and waits out.

A path is `n_steps` factors, drawn with replacement: each for itself, or in blocks of random length that begin anywhere
and wrap around (the stationary bootstrap of Politis & Romano 1994). The numbers are counted, not handed on: a path's
stream is SplitMix64 (Steele, Lea & Flood 2014) started from (seed, path), so that no chunk and no thread changes it.
LANES paths go side by side, the arithmetic of each being its own: the lanes hide how long a multiplication takes.

Everything is scalars and arrays that the caller owns, indices are unsigned, and comparisons stand where `min` and `max`
would bring Python's rules for NaN: the loops turn into vector instructions without `fastmath`. What such a loop reads and
writes lies in one array, at places that are known when it is compiled: it need not be asked at each turn whether they
overlap.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import kernel

FloatArray = NDArray[np.float64]
UintArray = NDArray[np.uint64]

LANES = 32  # Paths side by side.
BATCH_STEPS = 4  # Looked up at a time, even: few, so that what is under way stays where it is next needed.
N_WORDS = (2 + BATCH_STEPS) * LANES  # Rows: what each counts, where its block is, its draw for each step.
N_STATES = 6  # Of a lane: equity, its lowest, depth, the deepest, steps under water, the most of them.
N_VALUES = (N_STATES + BATCH_STEPS) * LANES  # Rows: the states, the factor of each step.
EVERY_STEP = 2**32  # The chance of a new block, in 2**-32, at which each step is drawn for itself.
STEPS_MAX = 2**31

_GAMMA, _PATH = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1342543DE82EF95)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_LANES, _TWO_LANES = np.uint64(LANES), np.uint64(2 * LANES)
_PLACES, _INDEX = _LANES, _TWO_LANES
_LOWEST, _DEPTH, _DEEPEST, _UNDER, _LONGEST, _DRAWN = (
    np.uint64(row * LANES) for row in range(1, N_STATES + 1)
)


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
def draw_singly(words: UintArray, n: np.uint64) -> None:
    """Draw two indices below `n` (< 2**32) from each number: its halves, scaled (bias below n / 2**32)."""
    for pair in range(BATCH_STEPS // 2):
        at = _INDEX + np.uint64(pair) * _TWO_LANES
        for number in range(LANES):
            lane = np.uint64(number)
            counter = words[lane] + _GAMMA
            words[lane] = counter
            z = mixed(counter)
            words[at + lane] = ((z >> _HALF) * n) >> _HALF
            words[at + lane + _LANES] = ((z & _LOW) * n) >> _HALF


@kernel
def draw_blocks(words: UintArray, n: np.uint64, restart: np.uint64) -> None:
    """Draw one index below `n` from each number: the next one of the block, or where a new block begins."""
    for step in range(BATCH_STEPS):
        at = _INDEX + np.uint64(step) * _LANES
        for number in range(LANES):
            lane = np.uint64(number)
            counter = words[lane] + _GAMMA
            words[lane] = counter
            z = mixed(counter)
            begun = ((z >> _HALF) * n) >> _HALF
            following = words[lane + _PLACES] + _ONE
            following = _ZERO if following == n else following
            place = begun if (z & _LOW) < restart else following
            words[lane + _PLACES] = place
            words[at + lane] = place


@kernel
def look_up(factors: FloatArray, words: UintArray, values: FloatArray) -> None:
    """Copy the factors that were drawn."""
    for number in range(BATCH_STEPS * LANES):
        place = np.uint64(number)
        values[place + _DRAWN] = factors[words[place + _INDEX]]


@kernel
def follow_batch(values: FloatArray) -> None:
    """Apply the steps to the lanes, two at a time; what these are is said at `resample`."""
    for pair in range(BATCH_STEPS // 2):
        at = _DRAWN + np.uint64(pair) * _TWO_LANES
        for number in range(LANES):
            lane = np.uint64(number)
            first, second = values[at + lane], values[at + lane + _LANES]
            equity_1 = values[lane] * first
            equity_2 = equity_1 * second
            values[lane] = equity_2
            lowest = values[lane + _LOWEST]
            lower = equity_1 if equity_1 < equity_2 else equity_2
            values[lane + _LOWEST] = lower if lower < lowest else lowest
            depth_1 = values[lane + _DEPTH] * first
            depth_1 = depth_1 if depth_1 < 1.0 else 1.0
            depth_2 = depth_1 * second
            depth_2 = depth_2 if depth_2 < 1.0 else 1.0
            values[lane + _DEPTH] = depth_2
            deepest = values[lane + _DEEPEST]
            deeper = depth_1 if depth_1 < depth_2 else depth_2
            values[lane + _DEEPEST] = deeper if deeper < deepest else deepest
            under_1 = values[lane + _UNDER] + 1.0 if depth_1 < 1.0 else 0.0
            under_2 = under_1 + 1.0 if depth_2 < 1.0 else 0.0
            values[lane + _UNDER] = under_2
            longest = values[lane + _LONGEST]
            longer = under_1 if under_1 > under_2 else under_2
            values[lane + _LONGEST] = longer if longer > longest else longest


@kernel
def follow_step(values: FloatArray, at: np.uint64) -> None:
    """Apply the one step that stands at `at`: a batch in which a checkpoint lies is followed step by step."""
    for number in range(LANES):
        lane = np.uint64(number)
        factor = values[at + lane]
        equity = values[lane] * factor
        values[lane] = equity
        values[lane + _LOWEST] = equity if equity < values[lane + _LOWEST] else values[lane + _LOWEST]
        depth = values[lane + _DEPTH] * factor
        depth = depth if depth < 1.0 else 1.0
        values[lane + _DEPTH] = depth
        values[lane + _DEEPEST] = depth if depth < values[lane + _DEEPEST] else values[lane + _DEEPEST]
        under = values[lane + _UNDER] + 1.0 if depth < 1.0 else 0.0
        values[lane + _UNDER] = under
        values[lane + _LONGEST] = under if under > values[lane + _LONGEST] else values[lane + _LONGEST]


@kernel
def resample(
    factors: FloatArray,
    seed: np.uint64,
    first_path: np.uint64,
    checkpoints: NDArray[np.int64],
    restart: np.uint64,
    words: UintArray,
    values: FloatArray,
    ends: FloatArray,
    fan: FloatArray,
) -> None:
    """Follow the paths from `first_path` on, LANES at a time.

    Args:
        factors: Shape (n,), n < 2**32: equity after a step as a fraction of equity before it, finite, >= 0; 0 is ruin, and
            nothing follows it.
        seed: Of all paths.
        first_path: The number of the first one.
        checkpoints: Shape (n_checkpoints,): after how many steps equity is noted, rising; the last is how long a path
            is.
        restart: The chance that a step begins a new block, in 2**-32: 2**32 over the mean block length. EVERY_STEP draws
            each step for itself, two of a number.
        words: Scratch, shape (N_WORDS,).
        values: Scratch, shape (N_VALUES,).
        ends: Shape (4, n_paths), n_paths a multiple of LANES. Of each path: equity at the end as a multiple of that at the
            start; its lowest; 1 - maximum drawdown, the lowest of equity over its peak so far, rounded at each step; and
            the most successive steps that ended below the peak.
        fan: Shape (n_checkpoints, n_paths): equity as a multiple of that at the start.
    """
    n = np.uint64(factors.size) & _LOW
    singly = restart >= np.uint64(EVERY_STEP)
    for group in range(ends.shape[1] // LANES):
        column = group * LANES
        for lane in range(LANES):
            start = stream_start(seed, first_path + np.uint64(column + lane))
            words[lane] = start
            words[lane + LANES] = ((mixed(start) >> _HALF) * n) >> _HALF
            for state in range(N_STATES):
                values[lane + state * LANES] = 1.0 if state < 4 else 0.0
        done = 0
        for row in range(checkpoints.size):
            while done < checkpoints[row]:
                place = done % BATCH_STEPS
                if place == 0:
                    if singly:
                        draw_singly(words, n)
                    else:
                        draw_blocks(words, n, restart)
                    look_up(factors, words, values)
                if place == 0 and done + BATCH_STEPS <= checkpoints[row]:
                    follow_batch(values)
                    done += BATCH_STEPS
                else:
                    follow_step(values, _DRAWN + np.uint64(place * LANES))
                    done += 1
            for lane in range(LANES):
                fan[row, column + lane] = values[lane]
        for lane in range(LANES):
            ends[0, column + lane] = values[lane]
            ends[1, column + lane] = values[lane + LANES]
            ends[2, column + lane] = values[lane + 3 * LANES]
            ends[3, column + lane] = values[lane + 5 * LANES]


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
