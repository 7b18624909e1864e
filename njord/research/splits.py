"""Which bars choose the parameters, and which judge them? A number of bars and a plan in, folds of half-open ranges out.

Walk-forward: every test follows its training in time, and the tests tile the out-of-sample range. **Purge**: the last
`purge` bars before a test belong to no training of that test. Choose it as long as a decision looks ahead, that is the
horizon of a label, or the longest holding period whose outcome a training would otherwise share with the test.
**Embargo**: the first `embargo` bars behind a test belong to no *later* training. In walk-forward nothing behind a test
trains for that same test, so an embargo only matters to anchored trainings, and to rolling ones longer than a test,
that would run over an earlier test's end; it leaves holes in them. What the warm-up of a test reads (bars before it,
purged or not) is known at its start and therefore no leak.

Combinatorial purged cross-validation (CPCV) tests every choice of `n_test` groups out of `n_groups`, so that trainings
also lie behind tests: there purge takes bars on both sides of a test (labels of either side reach into the other), and
the embargo comes behind the purge.

Source: López de Prado (2018), "Advances in Financial Machine Learning", Wiley: purge and embargo 7.4.1-7.4.2, walk-forward
12.2, CPCV 12.4. Anchored and rolling windows: Pardo (2008), "The Evaluation and Optimization of Trading Strategies", ch. 11.
"""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Literal

import msgspec

from njord.core.errors import ConfigError

Mode = Literal["rolling", "anchored", "cpcv"]
Range = tuple[int, int]  # Of bars, half-open.
TRAIN_TESTS = (
    3  # Where no length is given, the first training is about so many tests long (Pardo: tests of 25-35 %).
)
SPLITS_MAX = 1_000  # Of a combinatorial plan, each of them a training.


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """One training and the test that follows it, in bars.

    Attributes:
        train: Half-open ranges, in order; several where an embargo has left holes.
        test: Half-open.
    """

    train: tuple[Range, ...]
    test: Range

    @property
    def n_train(self) -> int:
        """How many bars train."""
        return sum(end - start for start, end in self.train)

    @property
    def n_test(self) -> int:
        """How many bars judge."""
        return self.test[1] - self.test[0]


class SplitPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How bars are to be divided.

    Attributes:
        n_folds: How many trainings and tests; cpcv: into how many groups the bars are cut.
        mode: `rolling` trains on the last `train` bars, `anchored` on all from the first on; `cpcv` tests every choice of
            `n_test_folds` groups, and trains on the others.
        train: Bars of a training (anchored: of the first one); None = what the tests leave.
        test: Bars of a test; None = what the training leaves, in equal parts.
        purge: Bars before a test that no training of it has; cpcv: on either side of it.
        embargo: Bars behind a test that no later training has; cpcv: behind that purge.
        n_test_folds: cpcv: how many groups a split tests; else 0.
    """

    n_folds: int
    mode: Mode = "rolling"
    train: int | None = None
    test: int | None = None
    purge: int = 0
    embargo: int = 0
    n_test_folds: int = 0


class CombinatorialSplit(msgspec.Struct, frozen=True, kw_only=True):
    """One choice of test groups: what trains and what judges, as half-open ranges of bars in order.

    Attributes:
        groups: The groups that judge, by number.
        train: Everything else, less purge and embargo; neighboring ranges are one.
        tests: One range for each of `groups`.
    """

    groups: tuple[int, ...]
    train: tuple[Range, ...]
    tests: tuple[Range, ...]


def folds_of(n_bars: int, plan: SplitPlan) -> tuple[Fold, ...]:
    """Divide `n_bars` bars as a plan says.

    Raises:
        ConfigError: The plan makes no sense, or there are too few bars.
    """
    return combinatorial_folds(n_bars, plan) if plan.mode == "cpcv" else walk_forward_folds(n_bars, plan)


def paths_of(plan: SplitPlan) -> tuple[tuple[int, ...], ...]:
    """Return the whole out-of-sample paths that the folds of a plan make: places in `folds_of`, in order of time.

    A walk-forward has one, all of its folds.
    """
    if plan.mode != "cpcv":
        return (tuple(range(plan.n_folds)),)
    k = plan.n_test_folds
    splits = list(combinations(range(plan.n_folds), k))
    return tuple(
        tuple(split * k + splits[split].index(group) for group, split in enumerate(path))
        for path in backtest_paths(plan.n_folds, k)
    )


# --- walk-forward ---


def walk_forward_folds(n_bars: int, plan: SplitPlan) -> tuple[Fold, ...]:
    """Divide `n_bars` bars into trainings and the tests that follow them; the last test ends with the last bar.

    The bars that the lengths leave over lie at the start: an anchored training has them, a rolling one does not.

    Raises:
        ConfigError: The plan makes no sense, or there are too few bars; it says how many are needed.
    """
    _check(plan)
    test = plan.test if plan.test is not None else _test_length(n_bars, plan)
    first_test = n_bars - plan.n_folds * test
    train = plan.train if plan.train is not None else first_test - plan.purge
    if test < 1 or train < 1 or first_test - plan.purge - train < 0:
        raise ConfigError(
            f"{plan.n_folds} folds need {_needed(plan):,} bars ({_in_words(plan)}), there are {n_bars:,}",
            "use fewer folds, a shorter --train or --test, or more data",
        )
    folds = tuple(_fold(first_test + index * test, test, train, index, plan) for index in range(plan.n_folds))
    for number, fold in enumerate(folds, start=1):
        if not fold.train:
            raise ConfigError(
                f"the embargo of {plan.embargo:,} bars leaves no training to fold {number}",
                "use a smaller --embargo, or a longer --train",
            )
    return folds


def _check(plan: SplitPlan) -> None:
    if plan.n_folds < 1:
        raise ConfigError(f"--folds must be >= 1, was {plan.n_folds}", "for example --folds 6")
    if plan.n_test_folds and plan.mode != "cpcv":
        raise ConfigError(f"--test-folds is of --mode cpcv, not of {plan.mode}", "leave it out")
    _check_lengths(plan)


def _check_lengths(plan: SplitPlan) -> None:
    for flag, value, least in (
        ("--train", plan.train, 1),
        ("--test", plan.test, 1),
        ("--purge", plan.purge, 0),
        ("--embargo", plan.embargo, 0),
    ):
        if value is not None and value < least:
            raise ConfigError(
                f"{flag} must be at least {least} bars, was {value}", f"for example {flag} {least}"
            )


def _test_length(n_bars: int, plan: SplitPlan) -> int:
    left = n_bars - plan.purge
    if plan.train is None:
        return left // (plan.n_folds + TRAIN_TESTS)
    return (left - plan.train) // plan.n_folds


def _fold(start: int, test: int, train: int, index: int, plan: SplitPlan) -> Fold:
    end = start - plan.purge
    allowed: Range = (0 if plan.mode == "anchored" else end - train, end)
    ends = [
        start - back * test for back in range(index)
    ]  # Of the tests before; this one's start is the last's end.
    embargoed = [(each, each + plan.embargo) for each in reversed(ends)]
    return Fold(train=_without((allowed,), embargoed), test=(start, start + test))


def _needed(plan: SplitPlan) -> int:
    if plan.train is None and plan.test is None:
        return plan.n_folds + TRAIN_TESTS + plan.purge
    return (plan.train or 1) + plan.purge + plan.n_folds * (plan.test or 1)


def _in_words(plan: SplitPlan) -> str:
    train = f"{plan.train:,} to train" if plan.train is not None else "1 or more to train"
    test = f"{plan.n_folds} x {plan.test:,} to test" if plan.test is not None else "1 or more a test"
    purge = f", {plan.purge:,} purged" if plan.purge else ""
    return f"{train}{purge}, {test}"


# --- combinatorial purged cross-validation ---


def combinatorial_splits(
    n_bars: int, n_groups: int, n_test: int, purge: int = 0, embargo: int = 0
) -> tuple[CombinatorialSplit, ...]:
    """Return every choice of `n_test` test groups out of `n_groups`, in lexicographic order.

    Args:
        n_bars: How many bars there are; the groups are equal, and the first ones one bar longer where they can not be.
        n_groups: N of the source.
        n_test: k of the source; 1 is purged k-fold.
        purge: Bars on either side of a test that do not train: the horizon of a label.
        embargo: Bars behind that purge, after a test, that do not train either.

    Raises:
        ConfigError: Not 1 <= n_test < n_groups <= n_bars, or a negative length.
    """
    if not 1 <= n_test < n_groups <= n_bars or purge < 0 or embargo < 0:
        raise ConfigError(
            f"{n_test} test groups of {n_groups} on {n_bars} bars, purge {purge}, embargo {embargo}: no such splits",
            "choose 1 <= test groups < groups <= bars, and lengths of at least 0",
        )
    bounds = group_bounds(n_bars, n_groups)
    splits = []
    for groups in combinations(range(n_groups), n_test):
        tests = tuple(bounds[group] for group in groups)
        taken = [(start - purge, end + purge + embargo) for start, end in tests]
        # Purge and embargo of one test may lie in another one: what tests never trains, so nothing more is lost.
        splits.append(CombinatorialSplit(groups=groups, train=_without(((0, n_bars),), taken), tests=tests))
    return tuple(splits)


def combinatorial_folds(n_bars: int, plan: SplitPlan) -> tuple[Fold, ...]:
    """Return a fold for each test group of each split, split by split; those of one split have one training.

    Raises:
        ConfigError: The plan makes no sense, has too many splits, or leaves a split nothing to train on.
    """
    _check_lengths(plan)
    if plan.train is not None or plan.test is not None:
        raise ConfigError(
            "--train and --test are of a walk-forward: cpcv cuts all bars into --folds equal groups",
            "leave them out",
        )
    if not 1 <= plan.n_test_folds < plan.n_folds <= n_bars:
        raise ConfigError(
            f"--mode cpcv tests --test-folds of --folds groups of bars, was {plan.n_test_folds} of {plan.n_folds} on "
            f"{n_bars:,} bars",
            "for example --folds 6 --test-folds 2",
        )
    n_splits = math.comb(plan.n_folds, plan.n_test_folds)
    if n_splits > SPLITS_MAX:
        raise ConfigError(
            f"{plan.n_test_folds} of {plan.n_folds} groups are {n_splits:,} splits, more than {SPLITS_MAX:,}",
            "use fewer --folds",
        )
    splits = combinatorial_splits(n_bars, plan.n_folds, plan.n_test_folds, plan.purge, plan.embargo)
    if not all(split.train for split in splits):
        raise ConfigError(
            f"a purge of {plan.purge:,} and an embargo of {plan.embargo:,} bars leave a split nothing to train on",
            "use smaller ones, or fewer --folds",
        )
    return tuple(Fold(train=split.train, test=test) for split in splits for test in split.tests)


def group_bounds(n_bars: int, n_groups: int) -> tuple[Range, ...]:
    """Return `n_groups` adjoining ranges that differ by one bar at most, the longer ones first."""
    length, longer = divmod(n_bars, n_groups)
    starts = [group * length + min(group, longer) for group in range(n_groups + 1)]
    return tuple(pairwise(starts))


def n_paths(n_groups: int, n_test: int) -> int:
    """Return how many whole out-of-sample paths the splits make: C(n_groups, n_test) * n_test / n_groups."""
    return math.comb(n_groups - 1, n_test - 1)


def backtest_paths(n_groups: int, n_test: int) -> tuple[tuple[int, ...], ...]:
    """Return for each path the split that each group's out-of-sample part comes from, shape (n_paths, n_groups).

    Path p takes of every group the p-th split that tests it, so that no part is used twice.
    """
    chosen = list(combinations(range(n_groups), n_test))
    tested = [
        [number for number, groups in enumerate(chosen) if group in groups] for group in range(n_groups)
    ]
    return tuple(tuple(each[path] for each in tested) for path in range(n_paths(n_groups, n_test)))


# --- ranges ---


# `taken` is in order of starts and may overlap.
def _without(ranges: Sequence[Range], taken: Sequence[Range]) -> tuple[Range, ...]:
    left = list(ranges)
    for cut_start, cut_end in taken:
        if cut_start >= cut_end:
            continue  # An empty cut would split a range without taking anything from it.
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, cut_start)), (max(start, cut_end), end))
            if piece[0] < piece[1]
        ]
    return tuple(left)
