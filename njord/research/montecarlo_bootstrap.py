"""Many paths of drawn steps: growth factors and a plan in, a tally out, the same for any number of threads and chunks.

A path's numbers follow from the seed and its own number. The first paths decide where the bins lie; then threads take
chunk after chunk, each into a tally of its own, and whole numbers are added at the end.
"""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.kernels.bootstrap import EVERY_STEP, LANES, N_VALUES, N_WORDS, resample
from njord.performance.returns import FloatArray
from njord.research.montecarlo_tally import Paths, Tally, checkpoints_of

PILOT_PATHS = 256
_CHUNK_STEPS = 1 << 22  # In a chunk, about: some milliseconds, so that the threads end together.
_CHUNK_PATHS = 1_024
_CACHE_LINE = 64
_LOOK_EVERY_S = 0.1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which paths are wanted.

    Attributes:
        n_paths: How many.
        n_steps: How long each is.
        seed: From 0 to 2**64 - 1.
        block: Mean length of a block, >= 1; 1 = each step is drawn for itself.
        ruin: The fraction of its start below which equity is ruined.
        chunk_paths: How many paths are followed at a time; 0 = as many as take a moment. It changes no result.
    """

    n_paths: int
    n_steps: int
    seed: int
    block: float = 1.0
    ruin: float = 0.5
    chunk_paths: int = 0

    @property
    def restart(self) -> int:
        """The chance of a new block at a step, in 2**-32."""
        return max(1, round(EVERY_STEP / self.block))


class Follower:
    """Follows paths in memory of its own: one for each thread.

    Args:
        factors: Equity after a step as a fraction of equity before, shape (n,).
        plan: Which paths are wanted.
        most: How many paths at a time at most.
    """

    def __init__(self, factors: FloatArray, plan: Plan, most: int) -> None:
        self._factors, self._plan = factors, plan
        self._checkpoints = checkpoints_of(plan.n_steps)
        width = _rounded_up(most)
        self._scratch = (_aligned(N_WORDS, np.uint64), _aligned(N_VALUES, np.float64))
        self._ends = np.empty(4 * width)
        self._fan = np.empty(self._checkpoints.size * width)

    def paths(self, first: int, n: int) -> Paths:
        """Return the paths [first, first + n), which hold until the next call."""
        width = _rounded_up(n)
        ends = self._ends[: 4 * width].reshape(4, width)
        fan = self._fan[: self._checkpoints.size * width].reshape(-1, width)
        seed, path, restart = (np.uint64(each) for each in (self._plan.seed, first, self._plan.restart))
        resample(self._factors, seed, path, self._checkpoints, restart, *self._scratch, ends, fan)
        return Paths(ends[:, :n], fan[:, :n])


class _Chunks:
    """Hands out chunks to whoever asks, and counts the paths that are done."""

    def __init__(self, first: int, n_paths: int, size: int) -> None:
        self.size = size
        self.n_done = first
        self._n_paths, self._next = n_paths, first
        self._lock = threading.Lock()
        self._is_stopped = False

    def take(self, n_done: int) -> tuple[int, int] | None:
        """Return where the next chunk begins and how many paths it has; None if there is none."""
        with self._lock:
            self.n_done += n_done
            first = self._next
            if self._is_stopped or first >= self._n_paths:
                return None
            self._next = min(self._n_paths, first + self.size)
            return first, self._next - first

    def stop(self) -> None:
        """Hand out no more."""
        with self._lock:
            self._is_stopped = True


def bootstrap(
    factors: FloatArray,
    plan: Plan,
    n_threads: int = 1,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Return the tally of all paths of a plan.

    Args:
        factors: Shape (n,), 1 <= n < 2**32, finite, >= 0: equity after a step as a fraction of equity before it.
        plan: Which paths.
        n_threads: How many at the same time; the result is the same for any.
        on_done: Called now and then with how many paths are done, and how many are wanted.

    Raises:
        ValueError: The factors are none, or the plan asks for nothing.
    """
    values = np.ascontiguousarray(factors, dtype=np.float64)
    if not values.size or not np.isfinite(values).all() or values.min() < 0:
        raise ValueError("factors must be finite and >= 0, and there must be one at least")
    if plan.n_paths < 1 or plan.n_steps < 1 or plan.block < 1:
        raise ValueError(f"a plan has a path, a step and a block >= 1 at least, was {plan}")
    n_pilot = min(plan.n_paths, PILOT_PATHS)
    size = plan.chunk_paths or max(LANES, min(_CHUNK_PATHS, _CHUNK_STEPS // plan.n_steps // LANES * LANES))
    chunks = _Chunks(n_pilot, plan.n_paths, size)
    with ThreadPoolExecutor(n_threads) as pool:
        pilot = _pilot(pool, values, plan, n_pilot, n_threads)
        total = Tally(pilot, checkpoints_of(plan.n_steps), plan.ruin)
        total.add(pilot)
        running = {pool.submit(_work, values, plan, chunks, total) for _ in range(n_threads)}
        try:
            while running:
                ended, running = wait(running, _LOOK_EVERY_S, FIRST_COMPLETED)
                for future in ended:
                    total.merge(future.result())
                on_done(chunks.n_done, plan.n_paths)
        finally:
            chunks.stop()
    return total


# A share for each thread: what all wait for is soon there.
def _pilot(pool: ThreadPoolExecutor, factors: FloatArray, plan: Plan, n: int, n_threads: int) -> Paths:
    share = _rounded_up(-(-n // n_threads))

    def follow(first: int) -> Paths:
        return Follower(factors, plan, share).paths(first, min(share, n - first))

    parts = list(pool.map(follow, range(0, n, share)))
    return Paths(
        np.concatenate([part.ends for part in parts], axis=1),
        np.concatenate([part.fan for part in parts], axis=1),
    )


def _work(factors: FloatArray, plan: Plan, chunks: _Chunks, total: Tally) -> Tally:
    tally = total.fresh()
    follower = Follower(factors, plan, chunks.size)
    n_done = 0
    while (chunk := chunks.take(n_done)) is not None:
        paths = follower.paths(*chunk)
        tally.add(paths)
        n_done = chunk[1]
    return tally


def _rounded_up(n: int) -> int:
    return -(-n // LANES) * LANES


# On a cache line's edge: lanes that straddle two are half as fast again.
def _aligned(n: int, kind: type[np.generic]) -> NDArray[Any]:
    n_bytes = n * np.dtype(kind).itemsize
    raw = np.empty(n_bytes + _CACHE_LINE, dtype=np.uint8)
    begin = -raw.ctypes.data % _CACHE_LINE
    return raw[begin : begin + n_bytes].view(kind)
