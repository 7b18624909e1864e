"""The verdict: a planted overfit is called one, a planted edge is not, and each threshold is where it says."""

import math
from statistics import NormalDist

import msgspec
import numpy as np
import pytest

from njord.performance.assessment import LUCK, assess
from njord.performance.overfitting import pbo_cscv
from njord.performance.ratios import Ratios
from njord.performance.selection import TrialCount, expected_max_sharpe, normal_cdf
from tests.unit.performance.planted import best_of_a_thousand


def record(sharpe_per_bar: float, n_periods: int = 101, **changes: float) -> Ratios:
    """A track record whose standard error is close to 0.1 per bar."""
    made = Ratios(
        n_periods=n_periods, periods_per_year=100.0, volatility=0.2, sharpe=sharpe_per_bar * 10,
        sortino=1.0, skew=0.0, kurtosis=3.0,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def tried(n: int) -> TrialCount:
    return TrialCount(n=n, n_compared=n, mean_sharpe=0.0, variance_sharpe=0.01)


def overfit_blocks() -> np.ndarray:
    """Blocks of two points that earn in one half of time what they lose in the other: PBO 1."""
    wave = np.array([1.0, -1.0, 1.0, -1.0]) / 1000
    return np.array([[(10.0, 10 * mean, 0.01) for mean in sign * wave] for sign in (1, -1)])


def steady_blocks() -> np.ndarray:
    """Blocks of two points of which the first is always the better: PBO 0."""
    return np.array([[(10.0, mean, 0.01) for _ in range(4)] for mean in (0.02, 0.01)])


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_a_thousand_random_strategies_is_called_overfit(seed: int) -> None:
    report, _ = best_of_a_thousand(seed, n_days=240, edge=0.0, n_blocks=6)
    assert report.verdict == "overfit"
    assert report.probabilistic_sharpe > 0.98  # Alone it would have convinced.


@pytest.mark.parametrize("seed", range(8))
def test_a_real_edge_among_a_thousand_is_not_called_overfit(seed: int) -> None:
    report, is_planted = best_of_a_thousand(seed, n_days=240, edge=10.0, n_blocks=6)
    assert is_planted
    assert report.verdict in ("holds", "not shown")


@pytest.mark.parametrize(("n_trials", "stays_below"), [(2, 0.92), (3, 0.95), (20, 0.98), (1000, 0.997)])
def test_the_best_without_skill_stays_below_the_threshold_as_often_as_stated(
    n_trials: int, stays_below: float
) -> None:
    # A closed form: all of n independent normal Sharpe ratios stay below E[max] + Phi^-1(LUCK).
    highest = expected_max_sharpe(n_trials, 1.0) + NormalDist().inv_cdf(LUCK)
    assert normal_cdf(highest) ** n_trials > stays_below


def test_one_trial_is_judged_alone_and_is_never_overfit() -> None:
    assert assess(record(0.3), tried(1)).verdict == "holds"
    assert assess(record(0.1), tried(1)).verdict == "not shown"
    assert assess(record(-0.3), tried(1)).verdict == "not shown"


def test_the_same_record_holds_is_not_shown_and_is_overfit_as_trials_are_added() -> None:
    verdicts = [assess(record(0.35), tried(n)).verdict for n in (1, 2, 10, 30, 100, 1000)]
    assert verdicts == ["holds", "holds", "holds", "not shown", "overfit", "overfit"]


def test_what_does_not_convince_even_alone_is_not_shown_however_many_were_tried() -> None:
    assert assess(record(0.15), tried(1000)).verdict == "not shown"
    assert assess(record(-0.5), tried(1000)).verdict == "not shown"


def test_a_choice_that_fails_in_the_other_half_of_time_is_overfit() -> None:
    assert pbo_cscv(overfit_blocks()).pbo > 0.5
    report = assess(record(0.1), tried(2), overfit_blocks())
    assert report.verdict == "overfit"
    assert "splits of time" in report.because
    assert report.n_splits == 6
    assert sum(n for _, n in report.logits) == 6


def test_a_convincing_record_does_not_hold_if_the_choice_was_blind() -> None:
    report = assess(record(0.9), tried(2), overfit_blocks())
    assert report.deflated_sharpe > 0.99
    assert report.verdict == "not shown"
    assert "fragile" in report.because


def test_a_loser_is_not_called_overfit_for_its_blocks() -> None:
    assert assess(record(-0.1), tried(2), overfit_blocks()).verdict == "not shown"


def test_a_convincing_record_of_a_steady_choice_holds() -> None:
    report = assess(record(0.5), tried(10), steady_blocks())
    assert (report.verdict, report.pbo) == ("holds", 0.0)


def test_without_a_sharpe_ratio_nothing_is_shown() -> None:
    nothing = record(math.nan, skew=math.nan, kurtosis=math.nan)
    for each in (nothing, record(1.0, n_periods=1)):
        report = assess(each, tried(5))
        assert report.verdict == "not shown"
        assert "no Sharpe ratio" in report.because


def test_the_report_says_its_figures_per_bar_and_per_year() -> None:
    report = assess(record(0.2), tried(10))
    assert report.sharpe == pytest.approx(0.2)
    assert report.sharpe_annual == pytest.approx(2.0)
    assert report.expected_max_sharpe_annual == pytest.approx(10 * report.expected_max_sharpe)
    assert report.expected_max_sharpe == pytest.approx(0.157, abs=1e-3)
    assert (report.n_trials, report.n_periods) == (10, 101)
    assert math.isnan(report.pbo) and report.logits == ()


def test_what_was_never_counted_can_not_be_assessed() -> None:
    with pytest.raises(ValueError, match="is a trial itself"):
        assess(record(0.2), TrialCount(n=0))
