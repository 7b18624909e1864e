"""A notebook's tries are counted with the backtests of the same idea, and judged with all of them."""

from pathlib import Path

import numpy as np
import pytest

from njord.core.units import NS_PER_DAY
from njord.performance.assessment import SelectionReport
from njord.research.trials import count_notebook_run
from njord.storage.trials import TRIALS_NAME, Trial, TrialLedger, TrialRecord

RETURNS = np.random.default_rng(1).normal(0.002, 0.01, 300)


def counted(root: Path, rises: int = 3, code: str = "v1", data: str = "days") -> SelectionReport:
    return count_notebook_run(
        "rises", RETURNS, interval_ns=NS_PER_DAY, symbols=("BTC/USDT",), data=data, params={"rises": rises},
        code=code, root=root,
    )  # fmt: skip


def test_other_parameters_code_or_data_are_another_trial_and_the_same_again_is_not(tmp_path: Path) -> None:
    asked = [(3, "v1", "days"), (3, "v1", "days"), (4, "v1", "days"), (3, "v2", "days"), (3, "v1", "hours")]
    assert [counted(tmp_path, *each).n_trials for each in asked] == [1, 1, 2, 3, 4]


def test_backtests_of_the_same_idea_count_and_make_less_of_the_same_returns(tmp_path: Path) -> None:
    alone = counted(tmp_path)
    points = [Trial(index, sharpe) for index, sharpe in enumerate((-0.2, -0.1, 0.0, 0.1))]
    ledger = TrialLedger(tmp_path / "var" / "state" / TRIALS_NAME)
    ledger.add(
        TrialRecord(kind="sweep", idea="rises", ts_ns=1, symbols=(), interval_ns=NS_PER_DAY, points=points)
    )
    among = counted(tmp_path)
    assert (among.n_trials, among.n_compared) == (5, 5)
    assert among.sharpe == alone.sharpe == pytest.approx(RETURNS.mean() / RETURNS.std(ddof=1))
    assert among.deflated_sharpe < alone.deflated_sharpe == alone.probabilistic_sharpe


def test_returns_that_are_none_are_refused_before_anything_is_counted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="returns must be finite"):
        count_notebook_run(
            "x", np.array([np.nan]), interval_ns=1, symbols=(), data="", params={}, code="", root=tmp_path
        )
    assert not (tmp_path / "var").exists()
