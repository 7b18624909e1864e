"""Write stored stories anew, showing what changes: `python -m tests.golden.regenerate NAME...`, or `all`.

Read every line of what it shows: a golden's first line says what must happen, and a change needs a reason.
"""

import difflib
import sys
from collections.abc import Callable

from tests.golden.catalog import STORIES
from tests.golden.expected import FOLDER, difference, path_of, store


def main(names: list[str]) -> int:
    """Rewrite the named goldens; return the exit code."""
    if not names:
        print(f"name one or more of {len(STORIES)} goldens, or all", file=sys.stderr)
        return 2
    wanted = list(STORIES) if names == ["all"] else names
    for name in wanted:
        if name not in STORIES:
            close = difflib.get_close_matches(name, STORIES, n=1)
            print(
                f"there is no golden {name}" + (f"; did you mean {close[0]}?" if close else ""),
                file=sys.stderr,
            )
            return 2
    n_changed = sum(_rewrite(name, STORIES[name]) for name in wanted)
    if names == ["all"]:
        for stray in sorted(path for path in FOLDER.iterdir() if path.stem not in STORIES):
            print(f"removed {stray.name}: no golden of this name")
            stray.unlink()
    print(f"{n_changed} of {len(wanted)} changed")
    return 0


def _rewrite(name: str, tell: Callable[[], list[str]]) -> bool:
    lines = tell()
    changed = difference(name, lines)
    if changed or not path_of(name).exists():
        print("\n".join(changed))
        store(name, lines)
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
