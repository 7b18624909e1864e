"""What do the last `window` values say: mean, deviation, bands, extremes, slope? Whole numbers in, exact sums inside.

The inputs are whole ticks (or lots), so that a sum over a window is exact however long it has rolled, and depends on
nothing before the window. Plain functions, each self-contained: a strategy calls them interpreted, where numbers have no
bounds; `rolling_batch.py` says the same of whole arrays bit for bit, and refuses what an int64 can not hold. Only the
last division and root are floats, each rounded once. Units are those of the inputs; before the window is full a value
is NaN. There is no missing value among whole numbers: a row that has none must be left out.
"""

from math import sqrt
from typing import NamedTuple, Protocol

NAN = float("nan")


class Ring(Protocol):
    """A list or an array of whole numbers, changed in place."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...


class Sums(NamedTuple):
    """Count, sum and sum of squares of what is in the window."""

    n: int
    total: int
    squares: int


class Line(NamedTuple):
    """Count, sum, and sum of each value times its place (0 for the oldest) of what is in the window."""

    n: int
    total: int
    weighted: int


NO_SUMS = Sums(0, 0, 0)
NO_LINE = Line(0, 0, 0)


def sums_step(state: Sums, entering: int, leaving: int, window: int) -> Sums:
    """Put one value into the window and take the oldest out.

    Args:
        state: NO_SUMS at the start.
        entering: The newest value.
        leaving: The value `window` rows before it; ignored until the window is full.
        window: In rows, >= 1.
    """
    total, squares = state.total + entering, state.squares + entering * entering
    if state.n < window:
        return Sums(state.n + 1, total, squares)
    return Sums(window, total - leaving, squares - leaving * leaving)


def mean_value(state: Sums, window: int) -> float:
    """Return the mean; NaN until the window is full."""
    return float(state.total) / float(window) if state.n >= window else NAN


def deviation_value(state: Sums, window: int) -> float:
    """Return the population standard deviation (divided by n, not n - 1); NaN until the window is full.

    sqrt(n sum(x^2) - sum(x)^2) / n, the difference exact: values far from zero lose no digits.
    """
    if state.n < window:
        return NAN
    return sqrt(float(window * state.squares - state.total * state.total)) / float(window)


def bollinger_value(state: Sums, window: int, width: float) -> tuple[float, float, float]:
    """Return the lower band, the middle and the upper band: mean -+ width x population deviation; NaN until full.

    Args:
        state: The sums of the last `window` values.
        window: In rows; Bollinger's own is 20.
        width: In standard deviations; Bollinger's own is 2.

    Source: Bollinger (2001), "Bollinger on Bollinger Bands"; he divides by n.
    """
    if state.n < window:
        return NAN, NAN, NAN
    mean = float(state.total) / float(window)
    reach = width * (sqrt(float(window * state.squares - state.total * state.total)) / float(window))
    return mean - reach, mean, mean + reach


def line_step(state: Line, entering: int, leaving: int, window: int) -> Line:
    """Put one value into the window of a trend line and take the oldest out; arguments as of `sums_step`."""
    if state.n < window:
        return Line(state.n + 1, state.total + entering, state.weighted + state.n * entering)
    rest = state.total - leaving
    return Line(window, rest + entering, state.weighted - rest + (window - 1) * entering)


def slope_value(state: Line, window: int) -> float:
    """Return the slope of the least-squares line, in units a row; NaN until full, or where `window` is 1.

    (n sum(i y) - sum(i) sum(y)) / (n sum(i^2) - sum(i)^2) over places i = 0 to n - 1; the denominator is
    n^2 (n^2 - 1) / 12. One n is canceled from both.

    Source: Gauss's least squares, as in Draper & Smith (1998), "Applied Regression Analysis", chapter 1.
    """
    if state.n < window or window < 2:
        return NAN
    rise = 12 * state.weighted - 6 * (window - 1) * state.total
    return float(rise) / float(window * (window * window - 1))


def ahead_value(state: Line, window: int) -> tuple[int, int]:
    """Return where the least-squares line stands at the next row, as an exact fraction: numerator, denominator > 0.

    mean + slope x (n + 1) / 2, over the common denominator n (n - 1); 0, 1 until full, or where `window` is 1.
    """
    if state.n < window or window < 2:
        return 0, 1
    return 6 * state.weighted - 2 * (window - 1) * state.total, window * (window - 1)


def extreme_step(
    rows: Ring,
    values: Ring,
    head: int,
    n: int,
    row: int,
    x: int,
    sign: int,
) -> tuple[int, int]:
    """Put one value into the window of a rolling maximum (sign +1) or minimum (sign -1); the extreme is values[head].

    The buffers hold, as rings, the candidates: each later and less extreme than the one before it. Every value enters
    and leaves once, whatever the window.

    Args:
        rows: The ring of the candidates' rows, `window` long; changed in place.
        values: The ring of the candidates; changed in place.
        head: Where the oldest candidate is; 0 at the start.
        n: How many candidates there are; 0 at the start.
        row: The number of this row, counted from 0.
        x: The newest value.
        sign: +1 maximum, -1 minimum.

    Returns:
        Head and number of candidates now.

    Source: Lemire (2006), "Streaming Maximum-Minimum Filter Using No More than Three Comparisons per Element".
    """
    window = len(rows)
    if n > 0 and rows[head] <= row - window:
        head = (head + 1) % window
        n -= 1
    while n > 0 and sign * (x - values[(head + n - 1) % window]) >= 0:
        n -= 1
    at = (head + n) % window
    rows[at] = row
    values[at] = x
    return head, n + 1
