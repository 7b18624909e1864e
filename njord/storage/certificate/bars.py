"""What are these bars worth? Canonical rows in, in pieces of any size; their certificate out.

Memory is bounded by one window of rows; every check is a few passes of numpy over it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.bars_text import show_time
from njord.storage.certificate.certificate import Certificate
from njord.storage.certificate.facts import NO_FACTS, SourceFacts
from njord.storage.certificate.findings import certify, counted, mended
from njord.storage.certificate.grading import (
    BARS,
    FLAT_BARS_MIN,
    LINE_BARS_MIN,
    LINE_TICKS,
    OUTLIER_BARS_BEFORE,
)
from njord.storage.certificate.robust import bar_outliers
from njord.storage.certificate.tally import BadRanges, Run, Runs, Tally, far_from
from njord.storage.certificate.windows import RowWindows, Window

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

COLUMNS = ("ts_open_ns", "open", "high", "low", "close", "volume_lots")
# A line that hardly moves could be chance: its volume, or one of its prices, moves more than this from bar to bar.
_LINE_MOVES = 8
_ENDS_NS_MAX = 2**63 - 1


class BarChecks:
    """Follows canonical bars: strictly rising, not overlapping, prices > 0.

    Args:
        instrument: Whose ticks and lots these are.
        interval_ns: Length of a bar.
    """

    def __init__(self, instrument: Instrument, interval_ns: int) -> None:
        self._instrument, self._interval_ns = instrument, interval_ns
        self._windows = RowWindows(len(COLUMNS), before=OUTLIER_BARS_BEFORE + 2, after=1)
        self._first_ns: int | None = None
        self._last_ns = 0
        self._is_off = False  # Whether the last bar opened off the schedule of the first.
        self._missing, self._off_schedule, self._contradictions = Tally(), Tally(), Tally()
        self._outliers, self._lines, self._flat, self._no_volume = Tally(), Tally(), Tally(), Tally()
        self._line_runs, self._flat_runs = Runs(LINE_BARS_MIN), Runs(FLAT_BARS_MIN - 1)
        self._bad = BadRanges()

    def add(self, columns: Mapping[str, IntArray]) -> None:
        """Take the next rows, as the columns of DataKind.BARS."""
        for window in self._windows.add([columns[name] for name in COLUMNS]):
            self._look(window)

    def finish(self, dataset_hash: str, facts: SourceFacts = NO_FACTS) -> Certificate:
        """Return the certificate of all rows, for the dataset of this hash; `facts` is what importers mended."""
        for window in self._windows.finish():
            self._look(window)
        for run in self._line_runs.finish():
            self._line(run)
        for run in self._flat_runs.finish():
            self._flat_line(run)
        n_rows = self._windows.n_rows
        n_expected = n_rows + self._missing.n
        findings = [
            counted("missing_bars", self._missing, n_expected),
            counted("contradictions", self._contradictions, n_rows),
            counted("outliers", self._outliers, n_rows),
            counted("straight_lines", self._lines, n_rows),
            counted("flat_lines", self._flat, n_rows),
            counted("off_schedule", self._off_schedule, n_rows),
            counted("zero_volume", self._no_volume, n_rows),
            *mended(facts, n_rows, 4 * n_rows),
        ]
        return certify(
            kind=BARS,
            dataset_hash=dataset_hash,
            n_rows=n_rows,
            span_ns=(self._first_ns or 0, self._last_ns),
            coverage=n_rows / n_expected if n_expected else 0.0,
            findings=findings,
            facts=facts,
            bad=self._bad,
            interval_ns=self._interval_ns,
        )

    def _look(self, window: Window) -> None:
        ts_open_ns, _, high, low, close, volume = window.columns
        own = slice(window.start, window.end)
        if self._first_ns is None:
            self._first_ns = int(ts_open_ns[0])
        self._last_ns = int(ts_open_ns[window.end - 1])
        # Whether the bar before is the one an interval earlier; the first bar of all has none.
        follows = np.zeros(len(ts_open_ns), dtype=np.bool_)
        np.equal(np.diff(ts_open_ns), self._interval_ns, out=follows[1:])
        # Bars that follow each other are on schedule if the first of them is.
        if self._is_off or not follows[max(own.start, 1) : own.stop].all():
            self._look_between(window, follows)
            self._is_off = bool((self._last_ns - self._first_ns) % self._interval_ns)
        self._look_inside(window)
        at, reach = bar_outliers(high, low, close, own.start, own.stop)
        if len(at):
            self._outliers.add(
                at, ts_open_ns, window.first_row, far_from(at, reach, "the closes beside it"), sizes=reach
            )
            self._flag(ts_open_ns[at])
        self._look_along(window, follows)
        n_quiet = np.flatnonzero(volume[own] == 0)
        if len(n_quiet):
            self._no_volume.add(n_quiet + own.start, ts_open_ns, window.first_row)

    def _look_between(self, window: Window, follows: BoolArray) -> None:
        ts_open_ns, interval_ns = window.columns[0], self._interval_ns
        own = ts_open_ns[window.start : window.end]
        off = np.flatnonzero((own - (self._first_ns or 0)) % interval_ns) + window.start
        self._off_schedule.add(off, ts_open_ns, window.first_row)
        first = max(window.start, 1)
        late = np.flatnonzero(~follows[first : window.end]) + first
        if not len(late):
            return
        steps = ts_open_ns[late] - ts_open_ns[late - 1]
        missing = steps // interval_ns - 1
        self._bad.add(ts_open_ns[late - 1] + interval_ns, ts_open_ns[late])
        some = missing > 0
        # A place is the first bar that is not there; the row is that of the bar after it.
        expected_ns = ts_open_ns.copy()
        expected_ns[late] = ts_open_ns[late - 1] + interval_ns
        counts = dict(zip(late.tolist(), missing.tolist(), strict=True))
        self._missing.add(
            late[some],
            expected_ns,
            window.first_row,
            lambda index: f"{_bars(counts[index])}, until {show_time(int(ts_open_ns[index]))}",
            counts=missing[some],
            sizes=missing[some],
        )

    def _look_inside(self, window: Window) -> None:
        own = slice(window.start, window.end)
        opened, high, low, close = (column[own] for column in window.columns[1:5])
        wrong = (np.minimum(opened, close) < low) | (np.maximum(opened, close) > high) | (low <= 0)
        at = np.flatnonzero(wrong) + own.start
        if len(at):
            ts_open_ns = window.columns[0]
            self._contradictions.add(at, ts_open_ns, window.first_row, lambda index: self._bar(window, index))
            self._flag(ts_open_ns[at])

    def _look_along(self, window: Window, follows: BoolArray) -> None:
        ts_open_ns = window.columns[0]
        start, end = window.start, window.end
        ends_ns = ts_open_ns[start:end] + np.minimum(self._interval_ns, _ENDS_NS_MAX - ts_open_ns[start:end])
        same = _flat(window, follows)
        # The bar before the first that equals it belongs to the run.
        before_ns = ts_open_ns[start:end] - self._interval_ns
        for run in self._flat_runs.feed(same, before_ns, ends_ns, window.first_row + start):
            self._flat_line(run)
        lines = _lines(window, follows)
        for run in self._line_runs.feed(lines, ts_open_ns[start:end], ends_ns, window.first_row + start):
            self._line(run)

    def _line(self, run: Run) -> None:
        words = f"{_bars(run.length)}, until {show_time(run.end_ns)}"
        self._lines.add_place(run.start_ns, run.first_row, words, size=run.length, n=run.length)
        self._bad.add_one(run.start_ns, run.end_ns)

    def _flat_line(self, run: Run) -> None:
        n = run.length + 1
        words = f"{_bars(n)}, until {show_time(run.end_ns)}"
        self._flat.add_place(run.start_ns, run.first_row - 1, words, size=n, n=n)
        self._bad.add_one(run.start_ns, run.end_ns)

    def _flag(self, ts_open_ns: IntArray) -> None:
        self._bad.add(ts_open_ns, ts_open_ns + self._interval_ns)

    def _bar(self, window: Window, index: int) -> str:
        names = ("open", "high", "low", "close")
        prices = (plain(self._instrument.price(int(column[index]))) for column in window.columns[1:5])
        return ", ".join(f"{name} {price}" for name, price in zip(names, prices, strict=True))


def _flat(window: Window, follows: BoolArray) -> BoolArray:
    """Return for each own bar whether it repeats the one before."""
    start, end = window.start, window.end
    close = window.columns[4]
    first = max(start, 1)
    same = np.zeros(end - start, dtype=np.bool_)
    tail = same[first - start :]
    np.equal(close[first:end], close[first - 1 : end - 1], out=tail)
    tail &= follows[first:end]
    if tail.any():
        for column in (window.columns[index] for index in (1, 2, 3, 5)):
            tail &= column[first:end] == column[first - 1 : end - 1]
    return same


def _lines(window: Window, follows: BoolArray) -> BoolArray:
    """Return for each own bar whether it lies on the line between the bars before and after it."""
    start, end = window.start, window.end
    flags = np.zeros(end - start, dtype=np.bool_)
    first, last = max(start, 1), min(end, len(follows) - 1)
    if last <= first:
        return flags
    # Volume first: hardly any traded bar passes, so that the prices of few are asked.
    volume = window.columns[5]
    bend = volume[first + 1 : last + 1] - volume[first:last]
    bend -= volume[first:last] - volume[first - 1 : last - 1]
    at = np.flatnonzero((bend <= LINE_TICKS) & (bend >= -LINE_TICKS)) + first
    at = at[follows[at] & follows[at + 1]]
    moves = np.abs(volume[at] - volume[at - 1]) > _LINE_MOVES
    for column in window.columns[1:5]:
        step = column[at] - column[at - 1]
        kept = np.abs(column[at + 1] - column[at] - step) <= LINE_TICKS
        at, moves = at[kept], (moves | (np.abs(step) > _LINE_MOVES))[kept]
    flags[at[moves] - start] = True
    return flags


def _bars(n: int) -> str:
    return "1 bar" if n == 1 else f"{n:,} bars"
