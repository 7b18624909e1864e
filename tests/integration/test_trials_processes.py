"""The trial ledger under real processes: several at once, one that is killed, one without rights."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from njord.cli import run
from njord.core.units import NS_PER_MINUTE
from njord.storage.trials import TRIALS_NAME, TrialLedger
from tests.unit.backtest.market_samples import write_bars

CHILD = Path(__file__).with_name("trials_child.py")
PRICES = [100, 101, 103, 102, 99, 98, 101, 104, 106, 103, 100, 97, 99, 102, 105, 107, 104, 101, 98, 96]
OWN = """
from njord.strategies import *


class Own(Strategy):
    def on_bar(self, ctx, bar):
        return Target(weight=1.0)
"""

pytestmark = pytest.mark.integration


def child(path: Path, name: int, n: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, str(CHILD), str(path), str(name), str(n)]
    return subprocess.Popen(words, stdout=subprocess.PIPE)


def test_two_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / TRIALS_NAME
    children = [child(path, name, 60) for name in (1, 2)]
    assert [each.wait(60) for each in children] == [0, 0]
    for each in children:
        each.communicate()
    state = TrialLedger(path).state("cross", NS_PER_MINUTE)
    assert (state.count.n, state.faults) == (120, ())


@pytest.mark.parametrize("after", [1, 7, 23])
def test_what_a_killed_process_said_was_counted_is_there_and_the_next_goes_on(
    tmp_path: Path, after: int
) -> None:
    path = tmp_path / TRIALS_NAME
    killed = child(path, 1, 100_000)
    assert killed.stdout is not None
    for _ in range(after):
        killed.stdout.readline()
    os.kill(killed.pid, signal.SIGKILL)
    n_said = after + len(killed.communicate()[0].splitlines())
    assert killed.returncode == -signal.SIGKILL
    n_after = TrialLedger(path).count("cross", NS_PER_MINUTE).n
    assert n_after in (n_said, n_said + 1)  # One may be durable and not yet said.
    following = child(path, 2, 3)
    following.communicate()
    state = TrialLedger(path).state("cross", NS_PER_MINUTE)
    assert state.count.n == n_after + 3
    assert len(state.faults) <= 1


def test_a_state_folder_that_can_not_be_made_does_not_cost_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bars(tmp_path, "BTC/USDT", PRICES)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "state").write_text("")
    assert run(["backtest", "./own.py", "--data", "BTC_USDT-1m.csv", "--json", "out.json"]) == 0
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "trial" in each]
    assert line.startswith("njord: not counted as a trial of own: the trial ledger ")
    assert json.loads((tmp_path / "out.json").read_text())["trial"]["counted"] is False
