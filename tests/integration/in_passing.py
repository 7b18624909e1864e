"""What does a slow machine say on stderr beside what is meant? That kernels compile, and how far a command is."""

import re

IN_PASSING = re.compile(r"compiling kernels \(once\)|[\d,]+ of [\d,]+ [\w ]+, \d+%, about ")


def without_progress(said: str) -> str:
    """Return what was said on stderr without the lines that only a slow machine says."""
    return "".join(line for line in said.splitlines(keepends=True) if not IN_PASSING.search(line))
