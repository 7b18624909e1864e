"""`njord paper` as a process: paced, on a terminal and off it, stopped in every way, alone on its state folder."""

import fcntl
import itertools
import json
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stream_server import StreamServer
from tests.redis_server import RedisServer

pytestmark = pytest.mark.integration
NJORD = str(Path(sys.executable).with_name("njord"))
BARS = "BTC-PERP-1m-20211231-20220201.csv.gz"
FIRST_FILL_WITHIN_S = 30.0
STOP_WITHIN_S = 5.0
LIMIT_S = 100.0


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NJORD_RISK__KILL_SWITCH_MAX_AGE_MS", "30000")  # A slow machine trips nothing.
    write_market(tmp_path)
    return tmp_path


def write_market(folder: Path) -> None:
    """Write 2,400 minutes of prices that rise and fall in turns."""
    rows = ["time,open,high,low,close"]
    for n in range(2_400):
        price = 100 + (n % 10 if n % 20 < 10 else 10 - n % 10) / 4
        rows.append(
            f"2024-03-{1 + n // 1440:02} {n // 60 % 24:02}:{n % 60:02},{price},{price},{price},{price}"
        )
    (folder / "COIN_USDT-1m.csv").write_text("\n".join(rows) + "\n")


SMALL = [
    "sma_cross",
    "--data",
    "COIN_USDT-1m.csv",
    "--param",
    "fast=2",
    "--param",
    "slow=4",
    "--tick",
    "0.01",
]


Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def started(room: Path) -> Iterator[Launch]:
    """Start `njord paper` in the room; none of them outlives its test."""
    processes: list[subprocess.Popen[str]] = []

    def launch(words: list[str], **more: Any) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [NJORD, "paper", *words],
            cwd=room,
            stdout=pipe,
            stderr=pipe,
            text=True,
            **more,
        )
        processes.append(process)
        return process

    yield launch
    for process in processes:
        with process:
            process.kill()


def events_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def until(process: subprocess.Popen[str], kind: str) -> dict[str, Any]:
    return next(event for event in events_of(process) if event["event"] == kind)


def until_switch(process: subprocess.Popen[str], state: str) -> dict[str, Any]:
    return next(
        event for event in events_of(process) if event["event"] == "switch" and event["state"] == state
    )


def ended(process: subprocess.Popen[str], number: signal.Signals) -> dict[str, Any]:
    """Stop a process by a signal; return its last event."""
    process.send_signal(number)
    last = until(process, "ended")
    code = process.wait(LIMIT_S)
    assert process.stderr is not None
    assert (code, process.stderr.read()) == (0, "")
    return last


