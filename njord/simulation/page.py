"""How do several commands share one page? Each writes its own part, from its heading to the next, and leaves the others be."""

from collections.abc import Sequence
from pathlib import Path


def write_part(path: Path, head: str, headings: Sequence[str], heading: str, text: str) -> None:
    """Write one part of a page; the parts that are there stay.

    Args:
        path: Of the page; made if it is not there.
        head: What stands above all parts.
        headings: Of all parts, in order, such as `## Seeded`.
        heading: Of the part that is written.
        text: What follows its heading.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = {each: _part(before, each, headings) for each in headings} | {heading: text.strip("\n")}
    body = [f"{each}\n\n{part}\n" for each, part in parts.items() if part]
    path.write_text("\n".join([head.strip("\n") + "\n", *body]), encoding="utf-8")


def _part(page: str, heading: str, headings: Sequence[str]) -> str:
    found: list[str] = []
    is_inside = False
    for line in page.split("\n"):
        if line in headings:
            is_inside = line == heading
        elif is_inside:
            found.append(line)
    return "\n".join(found).strip("\n")
