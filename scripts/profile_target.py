"""What is profiled: the ordered engine on synthetic bars, or any words of `njord`, as a process of its own.

`python -m scripts.profile_target FILE TARGET...` runs a target and writes its exit code to FILE, for profilers that keep it
to themselves.
"""

import argparse
import runpy
import sys
from pathlib import Path

from scripts.words import Words, positive

BARS = 200_000


def add_target(words: Words) -> None:
    """Add the words that name a target."""
    words.add_argument(
        "--bars", type=positive, default=BARS, help=f"bars for the ordered engine, {BARS:,} if not given"
    )
    words.add_argument("--name", default="ordered-engine", help="the files' name below var/profiling")
    words.add_argument("njord", nargs="*", metavar="-- NJORD WORDS", help="run these words of njord instead")


def target_of(options: argparse.Namespace) -> list[str]:
    """Return the words behind `python` that run the target."""
    if options.njord:
        return [str(Path(sys.executable).with_name("njord")), *options.njord]
    from benchmarks.ordered_engine import TRADING, data_file

    return ["-m", "benchmarks.ordered_engine", "child", str(data_file(options.bars)), *map(str, TRADING)]


def run(target: list[str]) -> int:
    """Run a target in this process and return its exit code."""
    is_module = target[0] == "-m"
    sys.argv = target[1:] if is_module else target
    try:
        if is_module:
            runpy.run_module(target[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(target[0], run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    return 0


if __name__ == "__main__":
    said, *wanted = sys.argv[1:]  # The target has its own idea of sys.argv.
    code = run(wanted)
    Path(said).write_text(str(code), encoding="utf-8")
    sys.exit(code)
