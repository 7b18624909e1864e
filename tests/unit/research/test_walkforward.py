"""Folds on made-up scores: what is chosen, what is never chosen, and what the stitched curve is."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from njord.backtest.ordered_points import blocks_of
from njord.backtest.point import Params, Score, Window
from njord.backtest.point_curve import PointCurve
from njord.core.errors import ConfigError
from njord.performance.ratios import sharpe_ratio
from njord.research.axes import Axis
from njord.research.grid import Grid
from njord.research.splits import SplitPlan, folds_of, paths_of, walk_forward_folds
from njord.research.walkforward import (
    FoldResult,
    FoldRun,
    Inside,
    Task,
    Walk,
    check_trainings,
    efficiency,
    run_folds,
)
from njord.research.walkforward_paths import figures_of
from njord.research.walkforward_result import drift_of, mean_inside, out_of_sample, stitch

AXES = (Axis("fast", ("1", "2", "3")), Axis("slow", ("10", "20")))
HOUR_NS = 3_600_000_000_000
CAPITAL = 1_000.0
N_BARS = 100


def a_walk(objective: str = "sharpe", n_together: int = 1, plan: SplitPlan | None = None) -> Walk:
    times_ns = (np.arange(N_BARS, dtype=np.int64) + 1) * HOUR_NS
    return Walk(
        grid=Grid(AXES),
        folds=folds_of(N_BARS, plan or SplitPlan(n_folds=3, train=40, test=20)),
        times_ns=times_ns,
        objective=objective,
        capital=CAPITAL,
        periods_per_year=8_760.0,
        n_together=n_together,
    )


class Market:
    """Scores by table, curves that grow by a tenth of a percent a bar; remembers what it was asked."""

    def __init__(self, values: dict[str, float], field: str = "sharpe", failed: Sequence[str] = ()) -> None:
        self.values, self.field, self.failed = values, field, failed
        self.trained: list[tuple[int, Window]] = []
        self.tested: list[tuple[Params, Window]] = []

    def scores(self, params: Params) -> Score:
        name = "/".join(value for _, value in params)
        score = Score(params=params, error="it failed" if name in self.failed else "")
        return replace(score, **{self.field: self.values.get(name, math.nan)})

    def score(self, tasks: Iterator[Task]) -> Iterator[tuple[tuple[int, int], Sequence[Inside]]]:
        for key, (points, windows) in tasks:
            self.trained += [(key[0], window) for window in windows]
            yield key, [tuple(self.scores(params) for _ in windows) for params in points]

    def curve(self, params: Params, window: Window) -> PointCurve:
        self.tested.append((params, window))
        assert window.start_ns is not None and window.end_ns is not None
        ts_ns = np.arange(window.start_ns, window.end_ns, HOUR_NS, dtype=np.int64)
        equity = CAPITAL * np.cumprod(np.full(ts_ns.size, 1.001))
        return PointCurve(Score(params=params, sharpe=2.0, n_fills=3, total_return=0.02), ts_ns, equity)


def choice(run: FoldRun) -> str:
    return "/".join(value for _, value in run.result.params)


@pytest.mark.parametrize(
    ("objective", "values", "failed", "best"),
    [
        ("sharpe", {"1/10": 1.0, "2/20": 3.0, "3/10": 2.0}, (), "2/20"),
        ("sharpe", {"1/10": 1.0, "2/20": 3.0, "3/10": 2.0}, ("2/20",), "3/10"),
        ("sharpe", {"2/10": 3.0, "2/20": 3.0}, (), "2/10"),
        ("max_drawdown", {"1/10": 0.5, "2/20": 0.1, "3/10": 0.2}, (), "2/20"),
        ("sharpe", {"3/20": -4.0}, (), "3/20"),
    ],
)
def test_the_best_point_is_chosen_the_first_of_equals_and_never_one_that_failed(
    objective: str, values: dict[str, float], failed: tuple[str, ...], best: str
) -> None:
    market = Market(values, objective, failed)
    runs = run_folds(a_walk(objective), market.score, market)
    assert [choice(run) for run in runs] == [best] * 3
    assert runs[0].result.objective == values[best]
    assert runs[0].result.n_failed == len(failed)


def test_no_training_sees_the_test_that_judges_it_and_tests_are_run_once() -> None:
    market = Market({"1/10": 1.0}, "total_return")
    walk = a_walk("total_return", plan=SplitPlan(n_folds=3, mode="anchored", test=20, purge=5, embargo=3))
    runs = run_folds(walk, market.score, market)
    starts = [window.start_ns or 0 for _, window in market.tested]
    assert starts == [(bar + 1) * HOUR_NS for bar in (40, 60, 80)]
    for number, window in market.trained:
        assert (window.end_ns or 0) <= starts[number - 1] - 5 * HOUR_NS
    assert [len(run.result.train) for run in runs] == [1, 1, 2]
    assert runs[2].result.objective == 3.0  # Both pieces doubled the money.


def test_the_order_in_which_answers_come_and_the_size_of_tasks_change_nothing() -> None:
    random = Random(7)
    names = ["/".join(pair) for pair in product(AXES[0].values, AXES[1].values)]
    values = dict.fromkeys(names[1:], 2.0)  # Equal all: the first of them is the best, however late it comes.
    expected = [run.result for run in run_folds(a_walk(), Market(values).score, Market(values))]
    for n_together in (1, 2, 4, 6):
        market = Market(values)

        def shuffled(
            tasks: Iterator[Task], market: Market = market
        ) -> Iterator[tuple[tuple[int, int], Sequence[Inside]]]:
            every = list(tasks)
            random.shuffle(every)
            yield from market.score(iter(every))

        runs = run_folds(a_walk(n_together=n_together), shuffled, market)
        assert [run.result for run in runs] == expected


def test_a_fold_without_a_defined_objective_stays_out_of_the_market() -> None:
    market = Market({})
    walk = a_walk()
    runs = run_folds(walk, market.score, market)
    assert not market.tested
    curve = stitch(runs, CAPITAL)
    assert curve.equity.tolist() == [CAPITAL] * 60
    assert curve.ts_ns.tolist() == walk.times_ns[40:].tolist()
    assert math.isnan(mean_inside([run.result for run in runs]))
    assert [drift.values for drift in drift_of(AXES, [run.result for run in runs])] == [(None,) * 3] * 2


def test_finished_folds_are_not_run_again_and_progress_counts_what_is_left() -> None:
    whole, again = Market({"1/10": 1.0}), Market({"1/10": 1.0})
    kept: list[FoldRun] = []
    runs = run_folds(a_walk(), whole.score, whole, keep=kept.append)
    assert [run.result.number for run in kept] == [1, 2, 3]
    told: list[tuple[int, int]] = []
    done = {1: runs[0], 3: runs[2]}
    resumed = run_folds(a_walk(), again.score, again, done, progress=lambda n, of: told.append((n, of)))
    assert {number for number, _ in again.trained} == {2}
    assert told[-1] == (6, 6)
    assert [run.result for run in resumed] == [run.result for run in runs]


returns_of = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60).filter(lambda each: len(set(each)) > 1)


@given(pieces=st.lists(returns_of, min_size=2, max_size=4), n_blocks=st.integers(1, 8))
def test_the_sharpe_ratio_of_a_training_with_holes_is_that_of_all_its_returns(
    pieces: list[list[float]], n_blocks: int
) -> None:
    together = sharpe_ratio(np.array([each for piece in pieces for each in piece]), 8_760.0)
    plan = SplitPlan(n_folds=len(pieces) + 1, mode="anchored", test=10, embargo=1)
    walk = a_walk(plan=plan)
    assert len(walk.folds[-1].train) == len(pieces)

    def score(tasks: Iterator[Task]) -> Iterator[tuple[tuple[int, int], Sequence[Inside]]]:
        for key, (points, windows) in tasks:
            inside = tuple(
                Score(
                    params=(),
                    sharpe=sharpe_ratio(np.array(piece), 8_760.0),
                    blocks=blocks_of(np.array(piece), len(piece), n_blocks),
                )
                for piece in pieces[: len(windows)]
            )
            yield key, [inside for _ in points]

    run = run_folds(walk, score, Market({}))[-1]
    if math.isnan(together):
        return
    assert run.result.objective == pytest.approx(together, rel=1e-6, abs=1e-6)
    assert run.result.objective == run.result.inside_sharpe


def test_an_objective_that_pieces_do_not_share_is_refused_with_an_embargo() -> None:
    folds = walk_forward_folds(100, SplitPlan(n_folds=4, mode="anchored", embargo=2))
    check_trainings("sharpe", folds)
    check_trainings("calmar", folds[:2])
    with pytest.raises(ConfigError, match="have no calmar together; use --objective sharpe or total_return"):
        check_trainings("calmar", folds)


# --- the whole ---


def a_run(number: int, returns: Sequence[float], first_hour: int, inside: float = 1.0) -> FoldRun:
    ts_ns = (np.arange(4, dtype=np.int64) + first_hour) * HOUR_NS
    result = FoldResult(
        number=number,
        train=(),
        test=Window(),
        n_train=10,
        n_test=4,
        n_points=6,
        n_failed=0,
        params=(("fast", str(number)),),
        objective=inside,
        inside_sharpe=inside,
        median=0.0,
        inside=(),
        outside=Score(params=(), n_fills=5, sharpe=inside / 2),
    )
    return FoldRun(result, ts_ns, np.array(returns), np.zeros(6))


def test_the_stitched_curve_chains_returns_from_the_capital() -> None:
    runs = [a_run(1, [0.1, 0.0, -0.5, 0.0], 1), a_run(2, [1.0, 0.0, 0.0, 0.5], 5, inside=2.0)]
    curve = stitch(runs, CAPITAL)
    assert curve.equity.tolist() == pytest.approx([1100, 1100, 550, 550, 1100, 1100, 1100, 1650])
    assert curve.fold.tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
    outside = out_of_sample(curve, runs, CAPITAL, HOUR_NS)
    assert outside.max_drawdown == pytest.approx(0.5)
    assert outside.total_return == pytest.approx(0.65)
    assert outside.n_fills == 10
    assert outside.bar.sharpe == pytest.approx(sharpe_ratio(curve.returns, 8_760.0))
    assert mean_inside([run.result for run in runs]) == 1.5


def test_ruin_in_a_test_ends_the_stitched_curve() -> None:
    curve = stitch([a_run(1, [0.1, -1.2], 1), a_run(2, [1.0, 0.0, 0.0, 0.5], 5)], CAPITAL)
    assert curve.equity.tolist() == [1_100.0] + [0.0] * 7
    assert curve.returns.tolist() == [0.1, -1.0] + [0.0] * 6
    assert out_of_sample(curve, [a_run(1, [0.0], 1)], CAPITAL, HOUR_NS).total_return == -1.0


def test_efficiency_is_outside_over_inside_and_undefined_unless_that_is_positive() -> None:
    assert efficiency(2.0, 1.0) == 0.5
    assert efficiency(2.0, -1.0) == -0.5
    assert math.isnan(efficiency(-2.0, -1.0))
    assert math.isnan(efficiency(0.0, 1.0))
    assert a_run(1, [0.0], 1, inside=4.0).result.degradation == 2.0
    assert a_run(1, [0.0], 1, inside=4.0).result.efficiency == 0.5


def test_drift_counts_places_on_the_axis_and_knows_what_chance_would_do() -> None:
    axis = Axis("fast", ("1", "2", "3", "10"))
    folds = [a_run(number, [0.0], 1).result for number in (1, 3, 3, 2)]
    (drift,) = drift_of((axis,), folds)
    assert (drift.values, drift.n_distinct, drift.n_changes) == (("1", "3", "3", "2"), 3, 2)
    assert drift.mean_step == pytest.approx((2 + 0 + 1) / 3 / 3)
    pairs = [abs(i - j) / 3 for i, j in product(range(4), repeat=2)]
    assert drift.random_step == pytest.approx(sum(pairs) / len(pairs))


CPCV = SplitPlan(n_folds=5, mode="cpcv", n_test_folds=2, purge=2, embargo=1)


def test_the_folds_of_one_split_share_one_training_and_one_choice() -> None:
    market = Market({"1/10": 1.0, "2/20": 3.0}, "total_return")
    runs = run_folds(a_walk("total_return", plan=CPCV), market.score, market)
    assert len(runs) == 20 and len(market.tested) == 20
    assert len(market.trained) == 6 * sum(len(run.result.train) for run in runs[::2])
    for first, second in zip(runs[::2], runs[1::2], strict=True):
        assert (first.result.train, first.result.params) == (second.result.train, second.result.params)
        assert first.result.test != second.result.test


def test_a_split_of_which_one_test_was_kept_goes_on_to_the_same_result() -> None:
    whole, again = Market({"2/20": 3.0}, "total_return"), Market({"2/20": 3.0}, "total_return")
    runs = run_folds(a_walk("total_return", plan=CPCV), whole.score, whole)
    done = {run.result.number: run for run in runs[:7]}
    resumed = run_folds(a_walk("total_return", plan=CPCV), again.score, again, done)
    assert str([run.result for run in resumed]) == str([run.result for run in runs])  # NaN is NaN.
    assert len(again.tested) == 13


def test_the_path_in_the_middle_is_the_one_with_the_median_sharpe() -> None:
    walk, random = a_walk("total_return", plan=CPCV), np.random.default_rng(3)
    market = Market({"2/20": 3.0}, "total_return")
    runs = [
        FoldRun(run.result, run.ts_ns, random.normal(0.0, 0.01, run.ts_ns.size), run.sharpes)
        for run in run_folds(walk, market.score, market)
    ]
    paths = [[runs[at] for at in path] for path in paths_of(CPCV)]
    found = figures_of(paths, 10, CAPITAL, HOUR_NS)
    sharpes = [sharpe_ratio(np.concatenate([run.returns for run in path]), 8_760) for path in paths]
    assert [path.sharpe for path in found.each] == pytest.approx(sharpes, rel=1e-9)
    ranked = sorted(sharpes)
    assert found.each[found.middle - 1].sharpe == pytest.approx(ranked[1], rel=1e-9)  # Of four, the lower.
    assert (found.least, found.most) == pytest.approx((ranked[0], ranked[-1]), rel=1e-9)
    assert (found.mean, found.deviation) == pytest.approx(
        (np.mean(sharpes), np.std(sharpes, ddof=1)), rel=1e-9
    )
    assert found.n_positive == sum(sharpe > 0 for sharpe in sharpes)


def test_paths_that_never_traded_have_no_distribution() -> None:
    market = Market({})
    runs = run_folds(a_walk("total_return", plan=CPCV), market.score, market)
    found = figures_of([[runs[at] for at in path] for path in paths_of(CPCV)], 10, CAPITAL, HOUR_NS)
    assert (found.middle, found.n_positive) == (1, 0)
    assert math.isnan(found.mean) and math.isnan(found.deviation) and math.isnan(found.least)
