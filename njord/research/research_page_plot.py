"""How is a figure drawn without a script? Values come in; places in percent of a drawing and text go out, to be filled in by
the macro `plot`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S

_STEPS_NS = tuple(
    step * NS_PER_MINUTE
    for step in (
        1,
        5,
        15,
        30,
        60,
        180,
        360,
        720,
        1440,
        2880,
        7200,
        14400,
        43200,
        129600,
        525600,
        2628000,
        5256000,
    )
)
_LETTER_PX = 6.6
PATH = 1_000  # Units of a path's own coordinates, either way.


class Tick(msgspec.Struct, frozen=True):
    """A label at a place."""

    at: float
    text: str


class Rect(msgspec.Struct, frozen=True):
    """A rectangle; `text` is what it says on hover."""

    x: float
    y: float
    width: float
    height: float
    tone: str = ""
    text: str = ""


class Rule(msgspec.Struct, frozen=True):
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    tone: str


class Curve(msgspec.Struct, frozen=True):
    """A curve, in its own coordinates."""

    d: str
    tone: str


class Dot(msgspec.Struct, frozen=True):
    """A point; `r` in pixels."""

    x: float
    y: float
    tone: str = ""
    text: str = ""
    r: float = 4


class Plot(msgspec.Struct):
    """A drawing: everything in percent but paths, from the left and from the top.

    Attributes:
        label: What is drawn, for whoever does not see it.
        height: Pixels.
        ys: Labels at the left, each with a line.
        grounds: Rectangles behind everything.
        strips: Parts of the width that say something; y and height are ignored.
        hint: What stands below until something is pointed at.
    """

    label: str
    height: int = 220
    ys: list[Tick] = []
    xs: list[Tick] = []
    grounds: list[Rect] = []
    rules: list[Rule] = []
    paths: list[Curve] = []
    rects: list[Rect] = []
    dots: list[Dot] = []
    strips: list[Rect] = []
    hint: str = ""

    @property
    def gutter(self) -> int:
        """Pixels that the labels at the left take."""
        return round(14 + _LETTER_PX * max((len(tick.text) for tick in self.ys), default=0))


class Scale(msgspec.Struct, frozen=True):
    """From values to percent; `high` > `low`."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return the place of a value."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)

    def down(self, value: float) -> float:
        """Return its place from the top."""
        return round(100 - self.at(value), 3)


def scale_of(values: Iterable[float], *anchors: float, margin: float = 0.05) -> Scale:
    """Return a scale that shows all defined values and the anchors, with some room around them."""
    defined = [value for value in (*values, *anchors) if math.isfinite(value)]
    low, high = (min(defined), max(defined)) if defined else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        spread = abs(high) * 0.1 or 1.0
        return Scale(low - spread, high + spread)
    return Scale(low - margin * (high - low), high + margin * (high - low))


def levels(scale: Scale, say: Callable[[float, float], str], n: int = 5) -> list[Tick]:
    """Return labels at about `n` round values from the bottom up; `say` writes one, given the step between them."""
    return [Tick(scale.down(value), say(value, step)) for value, step in _round_values(scale, n)]


def levels_across(scale: Scale, say: Callable[[float, float], str], n: int = 5) -> list[Tick]:
    """Return the same from left to right."""
    return [Tick(scale.at(value), say(value, step)) for value, step in _round_values(scale, n)]


def _round_values(scale: Scale, n: int) -> list[tuple[float, float]]:
    wanted = (scale.high - scale.low) / max(n, 1)
    power = 10.0 ** math.floor(math.log10(wanted))
    step = next(size * power for size in (1, 2, 5, 10, 20) if size * power >= wanted * (1 - 1e-9))
    first, last = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [(place * step + 0.0, step) for place in range(first, last + 1)]


def decimals_of(step: float) -> int:
    """Return how many decimals tell values apart that are `step` from each other."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def moments(start_ns: int, end_ns: int, n: int = 5) -> list[Tick]:
    """Return labels at round times between two, at most `n` or so."""
    span = max(end_ns - start_ns, 1)
    step = next((each for each in _STEPS_NS if span / each <= n), _STEPS_NS[-1])
    first = -(-start_ns // step)
    times = [place * step for place in range(first, end_ns // step + 1)]
    return [Tick(round(100 * (ts_ns - start_ns) / span, 3), _moment(ts_ns, step)) for ts_ns in times]


def line(points: Sequence[tuple[float, float]]) -> str:
    """Return a path through (x, y) in percent; where y is NaN it breaks."""
    parts, pen = [], "M"
    for x, y in points:
        if math.isnan(y):
            pen = "M"
            continue
        parts.append(f"{pen}{x * PATH / 100:.1f} {y * PATH / 100:.1f}")
        pen = "L"
    return "".join(parts)


def band(xs: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> str:
    """Return the path around what lies between two curves, in percent."""
    there = list(zip(xs, upper, strict=True))
    back = list(zip(reversed(xs), reversed(lower), strict=True))
    return f"{line([*there, *back])}Z"


def thinned(texts: Sequence[str], places: Sequence[float], n_max: int) -> list[Tick]:
    """Return at most `n_max` labels of evenly spaced things."""
    every = max(1, -(-len(texts) // n_max))
    return [Tick(places[index], texts[index]) for index in range(0, len(texts), every)]


def _moment(ts_ns: int, step: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC)
    if step >= 365 * NS_PER_DAY:
        return f"{moment:%Y}"
    if step >= 28 * NS_PER_DAY:
        return f"{moment:%Y-%m}"
    if step >= NS_PER_DAY or not ts_ns % NS_PER_DAY:
        return f"{moment:%b} {moment.day}"
    return f"{moment:%H:%M}"
