"""What does a page say of the paths of a combinatorial cross-validation? Their figures in; a drawing and a table out."""

import math
from typing import Any

from njord.backtest.page_sections import Table
from njord.backtest.page_text import MINUS, Cell, count, percent
from njord.research.research_page import number, sharpe_cell, sharpe_text
from njord.research.research_page_plot import Plot, Rect, Rule, decimals_of, levels, scale_of, thinned

PATHS_MAX = 200  # Rows and bars.
_LABELS_MAX = 12


def path_plot(paths: dict[str, Any]) -> Plot:
    """Return a bar for the Sharpe ratio of each path, the lowest first."""
    ranked = sorted(
        (number(path["sharpe"]), path["number"]) for path in paths["each"] if path["sharpe"] is not None
    )[:PATHS_MAX]
    up = scale_of([sharpe for sharpe, _ in ranked] or [0.0], 0.0)
    drawn = Plot("Sharpe ratio of each path, the lowest first", height=180)
    drawn.hint = "Point at a path to read it."
    drawn.ys = levels(up, lambda value, step: f"{value:,.{decimals_of(step)}f}".replace("-", MINUS), 5)
    slot = 100 / max(1, len(ranked))
    for index, (sharpe, name) in enumerate(ranked):
        top, bottom = sorted((up.down(sharpe), up.down(0.0)))
        left = round(slot * index, 3)
        tone = "gain" if sharpe >= 0 else "loss"
        drawn.rects.append(
            Rect(
                round(left + slot * 0.15, 3),
                top,
                round(slot * 0.7, 3),
                round(max(0.4, bottom - top), 3),
                tone,
            )
        )
        drawn.strips.append(Rect(left, 0, round(slot, 3), 0, "", f"path {name}: {sharpe_text(sharpe)}"))
    drawn.rules = [Rule(0, up.down(0.0), 100, up.down(0.0), "floor")]
    names = [f"{name}" for _, name in ranked]
    drawn.xs = thinned(names, [round(slot * (index + 0.5), 3) for index in range(len(names))], _LABELS_MAX)
    return drawn


def path_table(paths: dict[str, Any]) -> Table:
    """Return one row a path; the one in the middle is marked."""
    rows = []
    for path in paths["each"][:PATHS_MAX]:
        mark = " (the middle)" if path["number"] == paths["middle"] else ""
        rows.append(
            [
                Cell(f"{path['number']}{mark}"),
                sharpe_cell(path["sharpe"]),
                _percent(path["total_return"], signed=True),
                _percent(path["max_drawdown"]),
                Cell(count(path["n_fills"])),
            ]
        )
    n_left = len(paths["each"]) - len(rows)
    left_out = f"The first {PATHS_MAX} paths; {n_left} more are in walkforward.json." if n_left else ""
    return Table(("Path", "Sharpe", "Return", "Max drawdown", "Fills"), rows, left_out)


def path_said(paths: dict[str, Any]) -> str:
    """Return how the paths are distributed, in a sentence."""
    return (
        f"{len(paths['each']):,} whole paths out of {paths['n_splits']:,} splits: a Sharpe of {sharpe_text(paths['mean'])} "
        f"on average with a deviation of {sharpe_text(paths['deviation'])}, from {sharpe_text(paths['least'])} to "
        f"{sharpe_text(paths['most'])}; {paths['n_positive']:,} of them above 0."
    )


def _percent(value: Any, signed: bool = False) -> Cell:
    return percent(None if math.isnan(number(value)) else value, "Nothing is known.", signed, 2)
