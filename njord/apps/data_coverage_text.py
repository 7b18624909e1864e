"""What does coverage look like in characters? Cells in; a few lines of blocks, marks and times out.

Bars: how full a column is, is the share of the expected bars that are there, and only a complete one is full. The other
kinds: rows, on a logarithmic scale. Bad time has a mark of its own below its column, so that nothing hangs on color.
"""

from collections.abc import Iterator

import msgspec
import numpy as np

from njord.apps.data_coverage import Coverage
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from njord.storage.bars_text import show_time

CELLS_MIN, CELLS_SHOWN_MAX = 20, 100
MARK = "x"
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*%#"
_LEVELS = 8  # Of one character; two lines of them are drawn.
_HOUR_NS = 60 * NS_PER_MINUTE
_STEPS_NS = (
    *(mantissa * 10**power for power in range(9) for mantissa in (1, 2, 5)),
    *(seconds * NS_PER_S for seconds in (1, 2, 5, 10, 15, 30)),
    *(minutes * NS_PER_MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR_NS for hours in (1, 2, 3, 6, 12)),
    *(days * NS_PER_DAY for days in (1, 2, 5, 10)),
)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1_200)
_SECONDS_BELOW_NS = 20 * NS_PER_MINUTE
_LABEL_CHARS = 11  # A tick's label and the room around it.


class Drawing(msgspec.Struct, frozen=True):
    """Coverage as text; every line is as long as the others, but for the labels.

    Attributes:
        blocks: Two lines, the upper one first.
        marks: `MARK` below each column that holds bad time, else blanks.
        axis: The line of the time axis with its ticks.
        labels: The times of the first row, of ticks, and of the end.
        n_chars: Characters that a cell takes.
    """

    blocks: tuple[str, str]
    marks: str
    axis: str
    labels: str
    n_chars: int


def draw(coverage: Coverage, n_columns: int, ascii_only: bool = False) -> tuple[Coverage, Drawing]:
    """Return the cells that are drawn, and the drawing, at most `n_columns` characters wide.

    Args:
        coverage: The cells; they are made coarser until they fit.
        n_columns: At least `CELLS_MIN`.
        ascii_only: For a terminal that knows no block characters.
    """
    cells = coverage.coarser(min(n_columns, CELLS_SHOWN_MAX))
    n_chars = max(1, n_columns // cells.n_cells)
    glyphs = _ASCII if ascii_only else _BLOCKS
    upper, lower = "", ""
    for level in levels(cells):
        upper += glyphs[max(level - _LEVELS, 0)] * n_chars
        lower += glyphs[min(level, _LEVELS)] * n_chars
    marks = "".join((MARK if bad_ns else " ") * n_chars for bad_ns in cells.bad_ns.tolist())
    axis, labels = _time_axis(cells, n_chars, "-+" if ascii_only else "─┴")
    return cells, Drawing((upper, lower), marks, axis, labels, n_chars)


def levels(cells: Coverage) -> list[int]:
    """Return for each cell how full it is drawn, 0 to 16: 0 only without a row, 16 only where nothing is missing.

    Without an expectation 16 stands for the most rows of any cell, and a level for a constant factor.
    """
    if cells.n_expected.any():
        full = np.nan_to_num(cells.shares(), nan=0.0)
    else:
        full = np.log1p(cells.n_rows) / np.log1p(cells.n_rows.max())
    drawn: list[int] = np.where(cells.n_rows > 0, np.maximum(full * 2 * _LEVELS, 1), 0).astype(int).tolist()
    return drawn


def _time_axis(cells: Coverage, n_chars: int, line: str) -> tuple[str, str]:
    n_columns = cells.n_cells * n_chars
    first_ns, end_ns = int(cells.edges_ns[0]), int(cells.edges_ns[-1])
    origin_ns = first_ns // cells.width_ns * cells.width_ns
    axis, labels = [line[0]] * n_columns, [" "] * n_columns
    chars = 16 if end_ns - first_ns >= _SECONDS_BELOW_NS else 19
    first, last = (
        show_time(each // NS_PER_S * NS_PER_S)[:chars].replace("T", " ") for each in (first_ns, end_ns)
    )
    ends = first + last.rjust(n_columns - len(first)) if n_columns > 2 * len(first) + 2 else first
    labels[: len(ends)] = ends
    for tick_ns, text in _ticks(first_ns, end_ns, n_columns // _LABEL_CHARS):
        column = (tick_ns - origin_ns) * n_chars // cells.width_ns
        if not 0 <= column < n_columns:
            continue
        axis[column] = line[1]
        start = column - len(text) // 2
        room = labels[max(start - 2, 0) : start + len(text) + 2]
        if start >= 2 and start + len(text) <= n_columns and not any(char != " " for char in room):
            labels[start : start + len(text)] = text
    return "".join(axis), "".join(labels).rstrip()


# Round times within [first, end), `n` or fewer, and what to call them.
def _ticks(first_ns: int, end_ns: int, n: int) -> Iterator[tuple[int, str]]:
    span_ns = end_ns - first_ns
    step_ns = next((step_ns for step_ns in _STEPS_NS if span_ns <= step_ns * n), 0)
    if step_ns:
        chars = slice(11, 16 if step_ns >= NS_PER_MINUTE else 23)
        for tick_ns in range(-(-first_ns // step_ns) * step_ns, end_ns, step_ns):
            yield tick_ns, show_time(tick_ns)[:-1][slice(5, 10) if tick_ns % NS_PER_DAY == 0 else chars]
        return
    months = np.array([first_ns, end_ns], dtype="datetime64[ns]").astype("datetime64[M]").astype(int)
    step = next(step for step in _MONTHS if months[1] - months[0] <= step * n or step == _MONTHS[-1])
    for month in range(-(-int(months[0]) // step) * step, int(months[1]) + 1, step):
        moment = np.datetime64(month, "M")
        yield int(moment.astype("datetime64[ns]").astype(int)), str(moment)[: 4 if step >= 12 else 7]
