"""`njord poison` in words and exit codes: what passes, what leaks and where, what fails, what is refused."""

import json
from pathlib import Path

import pytest

from njord.cli.poison import run
from njord.cli.request import Flags
from njord.core.errors import ConfigError
from tests.unit.backtest.poison_run import HEADER, ON_FEATURE, write_market

pytestmark = pytest.mark.integration

LEAKY = (
    "    def precompute(self, bars):\n        return {'x': bars.close_price - bars.close_price.mean()}\n"
    + ON_FEATURE
)
FAILS = (
    "    def on_bar(self, ctx, bar):\n        return Target(weight=0.5) if ctx.n_bars < 90 else ctx.nothing\n"
)
SHORT = """
    def on_bar(self, ctx, bar):
        self.closes = [*getattr(self, "closes", []), bar.close][-40:]
        return Target(weight=0.5 if bar.close > sum(self.closes) / len(self.closes) else 0.0)
"""


def poison(
    folder: Path, strategy: str, *params: str, n_cuts: int = 4, json_out: bool = False, n_bars: int = 250
) -> int:
    """Run the verb on a small market."""
    reference = strategy
    if "\n" in strategy:
        reference = str(folder / "case.py")
        Path(reference).write_text(HEADER + strategy)
    data = write_market(folder / "BTC_USDT.csv", n_bars)
    flags = Flags(params=params, tick="1", min_notional="0")
    return run((reference,), (data,), flags, folder, n_cuts, json_out)


def test_a_clean_strategy_exits_with_0_and_says_what_was_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert poison(tmp_path, "sma_cross", "fast=3", "slow=8") == 0
    future, fills, warm_up = capsys.readouterr().out.splitlines()
    assert future.startswith("future   passed: 4 of 4 cuts, ") and future.endswith(
        "the same whatever came later"
    )
    assert fills.startswith("fills    passed: 32, none by data that began before")
    assert warm_up.startswith("warm-up  sma_cross: passed: with 8, 16 and 40 bars before 2024-01-01T00:40 ")
    assert [path.name for path in tmp_path.iterdir()] == ["BTC_USDT.csv"]


def test_a_leak_exits_with_6_and_names_decision_cut_and_feature(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert poison(tmp_path, LEAKY) == 6
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "future   LEAK: 4 of 4 cuts"
    assert (
        lines[1].startswith("first    Target of case at 2024-01-01T0") and ", cut at 2024-01-01T0" in lines[1]
    )
    assert lines[2].startswith("read     feature 'x' at 2024-01-01T00:01 changed from ")
    assert (lines[3].split()[0], lines[4].split()[0]) == ("run", "another")


def test_a_strategy_that_fails_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poison(tmp_path, FAILS) == 3
    assert "a strategy failed and was suspended: case.py:" in capsys.readouterr().err


def test_a_warm_up_that_is_too_short_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poison(tmp_path, SHORT, n_cuts=1, n_bars=500) == 1
    assert "warm-up  case: TOO SHORT: at 2024-01-01T0" in capsys.readouterr().out


def test_json_holds_both_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poison(tmp_path, LEAKY, n_cuts=1, json_out=True) == 6
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is False and found["error"] == ""
    assert found["poison"]["n_cuts"] == 1 and found["poison"]["leaks"][0]["kind"] == "Target"
    assert found["warm_up"]["strategies"][0]["strategy_id"] == "case"


def test_no_cuts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--cuts must be a whole number from 1 to 1000, was 0; for example --cuts 30"
    ):
        poison(tmp_path, "sma_cross", n_cuts=0)


def test_more_cuts_than_anybody_waits_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--cuts must be a whole number from 1 to 1000, was 1000000"):
        run(("x",), (tmp_path / "x.csv",), Flags(), tmp_path, n_cuts=1_000_000)


def test_cuts_that_fell_on_the_same_event_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(tmp_path, "sma_cross", "fast=3", "slow=8", n_cuts=40, n_bars=60)
    assert "cuts: the others fell on the same of the run's " in capsys.readouterr().out


def test_a_run_too_short_for_its_warm_up_is_not_sent_to_the_verb_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(tmp_path, "sma_cross", "fast=3", "slow=8", n_bars=12)
    out = capsys.readouterr().out
    assert "sma_cross: not tried: a run of 12 events is too short to try its warm-up of 8 bars twice\n" in out
    assert "njord poison" not in out
