"""A profile as one self-contained page: the hottest functions, and the flame graph as an inline picture."""

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from scripts.profile_stacks import Spot, Stacks

WIDTH, ROW = 1200, 18
SHARE_MIN = 0.002  # Narrower than that is a hair.
LETTER = 6.6
_STYLE = """
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem; text-align: right; }
td:last-child, th:last-child { text-align: left; } code { font-size: .92em; }
.picture { overflow-x: auto; } svg { font: 11px ui-monospace, monospace; min-width: 60rem; width: 100%; }
rect { stroke: Canvas; } rect.ours { fill: #e5793c; } rect.theirs { fill: #b9a98f; } text { fill: #1b1b1b; }
"""


class Box(NamedTuple):
    """One function on one level of the flame graph; `first` and `width` in the profile's unit."""

    name: str
    depth: int
    first: int
    width: int


def boxes(stacks: Stacks) -> Iterator[Box]:
    """Yield the flame graph: equal beginnings of stacks joined, the widest siblings first."""
    yield from _level([(stack, count) for stack, count in sorted(stacks.items())], 0, 0)


def _level(stacks: list[tuple[tuple[str, ...], int]], depth: int, first: int) -> Iterator[Box]:
    by_name: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for stack, count in stacks:
        if len(stack) > depth:
            by_name.setdefault(stack[depth], []).append((stack, count))
    widths = {name: sum(count for _, count in below) for name, below in by_name.items()}
    for name in sorted(by_name, key=lambda name: (-widths[name], name)):
        yield Box(name, depth, first, widths[name])
        yield from _level(by_name[name], depth + 1, first)
        first += widths[name]


def page(title: str, unit: str, stacks: Stacks, spots: list[Spot]) -> str:
    """Return the page."""
    whole = max(stacks.total(), 1)
    rows = "".join(
        f"<tr><td>{spot.own / whole:.1%}</td><td>{spot.total / whole:.1%}</td><td><code>{escape(spot.name)}</code></td></tr>"
        for spot in spots
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{whole:,} {escape(unit)}. Orange is njord, the rest libraries and the interpreter; "
        f"hold the pointer over a box for its name and share.</p>"
        f"<table><tr><th>own</th><th>with callees</th><th>function</th></tr>{rows}</table>"
        f"<h2>Flame graph</h2><div class=picture>{_picture(stacks, whole)}</div></html>\n"
    )


def _picture(stacks: Stacks, whole: int) -> str:
    shown = [box for box in boxes(stacks) if box.width / whole >= SHARE_MIN]
    height = ROW * (1 + max((box.depth for box in shown), default=0))
    drawn = "".join(_drawn(box, whole) for box in shown)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="flame graph">{drawn}</svg>'


def _drawn(box: Box, whole: int) -> str:
    x, width = box.first / whole * WIDTH, box.width / whole * WIDTH
    kind = "ours" if box.name.startswith("njord/") else "theirs"
    label = box.name.rpartition(":")[2][: int(width / LETTER) - 1] if width > 4 * LETTER else ""
    return (
        f"<g><title>{escape(box.name)} {box.width / whole:.1%}</title>"
        f'<rect class="{kind}" x="{x:.1f}" y="{box.depth * ROW}" width="{width:.1f}" height="{ROW - 1}"/>'
        f'<text x="{x + 3:.1f}" y="{box.depth * ROW + 12}">{escape(label)}</text></g>'
    )
