"""The watch: what counts of several sources, and that nothing but a fresh reading of all of them is ever ACTIVE."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from njord.adapters import kill_switch_watch
from njord.adapters.kill_switch_sources import KillReading, KillRecord, read_kill_file, trip_kill_file
from njord.adapters.kill_switch_watch import KillSwitchWatch, Reading
from njord.core.errors import ConfigError
from njord.core.types import TradingState

WITHIN_S = 40.0  # Only a broken watch takes so long.


def record(state: TradingState = TradingState.HALTED, flatten: bool = False) -> KillRecord:
    return KillRecord(state=state, reason="drill", operator="tester", ts_ns=1, flatten=flatten)


@contextmanager
def watching(
    path: Path, max_age_ms: int = 30_000, redis_url: str | None = None
) -> Iterator[tuple[KillSwitchWatch, threading.Event]]:
    changed = threading.Event()
    watch = KillSwitchWatch(path, redis_url, "key", max_age_ms, poll_ms=1, on_change=changed.set)
    watch.start()
    try:
        yield watch, changed
    finally:
        watch.stop()


def until(is_so: Callable[[Reading], bool], watch: KillSwitchWatch) -> None:
    """Wait until the watch says so; on a busy machine what is read may be too old for a moment."""
    last_s = kill_switch_watch.now_s() + WITHIN_S
    while not is_so(watch.reading()):
        assert kill_switch_watch.now_s() < last_s, watch.reading()
        threading.Event().wait(0.001)


def after(changed: threading.Event, watch: KillSwitchWatch) -> Reading:
    assert changed.wait(WITHIN_S)
    changed.clear()
    return watch.reading()


def test_it_has_read_when_start_returns_and_tells_every_change(tmp_path: Path) -> None:
    path = tmp_path / "kill"
    with watching(path) as (watch, changed):
        assert watch.reading().state is TradingState.ACTIVE
        changed.clear()
        trip_kill_file(path, record())
        word = after(changed, watch)
        assert (word.state, word.source, word.reason, word.operator) == ("halted", "file", "drill", "tester")
        trip_kill_file(path, record(TradingState.REDUCE_ONLY, flatten=True))
        word = after(changed, watch)
        assert (word.state, word.flattens) == (TradingState.REDUCE_ONLY, True)
        path.unlink()
        assert after(changed, watch).state is TradingState.ACTIVE


def test_a_watch_that_was_not_started_or_was_stopped_is_halted(tmp_path: Path) -> None:
    watch = KillSwitchWatch(tmp_path / "kill", None, "key", 100, poll_ms=1)
    assert (watch.reading().state, watch.reading().reason) == ("halted", "file was not read yet")
    watch.start()
    until(lambda word: word.state is TradingState.ACTIVE, watch)
    watch.stop()
    until(lambda word: word.state is TradingState.HALTED, watch)
    assert watch.reading().reason == "the last reading of file is too old"


def test_a_file_that_hangs_is_halted_as_soon_as_its_last_reading_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, hangs = threading.Event(), threading.Event()

    def read(path: Path) -> KillReading:
        if not answers.is_set():
            hangs.set()
            answers.wait()
        return read_kill_file(path)

    monkeypatch.setattr(kill_switch_watch, "read_kill_file", read)  # As on a dead network drive.
    path = tmp_path / "kill"
    answers.set()
    with watching(path, max_age_ms=100) as (watch, changed):
        until(lambda word: word.state is TradingState.ACTIVE, watch)
        answers.clear()
        assert hangs.wait(WITHIN_S)
        path.write_bytes(msgspec.json.encode(record()))
        until(lambda word: word.reason == "the last reading of file is too old", watch)
        changed.clear()
        answers.set()
        assert after(changed, watch).reason == "drill"


def test_a_pipe_is_halted_at_once_and_lets_go_when_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "kill"
    os.mkfifo(path)  # Opening it to read waits for a writer.
    with watching(path) as (watch, changed):
        assert watch.reading().reason == "the file holds no record of ours"
        changed.clear()
        path.unlink()
        assert after(changed, watch).state is TradingState.ACTIVE


def test_a_redis_that_nobody_answers_for_is_halted_and_names_neither_server_nor_password(
    tmp_path: Path,
) -> None:
    url = f"unix://:sesam@{tmp_path}/nobody.sock"
    with watching(tmp_path / "kill", redis_url=url) as (watch, _):
        word = watch.reading()
        assert (word.state, word.source, word.reason) == ("halted", "redis", "Redis can not be reached")
        assert "sesam" not in f"{word} {watch.__dict__}"
        assert "nobody" not in f"{word}"


def test_a_redis_url_that_is_none_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        KillSwitchWatch(tmp_path / "kill", "redis://:sesam@localhost:port", "key", 1_000)
    assert "sesam" not in str(caught.value)


def test_a_word_of_doubt_says_nothing_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "kill"

    def dangle() -> None:
        path.symlink_to(tmp_path / "nowhere")

    for make in (path.touch, path.mkdir, dangle):
        make()
        with watching(path) as (watch, _):
            word = watch.reading()
            assert word.state is TradingState.HALTED
            assert word.reason
            assert str(tmp_path) not in word.reason
        path.rmdir() if path.is_dir() else path.unlink()
