"""What have all paths come to, together? Paths in, some at a time and in any order; distributions and chances out."""

from typing import NamedTuple, Self

import msgspec
import numpy as np

from njord.performance.returns import FloatArray, IntArray
from njord.research.montecarlo_bins import PERCENTILES, Distribution, EvenBins, RelativeBins
from njord.research.montecarlo_bounds import Probability, wilson

CHECKPOINTS = 64  # Of the fan, at most.
_FAN_BINS = 2_048


class Paths(NamedTuple):
    """Some paths; equity is a multiple of that at the start.

    Attributes:
        ends: Shape (4, n): equity at the end, its lowest, 1 - maximum drawdown, the most steps under water in a row.
        fan: Shape (n_checkpoints, n): equity at the checkpoints.
    """

    ends: FloatArray
    fan: FloatArray


class Fan(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of equity over time.

    Attributes:
        steps: After how many steps, rising.
        percents: Which percentiles, rising.
        equity: For each of them its values at `steps`, in the report asset.
        resolution: How wide the widest bin is, as a fraction of the value.
    """

    steps: list[int]
    percents: list[int]
    equity: list[list[float]]
    resolution: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What the paths have come to.

    Attributes:
        final_equity: In the report asset.
        max_drawdown: A fraction of the peak before it.
        under_water: The most successive steps that ended below a peak.
        ruin: That equity ever fell below the fraction of ruin.
        loss: That equity ended below its start.
    """

    final_equity: Distribution
    max_drawdown: Distribution
    under_water: Distribution
    ruin: Probability
    loss: Probability
    fan: Fan


class Tally:
    """Counts of paths; tallies of one pilot have the same bins, and may be added.

    Args:
        pilot: The first paths, which decide where the bins lie; they are not counted by that.
        checkpoints: When the fan is looked at, in steps; the last is a path's length.
        ruin: The fraction of its start below which equity is ruined.
    """

    def __init__(self, pilot: Paths, checkpoints: IntArray, ruin: float) -> None:
        self._pilot, self._checkpoints, self._ruin = pilot, checkpoints, ruin
        n_steps = float(checkpoints[-1])
        self._final = RelativeBins(pilot.ends[0])
        self._drawdown = EvenBins(1.0 - pilot.ends[2], 1.0)
        self._under_water = EvenBins(pilot.ends[3], n_steps, is_whole=True)
        self._fan = [RelativeBins(row, _FAN_BINS) for row in pilot.fan]
        self.n = self._n_ruined = self._n_lost = 0

    def fresh(self) -> Self:
        """Return an empty one with the same bins."""
        return type(self)(self._pilot, self._checkpoints, self._ruin)

    def add(self, paths: Paths) -> None:
        """Count `paths`, at least one."""
        final, lowest, deepest, longest = paths.ends
        self.n += final.size
        self._n_ruined += int(np.count_nonzero(lowest < self._ruin))
        self._n_lost += int(np.count_nonzero(final < 1.0))
        self._final.add(final)
        self._drawdown.add(1.0 - deepest)
        self._under_water.add(longest)
        smallest, largest = paths.fan.min(axis=1).tolist(), paths.fan.max(axis=1).tolist()
        for bins, row, low, high in zip(self._fan, paths.fan, smallest, largest, strict=True):
            bins.add_between(row, low, high)

    def merge(self, other: Self) -> None:
        """Add what another tally has counted."""
        self.n += other.n
        self._n_ruined += other._n_ruined
        self._n_lost += other._n_lost
        self._final.merge(other._final)
        self._drawdown.merge(other._drawdown)
        self._under_water.merge(other._under_water)
        for own, theirs in zip(self._fan, other._fan, strict=True):
            own.merge(theirs)

    def figures(self, capital: float) -> Figures:
        """Return what was counted, with equity in money."""
        columns = [bins.values() for bins in self._fan]
        rows = [[value * capital for value in row] for row in zip(*columns, strict=True)]
        return Figures(
            final_equity=self._final.distribution(capital),
            max_drawdown=self._drawdown.distribution(),
            under_water=self._under_water.distribution(),
            ruin=wilson(self._n_ruined, self.n),
            loss=wilson(self._n_lost, self.n),
            fan=Fan(
                steps=[0, *self._checkpoints.tolist()],
                percents=list(PERCENTILES),
                equity=[[capital, *row] for row in rows],
                resolution=max(bins.resolution for bins in self._fan),
            ),
        )


def checkpoints_of(n_steps: int) -> IntArray:
    """Return when the fan of paths of `n_steps` (>= 1) is looked at: even steps, as evenly spaced as these, and the end."""
    n_pairs = n_steps // 2
    n = min(CHECKPOINTS, n_pairs)
    even = [2 * (n_pairs * place // n) for place in range(1, n + 1)]
    if n_steps % 2:
        even[CHECKPOINTS - 1 :] = [n_steps]
    return np.array(even, dtype=np.int64)


def followed(equity: FloatArray, capital: float, checkpoints: IntArray) -> Paths:
    """Return one path of which every step is known: `equity` after each, shape (n_steps,), in the unit of `capital`.

    From ruin on, which is equity at zero or below, nothing follows.
    """
    worth = np.maximum(equity / capital, 0.0)
    ruined = np.nonzero(worth == 0.0)[0]
    if ruined.size:
        worth[ruined[0] :] = 0.0
    depth = worth / np.maximum(np.maximum.accumulate(worth), 1.0)
    marks = np.flatnonzero(np.concatenate(([True], depth >= 1.0, [True])))
    longest = int(np.diff(marks).max()) - 1
    ends = [worth[-1], min(1.0, float(worth.min())), min(1.0, float(depth.min())), longest]
    return Paths(
        np.array(ends, dtype=np.float64).reshape(4, 1),
        np.ascontiguousarray(worth[checkpoints - 1].reshape(-1, 1)),
    )
