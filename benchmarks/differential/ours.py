"""What did njord do? One `njord backtest` as a process of its own, and the messages of its journal."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.differential.peers import ROOT
from njord.core.codec import decode
from njord.core.contracts import AnyMessage
from njord.core.errors import NjordError
from njord.storage.journal_reader import read_blocks


class Run(NamedTuple):
    """A finished backtest: the summary that it printed, and every message of its journal."""

    summary: str
    messages: list[AnyMessage]


def njord(folder: Path, *arguments: str) -> str:
    """Run one njord command in `folder` and return what it printed.

    Raises:
        NjordError: It did not exit with 0; what it said is in the message.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", "from njord.cli import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise NjordError(f"njord {arguments[0]} ended with exit code {done.returncode}: {said}")
    return done.stdout


def backtest(folder: Path, *arguments: str) -> Run:
    """Run `njord backtest` in an empty folder, without the search for leaks, and read its journal."""
    summary = njord(folder, "backtest", *arguments, "--poison", "off", "--root", str(folder))
    (journal,) = (folder / "var" / "reports").glob("*/journal")
    lines = (line for block in read_blocks(journal, must_be_complete=True) for line in block.lines)
    return Run(summary, [decode(line.message) for line in lines])
