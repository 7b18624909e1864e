"""One walk-forward from request to result: check everything, divide the data, run the folds, write what they say.

All input is checked before the first byte is written. Points are scored by whatever the executors' door opens; what each
fold chose runs outside on the ordered engine, bar by bar.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

import njord
from njord.adapters.source_hash import package_hash
from njord.backtest.point import Evaluator, Params, PointSpec, Score
from njord.backtest.point_curve import PointCurves
from njord.backtest.points import EngineChoice, open_evaluator
from njord.backtest.session import Prepared
from njord.core.errors import ConfigError, DataError, StrategyError
from njord.core.ids import short_hash
from njord.performance.returns import periods_per_year
from njord.research import sweep_worker
from njord.research.axes import Axis
from njord.research.executors import Workers
from njord.research.grid import Grid
from njord.research.splits import Fold, Mode, SplitPlan, folds_of, paths_of
from njord.research.sweep_result import check_objective
from njord.research.sweep_worker import Opening
from njord.research.walkforward import (
    FoldResult,
    FoldRun,
    Inside,
    Scorer,
    Task,
    Walk,
    Windows,
    check_trainings,
    run_folds,
)
from njord.research.walkforward_paths import figures_of
from njord.research.walkforward_result import (
    Drift,
    Stitched,
    WalkForward,
    drift_of,
    mean_inside,
    out_of_sample,
    stitch,
    whole_efficiency,
)
from njord.research.walkforward_store import WalkForwardFolder
from njord.research.walkforward_trial import count_walk
from njord.storage.interval import parse_timeframe

POINTS_MAX = 1_000_000
BARS_TOGETHER = 200_000  # Of a task on the ordered engine: about a second.
FAST_TOGETHER = 4_096  # Points of a task on the fast engine.
TOGETHER_MAX = 64
ENOUGH_FOLDS = 4  # To say of a parameter that it drifts.
TESTED_FOLDS = 2  # Of a combinatorial split: the book's own choice.
FEW_FILLS = 30  # Outside; below, a Sharpe ratio says little.


class WalkForwardRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for.

    Attributes:
        spec: What all points share.
        axes: What varies.
        n_folds: Trainings and tests; cpcv: groups.
        mode: `rolling`, `anchored` or `cpcv`.
        train: Bars, or a time such as 30d; None = what the tests leave.
        test: Likewise; None = what the training leaves.
        purge: Bars before a test that do not train.
        embargo: Bars behind a test that no later training has.
        n_test_folds: cpcv: how many groups a split tests; None = 2 there.
        objective: What is best.
        engine: What scores points.
    """

    spec: PointSpec
    axes: tuple[Axis, ...]
    n_folds: int
    mode: Mode = "rolling"
    train: str | None = None
    test: str | None = None
    purge: int = 0
    embargo: int = 0
    n_test_folds: int | None = None
    objective: str = "sharpe"
    engine: EngineChoice = "auto"


