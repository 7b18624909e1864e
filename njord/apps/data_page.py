"""What does a dataset look like? A subject comes in; one HTML file goes out that needs nothing else.

The page is made like the report of a backtest and looks like it: everything is inline, its own Content-Security-Policy
forbids every request and every script but those written here, and text from outside is escaped. Charts are drawn from
the cells of the subject's coverage, so that the page stays small however long the data are.
"""

from pathlib import Path
from typing import Any

import numpy as np

import njord
from njord.apps import data_page_facts
from njord.apps.data_coverage import Courses, Coverage, FloatArray
from njord.apps.data_coverage_text import draw
from njord.apps.data_page_facts import Pairs
from njord.apps.data_page_subject import Subject
from njord.backtest.page_shell import asset, render
from njord.backtest.page_text import clip, duration, when
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.storage.certificate.grading import GRADES, MEANINGS

PAGE_BYTES_MAX = 700_000
RANGES_MAX = 1_000
SOURCES_MAX = 200
_TEXT_COLUMNS = 60
_ALONE_S = 0.001
_DIGITS = 10  # Of a number in a chart.
_STYLES = ("vendor/uplot.css", "report.css", "data_page.css")
_SCRIPTS = ("vendor/uplot.js", "data_page.js")
_TEMPLATE = "data_page.html"


def write_page(path: Path, subject: Subject, facts: Pairs) -> None:
    """Write the page of a dataset.

    Args:
        path: The file to write.
        subject: The dataset, looked at with its courses.
        facts: What is to stand in its table of facts.

    Raises:
        ValueError: The courses were not asked for.
    """
    if subject.courses is None:
        raise ValueError("a page needs the courses of price and clock")
    path.write_text(
        _render(_context(subject, facts), _chart_data(subject, subject.courses)), encoding="utf-8"
    )


def _context(subject: Subject, facts: Pairs) -> dict[str, Any]:
    coverage, certificate = subject.coverage, subject.certificate
    _, drawing = draw(coverage, _TEXT_COLUMNS)
    return {
        "subject": subject,
        "certificate": certificate,
        "facts": facts,
        "words": data_page_facts,
        "title": clip(data_page_facts.headline(subject)),
        "start": when(int(coverage.edges_ns[0])),
        "end": when(int(coverage.edges_ns[-1])),
        "span": duration(int(coverage.edges_ns[-1] - coverage.edges_ns[0])),
        "cell_width": duration(coverage.width_ns),
        "drawing": "\n".join((*drawing.blocks, drawing.marks, drawing.axis, drawing.labels)),
        "has_clocks": _has_clocks(subject),
        "is_joined": len(certificate.bad_ranges) > RANGES_MAX,
        "sources": data_page_facts.source_rows(subject.sources[:SOURCES_MAX]),
        "n_sources": len(subject.sources),
        "grades": [(grade, MEANINGS[grade]) for grade in GRADES],
        "version": njord.__version__,
        "license": asset("vendor/uplot.LICENSE"),
    }


# --- numbers for the charts ----------------------------------------------------------------------------------------------


def _chart_data(subject: Subject, courses: Courses) -> dict[str, Any]:
    coverage, instrument = subject.coverage, subject.instrument
    tick = float(instrument.tick_size)
    data: dict[str, Any] = {
        "edges": _edges(coverage),
        "rows": coverage.n_rows.tolist(),
        "expected": coverage.n_expected.tolist() if subject.interval_ns else None,
        "bad": _numbers(coverage.bad_ns / NS_PER_S),
        "ranges": _ranges(subject),
        "what": subject.kind.value,
        "decimals": instrument.tick_scale,
        "quote": instrument.quote,
        "low": _numbers(courses.low * tick),
        "high": _numbers(courses.high * tick),
        "mean": _numbers(courses.mean * tick),
        "clock": None,
    }
    if _has_clocks(subject):
        data["clock"] = {
            "low": _numbers(courses.offset_low_ns / NS_PER_MS),
            "high": _numbers(courses.offset_high_ns / NS_PER_MS),
            "mean": _numbers(courses.offset_mean_ns / NS_PER_MS),
        }
    return data


# In seconds; a single cell has some width, or a row alone could not be seen.
def _edges(coverage: Coverage) -> list[float]:
    first, *others = (coverage.edges_ns / NS_PER_S).tolist()
    return [first, *others] if len(others) > 1 else [first, max(others[0], first + _ALONE_S)]


def _has_clocks(subject: Subject) -> bool:
    return subject.certificate.clock is not None


def _numbers(values: FloatArray) -> list[float | None]:
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()]


# Bad time in seconds; where there are more ranges than can be told apart, runs of cells that hold some.
def _ranges(subject: Subject) -> list[tuple[float, float]]:
    ranges = subject.certificate.bad_range_array()
    if len(ranges) > RANGES_MAX:
        ranges = _bad_runs(subject.coverage)
    return [(start / NS_PER_S, end / NS_PER_S) for start, end in ranges.tolist()]


def _bad_runs(coverage: Coverage) -> Any:
    is_bad = np.concatenate(([0], coverage.bad_ns > 0, [0]))
    starts, ends = (np.flatnonzero(np.diff(is_bad) == step) for step in (1, -1))
    return np.stack((coverage.edges_ns[starts], coverage.edges_ns[ends]), axis=1)


# --- text ------------------------------------------------------------------------------------------------------------------


def _render(context: dict[str, Any], data: dict[str, Any]) -> str:
    styles, scripts = [asset(name) for name in _STYLES], [asset(name) for name in _SCRIPTS]
    return render(_TEMPLATE, context, data, styles, scripts)