@pytest.mark.timing
def test_the_first_fill_comes_within_30_s_of_recorded_minutes_at_60x_and_a_stop_is_quick(
    started: Launch, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sma_cross", "--data", str(recordings / "bars" / BARS), "--json"]
    began_s = time.monotonic()
    process = started(words)
    start = until(process, "started")
    fill = until(process, "fill")
    first_s = time.monotonic() - began_s
    asked_s = time.monotonic()
    last = ended(process, signal.SIGINT)
    stop_s = time.monotonic() - asked_s
    with capsys.disabled():
        print(f"\nfirst fill after {first_s:.1f} s, stopped in {stop_s:.2f} s")
    assert start["pace"] == "a recording at 60x"
    assert fill["symbol"] == "BTC/USD:USD"
    assert first_s < FIRST_FILL_WITHIN_S
    assert stop_s < STOP_WITHIN_S
    assert last["reason"] == "signal SIGINT"
    assert last["finished"] is False
    assert last["n_fills"] == 1
    (held,) = last["positions"]
    assert held["why"] == "the stop policy is cancel: positions are kept"


def test_the_same_command_goes_on_and_a_second_instance_is_refused(started: Launch) -> None:
    words = [*SMALL, "--replay", "600x", "--json"]
    process = started(words)
    until(process, "fill")
    other = started(words)
    out, err = other.communicate(timeout=LIMIT_S)
    assert (other.returncode, out) == (2, "")
    assert f"another njord (process {process.pid}) is running on var/state; stop it first" in err
    first = ended(process, signal.SIGTERM)
    assert first["reason"] == "signal SIGTERM"
    again = started(words)
    start = until(again, "started")
    assert start["session"] == first["session"]
    assert start["resumed"]["n_rows"] == first["n_rows"]
    status = until(again, "fill")
    assert status["event"] == "fill"
    last = ended(again, signal.SIGHUP)
    assert last["n_fills"] > first["n_fills"]
    assert last["n_rows"] > first["n_rows"]


def test_a_killed_session_goes_on_where_it_was(started: Launch) -> None:
    words = [*SMALL, "--replay", "600x", "--json"]
    process = started(words)
    until(process, "fill")
    process.kill()
    process.wait(LIMIT_S)
    again = started([*SMALL, "--replay", "max", "--json"])
    out, err = again.communicate(timeout=LIMIT_S)
    assert (again.returncode, err) == (0, "")
    first, *_, last = [json.loads(line) for line in out.splitlines()]
    assert first["resumed"]["n_messages"] > 0
    assert last["finished"] is True
    whole = started([*SMALL, "--replay", "max", "--json", "--session", "whole"])
    out, _ = whole.communicate(timeout=LIMIT_S)
    assert json.loads(out.splitlines()[-1])["order_list_hash"] == last["order_list_hash"]


def test_flatten_closes_positions_before_it_ends(started: Launch) -> None:
    process = started([*SMALL, "--replay", "120x", "--stop-policy", "flatten", "--json"])
    until(process, "fill")
    last = ended(process, signal.SIGINT)
    assert (last["left"], last["positions"]) == ([], [])


def test_asking_again_and_again_ends_as_cleanly(started: Launch) -> None:
    process = started([*SMALL, "--replay", "60x", "--stop-policy", "flatten", "--json"])
    until(process, "fill")
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["event"] == "ended"


def test_a_reader_who_goes_ends_the_session_quietly(room: Path, started: Launch) -> None:
    process = started([*SMALL, "--replay", "600x", "--json"])
    until(process, "decision")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(LIMIT_S) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    log = (room / "var" / "log" / "njord" / "app.ndjson").read_text().splitlines()
    assert json.loads(log[-1])["reason"] == "the reader of the output has gone"


def test_a_reader_who_does_not_read_stops_nobody(room: Path, started: Launch) -> None:
    process = started([*SMALL, "--replay", "max", "--json"])  # More lines than a pipe holds; none is read.
    assert process.wait(LIMIT_S) == 0
    log = (room / "var" / "log" / "njord" / "app.ndjson").read_text().splitlines()
    assert json.loads(log[-1])["reason"] == "end of data"


def test_a_journal_that_can_not_be_written_is_exit_code_4(started: Launch) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    process = started([*SMALL, "--replay", "max", "--json"], preexec_fn=small_files)
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 4
    assert err.startswith("njord: journal halted")
    assert len(err.splitlines()) == 1
    assert json.loads(out.splitlines()[-1])["event"] == "ended"


def test_an_instance_that_was_replaced_says_so_and_writes_no_more(room: Path, started: Launch) -> None:
    process = started([*SMALL, "--replay", "600x", "--json"])
    until(process, "fill")
    (room / "var" / "state" / "node.fence").write_text('{"token":99,"pid":1}')
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 4
    assert err.startswith("njord: InvariantError: fenced: another instance has taken over")
    assert len(err.splitlines()) == 1
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["is_broken"]) == ("ended", True)


