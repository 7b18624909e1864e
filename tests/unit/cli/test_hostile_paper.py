"""What a hostile user types, and what an unlucky one finds on disk: one line, the right code, nothing written."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from njord.adapters.seal import KEY_VARIABLE
from njord.adapters.state_lock import FENCE_NAME, LOCK_NAME, StateLock
from njord.cli import run
from njord.core.errors import ConfigError

pytestmark = pytest.mark.integration  # Each runs whole verbs: together they take seconds.

WITHIN_S = 40.0  # Only what waits for ever takes so long.
BARS = 40
FAST = ["--data", "COIN_USDT-1m.csv", "--tick", "0.01", "--replay", "max"]
PAPER = ["paper", "./talker.py", *FAST]
TALKER = """
from njord.strategies import BarView, Context, Proposals, Strategy, StrategyParams, Target

print("loaded")


class Talker(Strategy):
    class Params(StrategyParams, frozen=True):
        pass

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        print("bar")
        return Target(weight=0.5 if bar.close > 101 else 0.0)
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = ["time,open,high,low,close"]
    for n in range(BARS):
        price = 100 + n % 5
        rows.append(f"2024-03-01 00:{n:02},{price},{price},{price},{price}")
    (tmp_path / "COIN_USDT-1m.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "talker.py").write_text(TALKER)
    return tmp_path


def told(code: int, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that fails; return its one line."""
    assert run(arguments) == code
    output = capsys.readouterr()
    (line,) = [line for line in output.err.splitlines() if line not in ("loaded", "bar")]
    assert line.startswith("njord: ")
    assert output.out == ""
    return line


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["--session", "a/b"], "'a/b' is no name of a session"),
        (["--session", "x" * 300], "is no name of a session"),
        (["--session", "last"], "can not be called last"),
        (["--replay", ""], "--replay takes a speed"),
        (["--replay", "٦٠x"], "--replay takes a speed"),  # noqa: RUF001
        (["--replay", "0x"], "--replay takes a speed"),
        (["--set", "redis.url=redis://:sesam@localhost:99999/0"], "redis.url can not be understood"),
        (["--data", "nope.csv"], "there is no file nope.csv"),
    ],
)
def test_what_is_typed_wrongly_leaves_not_even_a_log(
    typed: list[str], expected: str, room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(room.rglob("*"))
    line = told(2, ["paper", "sma_cross", *FAST, *typed], capsys)
    assert expected in line
    assert "sesam" not in line
    assert sorted(room.rglob("*")) == before


@pytest.mark.parametrize("name", ["", "x" * 300, "a\0b", "é/..", "/etc/passwd"])
def test_a_name_that_can_be_no_folder_is_no_session(
    name: str, room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = told(2, ["replay", name], capsys)
    assert "is neither a session nor a run" in line
    assert line.isprintable()
    assert len(line) < 400


def test_no_letter_of_a_reason_keeps_the_switch_from_being_tripped(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["kill", "trip", "--reason", "caf\udce9 \x1b[2J"]) == 0
    assert 'says so: "caf? ?[2J", by' in capsys.readouterr().out


def test_the_key_of_the_seal_is_known_to_every_verb_and_shown_by_none(
    room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "5e5a3b" * 12
    monkeypatch.setenv(KEY_VARIABLE, key)
    assert run([*PAPER, "--session", "one", "--json"]) == 0
    for words in (["kill", "check"], ["replay", "last"], ["config", "show"]):
        assert run(words) == 0
    output = capsys.readouterr()
    assert key not in output.out + output.err
    assert not [path for path in room.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def test_parity_repeats_no_secret_that_it_was_given(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PAPER, "--session", "one"]) == 0
    capsys.readouterr()
    secret = ["--set", "redis.url=redis://:sesam@localhost:1/0", "--set", "backtest.impact_bps=0"]
    for more in ([], ["--json"]):
        run(["parity", "one", *secret, *more])
        output = capsys.readouterr()
        assert "sesam" not in output.out + output.err
        assert "redis.url" in output.out


def test_a_drill_on_no_file_is_wrong_input_and_makes_nothing(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(room.rglob("*"))
    assert "there is no file nope.csv" in told(2, ["drill", "kill", "--data", "nope.csv"], capsys)
    assert sorted(room.rglob("*")) == before


def test_what_a_strategy_prints_is_on_no_line_of_ours(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def output(arguments: list[str]) -> str:
        assert run(arguments) == 0
        output = capsys.readouterr()
        assert "bar\n" in output.err
        return output.out

    events = [json.loads(line) for line in output([*PAPER, "--json"]).splitlines()]
    assert events[-1]["n_fills"] > 0
    for words in (["replay", "last"], ["parity", "last"], ["why", "last"]):
        assert json.loads(output([*words, "--json"]))
    assert json.loads(output(["backtest", "./talker.py", *FAST[:4], "--json", "-"]))


# --- what lies on disk ---


def _edit(**changes: Any) -> Callable[[Path], None]:
    def edit(session: Path) -> None:
        path = session / "session.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (_edit(config={"backtest": {"capital": "x"}}), "session.json is damaged: its settings are none"),
        (_edit(config={"nope": 1}), "session.json is damaged: its settings are none"),
        (_edit(config={"risk": {"profiles": {}}}), "session.json is damaged"),
        (_edit(data=[]), "feed.ndjson is gone"),
    ],
)
def test_a_session_file_that_says_nonsense_is_one_line(
    damage: Callable[[Path], None], expected: str, room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*PAPER, "--session", "one"]) == 0
    damage(room / "var/state/sessions/one")
    capsys.readouterr()
    for words in (["replay", "one"], ["parity", "one"], ["why", "last", "--session", "one"]):
        assert expected in told(2, words, capsys)


def test_a_session_that_has_ended_and_lost_its_journal_s_end_is_not_called_identical(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*PAPER, "--session", "one"]) == 0
    (journal,) = (room / "var/state/sessions/one/journal").iterdir()
    text = journal.read_bytes()
    journal.write_bytes(text[: text.index(b"\n", text.index(b'{"block"')) + 1])
    with journal.open("rb") as file:
        assert b'"end"' not in file.read()
    capsys.readouterr()
    for words in (["replay", "one"], ["parity", "one"], ["why", "--at", "00:10", "--session", "one"]):
        assert "JournalError" in told(4, words, capsys)


@pytest.mark.parametrize(
    ("name", "make"), [(FENCE_NAME, os.mkfifo), (FENCE_NAME, os.mkdir), (LOCK_NAME, os.mkfifo)]
)
def test_whatever_lies_where_a_lock_belongs_is_refused_at_once(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / name)
    refused: list[str] = []

    def acquire() -> None:
        with pytest.raises(ConfigError) as error:
            StateLock.acquire(tmp_path)
        refused.append(str(error.value))

    thread = threading.Thread(target=acquire, daemon=True)
    thread.start()
    thread.join(WITHIN_S)
    (line,) = refused
    assert str(tmp_path / name) in line
