"""Whatever is handed to `njord data` wrongly: one line that names it and the fix, exit code 2, and nothing written."""

import gzip
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest

from njord.cli import run
from njord.storage.store.store import Store

pytestmark = pytest.mark.integration  # Each runs whole verbs: together they take seconds.

BARS = "timestamp,open,high,low,close,volume\n"
TRADES = "time,id,side,price,qty\n"
QUOTE = '{"u":1,"s":"ETHUSDT","b":"1.5","B":"2","a":"1.6","A":"3"}'
GOOD_NS = "1700000000000000000"


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a missing file": ("x.csv", lambda path: None, "there is no file"),
    "an empty file": ("x.csv", text(""), "is empty"),
    "columns of nothing": ("x.csv", text("a,b\n1,2\n"), "--kind bars or --kind trades"),
    "a folder": ("x.csv", lambda path: path.mkdir(), "is a folder"),
    "junk": ("x.csv", lambda path: path.write_bytes(bytes(range(256)) * 9), "x.csv"),
    "a volume of 2^63": (
        "BTC_USDT.csv",
        text(BARS + "".join(f"2024-01-01T00:0{n}Z,1,1,1,1,{2**63}\n" for n in range(2))),
        "--lot",
    ),
    "a trade of 2^63": ("BTC_USDT.csv", text(f"{TRADES}2024-01-01T00:00Z,1,buy,1,{2**63}\n"), "row 1"),
    "a bar in the year 1": ("BTC_USDT.csv", text(f"{BARS}0001-01-01T00:00Z,1,1,1,1,1\n"), "row 1"),
    "a bar in the year 9999": ("BTC_USDT.csv", text(f"{BARS}9999-01-01T00:00Z,1,1,1,1,1\n"), "row 1"),
    "a trade in the year 1": ("BTC_USDT.csv", text(f"{TRADES}0001-01-01T00:00Z,1,buy,1,1\n"), "row 1"),
    "a trade in the year 9999": ("BTC_USDT.csv", text(f"{TRADES}9999-01-01T00:00Z,1,buy,1,1\n"), "row 1"),
    "a capture in the year 9999": ("x.jsonl", text(f"253370764800000000000 {QUOTE}\n"), "line 1"),
    "a capture with a torn middle": (
        "x.jsonl",
        text(f'{GOOD_NS} {QUOTE}\n{GOOD_NS} {{"u":2,"s"\n{GOOD_NS} {QUOTE}\n'),
        "line 2",
    ),
    "a capture of 2^63 lots": (
        "x.jsonl",
        text(f'{GOOD_NS} {{"u":1,"s":"ETHUSDT","b":"1.5","B":"{2**63}","a":"1.6","A":"3"}}\n'),
        "line 1",
    ),
    "a cut gzip": (
        "x.csv.gz",
        lambda path: path.write_bytes(
            gzip.compress((TRADES + "2024-01-01T00:00Z,1,buy,1,1\n").encode())[:-12]
        ),
        "x.csv.gz",
    ),
    "a zip bomb in one line": (
        "x.csv.gz",
        lambda path: path.write_bytes(gzip.compress(TRADES.encode() + b"9" * 40_000_000)),
        "line 2",
    ),
    "an lz4 bomb in one line": (
        "x.jsonl.lz4",
        lambda path: path.write_bytes(lz4.frame.compress(f"{GOOD_NS} {{".encode() + b" " * 40_000_000)),
        "line 1",
    ),
    "a newer format": ("x.ndjson", text('{"njord":"data","schema":99,"kind":"trades"}\n'), "schema 99"),
}


@pytest.fixture
def empty_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.chdir(room)
    return room


def refused(arguments: list[str], room: Path, capsys: pytest.CaptureFixture[str]) -> str:
    before = sorted(room.rglob("*"))
    assert run(["data", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("njord: ")
    assert output.err.count("\n") == 1, output.err
    assert sorted(room.rglob("*")) == before, "something was written"
    return output.err


@pytest.mark.parametrize("what", FILES)
def test_a_bad_file_is_refused_in_one_line_and_no_store_is_begun(
    what: str, tmp_path: Path, empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make, expected = FILES[what]
    make(tmp_path / name)
    assert expected in refused(["import", str(tmp_path / name)], empty_room, capsys)


FLAGS = {
    "a venue that leaves the store": (["import", "FILE", "--venue", "../x"], "venue"),
    "a kind that is none": (["import", "FILE", "--kind", "candles"], "--kind bars"),
    "a tick that is no number": (["import", "FILE", "--tick", "x"], "--tick"),
    "no store": (["list"], "njord data import FILE"),
    "a dataset that leaves the store": (["show", "../../etc"], "names no dataset"),
    "no such venue": (
        ["download", "--symbol", "BTC/USDT", "--start", "2024-01-01", "--venue", "mtgox"],
        "mtgox",
    ),
    "a start that is no time": (["download", "--symbol", "BTC/USDT", "--start", "soon"], "ISO 8601"),
    "an endpoint that is none": (
        ["download", "--symbol", "BTC/USDT", "--start", "2024-01-01", "--endpoint", "ftp://x"],
        "--endpoint",
    ),
}


@pytest.mark.parametrize("what", FLAGS)
def test_a_bad_flag_is_refused_in_one_line_and_nothing_is_written(
    what: str, tmp_path: Path, empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "BTC_USDT.csv"
    file.write_text(TRADES + "2024-01-01T00:00Z,1,buy,1,1\n")
    arguments, expected = FLAGS[what]
    if what == "a dataset that leaves the store":
        assert run(["data", "import", str(file)]) == 0
        capsys.readouterr()
    given = [str(file) if each == "FILE" else each for each in arguments]
    assert expected in refused(given, empty_room, capsys)


def test_a_certificate_of_another_version_is_named_and_the_other_datasets_are_listed(
    tmp_path: Path, empty_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for symbol in ("AAA", "BBB"):
        file = tmp_path / f"{symbol}_USDT.csv"
        file.write_text(TRADES + "2024-01-01T00:00Z,1,buy,1,1\n")
        assert run(["data", "import", str(file)]) == 0
    store = Store(empty_room / "var/data")
    with store.open("trades/file/AAA-USDT") as stored:
        key, instrument = stored.key, stored.instrument
    with store.begin(key, instrument=instrument) as commit:
        commit.commit(certificate=b'{"schema":99}').close()
    capsys.readouterr()
    assert run(["data", "list"]) == 1
    shown = capsys.readouterr().out
    assert "damaged trades/file/AAA-USDT: trades/file/AAA-USDT: " in shown
    assert "trades/file/BBB-USDT" in shown
    assert run(["data", "show", "trades/file/AAA-USDT"]) == 2
