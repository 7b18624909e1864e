"""A Dask scheduler and two workers on this machine, and a strategy that kills the worker that runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UP_S = 90.0
# The process of the test is never killed. The file that is left lets the next worker live.
_DIES_ONCE = """
import os
import signal
from pathlib import Path

from njord.strategies.library.sma_cross import SmaCross


class DiesOnce(SmaCross):
    def on_bar(self, ctx, bar):
        mark = Path({mark!r})
        if os.getpid() != {parent} and self.params.fast == 5 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().on_bar(ctx, bar)
"""


def dies_once(folder: Path, mark: Path) -> Path:
    """Return a strategy that kills the first worker that runs it with fast=5, and leaves `mark` behind."""
    strategy = folder / "dies_once.py"
    strategy.write_text(_DIES_ONCE.format(mark=str(mark), parent=os.getpid()))
    return strategy


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Yield the address, as `--workers` takes it, of a scheduler with two workers: processes of their own on 127.0.0.1."""
    found = folder / "scheduler.json"
    own = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    own["DASK_DISTRIBUTED__DIAGNOSTICS__NVML"] = "false"
    tool = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    start = [*tool, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(found)]
    processes = [_quiet(start, own, folder)]
    try:
        address = _address(found)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--host", "127.0.0.1"]
        worker += ["--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--death-timeout", "90"]
        processes += [_quiet([*worker, "--name", f"w{number}"], own, folder) for number in range(2)]
        yield address.replace("tcp://", "dask://")
    finally:
        for process in reversed(processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _quiet(command: list[str], env: dict[str, str], folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "dask.log").open("ab") as log:
        return subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def _address(found: Path) -> str:
    deadline = time.monotonic() + _UP_S
    while time.monotonic() < deadline:
        if found.exists() and (text := found.read_text()).strip():
            address: str = json.loads(text)["address"]
            return address
        time.sleep(0.05)
    raise AssertionError("no scheduler came up")
