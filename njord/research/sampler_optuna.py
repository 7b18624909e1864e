"""Which points come next, learning from the last ones? Optuna proposes places on the axes, the sweep evaluates them.

Nothing of a study is stored: it is made again by asking the same questions in the same order and answering from the
points that are kept, so that a resumed search goes on exactly as it would have. Points are asked for in rounds of one for
each worker; with one worker a seed decides everything.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from njord.core.errors import ConfigError
from njord.research.axes import numbers
from njord.research.grid import Grid
from njord.research.sweep_result import SweepPlan

if TYPE_CHECKING:
    import optuna

ASKS_PER_POINT_MAX = 20  # A search that proposes nothing new any more ends.


class Proposal:
    """One proposed combination; told about by `OptunaSearch.tell`."""

    def __init__(self, trial: "optuna.Trial", index: int) -> None:
        self.trial, self.index = trial, index

    def should_stop(self, step: int, value: float) -> bool:
        """Report an intermediate value, more is better; say whether the point is to be given up."""
        self.trial.report(_known(value), step)
        return bool(self.trial.should_prune())


class OptunaSearch:
    """A study over the places of a grid.

    Args:
        plan: Names pruner and seed.
        grid: The combinations.
        n_workers: Points that are evaluated at a time.

    Attributes:
        n_combinations: Of the grid.

    Raises:
        ConfigError: Optuna is missing.
    """

    def __init__(self, plan: SweepPlan, grid: Grid, n_workers: int) -> None:
        optuna = need_optuna(plan.sampler)
        self._grid = grid
        self.n_combinations = grid.size
        self._study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=plan.seed, constant_liar=n_workers > 1),
            pruner=_pruner(optuna, plan),
        )
        self._complete = optuna.trial.TrialState.COMPLETE
        self._pruned = optuna.trial.TrialState.PRUNED
        self._failed = optuna.trial.TrialState.FAIL

    def ask(self) -> Proposal:
        """Return the next combination."""
        trial = self._study.ask()
        places = [
            trial.suggest_int(axis.name, 0, len(axis.values) - 1)
            if numbers(axis) is not None
            else axis.values.index(trial.suggest_categorical(axis.name, axis.values))
            for axis in self._grid.axes
        ]
        return Proposal(trial, self._grid.index_of(places))

    def tell(self, proposal: Proposal, value: float, *, is_pruned: bool = False) -> None:
        """Say how a combination did, more is better; NaN = it has no value."""
        if is_pruned:
            self._study.tell(proposal.trial, state=self._pruned)
        elif math.isnan(value):
            self._study.tell(proposal.trial, state=self._failed)
        else:
            self._study.tell(proposal.trial, value, state=self._complete)


def rounds(
    search: OptunaSearch,
    plan: SweepPlan,
    n_workers: int,
    accepts: Callable[[int], bool],
    known: Callable[[int], float | None],
) -> Iterator[list[Proposal]]:
    """Yield rounds of proposals that were not evaluated before; every one must be told of before the next round.

    Args:
        search: Who proposes.
        plan: Says how many points in all.
        n_workers: Of a round.
        accepts: Says whether the strategy takes a combination.
        known: The value of a combination of an earlier round, which is told again; None if there is none.
    """
    wanted = min(plan.n_points or search.n_combinations, search.n_combinations)
    n_new = n_asked = 0
    while n_new < wanted and n_asked < ASKS_PER_POINT_MAX * wanted:
        asked: list[Proposal] = []
        while len(asked) < min(n_workers, wanted - n_new) and n_asked < ASKS_PER_POINT_MAX * wanted:
            proposal = search.ask()
            n_asked += 1
            value = known(proposal.index)
            if not accepts(proposal.index):
                search.tell(proposal, math.nan)
            elif value is not None:
                search.tell(proposal, value)
            elif any(other.index == proposal.index for other in asked):
                search.tell(proposal, math.nan)
            else:
                asked.append(proposal)
        n_new += len(asked)
        if asked:
            yield asked


def need_optuna(sampler: str) -> Any:
    """Return Optuna.

    Raises:
        ConfigError: It is missing.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            f"--sampler {sampler} needs Optuna", "pip install 'njord-quant[sweep]', or use --sampler random"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _pruner(optuna: Any, plan: SweepPlan) -> Any:
    if plan.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5)
    if plan.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    return optuna.pruners.NopPruner()


# Optuna takes no NaN: a point without a value so far is as bad as can be.
def _known(value: float) -> float:
    return -1e300 if math.isnan(value) else value


def rung_blocks(n_blocks: int, n_rungs: int) -> Sequence[int]:
    """Return after how many blocks a point may be given up: a quarter and a half of all, for two rungs."""
    return tuple(max(1, n_blocks >> (n_rungs - rung)) for rung in range(n_rungs))
