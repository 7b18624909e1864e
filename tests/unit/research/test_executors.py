"""One door for all workers: bounded work, every result under its key, failures where they belong."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import pytest

from njord.core.errors import ConfigError
from njord.research.executors import Processes, Workers, n_workers_of, open_executor


def double(value: int) -> int:
    if value == 13:
        raise ValueError("thirteen")
    return 2 * value


@pytest.mark.parametrize("workers", ["1", "3"])
def test_every_task_has_its_result_and_few_are_taken_ahead(workers: str) -> None:
    n_taken = n_got = most = 0

    def tasks() -> Iterator[tuple[str, tuple[int]]]:
        nonlocal n_taken
        for value in range(14, 60):
            n_taken += 1
            yield f"{value}", (value,)

    found = {}
    with Workers(workers, "fast") as crew:
        for key, result in crew.results(tasks(), double):
            found[key] = result
            n_got += 1
            most = max(most, n_taken - n_got)
    assert found == {f"{value}": 2 * value for value in range(14, 60)}
    assert most <= 2 * int(workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_task_raises_is_raised_here(workers: str) -> None:
    with Workers(workers, "fast") as crew, pytest.raises(ValueError, match="thirteen"):
        list(crew.results([("a", (1,)), ("b", (13,))], double))


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "1.5", "99999", "²"])
def test_no_number_of_workers_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="--workers takes 1 to 512 or dask://HOST:PORT, was"):
        open_executor(text)


def test_a_scheduler_knows_its_workers_itself() -> None:
    assert n_workers_of("dask://127.0.0.1:8786") == 0
    assert n_workers_of(4) == 4


def test_a_ctrl_c_that_another_thread_takes_waits_until_a_worker_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []
    wakes, is_over = threading.Event(), threading.Event()

    def takes_signals() -> None:
        wakes.wait()
        os.kill(os.getpid(), signal.SIGINT)
        is_over.set()

    def starts(self: ProcessPoolExecutor, *task: Any) -> Future[None]:
        wakes.set()
        is_over.wait()
        started.append("all that a worker must be told")
        return Future()

    monkeypatch.setattr(ProcessPoolExecutor, "submit", starts)
    other = threading.Thread(target=takes_signals)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            Processes(1).submit(double, 1)
        assert started
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
        other.join()
