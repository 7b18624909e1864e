"""Who evaluates points? Tasks in, their results out, by this process, its threads, other processes or other machines.

There is one door, `concurrent.futures.Executor`: `open_executor` opens it by what the user calls it, and `Workers` sends
bounded work through it, again where a worker has died. A worker opens the data once and keeps them.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from njord.core.errors import ConfigError

WORKERS_MAX = 512
ATTEMPTS_MAX = 3  # Of a task whose worker dies.
_DASK = "dask://"
_CONNECT_S = 5
_Key = TypeVar("_Key")
_Result = TypeVar("_Result")


class InProcess(Executor):
    """Runs what is submitted at once, here."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run `fn` and return its future, done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(ProcessPoolExecutor):
    """Processes of their own, started afresh, that end with this one, however it ends."""

    def __init__(self, n_workers: int) -> None:
        super().__init__(n_workers, multiprocessing.get_context("spawn"), initializer=_begin_worker)
        self._before = {child.pid for child in multiprocessing.active_children()}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task; a worker that this starts is deaf to Ctrl-C, which is ours to answer once it has started."""
        with _uninterrupted():
            return super().submit(fn, *args, **kwargs)

    def kill(self) -> None:
        """End all workers now, whatever they do."""
        children = [child for child in multiprocessing.active_children() if child.pid not in self._before]
        for child in children:
            child.kill()
        for child in children:
            child.join()
        self.shutdown(wait=True, cancel_futures=True)


class OnDask(Executor):
    """The workers of a Dask scheduler."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor: Executor = client.get_executor()

    @property
    def n_workers(self) -> int:
        """How many tasks the scheduler's workers run at a time."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task; the scheduler sends it to another worker if one dies."""
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the scheduler; what is under way is forgotten."""
        self._executor.shutdown(wait=wait)
        self._client.close()


def open_executor(workers: str | int, engine: str = "ordered") -> Executor:
    """Return what runs tasks; the caller shuts it down.

    Args:
        workers: How many, or `dask://HOST:PORT`: a Dask scheduler, which has its own.
        engine: Of the points: the fast one computes outside the interpreter's lock, so that threads share the data.

    Raises:
        ConfigError: It is neither, the extra is missing, or nobody answers.
    """
    text = str(workers)
    if text.startswith(_DASK):
        return _dask(text)
    n_workers = n_workers_of(text)
    if n_workers == 1:
        return InProcess()
    if engine == "fast":
        return ThreadPoolExecutor(n_workers, "njord-sweep")
    return Processes(n_workers)


def n_workers_of(workers: str | int) -> int:
    """Return how many workers are asked for; 0 where a scheduler knows.

    Raises:
        ConfigError: It is no number of workers.
    """
    text = str(workers)
    if text.startswith(_DASK):
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= WORKERS_MAX):
        raise ConfigError(
            f"--workers takes 1 to {WORKERS_MAX} or {_DASK}HOST:PORT, was {text:.60}",
            "for example --workers 2",
        )
    return int(text)


class Workers:
    """Runs tasks on an executor, a bounded number at a time, and again where a worker died; a context manager.

    Args:
        workers: See `open_executor`.
        engine: Likewise.
    """

    def __init__(self, workers: str | int, engine: str = "ordered") -> None:
        self._workers, self._engine = workers, engine
        self._executor = open_executor(workers, engine)
        own = n_workers_of(workers)
        self.n_workers = self._executor.n_workers if isinstance(self._executor, OnDask) else own
        self._has_ended = False

    def results(
        self, tasks: Iterable[tuple[_Key, tuple[Any, ...]]], function: Callable[..., _Result]
    ) -> Iterator[tuple[_Key, _Result]]:
        """Yield the result of every task under its key, as they are done.

        Args:
            tasks: Keys and the arguments of `function`; taken one by one, as workers become free.
            function: Importable where the workers are.

        Raises:
            ConfigError: A task's worker died so often that it would again.
            Exception: What a task has raised.
        """
        coming = iter(tasks)
        n_ahead = 1 if self.n_workers == 1 else 2 * self.n_workers
        waiting: dict[Future[_Result], _Task[_Key]] = {}
        while True:
            for key, arguments in islice(coming, n_ahead - len(waiting)):
                waiting[self._executor.submit(function, *arguments)] = _Task(key, arguments)
            if not waiting:
                return
            lost: list[_Task[_Key]] = []
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                task = waiting.pop(future)
                try:
                    result = future.result()
                except Exception as error:
                    if not _worker_died(error):
                        raise
                    lost.append(task)
                else:
                    yield task.key, result
            if lost:
                lost += waiting.values()
                waiting.clear()
                self._begin_again()
                for task in lost:
                    waiting[self._executor.submit(function, *task.arguments)] = task.again()

    def close(self, *, now: bool = False) -> None:
        """Let go of the workers; with `now` whatever they still do is given up, and no child is left."""
        if self._has_ended:
            return
        self._has_ended = True
        if now and isinstance(self._executor, Processes):
            self._executor.kill()
        else:
            self._executor.shutdown(wait=not now, cancel_futures=True)

    def _begin_again(self) -> None:
        self.close(now=True)
        self._executor, self._has_ended = open_executor(self._workers, self._engine), False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(now=kind is not None)


class _Task(msgspec.Struct, Generic[_Key], frozen=True):
    key: _Key
    arguments: tuple[Any, ...]
    n_attempts: int = 1

    def again(self) -> "_Task[_Key]":
        if self.n_attempts >= ATTEMPTS_MAX:
            raise ConfigError(
                f"workers died {self.n_attempts} times at the same task", "memory may be short: --workers 1"
            )
        return msgspec.structs.replace(self, n_attempts=self.n_attempts + 1)


def _worker_died(error: Exception) -> bool:
    return isinstance(error, BrokenProcessPool | CancelledError) or type(error).__name__ in (
        "KilledWorker",
        "CommClosedError",
    )


# A child inherits the mask. It does not keep Ctrl-C from us, since any other thread may take it, and a child that is
# interrupted while it is started finds half of its orders and says so with a traceback; so it is answered afterwards.
@contextmanager
def _uninterrupted() -> Iterator[None]:
    heard: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number)) if is_main else None
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if is_main:
            signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if heard:
        signal.raise_signal(signal.SIGINT)


# Ctrl-C is the parent's to answer, what a strategy prints is no output of ours, and without a parent there is no use.
def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def end_with_parent() -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=end_with_parent, name="parent", daemon=True).start()


def _dask(address: str) -> Executor:
    try:
        import distributed
    except ImportError:
        raise ConfigError(
            f"--workers {address} needs Dask", "pip install 'njord-quant[distributed]'"
        ) from None
    where = f"tcp://{address.removeprefix(_DASK)}"
    try:
        make: Callable[..., Any] = distributed.Client
        client = make(where, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {address}: {str(error) or type(error).__name__}",
            "start one with: dask scheduler --host 127.0.0.1",
        ) from None
    return OnDask(client)
