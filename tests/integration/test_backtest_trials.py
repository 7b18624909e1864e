"""Every backtest counts itself: which trial it is stands in the result, on the terminal and on the page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from njord.cli import run
from njord.storage.trials import TRIALS_NAME
from tests.unit.backtest.market_samples import write_bars

PRICES = [100, 101, 103, 102, 99, 98, 101, 104, 106, 103, 100, 97, 99, 102, 105, 107, 104, 101, 98, 96]
WORDS = ["backtest", "./own.py", "--data", "BTC_USDT-1m.csv", "--poison", "off"]
OWN = """
from njord.strategies import *


class Own(Strategy):
    class Params(StrategyParams):
        fast: int = 2
        slow: int = 4

    def warm_up(self):
        return self.params.slow

    def on_bar(self, ctx, bar):
        if ctx.is_warm:
            closes = [each.close for each in ctx.history(self.params.slow)]
            fast = closes[-self.params.fast :]
            return Target(weight=1.0 if sum(fast) / len(fast) > sum(closes) / len(closes) else 0.0)
"""

pytestmark = pytest.mark.integration


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_bars(tmp_path, "BTC/USDT", PRICES)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def tried(room: Path, slow: str, *more: str) -> dict[str, Any]:
    assert run([*WORDS, "--param", "fast=2", "--param", f"slow={slow}", *more, "--json", "out.json"]) == 0
    trial: dict[str, Any] = json.loads((room / "out.json").read_text())["trial"]
    return trial


def test_runs_are_numbered_and_the_same_again_keeps_its_number(room: Path) -> None:
    trials = [tried(room, slow) for slow in ("4", "5", "6", "5")]
    assert [trial["number"] for trial in trials] == [1, 2, 3, 2]
    assert [trial["report"]["n_trials"] for trial in trials] == [1, 2, 3, 3]
    assert trials[3]["says"].startswith("trial 2 of 3 of own on BTC/USDT; Deflated Sharpe ")
    assert "with 3 trials (best expected by luck alone: " in trials[3]["says"]
    assert trials[0]["report"]["deflated_sharpe"] == trials[0]["report"]["probabilistic_sharpe"]
    assert trials[2]["report"]["deflated_sharpe"] < trials[2]["report"]["probabilistic_sharpe"]


def test_other_costs_or_another_range_are_another_trial_and_other_checks_are_not(room: Path) -> None:
    more = [[], ["--fee-bps", "1"], ["--end", "2024-01-01T00:18"], ["--qty", "1"], ["--poison", "1"]]
    assert [tried(room, "4", *each)["number"] for each in more] == [1, 2, 3, 4, 1]


def test_the_trial_stands_in_the_summary_file_on_the_terminal_and_on_the_page(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = tried(room, "4")
    assert run([*WORDS, "--param", "fast=2", "--param", "slow=4"]) == 0
    out = capsys.readouterr().out
    assert f"counted   {trial['says']}\n" in out
    *_, folder = sorted((room / "var" / "reports").iterdir())
    assert json.loads((folder / "summary.json").read_text())["trial"] == trial
    page = (folder / "report.html").read_text()
    assert f"{trial['says']}." in page
    assert re.search(r"Deflated Sharpe.{1,200}1 trial counted", page, re.S)
    assert "Best by luck" in page and "Track record needed" in page


def test_all_else_of_a_result_is_the_same_however_often_the_idea_was_tried(room: Path) -> None:
    tried(room, "4")
    before = json.loads((room / "out.json").read_text())
    tried(room, "5")
    tried(room, "4")
    after = json.loads((room / "out.json").read_text())
    assert before.pop("trial") != after.pop("trial")
    assert before == after


def test_a_ledger_that_can_not_be_used_is_told_and_does_not_cost_the_run(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "var" / "state" / TRIALS_NAME).mkdir(parents=True)
    trial = tried(room, "4")
    assert (trial["counted"], trial["number"], trial["report"]) == (False, None, None)
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "trial" in each]
    assert line.startswith("njord: not counted as a trial of own: the trial ledger ")
    assert "Is a directory; check who may write there" in line
    (folder,) = (room / "var" / "reports").iterdir()
    assert "not counted" in (folder / "report.html").read_text()
    findings = json.loads((folder / "summary.json").read_text())["findings"]
    assert "trial_not_counted" in [finding["code"] for finding in findings]


def test_a_newer_ledger_is_told_in_one_line_and_does_not_cost_the_run(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = room / "var" / "state"
    state.mkdir(parents=True)
    (state / TRIALS_NAME).write_text('{"schema":9}\n')
    assert tried(room, "4")["counted"] is False
    assert "was written by a newer njord (records of version 9" in capsys.readouterr().err


def test_a_torn_line_of_the_ledger_is_told_and_later_trials_count(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tried(room, "4")
    ledger = room / "var" / "state" / TRIALS_NAME
    with ledger.open("ab") as file:
        file.write(b'{"schema":1,"kind":"back')
    trial = tried(room, "5")
    assert (trial["number"], trial["report"]["n_trials"]) == (2, 2)
    assert trial["faults"] == ["line 2 of trials.ndjson is no whole record and is not counted"]
    assert "njord: line 2 of trials.ndjson is no whole record" in capsys.readouterr().err


def test_a_run_of_several_strategies_is_an_idea_of_its_own(room: Path) -> None:
    tried(room, "4")
    words = ["backtest", "a=./own.py", "b=./own.py", "--data", "BTC_USDT-1m.csv", "--poison", "off"]
    params = ["--param", "fast=2", "--param", "slow=4"]
    assert run([*words, *params, "--json", "out.json"]) == 0
    trial = json.loads((room / "out.json").read_text())["trial"]
    assert (trial["idea"], trial["number"]) == ("own", 2)
