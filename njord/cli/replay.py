"""`njord replay`: a whole run or session again from what came in, compared byte for byte."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import msgspec

from njord.apps.session_files import session_folder
from njord.backtest.replay import Verdict, replay_run
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.progress import Progress


def run(name: str, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    with (
        redirect_stdout(sys.stderr),  # What strategies print is no output of ours.
        Progress("messages") as progress,
    ):
        verdict = replay_run(session_folder(root, name), progress.show)
    if json_out:
        print(msgspec.json.encode(verdict).decode())
        return _code(verdict)
    if verdict.identical:
        so_far = "" if verdict.complete else " so far"
        print(f"identical{so_far}, {verdict.n_messages:,} messages, hash {verdict.head}")
    else:
        print(f"different at message {verdict.difference_seq}: {verdict.difference}")
    for note in verdict.notes:
        print(f"note: {note}")
    return _code(verdict)


def _code(verdict: Verdict) -> int:
    return EXIT_OK if verdict.identical else EXIT_CHECK_FAILED
