"""The other process of the recording tests: holds a file open, or goes on recording until it is told to stop.

Usage: formats_child.py hold FILE | formats_child.py write FILE. It prints a line when it is ready; `write` stops at the
end of its input and prints how many rows it has recorded.
"""

import select
import sys
from pathlib import Path

import numpy as np

from njord.storage.recording import Recorder
from njord.storage.store.kinds import DataKind
from tests.unit.storage.rows_samples import SPOT, rows_of

ROWS_A_TIME = 7


def hold(path: Path) -> None:
    """Keep `path` open for appending, without any lock, until the end of the input."""
    with path.open("ab"):
        print("ready", flush=True)
        sys.stdin.read()


def write(path: Path) -> None:
    """Record numbered rows until the end of the input; every few of them reach the file at once."""
    n_rows = 0
    with Recorder(path, DataKind.TRADES, SPOT, key="t", flush_bytes=2_000) as recorder:
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            recorder.append(rows_of(DataKind.TRADES, ROWS_A_TIME, first=n_rows, step_ns=1_000_000))
            n_rows += ROWS_A_TIME
    print(n_rows, flush=True)


if __name__ == "__main__":
    np.seterr(all="raise")
    {"hold": hold, "write": write}[sys.argv[1]](Path(sys.argv[2]))
