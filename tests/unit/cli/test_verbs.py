"""The verbs as a user meets them: demo, new, replay, config show, help."""

import json
from pathlib import Path

import pytest

from njord.cli import run
from njord.cli.app import command


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    group = command()
    verbs = [[name] for name in group.commands]
    for name, verb in group.commands.items():
        verbs += [[name, sub] for sub in getattr(verb, "commands", {})]
    for verb_path in verbs:
        assert run([*verb_path, "--help"]) == 0
        shown = capsys.readouterr().out
        if len(verb_path) == 2 or verb_path[0] not in ("config", "kill", "data", "drill"):
            assert f"Example: njord {' '.join(verb_path)}" in " ".join(shown.split()), verb_path


@pytest.mark.integration
def test_the_demo_names_its_report_and_its_replay_is_identical(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "--json"]) == 0
    paths = json.loads(capsys.readouterr().out)
    assert (room / paths["report"]).stat().st_size > 10_000
    assert json.loads((room / paths["summary"]).read_text())["synthetic"] is True
    assert run(["replay", "last"]) == 0
    assert capsys.readouterr().out.startswith("identical, ")


def test_a_new_strategy_trades_like_its_model_and_is_never_overwritten(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "my_cross", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    text = (room / written["strategy"]).read_text()
    assert "class MyCross(SignalStrategy)" in text
    assert "SmaCross" not in text
    before = (room / written["test"]).read_text()
    assert run(["new", "my_cross"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (room / written["test"]).read_text() == before
    for name in ("Bad-Name", "class", "sma_cross", "../escape"):
        assert run(["new", name]) == 2
    assert sorted(path.name for path in room.iterdir()) == ["my_cross.py", "test_my_cross.py"]


def test_json_to_stdout_is_one_document_and_nothing_else(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = [1_000 + minute % 7 for minute in range(60)]
    rows = "".join(
        f"{1_700_000_000 + 60 * minute},{price},{price + 1},{price - 1},{price},1\n"
        for minute, price in enumerate(prices)
    )
    (room / "BTCUSDT.csv").write_text("timestamp,open,high,low,close,volume\n" + rows)
    arguments = ["backtest", "sma_cross", "--data", "BTCUSDT.csv", "--param", "fast=2", "--param", "slow=3"]
    assert run([*arguments, "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["fills"]
    assert set(result["fills"][0]) >= {"ts_ns", "side", "price", "qty", "fee"}
    assert run([*arguments, "--json", "out.json", "--report", "page.html"]) == 0
    assert json.loads((room / "out.json").read_text()) == result
    assert (room / "page.html").read_text().startswith("<!")


def test_config_show_says_where_a_value_came_from(
    room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NJORD_BACKTEST__CAPITAL", "777")
    assert run(["config", "show", "--origin", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["backtest.capital"]["value"] == "777"
    assert "NJORD_BACKTEST__CAPITAL" in rows["backtest.capital"]["origin"]
    assert rows["backtest.fee_bps"]["origin"] == "default"


STRATEGY = """
from njord.strategies import BarView, Context, Proposals, Strategy, Target


class Breaks(Strategy):
    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        if ctx.n_bars == 20:
            raise RuntimeError("it broke")
        return Target(weight=1.0) if ctx.n_bars == 3 else None
"""


@pytest.mark.integration
def test_a_strategy_that_raises_ends_with_its_own_exit_code_and_its_line(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "breaks.py").write_text(STRATEGY)
    assert run(["demo", "--json"]) == 0
    data = next((room / "var" / "demo").iterdir())
    assert run(["backtest", "./breaks.py", "--data", str(data)]) == 3
    output = capsys.readouterr()
    assert "breaks.py:8: RuntimeError: it broke" in output.err
    (room / "broken.py").write_text("import nothing_of_that_name\n")
    assert run(["backtest", "./broken.py", "--data", str(data)]) == 2
    assert "broken.py:1: ModuleNotFoundError" in capsys.readouterr().err
    (room / "empty.py").write_text("x = 1\n")
    assert run(["backtest", "./empty.py", "--data", str(data)]) == 2
    assert "exactly one Strategy" in capsys.readouterr().err


@pytest.mark.integration
def test_a_configured_secret_reaches_no_file_and_the_run_still_replays(
    room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NJORD_REDIS__URL", "redis://:canary-hunter2@127.0.0.1:6379/0")
    assert run(["demo"]) == 0
    assert run(["replay", "last"]) == 0
    output = capsys.readouterr()
    assert "canary" not in output.out + output.err
    written = [path for path in room.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if b"canary" in path.read_bytes()]
