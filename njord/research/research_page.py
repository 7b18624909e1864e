"""What do the pages of research share? A verdict in words, a frame, and the styles and scripts of the backtest's report."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

import njord
from njord.adapters.state_lock import write_durably
from njord.backtest.page_shell import asset, render
from njord.backtest.page_text import Cell, Row, clip, percent, ratio, undefined

_STYLES = ("report.css", "njord.research:research_page.css")
_SCRIPTS = ("why_page.js", "njord.research:research_page.js")  # The first is the theme's button.
_NO_SHARPE = "Fewer than two returns, or returns that do not deviate."
_TONES = {"overfit": "bad", "holds": "good"}
_WORDS = {"overfit": "Overfit", "not shown": "Not shown", "holds": "Holds"}


class Verdict(msgspec.Struct, frozen=True):
    """What stands on top: a word, its tone ("good", "bad", "plain" or "" for a warning) and sentences."""

    word: str
    tone: str
    says: list[str]


def write(
    path: Path,
    template: str,
    context: dict[str, Any],
    data: dict[str, Any] | None = None,
    scripts: Sequence[str] = (),
) -> Path:
    """Write a page, whole or not at all, and return its path.

    Args:
        path: The file to write.
        template: Its asset; it extends `research_page.html`.
        context: Must have kind, title, badges, verdict and sections besides what the template itself speaks of.
        data: Numbers for its scripts; neither NaN nor infinity.
        scripts: Assets of its own.
    """
    text = render(
        f"njord.research:{template}",
        {"version": njord.__version__, **context},
        data or {},
        [asset(name) for name in _STYLES],
        [asset(name) for name in (*_SCRIPTS, *(f"njord.research:{name}" for name in scripts))],
    )
    write_durably(path, text.encode())
    return path


def verdict_of(report: dict[str, Any] | None, why_none: str, says: Sequence[str]) -> Verdict:
    """Return the verdict of a selection report, with more sentences under it."""
    if report is None:
        return Verdict("Not judged", "plain", [clip(why_none), *says])
    word = str(report["verdict"])
    return Verdict(_WORDS.get(word, clip(word)), _TONES.get(word, ""), [clip(report["because"]), *says])


def honesty_rows(report: dict[str, Any]) -> list[Row]:
    """Return the figures behind a verdict."""
    n, years = int(report["n_trials"]), report["periods_per_year"]
    compared = f"; {report['n_compared']:,} could be compared" if report["n_compared"] < n else ""
    rows = [
        Row(
            "Deflated Sharpe",
            ratio(report["deflated_sharpe"], _NO_SHARPE),
            "probability of skill, the trials counted",
        ),
        Row(
            "Probabilistic Sharpe",
            ratio(report["probabilistic_sharpe"], _NO_SHARPE),
            "the same, looked at alone",
        ),
        Row("Trials", Cell(f"{n:,}"), f"of this idea, ever{compared}"),
        *_looks(report),
        Row(
            "Best by luck",
            ratio(report["expected_max_sharpe_annual"], _NO_SHARPE),
            "Sharpe to expect of the best of so many without skill",
        ),
        Row(
            "Track record needed",
            _bars(report["min_track_record_length"]),
            f"bars to show a Sharpe above 0 alone; here {report['n_periods']:,}, a year has {years:,.0f}",
        ),
    ]
    if not report["n_splits"]:
        return rows
    splits = f"{report['n_splits']:,} splits of time"
    return [
        *rows,
        Row(
            "Overfitting (PBO)",
            percent(report["pbo"], "No points to choose among.", decimals=0),
            f"of {splits}: the best of one half was in the lower half in the other",
        ),
        Row(
            "Chance of loss",
            percent(report["probability_of_loss"], "", decimals=0),
            "of the best, in the other half",
        ),
        Row(
            "Slope",
            ratio(report["degradation_slope"], "All splits chose alike."),
            "what a Sharpe of 1 inside was outside",
        ),
    ]


# A result of before they were counted says nothing of them.
def _looks(report: dict[str, Any]) -> list[Row]:
    n = int(report.get("n_held_out", 0))
    return (
        [Row("Looks at the hold-out", Cell(f"{n:,}"), "trials more, for whatever is tried next")] if n else []
    )


def number(value: Any) -> float:
    """Return a value of a result's JSON as a float; NaN for what is none, infinity included."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def finite(value: Any) -> float | None:
    """Return a value of a result's JSON as the JSON of a page may have it."""
    found = number(value)
    return None if math.isnan(found) else found


def sharpe_text(value: Any) -> str:
    """Return a Sharpe ratio of a result's JSON as text."""
    return sharpe_cell(value).text


def sharpe_cell(value: Any) -> Cell:
    """Return the same, with why it is undefined where it is."""
    return ratio(None if math.isnan(number(value)) else value, _NO_SHARPE)


def plural(n: int, what: str) -> str:
    """Return a count with its noun: 1 fold, 2 folds."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _bars(value: Any) -> Cell:
    if isinstance(value, str) or value == math.inf:
        return Cell("never")
    return undefined(_NO_SHARPE) if value is None or math.isnan(value) else Cell(f"{math.ceil(value):,}")
