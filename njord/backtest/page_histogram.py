"""How are returns distributed? Fractions come in (or other figures, with how to write them); bins of a round width with
an edge at 0 go out, placed in percent of a drawing, so that the page needs no script to show them.
"""

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.backtest.page_text import Cell, count, percent

FloatArray = NDArray[np.float64]
Say = Callable[
    [float, float], Cell
]  # Writes a value; the width of the bins whose edge it is, or 0 for a value alone.

BINS_MIN, BINS_MAX = 8, 48
_OUTSIDE = 0.5  # Percent of the values on either side that may fall outside; they count in the outer bins.


class Bar(msgspec.Struct, frozen=True):
    """One bin: place and size in percent of the drawing, whether it gains, and what it says."""

    x: float
    width: float
    y: float
    height: float
    tone: str
    label: str


class Histogram(msgspec.Struct, frozen=True):
    """A drawn distribution.

    Attributes:
        ticks: (x in percent, label) along the bottom.
        levels: (y in percent, label) of the horizontal lines.
        marks: (x in percent, label) of single values that are pointed out.
        facts: (name, value) to print beside it.
        notes: Sentences about values that are not drawn in their place.
    """

    bars: list[Bar]
    ticks: list[tuple[float, str]]
    levels: list[tuple[float, str]]
    facts: list[tuple[str, Cell]]
    notes: list[str]
    marks: list[tuple[float, str]] = []


def in_percent(value: float, width: float) -> Cell:
    """Return a fraction in percent, as exactly as bins of `width` ask for."""
    decimals = max(0, -math.floor(math.log10(width * 100) + 1e-9)) if width else 2
    return percent(value, "", signed=True, decimals=decimals)


def histogram(
    returns: FloatArray, say: Say = in_percent, marks: Sequence[tuple[float, str]] = ()
) -> Histogram | None:
    """Return the histogram of `returns`, shape (n,), fractions, finite; None if there are none.

    Returns of exactly 0, such as days without a position, would look like gains or losses: they are only counted.

    Args:
        returns: Or other figures of which 0 is the middle.
        say: Writes them.
        marks: Values to point out, finite, and what they are; the drawing reaches them.
    """
    if returns.size == 0:
        return None
    moved = returns[returns != 0]
    n_still = returns.size - moved.size
    notes = [f"{count(n_still)} of exactly 0 are not drawn."] if n_still else []
    if moved.size == 0:
        return Histogram([], [], [], _facts(returns, say), notes)
    return _draw(moved, _facts(returns, say), notes, say, marks)


def _draw(
    returns: FloatArray,
    facts: list[tuple[str, Cell]],
    notes: list[str],
    say: Say,
    marks: Sequence[tuple[float, str]],
) -> Histogram:
    low, high = (float(value) for value in np.percentile(returns, [_OUTSIDE, 100 - _OUTSIDE]))
    marked = [value for value, _ in marks]
    low, high = min(low, 0.0, *marked), max(high, 0.0, *marked)
    width = _round_width(returns, high - low)
    # Bins are [from, to). A single loss or gain has its own side of 0, however rare or small it is.
    first = min(math.floor(low / width + 1e-9), -1 if (returns < 0).any() else 0)
    n_bins = max(math.floor(high / width + 1e-9) + 1, 0) - first
    place = np.floor(np.clip(returns / width, first, first + n_bins - 1) + 1e-9).astype(np.int64)
    place = np.where(returns < 0, np.minimum(place, -1), np.maximum(place, 0)) - first
    counts = np.bincount(place, minlength=n_bins)
    top = int(counts.max())
    bars = [_bar(i, int(n), n_bins, top, first, width, say) for i, n in enumerate(counts) if n]
    n_outside = int(((returns < first * width) | (returns >= (first + n_bins) * width)).sum())
    if n_outside:
        notes = [*notes, f"{count(n_outside)} beyond the edges count in the outer bars."]
    return Histogram(
        bars,
        _ticks(first, n_bins, width, say),
        [
            (100 - 100 * share * 0.92, count(round(top * share)))
            for share in ((0.5, 1.0) if top > 1 else (1.0,))
        ],
        facts,
        notes,
        [(round(100 * (value / width - first) / n_bins, 3), label) for value, label in marks],
    )


def _round_width(returns: FloatArray, span: float) -> float:
    """Return 1, 2 or 5 times a power of ten, near the width of Freedman and Diaconis (1981), for a sane number of bins."""
    quarter, three_quarters = np.percentile(returns, [25, 75])
    wanted = 2 * float(three_quarters - quarter) / returns.size ** (1 / 3)
    wanted = max(min(wanted, span / BINS_MIN), span / BINS_MAX, 1e-6)
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in (1, 2, 5, 10, 20) if step * power >= wanted * (1 - 1e-9))


def _bar(index: int, n: int, n_bins: int, top: int, first: int, width: float, say: Say) -> Bar:
    height = max(0.6, 92 * n / top)
    start, end = (first + index) * width, (first + index + 1) * width
    label = f"{_edge(start, width, say)} to {_edge(end, width, say)}: {count(n)}"
    return Bar(
        round(100 * index / n_bins, 4),
        round(100 / n_bins, 4),
        round(100 - height, 3),
        round(height, 3),
        "gain" if first + index >= 0 else "loss",
        label,
    )


def _ticks(first: int, n_bins: int, width: float, say: Say) -> list[tuple[float, str]]:
    step = max(1, math.ceil(n_bins / 5))
    inside = [i for i in range(n_bins + 1) if (first + i) % step == 0]
    return [(round(100 * i / n_bins, 3), _edge((first + i) * width, width, say)) for i in inside]


def _edge(value: float, width: float, say: Say) -> str:
    return say(round(value, 12) + 0.0, width).text


def _facts(returns: FloatArray, say: Say) -> list[tuple[str, Cell]]:
    return [
        ("count", Cell(count(returns.size))),
        *(
            (name, say(float(value), 0.0))
            for name, value in (
                ("worst", returns.min()),
                ("median", np.median(returns)),
                ("mean", returns.mean()),
                ("best", returns.max()),
            )
        ),
    ]
