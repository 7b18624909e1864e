"""How do thousands of parameters do? A strategy, axes and data in; a table of all points, and the best beside their
out-of-sample twins, out.

The last part of the data is kept from the search, and only the best few are ever evaluated there. Everything that
decides is in the plan, so that a sweep that was interrupted or killed goes on from its folder and ends in the same table.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from msgspec.structs import replace

from njord.adapters.clock import Stopwatch
from njord.adapters.source_hash import package_hash
from njord.backtest.ordered_points import typed_point
from njord.backtest.point import Evaluator, Params, PointSpec, Score, Window
from njord.backtest.points import open_evaluator
from njord.backtest.request import Typed, load_strategies
from njord.core.config_shapes import config_hash
from njord.core.errors import ConfigError, StrategyError
from njord.core.ids import short_hash
from njord.research.executors import Workers, n_workers_of
from njord.research.forecast import Forecast, forecast
from njord.research.grid import Grid
from njord.research.resident import give_back
from njord.research.sampler import Draws
from njord.research.sampler_optuna import (
    OptunaSearch,
    Proposal,
    rounds,
    rung_blocks,
)
from njord.research.sweep_data import SweepData, sweep_data
from njord.research.sweep_honesty import judge
from njord.research.sweep_result import (
    OF_OPTUNA,
    PLAN,
    RESULT,
    SweepPlan,
    SweepResult,
    TwinScore,
    encode,
    goodness,
    read_plan,
    read_result,
)
from njord.research.sweep_store import N_RUNGS, SweepStore, replace_file, row_of, score_of
from njord.research.sweep_table import PRUNED, Finisher
from njord.research.sweep_wishes import Wishes, check_wishes
from njord.research.sweep_worker import Opening, adopt, evaluate, forget

Progress = Callable[[int, int], None]  # Points done, points in all.
_ROUND_ON_DASK = 4  # Points that are asked for at a time, where nobody knows how many workers there will be.
IN_SAMPLE_ONLY = "in sample only: no part of the data was held out, every number flatters"


class Sweep:
    """A sweep that passed every check; a context manager.

    Args:
        spec: What all points share.
        wishes: How to search.

    Attributes:
        forecast: What it will take.

    Raises:
        UserError: Something does not fit; one line says what.
    """

    def __init__(self, spec: PointSpec, wishes: Wishes) -> None:
        check_wishes(wishes)
        self._spec, self._wishes = spec, wishes
        self._found = load_strategies(spec.request.strategies)
        self._grid = Grid(wishes.axes)
        give_back()  # What start-up has read: the peak of a sweep is that of its largest stage.
        self._data = sweep_data(spec, self._found[0], self._grid)
        window, _ = self._data.split(wishes.holdout)
        give_back()
        self._evaluator: Evaluator = open_evaluator(spec, wishes.engine, give_back)
        give_back()
        try:
            self.forecast: Forecast = forecast(
                self._evaluator,
                self._grid,
                self.accepts,
                window,
                wishes.n_points,
                n_workers_of(wishes.workers),
                spec.n_blocks,
            )
        except BaseException:
            self._evaluator.close()
            raise
        give_back()
        self.plan = _plan(spec, wishes, self._found[0], self._data, self._evaluator, self.forecast)

    def accepts(self, params: Params) -> bool:
        """Say whether the strategy takes a combination."""
        return not self._refusal(params)

    def run(
        self, folder: Path, progress: Progress = lambda done, total: None, state: Path | None = None
    ) -> SweepResult:
        """Evaluate what is not kept in the folder yet, and write its table and result.

        Args:
            folder: A new one, or one that this very sweep was interrupted in.
            progress: Told of the points.
            state: Holds the trial ledger, in which every point is counted; None = nothing is judged.

        Raises:
            UserError: The folder is of another sweep.
            KeyboardInterrupt: What was done is kept.
        """
        watch = Stopwatch()
        with Workers(
            self._wishes.workers, self.plan.engine
        ) as workers:  # Who does not answer leaves no folder.
            self.plan = plan = _begun(folder, self.plan)
            if (folder / RESULT).exists():
                return read_result(folder)
            store = SweepStore(folder, plan.n_blocks)
            opening = Opening(
                key=f"{plan.identity}-{id(self)}",
                spec=self._spec,
                engine=plan.engine,
                code_hash="" if n_workers_of(self._wishes.workers) else package_hash(),
            )
            adopt(opening.key, self._evaluator)
            try:
                search = self._learn if plan.sampler in OF_OPTUNA else self._walk
                n_refused = search(store, workers, opening, progress)
                workers.close()
                return self._finish(folder, store, n_refused, watch, state)
            finally:
                forget(opening.key)
                store.close()

    def close(self) -> None:
        """Let go of the data."""
        self._evaluator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refusal(self, params: Params) -> str:
        try:
            typed_point(self._spec, self._found, params, self._data.instruments)
        except StrategyError as error:
            return error.problem
        return ""

    # A grid or random draws: chunks that are known beforehand, in whatever order they are done.
    def _walk(self, store: SweepStore, workers: Workers, opening: Opening, progress: Progress) -> int:
        draws = Draws(self.plan, self._grid, self.accepts)

        def tasks() -> Iterator[tuple[tuple[int, tuple[int, ...]], tuple[Any, ...]]]:
            for number, indices in draws.chunks():
                if number not in store.done:
                    points = [self._grid.at(index) for index in indices]
                    yield (number, indices), (opening, points, self.plan.window)

        for (number, indices), scores in workers.results(tasks(), evaluate):
            pairs = zip(indices, scores, strict=True)
            rows = [row_of(index, score, self.plan.n_blocks) for index, score in pairs]
            store.add(number, np.concatenate(rows))
            progress(store.n_rows, max(self.forecast.n_points, store.n_rows))
        return draws.n_refused

    # A search that learns: rounds of proposals, answered from the store where it has them.
    def _learn(self, store: SweepStore, workers: Workers, opening: Opening, progress: Progress) -> int:
        plan, refused, told = self.plan, set[int](), dict[int, float]()
        search = OptunaSearch(plan, self._grid, plan.chunk_points)
        kept = {int(row["index"]): row for row in store.take(np.arange(store.n_rows))}

        def accepts(index: int) -> bool:
            if not self.accepts(self._grid.at(index)):
                refused.add(index)
            return index not in refused

        every = rounds(search, plan, plan.chunk_points, accepts, told.get)
        for number, proposals in enumerate(every):
            if number in store.done:
                scores = [score_of(kept[each.index], self._grid.at(each.index)) for each in proposals]
                rungs = [_reached(kept[each.index], plan) for each in proposals]
                for proposal, values in zip(proposals, rungs, strict=True):
                    for step, value in enumerate(values):
                        proposal.should_stop(step + 1, value)
            else:
                scores, rungs = self._round(proposals, workers, opening)
                rows = [
                    row_of(each.index, score, plan.n_blocks, values)
                    for each, score, values in zip(proposals, scores, rungs, strict=True)
                ]
                store.add(number, np.concatenate(rows))
                progress(store.n_rows, max(self.forecast.n_points, store.n_rows))
            for proposal, score in zip(proposals, scores, strict=True):
                told[proposal.index] = goodness(score, plan.objective)
                search.tell(proposal, told[proposal.index], is_pruned=score.error.startswith(PRUNED))
        return len(refused)

    # The scores of a round, and the values that pruning went by.
    def _round(
        self, proposals: Sequence[Proposal], workers: Workers, opening: Opening
    ) -> tuple[list[Score], list[list[float]]]:
        plan = self.plan
        scores: dict[int, Score] = {}
        values: list[list[float]] = [[] for _ in proposals]
        blocks = rung_blocks(plan.n_blocks, N_RUNGS)
        going = list(range(len(proposals)))
        for step, end_ns in enumerate(plan.rung_ends_ns):
            found = self._evaluate(proposals, going, workers, opening, replace(plan.window, end_ns=end_ns))
            for number in list(going):
                value = goodness(found[number], plan.objective)
                values[number].append(value)
                if proposals[number].should_stop(step + 1, value):
                    given_up = f"{PRUNED} after {blocks[step]} of {plan.n_blocks} blocks"
                    scores[number] = replace(found[number], error=found[number].error or given_up)
                    going.remove(number)
        scores |= self._evaluate(proposals, going, workers, opening, plan.window)
        return [scores[number] for number in range(len(proposals))], values

    def _evaluate(
        self,
        proposals: Sequence[Proposal],
        numbers: Sequence[int],
        workers: Workers,
        opening: Opening,
        window: Window,
    ) -> dict[int, Score]:
        tasks = [(number, (opening, [self._grid.at(proposals[number].index)], window)) for number in numbers]
        return {number: scores[0] for number, scores in workers.results(tasks, evaluate)}

    def _finish(
        self, folder: Path, store: SweepStore, n_refused: int, watch: Stopwatch, state: Path | None
    ) -> SweepResult:
        plan = self.plan
        finisher = Finisher(store, plan)
        overview = finisher.overview()
        inside = [best.score for best in overview.best]
        outside: Sequence[Score | None] = [None] * len(inside)
        if plan.holdout is not None:
            self._evaluator.forget()
            give_back()  # The hold-out is one more copy.
            outside = self._evaluator.evaluate([score.params for score in inside], plan.holdout)
        self._evaluator.close()
        give_back()
        finisher.write(folder)
        give_back()
        seen = [score for score in outside if score is not None]
        honesty = judge(plan, self._data, store, inside[0], seen, state) if inside and state else None
        twins = tuple(
            TwinScore(inside=best.score, outside=twin, neighbors=best.neighbors, n_neighbors=best.n_neighbors)
            for best, twin in zip(overview.best, outside, strict=True)
        )
        result = SweepResult(
            **{name: getattr(plan, name) for name in _SAID},
            n_combinations=self._grid.size,
            n_points=overview.n_points,
            n_refused=n_refused,
            n_failed=overview.n_failed,
            n_pruned=overview.n_pruned,
            positive_share=overview.positive_share,
            median=overview.median,
            wall_s=round(watch.elapsed_s(), 3),
            label=IN_SAMPLE_ONLY if plan.holdout is None else "in sample, and out of sample beside it",
            folder=folder,
            top=twins,
            honesty=honesty,
        )
        replace_file(folder / RESULT, encode(result))
        store.remove()
        return result


# What a result repeats of its plan.
_SAID = (
    "strategy", "symbol", "data", "axes", "shared", "objective", "sampler", "pruner", "seed", "engine", "why_ordered",
    "window", "holdout",
)  # fmt: skip


def _plan(
    spec: PointSpec,
    wishes: Wishes,
    strategy: Typed,
    data: SweepData,
    evaluator: Evaluator,
    forecast: Forecast,
) -> SweepPlan:
    window, holdout = data.split(wishes.holdout)
    rungs = rung_blocks(spec.n_blocks, N_RUNGS) if wishes.pruner != "none" else ()
    identity = short_hash(
        config_hash(spec.config),
        package_hash(),
        data.subject.code,
        *data.subject.data,
        data.subject.terms,
        msgspec.json.encode((spec.request.params, spec.n_blocks)).decode(),
        msgspec.json.encode((wishes.axes, wishes.objective, wishes.sampler, wishes.pruner)).decode(),
        f"{wishes.n_points} {wishes.seed} {wishes.n_top} {wishes.holdout} {evaluator.engine}",
    )
    return SweepPlan(
        identity=identity,
        strategy=strategy.strategy_id,
        symbol=data.symbol,
        data=data.data,
        axes=wishes.axes,
        shared=spec.request.params,
        objective=wishes.objective,
        sampler=wishes.sampler,
        pruner=wishes.pruner,
        n_points=wishes.n_points,
        seed=wishes.seed,
        n_top=wishes.n_top,
        n_blocks=spec.n_blocks,
        chunk_points=(forecast.n_workers or _ROUND_ON_DASK)
        if wishes.sampler in OF_OPTUNA
        else forecast.chunk_points,
        engine="fast" if evaluator.engine == "fast" else "ordered",
        why_ordered=evaluator.why_ordered,
        window=window,
        holdout=holdout,
        rung_ends_ns=data.block_ends_ns(window, spec.n_blocks, tuple(rungs)),
        typed=wishes.typed,
    )


# The plan that the folder began with: its chunks are those that are kept.
def _begun(folder: Path, plan: SweepPlan) -> SweepPlan:
    if not (folder / PLAN).exists():
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / PLAN, encode(plan))
        return plan
    begun = read_plan(folder)
    if begun.identity != plan.identity:
        raise ConfigError(
            f"{folder} was begun with other code, data or settings than there are now", "begin a new sweep"
        )
    return begun


def _reached(row: Any, plan: SweepPlan) -> list[float]:
    n_reached = len(plan.rung_ends_ns)
    error = bytes(row["error"]).decode(errors="ignore")
    for step, n_blocks in enumerate(rung_blocks(plan.n_blocks, N_RUNGS)):
        if error.startswith(f"{PRUNED} after {n_blocks} of"):
            n_reached = step + 1
    return [float(value) for value in row["rungs"][:n_reached]]
