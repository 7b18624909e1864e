"""Where the stored stories of the goldens lie, and how two of them are compared."""

import re
from difflib import unified_diff
from itertools import zip_longest
from pathlib import Path

FOLDER = Path(__file__).parent / "expected"
_ORDER = re.compile(r"\border (\d+)\b")


def path_of(name: str) -> Path:
    """Return where a golden's story is stored."""
    return FOLDER / f"{name}.txt"


def stored(name: str) -> list[str]:
    """Return the stored lines; none if there are none yet."""
    path = path_of(name)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def store(name: str, lines: list[str]) -> None:
    """Write a golden's story."""
    FOLDER.mkdir(exist_ok=True)
    path_of(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def first_change(before: list[str], after: list[str]) -> str:
    """Name the first order that changed, with what it was; empty if nothing has."""
    for expected, told in zip_longest(before, after, fillvalue="(nothing)"):
        if expected != told:
            order = _ORDER.search(expected) or _ORDER.search(told)
            what = f"order {order[1]}" if order else "a line of no order"
            return f"{what} changed\n  expected: {expected}\n  was:      {told}"
    return ""


def difference(name: str, after: list[str]) -> list[str]:
    """Return what `store` would change, as a unified diff."""
    return list(unified_diff(stored(name), after, f"{name} (stored)", f"{name} (now)", lineterm="", n=2))
