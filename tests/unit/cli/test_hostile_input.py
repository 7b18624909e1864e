"""Whatever a user hands in wrongly: one line that names it and the fix, exit code 2, and nothing written."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from njord.cli import run

pytestmark = pytest.mark.integration  # Each runs whole verbs: together they take seconds.

HEADER = "timestamp,open,high,low,close,volume\n"


def bar(minute: int, price: str = "100.5") -> str:
    return f"2024-01-01T00:{minute:02d}:00Z,{price},{price},{price},{price},1\n"


GOOD = HEADER + "".join(bar(minute) for minute in range(40))

FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing file": (lambda path: None, "there is no file"),
    "an empty file": (lambda path: path.write_text(""), "is empty"),
    "a header alone": (lambda path: path.write_text(HEADER), "no rows"),
    "wrong columns": (lambda path: path.write_text("a,b\n1,2\n"), "--column time=NAME"),
    "mixed timezones": (
        lambda path: path.write_text(HEADER + bar(0) + bar(1).replace("Z", "")),
        "mixed timezones",
    ),
    "unsorted rows": (lambda path: path.write_text(HEADER + bar(0) + bar(2) + bar(1)), "--repair"),
    "duplicated rows": (lambda path: path.write_text(HEADER + bar(0) + bar(1) + bar(1)), "--repair"),
    "NaN": (lambda path: path.write_text(HEADER + bar(0) + bar(1, "NaN") + bar(2)), "row 2"),
    "a negative price": (lambda path: path.write_text(HEADER + bar(0) + bar(1, "-3") + bar(2)), "row 2"),
    "a zero price": (lambda path: path.write_text(HEADER + bar(0) + bar(1, "0") + bar(2)), "row 2"),
    "a line of 100 MB": (lambda path: path.write_bytes(HEADER.encode() + b"9" * 100_000_000), "line 2"),
    "binary junk": (lambda path: path.write_bytes(bytes(range(256)) * 9), "CSV"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
}


@pytest.fixture
def empty_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.chdir(room)
    return room


def refused(arguments: list[str], room: Path, capsys: pytest.CaptureFixture[str]) -> str:
    before = sorted(room.rglob("*"))
    assert run(["backtest", "sma_cross", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("njord: ")
    assert output.err.count("\n") == 1, output.err
    assert "Traceback" not in output.err
    assert sorted(room.rglob("*")) == before, "something was written"
    return output.err


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_in_one_line_and_nothing_is_written(
    name: str, tmp_path: Path, empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, expected = FILES[name]
    path = tmp_path / "BTC_USDT.csv"
    make(path)
    error = refused(["--data", str(path)], empty_room, capsys)
    assert expected in error
    assert path.name in error


def test_a_cut_off_gzip_is_refused_by_name(
    tmp_path: Path, empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode())[:-20])
    assert "cut off" in refused(["--data", str(path)], empty_room, capsys)


FLAGS = {
    "--symbol ../../etc/passwd": "BTC/USDT",
    "--param nope=1": "no parameter 'nope'",
    "--param fats=1": "did you mean 'fast'?",
    "--param fast=many": "fast must be int, was 'many'",
    "--param fast": "key=value",
    "--param fast=30 --param slow=10": "slow must be > fast (30), was 10",
    "--qty 0": "--qty must be > 0",
    "--qty 0.000000001": "below the smallest order",
    "--qty 1e999999999": "--qty must be a number of at most",
    "--capital 0": "must be greater than 0, was 0",
    "--capital -1": "must be greater than 0, was -1",
    "--capital much": "was much",
    "--tick 0": "--tick must be > 0",
    "--tick 1e-999999999": "--tick must be a number of at most",
    "--tick NaN": "finite",
    "--lot 0": "--lot must be > 0",
    "--fee-bps -1": "was -1",
    "--slippage-bps 10001": "was 10001",
    "--start 2030-01-01": "no bars in the range",
    "--start soon": "ISO 8601",
    "--start 2024-01-02 --end 2024-01-01": "--start must lie before --end",
    "--risk-profile reserch": "research",
    "--timeframe 7q": "--timeframe 7q",
    "--json /no/such/folder/x.json": "mkdir -p /no/such/folder",
    "--dta x": "No such option: --dta",
}


@pytest.mark.parametrize("flags", FLAGS)
def test_a_bad_flag_is_refused_in_one_line_and_nothing_is_written(
    flags: str, tmp_path: Path, empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "BTC_USDT.csv"
    path.write_text(GOOD)
    assert FLAGS[flags] in refused(["--data", str(path), *flags.split()], empty_room, capsys)


def test_the_good_file_that_the_bad_flags_are_tried_on_is_accepted(
    tmp_path: Path, empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "BTC_USDT.csv"
    path.write_text(GOOD)
    assert run(["backtest", "sma_cross", "--data", str(path)]) == 0
    assert "BTC/USDT" in capsys.readouterr().out


def test_an_unknown_strategy_and_an_unknown_verb_name_the_next_thing_to_type(
    empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "sma_crss", "--data", "x.csv"]) == 2
    assert "did you mean 'sma_cross'?" in capsys.readouterr().err
    assert run(["bakctest"]) == 2
    assert "next: njord --help" in capsys.readouterr().err
    assert run(["replay", "last"]) == 2
    assert "njord demo" in capsys.readouterr().err
