"""Which functions of njord do the very same? Two bodies that are equal but for names of their own, comments and docstrings.

    python -m scripts.find_duplicates                    bodies of 4 statements and more
    python -m scripts.find_duplicates --statements 2

Parameters and local names are numbered in the order of their first use; all that the body takes from outside must be equal.
Code that does the same in other words is not found.
Exit codes: 0 nothing found, 1 something to look at, 2 wrong words.
"""

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts.words import Words, positive

ROOT = Path(__file__).resolve().parents[1]
STATEMENTS = 4
Function = ast.FunctionDef | ast.AsyncFunctionDef


def shape(function: Function) -> str:
    """Return a text that two functions share if their parameters and bodies are the same but for their own names."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    own = {each.arg: f"#{index}" for index, each in enumerate(named)}
    copies = [ast.parse(ast.unparse(statement)) for statement in body]
    for copy in copies:
        for node in ast.walk(copy):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.setdefault(node.id, f"#{len(own)}")
    for copy in copies:
        for node in ast.walk(copy):
            if isinstance(node, ast.Name):
                node.id = own.get(node.id, node.id)
    return "\n".join(ast.dump(copy) for copy in copies)


def n_statements(function: Function) -> int:
    """Return how many statements a function has, nested ones included, its docstring not."""
    inside = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
    return inside - (ast.get_docstring(function) is not None)


def duplicates(sources: Iterable[tuple[str, str]], least: int) -> list[list[str]]:
    """Return the groups of places whose functions are the same and have `least` statements or more."""
    places: dict[str, list[str]] = {}
    for place, text in sources:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function) and n_statements(node) >= least:
                places.setdefault(shape(node), []).append(f"{place}:{node.lineno} {node.name}")
    return [group for group in places.values() if len(group) > 1]


def main(arguments: list[str] | None = None) -> int:
    """Print one line for each group."""
    words = Words("python -m scripts.find_duplicates", __doc__)
    words.add_argument(
        "--statements",
        type=positive,
        default=STATEMENTS,
        help=f"the shortest body, {STATEMENTS} if not given",
    )
    options = words.parse_args(arguments)
    paths = (path for path in sorted((ROOT / "njord").rglob("*.py")) if "__pycache__" not in path.parts)
    sources = ((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths)
    found = duplicates(sources, options.statements)
    for group in found:
        print("the same: " + ", ".join(group))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
