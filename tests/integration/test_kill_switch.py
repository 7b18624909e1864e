"""The kill switch with a real Redis in every kind of trouble, and in a real node that is tripped while it trades."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.adapters.kill_switch_redis import RedisSwitch
from njord.adapters.kill_switch_sources import KillRecord
from njord.adapters.kill_switch_watch import KillSwitchWatch, Reading, now_s
from njord.apps.synthetic import write_synthetic_csv
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK, drill, kill
from njord.core.types import TradingState
from njord.storage.journal_reader import read_blocks
from tests.redis_server import RedisServer, server_binary

pytestmark = pytest.mark.integration

KEY = "njord:kill_switch"
MAX_AGE_MS = 1_000
PATIENT_MS = 30_000  # The age of a reading where it is not what is shown.
WITHIN_S = 40.0  # Only what never comes takes so long.
ROOT = Path(__file__).resolve().parents[2]
NJORD = [sys.executable, "-c", "from njord.cli import main; main()"]


def record(state: TradingState = TradingState.ACTIVE) -> KillRecord:
    return KillRecord(state=state, reason="drill", operator="tester", ts_ns=1)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server whose key says ACTIVE."""
    with RedisServer(password="sesam", keeps_data=True) as server:
        switch = RedisSwitch(server.url, KEY, 1.0)
        assert switch.write(record()) == ""
        switch.close()
        yield server


class Watching:
    """A watch, and waiting for what it says."""

    def __init__(self, watch: KillSwitchWatch) -> None:
        self.watch = watch
        self._pause = threading.Event()

    def until(self, is_so: Callable[[Reading], bool]) -> Reading:
        """Return the first reading that is so."""
        started_s = now_s()
        while not is_so(word := self.watch.reading()):
            assert now_s() < started_s + WITHIN_S, word
            self._pause.wait(0.001)
        return word

    def halted(self) -> Reading:
        return self.until(lambda word: word.state is TradingState.HALTED)

    def active(self) -> Reading:
        return self.until(lambda word: word.state is TradingState.ACTIVE)


@contextmanager
def watching(folder: Path, server: RedisServer, max_age_ms: int = PATIENT_MS) -> Iterator[Watching]:
    watch = KillSwitchWatch(folder / "kill", server.url, KEY, max_age_ms)
    watch.start()
    try:
        yield Watching(watch)
    finally:
        watch.stop()


def put(server: RedisServer, value: str | bytes | None) -> None:
    with server.client() as client:
        client.delete(KEY)
        if value is not None:
            client.set(KEY, value)


def test_a_killed_redis_is_halted_at_once_and_active_again_when_it_comes_back_with_its_data(
    tmp_path: Path, server: RedisServer
) -> None:
    with watching(tmp_path, server) as watching_:
        watching_.active()
        server.kill()
        assert watching_.halted().reason == "Redis can not be reached"
        server.start()
        watching_.active()


@pytest.mark.timing
def test_a_redis_that_hangs_is_halted_within_the_age_and_never_delays_the_file(
    tmp_path: Path, server: RedisServer
) -> None:
    halted_s, told_s = [], []
    with watching(tmp_path, server, MAX_AGE_MS) as watching_:
        for _ in range(5):  # The best of them: a neighbor on the machine only ever adds.
            watching_.active()
            server.pause()
            paused_s = now_s()
            word = watching_.halted()
            halted_s.append(now_s() - paused_s)
            assert (word.source, word.reason) == ("redis", "Redis does not answer in time")
            (tmp_path / "kill").touch()
            touched_s = now_s()
            watching_.until(lambda word: word.source == "file")
            told_s.append(now_s() - touched_s)
            (tmp_path / "kill").unlink()
            server.resume()
            watching_.active()
            if min(halted_s) < MAX_AGE_MS / 1_000 + 0.2 and min(told_s) < 0.5:
                return
    raise AssertionError(f"halted after {halted_s} s, the file told after {told_s} s")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "Redis holds no record: the key is absent or empty"),
        ("", "Redis holds no record: the key is absent or empty"),
        ("garbage", "Redis holds no record of ours"),
        (b"\xff\x00", "Redis holds no record of ours"),
        ("active", "Redis holds no record of ours"),
        (b"0" * 200_000, "Redis holds no record of ours"),
        ("00", "Redis holds no record of ours"),
        ("1", ""),
    ],
)
def test_a_key_that_is_not_known_to_be_clear_is_halted(
    tmp_path: Path, server: RedisServer, value: str | bytes | None, reason: str
) -> None:
    put(server, value)
    with watching(tmp_path, server) as watching_:
        word = watching_.watch.reading()
        assert (word.state, word.source, word.reason) == ("halted", "redis", reason)
        put(server, "0")
        watching_.active()