def on_terminal(
    room: Path, words: list[str], columns: int, is_enough: Callable[[str], bool]
) -> tuple[int, str]:
    """Run on a terminal of its own, type Ctrl-C once enough was written; return exit code and all it wrote."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(room)
        os.environ["TERM"] = "xterm-256color"
        os.execv(NJORD, [NJORD, "paper", *words])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    shown, is_asked, until_s = b"", False, time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        if not is_asked and is_enough(shown.decode(errors="replace")):
            os.write(terminal, b"\x03")
            is_asked = True
        if not select.select([terminal], [], [], 0.05)[0]:
            continue
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # How a terminal says that nobody is there any more.
            break
        if not part:
            break
        shown += part
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


PICTURE = ("kill switch", "ACTIVE", "COIN/USDT", "limits", "decisions", "allowed", "of 2,400 bars")


@pytest.mark.parametrize("columns", [80, 140])
def test_on_a_terminal_there_is_a_picture_and_ctrl_c_ends_it(room: Path, columns: int) -> None:
    def is_drawn_again_and_again(shown: str) -> bool:
        return shown.count("positions") > 5 and all(word in shown for word in PICTURE)

    code, shown = on_terminal(room, [*SMALL, "--replay", "600x"], columns, is_drawn_again_and_again)
    assert code == 0, shown
    assert "session  " in shown
    after = shown[shown.rindex("\x1b[?25h") :]  # The cursor is back, then the last words.
    assert "ended    signal SIGINT; the same command goes on" in after
    assert "hash     order list " in after
    assert "Traceback" not in shown


def test_a_live_feed_is_followed_recorded_and_gone_on_with(room: Path, started: Launch) -> None:
    words = [
        "sma_cross",
        "--symbol",
        "BTC/USDT",
        "--timeframe",
        "1s",
        "--param",
        "fast=2",
        "--param",
        "slow=3",
    ]
    with StreamServer() as server, following(server):
        live = [*words, "--feed", "binanceus", "--endpoint", server.url, "--stop-policy", "leave", "--json"]
        process = started(live)
        start = until(process, "started")
        assert start["pace"] == "live from binanceus, bars of 1s"
        until(process, "fill")
        first = ended(process, signal.SIGINT)
        assert first["finished"] is False
        again = started(live)
        resumed = until(again, "started")
        assert resumed["session"] == first["session"]
        assert resumed["resumed"]["n_rows"] == first["n_rows"]
        until(again, "fill")
        last = ended(again, signal.SIGINT)
        assert last["n_fills"] > first["n_fills"]


@contextmanager
def following(server: StreamServer) -> Iterator[None]:
    """Let prices of `server` rise and fall by turns of two seconds."""
    over = threading.Event()

    def trade() -> None:
        for number in itertools.count():
            if over.wait(0.05):
                return
            server.trade(5, 3_000_000 + 40 * abs(number % 80 - 40))

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_with_redis_the_switch_is_read_there_and_the_session_is_published(
    room: Path, started: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisServer(over_tcp=True, password="hush-hush-77") as server:
        monkeypatch.setenv("NJORD_REDIS__URL", server.url)
        words = [*SMALL, "--replay", "120x", "--json"]
        process = started(words)
        start = until(process, "started")
        assert start["kill_switch"] == ["var/state/kill_switch", "redis njord:kill_switch"]
        until_switch(process, state="halted")  # Nobody has put a word into that server.
        subprocess.run(
            [NJORD, "kill", "clear", "--reason", "begin"], cwd=room, check=True, capture_output=True
        )
        until_switch(process, state="active")
        until(process, "fill")
        status = next(event for event in events_of(process) if event["event"] == "status" and event["bus"])
        assert "bus: " in status["bus"]
        subprocess.run(
            [NJORD, "kill", "trip", "--reason", "enough"], cwd=room, check=True, capture_output=True
        )
        tripped = until_switch(process, state="halted")
        assert (tripped["reason"], tripped["cancels"]) == ("enough", True)
        ended(process, signal.SIGTERM)
        client = server.client()
        try:
            assert any(b"fills" in key or b"orders" in key for key in client.keys("*"))
        finally:
            client.close()
    left = [path for path in room.rglob("*") if path.is_file() and b"hush-hush-77" in path.read_bytes()]
    assert left == []
