"""What a profiler saw, in one form: a call stack and how much of it, from the outermost function to the innermost.

On disk it is the folded form that flame graph tools read: `outer;inner;innermost 42`, one stack a line. A function is named
by its file and itself, `njord/core/engine.py:step`; of a path only what lies below the project, the packages or the library
is kept, so that no file names a machine, and nothing of arguments or values is ever in it.
"""

import json
import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("var") / "profiling"
_BELOW = re.compile(r".*/(?:site-packages|dist-packages|lib/python3\.\d+)/")
_PY_SPY = re.compile(r"(?P<function>.*) \((?P<file>.*?)(?::\d+)?\)")
_FROZEN = re.compile(r"<frozen (.*)>")
Stacks = Counter[tuple[str, ...]]


class Spot(NamedTuple):
    """One function: what was seen in itself, and in itself or below it; recursion counts once."""

    name: str
    own: int
    total: int


def short_file(file: str) -> str:
    """Return what of a path says which source it is, and nothing of where that lies."""
    text = file.replace("\\", "/")
    if frozen := _FROZEN.fullmatch(text):
        return frozen[1]
    below = _BELOW.sub("", text)
    if below != text:
        return below
    root = f"{ROOT.as_posix()}/"
    if text.startswith(root):
        return text.removeprefix(root)
    path = PurePosixPath(text)
    return path.name if path.is_absolute() or ".." in path.parts else text


def frame(file: str, function: str) -> str:
    """Return a function's name in a stack."""
    return f"{short_file(file)}:{function}".replace(";", ",").replace("\n", " ")


def read_folded(text: str) -> Stacks:
    """Return the stacks of a folded text.

    Raises:
        ValueError: A line is not of that form; it is named.
    """
    stacks: Stacks = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdecimal():
            raise ValueError(f"line {number} must be `outer;inner COUNT`, was {line[:60]!r}")
        stacks[tuple(stack.split(";"))] += int(count)
    return stacks


def write_folded(stacks: Stacks) -> str:
    """Return the folded text, in order."""
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(stacks.items()))


def of_py_spy(text: str) -> Stacks:
    """Return the stacks of `py-spy record -f raw`; counts are samples.

    Stacks without a frame are left out: threads of libraries that wait, the interpreter before its start and after its end.
    """
    stacks: Stacks = Counter()
    seen = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(" "))
    for stack, count in read_folded(seen).items():
        names = []
        for each in stack:
            found = _PY_SPY.fullmatch(each)
            names.append(frame(found["file"], found["function"]) if found else each)
        stacks[tuple(names)] += count
    return stacks


def of_pyinstrument(text: str) -> Stacks:
    """Return the stacks of `pyinstrument -r json`; counts are microseconds."""
    stacks: Stacks = Counter()
    pending: list[tuple[dict[str, Any], tuple[str, ...]]] = [(json.loads(text)["root_frame"] or {}, ())]
    while pending:
        node, above = pending.pop()
        if not node:
            continue
        here = (*above, frame(node["file_path"] or "unknown", node["function"]))
        children = node["children"]
        own_us = round((node["time"] - sum(child["time"] for child in children)) * 1e6)
        if own_us > 0:
            stacks[here] += own_us
        pending += [(child, here) for child in children]
    return stacks


def of_pstats(entries: dict[tuple[str, int, str], Any]) -> Stacks:
    """Return the functions of a cProfile as stacks of one; it knows no stacks. Counts are microseconds of their own."""
    stacks: Stacks = Counter()
    for (file, _, function), entry in entries.items():
        own_us = round(entry[2] * 1e6)
        if own_us > 0:
            stacks[(frame("builtins" if file == "~" else file, function),)] += own_us
    return stacks


def hot_spots(stacks: Stacks, n_spots: int) -> list[Spot]:
    """Return the functions with most of their own, the most first."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        total.update(dict.fromkeys(stack, count))
    ranked = sorted(total, key=lambda name: (-own[name], -total[name], name))
    return [Spot(name, own[name], total[name]) for name in ranked[:n_spots]]