def test_a_key_of_another_type_and_a_server_emptied_under_way_are_halted(
    tmp_path: Path, server: RedisServer
) -> None:
    with watching(tmp_path, server) as watching_:
        watching_.active()
        server.flush()
        watching_.halted()
        with server.client() as client:
            client.lpush(KEY, "a")
        watching_.until(lambda word: word.reason == "Redis refuses: ResponseError")


def test_closed_connections_alone_trip_nothing(tmp_path: Path, server: RedisServer) -> None:
    words: list[Reading] = []
    with watching(tmp_path, server) as watching_:
        for _ in range(5):
            server.kill_clients()
            started_s = now_s()
            while now_s() < started_s + 0.25:
                words.append(watching_.watch.reading())
                threading.Event().wait(0.005)
    assert {word.state for word in words} == {TradingState.ACTIVE}


def test_a_replica_that_lost_its_master_is_halted_and_a_trip_that_it_refuses_is_said(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NJORD_REDIS__URL", server.url)
    with watching(tmp_path, server) as watching_:
        watching_.active()
        server.read_only(True)
        assert (
            watching_.halted().reason
            == "Redis is a replica that has lost its master: what it says may be old"
        )
        assert kill.trip("drill", False, False, tmp_path) == 1
        assert "NOT written: redis, Redis refuses: ReadOnlyError" in capsys.readouterr().out
        server.read_only(False)
        watching_.active()
    server.out_of_memory(True)
    assert kill.trip("drill", False, False, tmp_path) == 1
    assert "NOT written: redis, Redis refuses: OutOfMemoryError" in capsys.readouterr().out


def test_a_wrong_password_is_halted_and_shown_nowhere(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NJORD_REDIS__URL", server.url.replace("sesam", "guess"))
    assert kill.check(False, tmp_path) == 1
    assert "Redis refuses: AuthenticationError" in (out := capsys.readouterr().out)
    assert "guess" not in out


def test_the_verb_trips_and_clears_both_sources(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NJORD_REDIS__URL", server.url)
    with watching(tmp_path, server) as watching_:
        assert kill.trip("out", False, True, tmp_path, flatten=True) == 0
        shown = msgspec.json.decode(capsys.readouterr().out)
        assert [word["flattens"] for word in shown["sources"].values()] == [True, True]
        word = watching_.until(lambda word: word.flattens)
        assert (word.state, word.reason) == (TradingState.REDUCE_ONLY, "out")
        assert kill.clear("over", False, tmp_path) == 0
        assert "CLEAR (active)" in capsys.readouterr().out
        watching_.active()


def test_the_seeds_words_trip_check_and_clear(tmp_path: Path) -> None:
    environment = {**os.environ, "NJORD_RISK__KILL_SWITCH_FILE": str(tmp_path / "kill")}
    for word, code, shown in (
        ('make run-kill-trip REASON="the venue misbehaves"', 0, "TRIPPED (halted)"),
        ("make check-kill", 2, "TRIPPED (halted)"),
        ('make run-kill-clear REASON="the venue has recovered"', 0, "CLEAR (active)"),
        ("make check-kill", 0, "CLEAR (active)"),
    ):
        done = subprocess.run(
            ["bash", "-c", word], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, shown in done.stdout) == (code, True), done


# --- in a node --------------------------------------------------------------------------------------------------


def trading(root: Path, *flags: str) -> "subprocess.Popen[bytes]":
    data = root / "SYNTH_USDT-1m.csv"
    write_synthetic_csv(data, 100_000, seed=42)
    command = [*NJORD, "paper", "grid", "--data", str(data), "--replay", "max", "--json", "--root", str(root)]
    command += ["--risk-profile", "research", "--capital", "10000", "--fee-bps", "0"]
    command += ["--param", "levels=10", "--param", "step_bps=5", *flags]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NJORD_")}
    environment["NJORD_RISK__KILL_SWITCH_MAX_AGE_MS"] = str(PATIENT_MS)
    return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE)


# Events until one is wanted.
def heard(node: "subprocess.Popen[bytes]", is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    assert node.stdout is not None
    for line in node.stdout:
        event: dict[str, Any] = msgspec.json.decode(line)
        if is_wanted(event):
            return event
    raise AssertionError("the node ended")


def messages(root: Path) -> list[dict[str, Any]]:
    (journal,) = root.glob("var/state/sessions/*/journal")
    return [msgspec.json.decode(line.message) for block in read_blocks(journal) for line in block.lines]


def test_a_trip_that_flattens_closes_everything_then_halts_and_the_journal_says_who_and_why(
    tmp_path: Path,
) -> None:
    node = trading(tmp_path)
    try:
        heard(node, lambda event: event["event"] == "fill" and event["side"] == "buy")
        assert kill.trip("the venue misbehaves", False, True, tmp_path, flatten=True) == 0
        heard(node, lambda event: event["event"] == "switch" and event["state"] == "halted")
        node.send_signal(signal.SIGTERM)
        ended = heard(node, lambda event: event["event"] == "ended")
        assert node.wait(WITHIN_S) == 0
    finally:
        node.kill()
        node.communicate()
    assert ended["positions"] == ended["left"] == []
    told = [each for each in messages(tmp_path) if each.get("source") == "kill_switch"]
    trip, halt = told[-2:]
    assert (trip["state"], trip["flattens"], trip["reason"]) == ("reduce_only", True, "the venue misbehaves")
    assert trip["operator"]
    assert (halt["state"], halt["reason"]) == ("halted", "the venue misbehaves (flat)")
    closing = [
        each
        for each in messages(tmp_path)
        if each["kind"] == "OrderIntent" and each["intent_id"].startswith("@flatten-")
    ]
    assert closing
    assert {each["reason"] for each in closing} == {"kill_switch flattens: the venue misbehaves"}


@pytest.mark.timing
def test_the_drill_stops_a_node_under_load_by_every_source_in_time_and_keeps_the_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = os.pathsep.join((str(Path(server_binary()).parent), os.environ["PATH"]))
    monkeypatch.setenv("PATH", path)
    assert drill.run(True, tmp_path) == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert [each["source"] for each in shown["rounds"]] == ["file", "redis", "redis lost"]
    for each in shown["rounds"]:
        assert each["n_working"] > 0 or each["source"] == "redis lost"  # That one can not be tried again.
        assert each["n_late"] == 0
        assert each["no_new_orders_ms"] < 1_000
        assert each["all_canceled_ms"] < 5_000
    kept = (tmp_path / "var/state/drills.ndjson").read_bytes().splitlines()
    assert [msgspec.json.decode(line) for line in kept] == [shown]
    assert sorted(os.listdir(tmp_path / "var/state")) == ["drills.ndjson"]  # No switch, no session is left.


def test_a_drill_without_a_redis_server_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(_lonely_python(tmp_path)))
    monkeypatch.chdir(tmp_path)
    assert drill.run(False, Path()) in (
        EXIT_OK,
        EXIT_CHECK_FAILED,
    )  # Whether it was in time is another test's.
    out = capsys.readouterr().out
    assert "not drilled: redis: there is no redis-server on PATH" in out
    assert "redis lost" not in out


# The same interpreter, in a folder where no server lies beside it.
def _lonely_python(folder: Path) -> Path:
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python
