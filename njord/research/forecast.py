"""How long will it take, and how much memory? A few real points, spread over the grid, are evaluated and multiplied."""

import math
import resource
from collections.abc import Callable

import msgspec

from njord.adapters.clock import Stopwatch
from njord.backtest.point import Evaluator, Params, Window
from njord.research.grid import Grid, spread
from njord.research.sweep_store import record_type

COUNT_MAX = (
    20_000  # Combinations up to which what is accepted is counted; above it is estimated from so many.
)
SAMPLES = 3
MEASURE_S = 5.0  # No more samples are begun after this time.
CHUNK_S = 0.5  # What a task should take: a kill costs no more than that of each worker.
CHUNK_MAX = 512
_FAST_SAMPLE = 64  # Points of one call: the fast engine is made for many.


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep will take.

    Attributes:
        n_combinations: Of the grid.
        n_points: To evaluate, those that the strategy refuses left out.
        is_counted: `n_points` is exact, not an estimate.
        n_bars: Market events of the data.
        s_per_point: Of one worker, measured.
        n_workers: 0 = whoever schedules them knows.
        wall_s: For all points; NaN if the workers are not known.
        memory_mib: At its peak, all local processes together.
        disk_mib: Of the points until the sweep is finished.
    """

    n_combinations: int
    n_points: int
    is_counted: bool
    engine: str
    n_bars: int
    s_per_point: float
    n_workers: int
    wall_s: float
    memory_mib: int
    disk_mib: float

    @property
    def chunk_points(self) -> int:
        """How many points a task should have."""
        share = math.ceil(self.n_points / (4 * max(1, self.n_workers)))
        return max(1, min(int(CHUNK_S / max(self.s_per_point, 1e-9)), share, CHUNK_MAX))


def forecast(
    evaluator: Evaluator,
    grid: Grid,
    accepts: Callable[[Params], bool],
    window: Window,
    n_points: int | None,
    n_workers: int,
    n_blocks: int,
) -> Forecast:
    """Return what evaluating `n_points` (None = all) of a grid will take, from a few points of it.

    Raises:
        UserError: The data or the configuration are not fit.
    """
    taken = [index for index in spread(grid.size, COUNT_MAX) if accepts(grid.at(index))]
    is_counted = grid.size <= COUNT_MAX
    n_accepted = len(taken) if is_counted else round(grid.size * len(taken) / COUNT_MAX)
    wanted = n_accepted if n_points is None else min(n_points, n_accepted)
    is_fast = evaluator.engine == "fast"
    s_per_point = _measure(evaluator, [grid.at(index) for index in taken], window, is_fast)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n_processes = 1 + (n_workers if n_workers > 1 and not is_fast else 0)
    return Forecast(
        n_combinations=grid.size,
        n_points=wanted,
        is_counted=is_counted,
        engine=evaluator.engine,
        n_bars=evaluator.n_bars,
        s_per_point=s_per_point,
        n_workers=n_workers,
        wall_s=wanted * s_per_point / n_workers if n_workers else math.nan,
        memory_mib=round(own * n_processes + wanted * 8 / 2**20),
        disk_mib=round(wanted * record_type(n_blocks).itemsize / 2**20, 1),
    )


# The first call compiles and fills caches: it is not measured where there is another.
def _measure(evaluator: Evaluator, points: list[Params], window: Window, is_fast: bool) -> float:
    if not points:
        return 0.0
    watch = Stopwatch()
    evaluator.evaluate(points[:1], window)
    first_s = watch.elapsed_s()
    if first_s > MEASURE_S and not is_fast:
        return first_s
    n_batch = _FAST_SAMPLE if is_fast else 1
    begun_s, took = watch.elapsed_s(), []
    for start in spread(len(points), SAMPLES):
        batch = points[start : start + n_batch]
        before_s = watch.elapsed_s()
        if before_s - begun_s > MEASURE_S:
            break
        evaluator.evaluate(batch, window)
        took.append((watch.elapsed_s() - before_s) / len(batch))
    return sum(took) / len(took)
