"""Which functions and classes of njord does nobody name? Read the sources; run nothing.

    python -m scripts.find_dead_code                 what no other line of the project names
    python -m scripts.find_dead_code --with-tests    what only tests name too

It goes by names alone: a name that two definitions share hides both, and what is found by being there (strategies and rules
discovered in their folder, methods that a library calls) is named by nobody and may live. So each line is a question.
Exit codes: 0 nothing found, 1 something to look at, 2 wrong words.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.words import Words

ROOT = Path(__file__).resolve().parents[1]
USERS = ("njord", "scripts", "benchmarks", "examples")
_WORD = re.compile(r"[A-Za-z_]\w*")
_DISCOVERED = ("njord/strategies/library/", "njord/risk/rules/")


class Definition(NamedTuple):
    """One function, method or class."""

    place: str
    name: str


def definitions(place: str, tree: ast.Module) -> Iterator[Definition]:
    """Yield what a module defines and nothing decorates; a decorator may have told a library of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            special = node.name.startswith("__") and node.name.endswith("__")
            if not node.decorator_list and not special:
                yield Definition(f"{place}:{node.lineno}", node.name)


def unnamed(sources: Iterable[tuple[str, str]], others: Iterable[str]) -> list[Definition]:
    """Return the definitions of `sources` whose name stands nowhere but where it is defined.

    Args:
        sources: Place and text of each module that is looked at.
        others: Texts of everything else that may name them.
    """
    found: list[Definition] = []
    named: Counter[str] = Counter()
    for place, text in sources:
        named.update(_WORD.findall(text))
        found += definitions(place, ast.parse(text))
    for text in others:
        named.update(_WORD.findall(text))
    return [each for each in found if named[each.name] <= 1]


def main(arguments: list[str] | None = None) -> int:
    """Print one line for each find."""
    words = Words("python -m scripts.find_dead_code", __doc__)
    words.add_argument("--with-tests", action="store_true", help="do not count tests as users")
    options = words.parse_args(arguments)
    sources, others = [], []
    for folder in (*USERS, *(() if options.with_tests else ("tests",))):
        for path in sorted((ROOT / folder).rglob("*.py")):
            place, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
            if folder == "njord" and "__pycache__" not in path.parts and not place.startswith(_DISCOVERED):
                sources.append((place, text))
            elif "__pycache__" not in path.parts:
                others.append(text)
    others += [path.read_text(encoding="utf-8") for path in sorted((ROOT / "njord").rglob("*.html"))]
    found = unnamed(sources, others)
    for each in found:
        print(f"{each.place}: {each.name} is named nowhere else")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