class OpenWalkForward:
    """A walk-forward that passed every check and holds its data open; the caller closes it.

    Args:
        request: What is asked for.

    Attributes:
        id: Hash of everything that decides: code, configuration, data, strategy, points and folds.
        folds: In order of time.

    Raises:
        UserError: Strategy, parameters, configuration, data or folds are not fit; one line says which and why.
    """

    def __init__(self, request: WalkForwardRequest) -> None:
        self.request = request
        self.grid = Grid(request.axes)
        check_objective(request.objective)
        if self.grid.size > POINTS_MAX:
            raise ConfigError(
                f"{self.grid.size:,} combinations a fold are more than {POINTS_MAX:,}", "take larger steps"
            )
        self.curves = PointCurves(request.spec)
        try:
            self.prepared = self._first_accepted()
            self.interval_ns = min(each.interval_ns for each in self.prepared.market.sources)
            self.plan = self._plan()
            self.folds: tuple[Fold, ...] = folds_of(self.curves.times_ns.size, self.plan)
            check_trainings(request.objective, self.folds, request.mode)
            self.evaluator: Evaluator = open_evaluator(request.spec, request.engine)
        except BaseException:
            self.curves.close()
            raise
        self.id = self._identity()
        self.walk = Walk(
            grid=self.grid,
            folds=self.folds,
            times_ns=self.curves.times_ns,
            objective=request.objective,
            capital=float(self.prepared.spec.capital),
            periods_per_year=periods_per_year(self.interval_ns),
            n_together=self._together(),
        )

    def __enter__(self) -> "OpenWalkForward":
        return self

    def __exit__(self, *_: object) -> None:
        self.evaluator.close()
        self.curves.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The strategy's id and its symbols, for the folder's name."""
        symbols = [each.symbol for each in self.prepared.market.instruments]
        return (self.prepared.strategies[0].strategy_id, *symbols)

    def _plan(self) -> SplitPlan:
        request = self.request
        usual = TESTED_FOLDS if request.mode == "cpcv" else 0
        return SplitPlan(
            n_folds=request.n_folds,
            mode=request.mode,
            train=bars_of("--train", request.train, self.interval_ns),
            test=bars_of("--test", request.test, self.interval_ns),
            purge=request.purge,
            embargo=request.embargo,
            n_test_folds=usual if request.n_test_folds is None else request.n_test_folds,
        )

    # A strategy may refuse combinations; one that refuses them all has its own words for it.
    def _first_accepted(self) -> Prepared:
        refused: StrategyError | None = None
        for index in range(self.grid.size):
            try:
                return self.curves.prepared(self.grid.at(index))
            except StrategyError as error:
                refused = refused or error
        raise refused or StrategyError("no parameter varies")

    def _identity(self) -> str:
        plan = msgspec.json.encode(self.plan).decode()
        axes = msgspec.json.encode(self.request.axes).decode()
        return short_hash(
            self.prepared.spec.run_id,
            plan,
            axes,
            self.request.objective,
            str(self.request.spec.n_blocks),
            self.evaluator.engine,
        )

    def _together(self) -> int:
        if self.evaluator.engine == "fast":
            return FAST_TOGETHER
        longest = max(fold.n_train for fold in self.folds)
        return max(1, min(TOGETHER_MAX, BARS_TOGETHER // longest))


def bars_of(flag: str, text: str | None, interval_ns: int) -> int | None:
    """Return a length in bars: a whole number as it is, a time such as 30d as so many bars of `interval_ns`.

    Raises:
        ConfigError: It is neither, or a time shorter than a bar.
    """
    if text is None:
        return None
    if re.fullmatch(r"\d{1,12}", text.strip()):
        return int(text)
    try:
        n_bars = parse_timeframe(text) // interval_ns
    except DataError:
        n_bars = -1
    if n_bars < 1:
        raise ConfigError(
            f"{flag} takes bars, or a time of at least one bar, was {text:.40}", f"for example {flag} 30d"
        )
    return n_bars


def run_walk_forward(
    opened: OpenWalkForward,
    folder: WalkForwardFolder,
    state: Path,
    ts_ns: int,
    workers: str = "1",
    progress: Callable[[int, int], None] = lambda n_done, n_total: None,
    is_resumed: bool = False,
) -> WalkForward:
    """Run what is missing of a walk-forward and write its folder.

    Args:
        opened: What to run.
        folder: Where finished folds are kept, and the result goes.
        state: The folder of the trial ledger.
        ts_ns: Now, for the ledger.
        workers: As `open_executor` takes them.
        progress: Told how many points are scored, and how many there are.
        is_resumed: The folder holds finished folds of it.

    Raises:
        UserError: The data or the workers are not fit, or the folder is of something else.
    """
    done = folder.resume() if is_resumed else {}
    engine = opened.evaluator.engine
    sweep_worker.adopt(opened.id, opened.evaluator)
    try:
        with Workers(workers, engine) as staff:
            scorer = _scorer(opened, staff)
            runs = run_folds(opened.walk, scorer, opened.curves, done, folder.keep, progress)
    finally:
        sweep_worker.forget(opened.id)
    result, curve = sum_up(opened, runs)
    result = count_walk(result, opened.prepared, opened.walk, runs, state, ts_ns)
    folder.finish(result, curve)
    return result


def _scorer(opened: OpenWalkForward, staff: Workers) -> Scorer:
    opening = Opening(
        key=opened.id,
        spec=opened.request.spec,
        engine="fast" if opened.evaluator.engine == "fast" else "ordered",
        code_hash=package_hash(),
    )

    def score(tasks: Iterator[Task]) -> Iterator[tuple[tuple[int, int], Sequence[Inside]]]:
        calls = ((key, (opening, points, windows)) for key, (points, windows) in tasks)
        return staff.results(calls, score_inside)

    return score


def score_inside(opening: Opening, points: Sequence[Params], windows: Windows) -> list[Inside]:
    """Return the scores of every point on every window; what a worker does.

    Raises:
        UserError: As `sweep_worker.evaluate` says.
    """
    by_window: list[list[Score]] = [sweep_worker.evaluate(opening, points, window) for window in windows]
    return list(zip(*by_window, strict=True))


# --- what it says ---


def sum_up(opened: OpenWalkForward, runs: Sequence[FoldRun]) -> tuple[WalkForward, Stitched]:
    """Return the whole result of finished folds, and the stitched curve."""
    request, market, walk = opened.request, opened.prepared.market, opened.walk
    folds = tuple(run.result for run in runs)
    every = [[runs[at] for at in path] for path in paths_of(opened.plan)]
    paths = None
    if opened.plan.mode == "cpcv":
        n_splits = len(runs) // opened.plan.n_test_folds
        paths = figures_of(every, n_splits, walk.capital, opened.interval_ns)
    own = every[0 if paths is None else paths.middle - 1]
    curve = stitch(own, walk.capital)
    outside = out_of_sample(curve, own, walk.capital, opened.interval_ns)
    result = WalkForward(
        id=opened.id,
        njord_version=njord.__version__,
        strategy=opened.prepared.strategies[0].strategy_id,
        symbol=", ".join(each.symbol for each in market.instruments),
        data=tuple((source.name, source.hash) for source in market.sources),
        params=request.spec.request.params,
        axes=request.axes,
        objective=request.objective,
        plan=opened.plan,
        n_points=opened.grid.size,
        engine=opened.evaluator.engine,
        why_ordered=opened.evaluator.why_ordered,
        interval_ns=opened.interval_ns,
        capital=walk.capital,
        report_asset=opened.prepared.spec.report_asset,
        n_bars=walk.times_ns.size,
        start_ns=int(walk.times_ns[0]),
        end_ns=int(walk.times_ns[-1]),
        folds=folds,
        out_of_sample=outside,
        inside_sharpe=mean_inside(folds),
        efficiency=whole_efficiency(folds, outside),
        n_positive=sum(fold.outside is not None and fold.outside.total_return > 0 for fold in folds),
        n_idle=sum(fold.outside is None for fold in folds),
        drift=_drift(opened, folds),
        assumptions=_assumptions(opened),
        warnings=tuple(_warnings(opened, folds, outside.n_fills)),
        error=next((fold.outside.error for fold in folds if fold.outside and fold.outside.error), ""),
        paths=paths,
    )
    return result, curve


# One fold of each training: those that share one have made one choice.
def _drift(opened: OpenWalkForward, folds: Sequence[FoldResult]) -> tuple[Drift, ...]:
    return drift_of(opened.request.axes, folds[:: opened.plan.n_test_folds or 1])


_OF_CPCV = (
    "Trainings lie behind their tests, too: no path could have been traded. They show how much a result depends on "
    "which past it was chosen on.",
    "The paths share data and trainings, so that the deviation between them is not the error of their mean.",
)


def _assumptions(opened: OpenWalkForward) -> tuple[str, ...]:
    spec, plan = opened.prepared.spec, opened.plan
    return (
        *(_OF_CPCV if plan.mode == "cpcv" else ()),
        f"Every training and every test starts flat with the whole capital of {spec.capital:f} {spec.report_asset}: no "
        "position is carried from one test into the next.",
        "At the end of a test what is held is valued at the last price: the costs of closing it, and of opening it "
        "again in the next test, are not in the stitched curve.",
        "A strategy is warmed up on the bars before its window, purged ones included; what it proposes there is refused.",
        "The out-of-sample curve chains the returns of the tests bar by bar, as an account would that compounds.",
        f"In every training the best point by {opened.request.objective} is chosen, the first of equals in the order of "
        f"the axes; {plan.purge} bars {'on either side of' if plan.mode == 'cpcv' else 'before'} a test are purged, "
        f"{plan.embargo} behind it embargoed.",
        "Tests run on the ordered engine, with the risk profile, fees and slippage of a backtest.",
    )


def _warnings(opened: OpenWalkForward, folds: Sequence[FoldResult], n_fills: int) -> Iterator[str]:
    idle = [str(fold.number) for fold in folds if fold.outside is None]
    if idle:
        yield (
            f"in fold {', '.join(idle)} no point has a defined {opened.request.objective} in its training: nothing was "
            "traded in its test"
        )
    for fold in folds:
        if fold.outside is not None and fold.outside.error:
            yield f"in fold {fold.number} the strategy failed and was suspended: {fold.outside.error}"
    failed = max(fold.n_failed for fold in folds)
    if failed:
        yield f"{failed:,} of {opened.grid.size:,} points were refused by the strategy or failed: they are never chosen"
    if n_fills < FEW_FILLS:
        yield f"only {n_fills} fills out of sample: too few to say much"
    first = opened.folds[0].train[0][0]
    if first and opened.plan.mode == "rolling":
        yield f"the first {first:,} bars are in no training: the lengths leave them over"
    for each in _drift(opened, folds):
        if len(each.values) >= ENOUGH_FOLDS and each.mean_step >= each.random_step:
            yield f"{each.name} moves from fold to fold as far as draws at random would"
    if math.isnan(mean_inside(folds)):
        yield "no training has a Sharpe ratio: there is nothing to compare the tests with"
