"""`njord paper` as a user meets it off a terminal: lines, JSON, what is refused, exit codes, going on."""

import json
from pathlib import Path
from typing import Any

import pytest

from njord.cli import run

BARS = 120
PAPER = ["paper", "sma_cross", "--data", "COIN_USDT-1m.csv", "--param", "fast=2", "--param", "slow=4"]
FAST = [*PAPER, "--replay", "max", "--tick", "0.01", "--slippage-bps", "0"]
FAILS = """
from njord.strategies.base import Strategy, StrategyParams
from njord.core.contracts import Target

class Fails(Strategy):
    class Params(StrategyParams, frozen=True):
        pass

    def __init__(self, params):
        self.n = 0

    def warm_up(self):
        return 1

    def on_bar(self, bar, ctx):
        self.n += 1
        if self.n > 5:
            raise RuntimeError("boom")
        return None
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = ["time,open,high,low,close"]
    for n in range(BARS):
        price = 100 + (n % 10 if n % 20 < 10 else 10 - n % 10) / 4
        rows.append(f"2024-03-01 {n // 60:02}:{n % 60:02},{price},{price},{price},{price}")
    (tmp_path / "COIN_USDT-1m.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_session_says_how_it_starts_what_happens_and_how_it_ends(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*FAST, "--session", "first"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:7] == [
        "session  first: new",
        "trades   sma_cross on COIN/USDT with 200.00 USDT; a recording at full speed",
        "limits   profile paper: an order at most 250 USDT, a day's loss at most 300 USDT, 30 orders a minute, 20 at "
        "work, …",
        'switch   file var/state/kill_switch; to trip it: njord kill trip --reason "…"',
        "journal  var/state/sessions/first/journal",
        "stop     Ctrl-C cancels working orders, keeps positions; the same command goes on later",
        "2024-03-01T00:04    decision  sma_cross COIN/USDT  sma_cross-1: buy 1.96351301 market: allowed",
    ]
    kinds = {line.split()[1] for line in lines[6:-9]}
    assert kinds == {"decision", "fill", "order_end"}
    ending = "\n".join(lines[-9:])
    assert "ended    end of data; the session is over\norders   none works any more\n" in ending
    assert (room / "var" / "state" / "sessions" / "first" / "session.json").is_file()
    typed = [line.split("#")[0].split()[1:] for line in lines[-3:]]
    assert [words[1] for words in typed] == ["why", "replay", "parity"]
    for words in typed:
        assert run(words[1:]) == 0


def test_json_lines_begin_with_started_end_with_ended_and_hold_exact_texts(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*FAST, "--json"]) == 0
    first, *events, last = told(capsys)
    assert (first["event"], first["resumed"], first["capital"]) == ("started", None, "200")
    assert (first["stop_policy"], first["risk_profile"]) == ("cancel", "paper")
    fills = [event for event in events if event["event"] == "fill"]
    assert last["event"] == "ended"
    assert last["reason"] == "end of data"
    assert last["finished"] is True
    assert last["left"] == []
    assert last["n_fills"] == len(fills) > 2
    assert all(isinstance(fill[name], str) for fill in fills for name in ("qty", "price", "fee"))


def test_a_session_has_the_order_list_of_the_backtest_with_its_capital_and_profile(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*FAST, "--json"]) == 0
    ended = told(capsys)[-1]
    words = [word for word in FAST if word not in ("paper", "--replay", "max")]
    flags = ["--capital", "200", "--risk-profile", "paper", "--poison", "off", "--json", "-"]
    assert run(["backtest", *words, *flags]) == 0
    result = json.loads(capsys.readouterr().out)
    assert ended["order_list_hash"] == result["order_list_hash"]
    assert ended["equity"] == result["final_equity"]


def test_a_target_larger_than_the_largest_order_is_said_with_what_to_type(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*FAST, "--capital", "5000", "--json"]) == 0
    first, *_, last = told(capsys)
    (warning,) = first["warnings"]
    assert "a target of 100% is worth 5,000 USDT, orders above 250 are refused" in warning
    assert "next: --capital 250, or --risk-profile research" in warning
    assert (last["n_orders"], last["n_intents"] > 0) == (0, True)
    assert run([*FAST, "--capital", "250", "--fresh", "--json"]) == 0
    first, *_, last = told(capsys)
    assert first["warnings"] == []
    assert last["n_orders"] > 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--replay", "fast"], "--replay takes a speed such as 1x or 60x"),
        (["--replay", "0x"], "--replay takes a speed such as 1x or 60x"),
        (["--stop-policy", "run"], "paper.stop_policy must be 'cancel', 'leave' or 'flatten', was run"),
        (["--risk-profile", "none"], "paper.risk_profile must be one of research, paper, live, was none"),
        (["--capital", "0"], "paper.capital must be greater than 0, was 0"),
        (["--session", "../x"], "is no name of a session; use letters"),
        (["--set", "redis.url=http://x"], "redis.url must start with redis://"),
    ],
)
def test_what_is_wrong_is_one_line_and_begins_no_session(
    room: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert run([*PAPER, *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    sessions = room / "var" / "state" / "sessions"
    assert not sessions.is_dir() or not list(sessions.iterdir())


def test_when_every_strategy_has_failed_the_exit_code_says_so(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "fails.py").write_text(FAILS)
    words = ["paper", "./fails.py", "--data", "COIN_USDT-1m.csv", "--replay", "max", "--json"]
    assert run(words) == 3
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert "suspended" in {event["event"] for event in events}
    assert events[-1]["event"] == "ended"
    assert "strategy fails failed and was suspended: fails.py" in captured.err


def test_a_tripped_switch_lets_nothing_through_and_is_said(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "var" / "state").mkdir(parents=True)
    (room / "var" / "state" / "kill_switch").mkdir()
    assert run([*FAST, "--json"]) == 0
    events = told(capsys)
    (switch,) = [event for event in events if event["event"] == "switch"]
    assert (switch["state"], switch["cancels"]) == ("halted", True)
    refused = [event for event in events if event["event"] == "decision"]
    assert refused
    assert {event["rule"] for event in refused} == {"kill_switch"}
    assert events[-1]["n_orders"] == 0


def test_a_setting_reaches_the_run_where_no_flag_says_otherwise(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*FAST, "--set", "paper.capital=150", "--json"]) == 0
    assert told(capsys)[0]["capital"] == "150"
    assert run([*FAST, "--set", "paper.capital=150", "--capital", "120", "--fresh", "--json"]) == 0
    assert told(capsys)[0]["capital"] == "120"
