"""What must never be committed: secrets and large files. In come the paths of a commit, out goes one line for each find.

    python scripts/check_commit.py PATH ...

Run by the hook in .pre-commit-config.yaml and, over the whole repository, by tests/architecture/test_repository.py.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

LARGE_BYTES = 512 * 1024
# Shapes that keys and passwords really have; a word such as "password" alone says nothing.
SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an AWS access key", re.compile(r"\bAKIA[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}\b")),
    ("an age secret key", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}\b")),
    # A host without a dot is an example's.
    (
        "a password in a URL",
        re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"{}$<>]+:[^\s/:@'\"{}$<>]{8,}@[\w-]+\.\w"),
    ),
    (
        "a long value under a secret's name",
        re.compile(
            r"(?i)\b(?:api_?key|api_?secret|secret_?key|token|passw(?:or)?d)\b[\"']?\s*[:=]\s*[\"'][A-Za-z0-9+/_=-]{32,}[\"']"
        ),
    ),
)
_ALLOWED = "not a secret"  # A line that says so is let through, and is seen in review.


def findings(path: Path) -> Iterator[str]:
    """Yield what is wrong with one file, as lines for a reader."""
    if not path.is_file():
        return
    size = path.stat().st_size
    if size > LARGE_BYTES:
        yield f"{path} has {size} bytes, at most {LARGE_BYTES} go into the repository; next: keep it out, or make it smaller"
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        for what, shape in SECRETS:
            if shape.search(line) and _ALLOWED not in line:
                yield f"{path}:{number} holds what looks like {what}; next: take it out, and change it where it is used"


def main(arguments: Sequence[str]) -> int:
    """Print every finding; return 1 if there is one."""
    found = [finding for argument in arguments for finding in findings(Path(argument))]
    for finding in found:
        print(finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
