"""Walk-forward and combinatorial splits against published outputs, and what must hold for any plan."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.errors import ConfigError
from njord.research.splits import (
    Fold,
    Mode,
    SplitPlan,
    backtest_paths,
    combinatorial_splits,
    folds_of,
    group_bounds,
    n_paths,
    paths_of,
    walk_forward_folds,
)


def bars(fold: Fold) -> tuple[list[int], list[int]]:
    train = [bar for start, end in fold.train for bar in range(start, end)]
    return train, list(range(*fold.test))


def first_and_last(fold: Fold) -> tuple[int, int, int, int]:
    train, test = bars(fold)
    return train[0], train[-1], test[0], test[-1]


# --- published outputs ---


def test_the_six_samples_of_scikit_learns_first_example() -> None:
    # scikit-learn 1.6, TimeSeriesSplit, "Examples": TimeSeriesSplit() on 6 samples; its default test is n // (k + 1).
    folds = walk_forward_folds(6, SplitPlan(n_folds=5, mode="anchored", test=1))
    assert [bars(fold) for fold in folds] == [
        ([0], [1]),
        ([0, 1], [2]),
        ([0, 1, 2], [3]),
        ([0, 1, 2, 3], [4]),
        ([0, 1, 2, 3, 4], [5]),
    ]


def test_scikit_learns_example_of_a_fixed_test_size() -> None:
    # scikit-learn 1.6, TimeSeriesSplit, "Fix test_size to 2 with 12 samples".
    folds = walk_forward_folds(12, SplitPlan(n_folds=3, mode="anchored", test=2))
    assert [bars(fold) for fold in folds] == [
        ([0, 1, 2, 3, 4, 5], [6, 7]),
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11]),
    ]


def test_scikit_learns_example_of_a_gap() -> None:
    # scikit-learn 1.6, TimeSeriesSplit, "Add in a 2 period gap": its gap is our purge.
    folds = walk_forward_folds(12, SplitPlan(n_folds=3, mode="anchored", test=2, purge=2))
    assert [bars(fold) for fold in folds] == [
        ([0, 1, 2, 3], [6, 7]),
        ([0, 1, 2, 3, 4, 5], [8, 9]),
        ([0, 1, 2, 3, 4, 5, 6, 7], [10, 11]),
    ]


def test_scikit_learns_example_of_max_train_size() -> None:
    # scikit-learn, gallery "Lagged features for time series forecasting": 17,379 hours, TimeSeriesSplit(n_splits=3,
    # gap=48, max_train_size=10000, test_size=3000). Its first training is shorter than the maximum: that is anchored.
    rolling = walk_forward_folds(17_379, SplitPlan(n_folds=2, train=10_000, test=3_000, purge=48))
    anchored = walk_forward_folds(17_379, SplitPlan(n_folds=3, mode="anchored", test=3_000, purge=48))
    assert first_and_last(anchored[0]) == (0, 8_330, 8_379, 11_378)
    assert [first_and_last(fold) for fold in rolling] == [
        (1_331, 11_330, 11_379, 14_378),
        (4_331, 14_330, 14_379, 17_378),
    ]


def test_skfolios_walk_forward_examples() -> None:
    # skfolio, WalkForward, "Examples": 6 observations, test_size=1, train_size=2, without and with purged_size=1.
    assert [bars(fold) for fold in walk_forward_folds(6, SplitPlan(n_folds=4, train=2, test=1))] == [
        ([0, 1], [2]),
        ([1, 2], [3]),
        ([2, 3], [4]),
        ([3, 4], [5]),
    ]
    assert [bars(fold) for fold in walk_forward_folds(6, SplitPlan(n_folds=3, train=2, test=1, purge=1))] == [
        ([0, 1], [3]),
        ([1, 2], [4]),
        ([2, 3], [5]),
    ]


@pytest.mark.parametrize(
    ("purge", "embargo", "trains"),
    [
        (0, 0, [[8, 9, 10, 11], [4, 5, 6, 7], [0, 1, 2, 3]]),
        (1, 0, [[9, 10, 11], [5, 6], [0, 1, 2]]),
        (0, 1, [[9, 10, 11], [5, 6, 7], [0, 1, 2, 3]]),
    ],
)
def test_skfolios_combinatorial_purged_examples(purge: int, embargo: int, trains: list[list[int]]) -> None:
    # skfolio, CombinatorialPurgedCV, "Examples": 12 observations, n_folds=3, n_test_folds=2.
    splits = combinatorial_splits(12, 3, 2, purge, embargo)
    assert [[bar for start, end in split.train for bar in range(start, end)] for split in splits] == trains
    assert [split.tests for split in splits] == [((0, 4), (4, 8)), ((0, 4), (8, 12)), ((4, 8), (8, 12))]


def test_the_fifteen_splits_and_five_paths_of_the_book() -> None:
    # López de Prado (2018), figures 12.1 and 12.2: N = 6, k = 2. Row g of figure 12.2 says for every split that tests
    # group g to which of the five paths it contributes, left to right; path p is the p-th split of each row.
    splits = combinatorial_splits(600, 6, 2)
    assert len(splits) == 15
    assert n_paths(6, 2) == 5
    assert [split.groups for split in splits[:6]] == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 2)]
    numbered = [[number + 1 for number in path] for path in backtest_paths(6, 2)]
    # Section 12.4.1: path 1 is (G1,S1), (G2,S1), (G3,S2), (G4,S3), (G5,S4), (G6,S5); path 2 begins (G1,S2), (G2,S6).
    assert numbered[0] == [1, 1, 2, 3, 4, 5]
    assert numbered[1] == [2, 6, 6, 7, 8, 9]


def test_the_number_of_paths_is_the_books_formula() -> None:
    # Section 12.4: phi[N, k] = k / N * C(N, k); phi[N, 1] = 1 and phi[N, 2] = N - 1.
    for n in range(2, 12):
        for k in range(1, n):
            assert n_paths(n, k) == math.comb(n, k) * k // n
            assert (math.comb(n, k) * k) % n == 0
    assert n_paths(9, 1) == 1
    assert n_paths(9, 2) == 8


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_purged_k_fold_drops_exactly_the_labels_that_overlap(horizon: int) -> None:
    # Section 7.4.1: a training label that spans [i, i + h] is purged if it overlaps one of the test's, closed ends
    # included; 7.4.2: the embargo drops what begins within its bars behind the test's last label.
    n_bars, embargo = 30, 2
    for split in combinatorial_splits(n_bars, 5, 1, horizon, embargo):
        (start, end) = split.tests[0]
        kept = [bar for low, high in split.train for bar in range(low, high)]
        last_label = end - 1 + horizon
        expected = [
            bar
            for bar in range(n_bars)
            if bar + horizon < start or (bar > last_label and bar > last_label + embargo)
        ]
        assert kept == expected


# --- what holds for any plan ---

modes: st.SearchStrategy[Mode] = st.sampled_from(("rolling", "anchored"))
plans = st.builds(
    SplitPlan,
    n_folds=st.integers(1, 8),
    mode=modes,
    train=st.none() | st.integers(1, 40),
    test=st.none() | st.integers(1, 20),
    purge=st.integers(0, 10),
    embargo=st.integers(0, 10),
)


@given(n_bars=st.integers(1, 300), plan=plans)
def test_tests_tile_and_no_training_sees_its_test_or_what_is_kept_apart(n_bars: int, plan: SplitPlan) -> None:
    try:
        folds = walk_forward_folds(n_bars, plan)
    except ConfigError:
        return
    assert len(folds) == plan.n_folds
    assert folds[-1].test[1] == n_bars
    for before, after in pairwise(folds):
        assert before.test[1] == after.test[0]
        assert before.n_test == after.n_test
    for number, fold in enumerate(folds):
        train, test = set(bars(fold)[0]), bars(fold)[1]
        assert test and train and min(train) >= 0
        assert max(train) < test[0] - plan.purge
        embargoed = {bar for old in folds[:number] for bar in range(old.test[1], old.test[1] + plan.embargo)}
        assert not train & embargoed
        # Nothing is lost beyond that.
        low = 0 if plan.mode == "anchored" else test[0] - plan.purge - (plan.train or _first_train(folds))
        assert train == set(range(low, test[0] - plan.purge)) - embargoed
        assert fold.n_train == len(train)
        # Pieces are as long as they can be: between two of them something is left out.
        assert all(before[1] < after[0] for before, after in pairwise(fold.train))


def _first_train(folds: tuple[Fold, ...]) -> int:
    return folds[0].n_train  # No earlier test has left a hole in it.


@given(n_folds=st.integers(1, 8), train=st.integers(1, 40), test=st.integers(1, 20), purge=st.integers(0, 10))
def test_the_number_of_bars_that_a_refusal_names_is_just_enough(
    n_folds: int, train: int, test: int, purge: int
) -> None:
    for plan in (
        SplitPlan(n_folds=n_folds, train=train, test=test, purge=purge),
        SplitPlan(n_folds=n_folds, train=train, purge=purge),
        SplitPlan(n_folds=n_folds, test=test, purge=purge),
        SplitPlan(n_folds=n_folds, purge=purge),
    ):
        with pytest.raises(ConfigError, match="folds need") as refused:
            walk_forward_folds(
                1, SplitPlan(n_folds=max(2, n_folds), train=plan.train, test=plan.test, purge=purge)
            )
        needed = int(str(refused.value).split(" folds need ")[1].split(" bars")[0].replace(",", ""))
        enough = SplitPlan(n_folds=max(2, n_folds), train=plan.train, test=plan.test, purge=purge)
        assert walk_forward_folds(needed, enough)
        with pytest.raises(ConfigError, match=f"there are {needed - 1:,}"):
            walk_forward_folds(needed - 1, enough)


def test_without_lengths_the_first_training_is_about_three_tests_long() -> None:
    folds = walk_forward_folds(9_005, SplitPlan(n_folds=6))
    assert {fold.n_test for fold in folds} == {1_000}
    assert {fold.n_train for fold in folds} == {3_005}


def test_an_embargo_leaves_holes_in_later_trainings_alone() -> None:
    folds = walk_forward_folds(60, SplitPlan(n_folds=3, mode="anchored", test=10, embargo=4))
    assert [fold.train for fold in folds] == [((0, 30),), ((0, 40),), ((0, 40), (44, 50))]


def test_an_embargo_that_eats_a_whole_training_is_refused() -> None:
    with pytest.raises(ConfigError, match="embargo of 100 bars leaves no training to fold 3"):
        walk_forward_folds(100, SplitPlan(n_folds=6, train=10, test=10, embargo=100))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (SplitPlan(n_folds=0), "--folds must be >= 1, was 0"),
        (SplitPlan(n_folds=2, train=0), "--train must be at least 1 bars, was 0"),
        (SplitPlan(n_folds=2, test=-1), "--test must be at least 1 bars, was -1"),
        (SplitPlan(n_folds=2, purge=-1), "--purge must be at least 0 bars, was -1"),
        (SplitPlan(n_folds=2, embargo=-1), "--embargo must be at least 0 bars, was -1"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_its_flag(plan: SplitPlan, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        walk_forward_folds(1_000, plan)


@given(
    n_bars=st.integers(6, 80),
    n_groups=st.integers(2, 6),
    n_test=st.integers(1, 5),
    purge=st.integers(0, 5),
    embargo=st.integers(0, 5),
)
def test_combinatorial_trainings_keep_their_distance_and_paths_use_every_part_once(
    n_bars: int, n_groups: int, n_test: int, purge: int, embargo: int
) -> None:
    if n_test >= n_groups:
        with pytest.raises(ConfigError):
            combinatorial_splits(n_bars, n_groups, n_test)
        return
    splits = combinatorial_splits(n_bars, n_groups, n_test, purge, embargo)
    assert len(splits) == math.comb(n_groups, n_test)
    for split in splits:
        tested = {bar for start, end in split.tests for bar in range(start, end)}
        apart = {
            bar for start, end in split.tests for bar in range(start - purge, end + purge + embargo)
        } | tested
        train = {bar for start, end in split.train for bar in range(start, end)}
        assert train == set(range(n_bars)) - apart
    parts = [(group, split) for path in backtest_paths(n_groups, n_test) for group, split in enumerate(path)]
    assert len(parts) == len(set(parts)) == n_test * len(splits)
    assert all(group in splits[split].groups for group, split in parts)


def test_groups_differ_by_one_bar_at_most() -> None:
    assert group_bounds(11, 4) == ((0, 3), (3, 6), (6, 9), (9, 11))


@given(
    n_groups=st.integers(2, 7), n_test=st.integers(1, 4), purge=st.integers(0, 3), embargo=st.integers(0, 3)
)
def test_combinatorial_folds_are_the_splits_and_each_path_tests_every_bar_once(
    n_groups: int, n_test: int, purge: int, embargo: int
) -> None:
    if n_test >= n_groups:
        return
    n_bars = 23 * n_groups + 5
    plan = SplitPlan(n_folds=n_groups, mode="cpcv", n_test_folds=n_test, purge=purge, embargo=embargo)
    folds = folds_of(n_bars, plan)
    splits = combinatorial_splits(n_bars, n_groups, n_test, purge, embargo)
    assert folds == tuple(Fold(train=split.train, test=test) for split in splits for test in split.tests)
    paths = paths_of(plan)
    assert len(paths) == n_paths(n_groups, n_test)
    for path in paths:
        assert [bar for at in path for bar in range(*folds[at].test)] == list(range(n_bars))
    assert sorted(at for path in paths for at in path) == list(range(len(folds)))


def test_a_walk_forward_has_one_path_of_all_its_folds() -> None:
    assert paths_of(SplitPlan(n_folds=4)) == ((0, 1, 2, 3),)


def test_a_combinatorial_plan_that_leaves_no_training_is_refused() -> None:
    with pytest.raises(ConfigError, match="a purge of 50 and an embargo of 0 bars leave a split nothing"):
        folds_of(120, SplitPlan(n_folds=6, mode="cpcv", n_test_folds=2, purge=50))
