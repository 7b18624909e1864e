"""Which points come next, where that does not depend on how the last ones did? A plan in, chunks of combinations out.

Combinations that the strategy refuses are counted and passed over. The same plan gives the same chunks, so that a sweep
can be resumed by their numbers.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from njord.backtest.point import Params
from njord.research.grid import Grid, permuted
from njord.research.sweep_result import SweepPlan


class Draws:
    """The chunks of a plan.

    Args:
        plan: Of a grid or a random search.
        grid: Its combinations.
        accepts: Says whether the strategy takes a combination.

    Attributes:
        n_refused: Combinations that were passed over so far.
    """

    def __init__(self, plan: SweepPlan, grid: Grid, accepts: Callable[[Params], bool]) -> None:
        self._plan, self._grid, self._accepts = plan, grid, accepts
        self.n_refused = 0

    def chunks(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield the number of each chunk and its combinations."""
        coming = islice(self._accepted(), self._plan.n_points)
        number = 0
        while chunk := tuple(islice(coming, self._plan.chunk_points)):
            yield number, chunk
            number += 1

    def _accepted(self) -> Iterator[int]:
        grid = self._grid
        order = range(grid.size) if self._plan.sampler == "grid" else permuted(grid.size, self._plan.seed)
        for index in order:
            if self._accepts(grid.at(index)):
                yield index
            else:
                self.n_refused += 1
