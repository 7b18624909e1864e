"""How do a dataset's rows cover its time? Rows in, in pieces of any size; counts, prices and clocks per cell out.

Cells are stretches of UTC time of one round width, at most `CELLS_MAX` of them. How long the data are is not known until
the last row: whenever they outgrow the cells, cells are joined to the next width, which is a multiple of the one before.
Memory is that of the cells.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_S, NS_PER_US
from njord.storage.store.kinds import BOOK_ASK, BOOK_BID, COLUMNS, DataKind, IntArray

FloatArray = NDArray[np.float64]

CELLS_MAX = 1_000
_NS_PER_HOUR = 60 * NS_PER_MINUTE
_FINE_UNITS = tuple(10**power for power in range(9))
_DAYS_DOUBLED = tuple(2**power * NS_PER_DAY for power in range(18))  # Longer than an int64 of nanoseconds.
# Each is a multiple of the one before, so that cells can be joined.
_WIDTHS_NS = (
    *(NS_PER_US, 10 * NS_PER_US, 100 * NS_PER_US, NS_PER_MS, 10 * NS_PER_MS, 100 * NS_PER_MS),
    *(seconds * NS_PER_S for seconds in (1, 5, 15, 30)),
    *(minutes * NS_PER_MINUTE for minutes in (1, 5, 15, 30)),
    *(hours * _NS_PER_HOUR for hours in (1, 2, 4, 12)),
    *_DAYS_DOUBLED,
)
# What else a reader takes for round.
_ROUND_NS = sorted(
    {
        *_WIDTHS_NS,
        *(mantissa * unit for unit in _FINE_UNITS for mantissa in (1, 2, 5)),
        *(seconds * NS_PER_S for seconds in (2, 10, 20)),
        *(minutes * NS_PER_MINUTE for minutes in (2, 3, 10, 20)),
        *(hours * _NS_PER_HOUR for hours in (3, 6, 8)),
        *(days * NS_PER_DAY for days in (3, 5, 7, 10, 14, 30, 60, 90)),
    }
)
_NOT_SHOWN = ("open", "volume_lots", "trade_id", "side", "first_update_id", "last_update_id", "update_id", "bid_lots", "ask_lots")  # fmt: skip


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows lie where, in cells, as columns of one length.

    Attributes:
        width_ns: Width of a cell; the first one begins with the data and the last one ends with them.
        edges_ns: Shape (n + 1,), where each cell begins, and where the last one ends.
        n_rows: Rows of each cell, by their first column.
        n_expected: Bars that the interval asks for; all 0 for the other kinds.
        bad_ns: How much of each cell is bad time.
    """

    width_ns: int
    edges_ns: IntArray
    n_rows: IntArray
    n_expected: IntArray
    bad_ns: IntArray

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return int(self.n_rows.size)

    def shares(self) -> FloatArray:
        """Return rows / expected bars, at most 1; where none is expected 1 for a bar that is there, else NaN."""
        expected = np.where(self.n_expected > 0, self.n_expected, np.where(self.n_rows > 0, 1, np.nan))
        return np.minimum(self.n_rows / expected, 1.0)

    def coarser(self, n_max: int) -> "Coverage":
        """Return the same in at most `n_max` cells of the smallest round width that allows it; as it is if it fits.

        Raises:
            ValueError: `n_max` is below 2: a border of cells may lie anywhere.
        """
        if n_max < 2:
            raise ValueError(f"n_max must be >= 2, was {n_max}")
        if self.n_cells <= n_max:
            return self
        index = int(self.edges_ns[0]) // self.width_ns + np.arange(self.n_cells)
        factor = next(
            width_ns // self.width_ns
            for width_ns in _ROUND_NS
            if width_ns % self.width_ns == 0 and np.ptp(index[[0, -1]] // (width_ns // self.width_ns)) < n_max
        )
        starts = _starts(index // factor)
        return Coverage(
            width_ns=self.width_ns * factor,
            edges_ns=np.append(self.edges_ns[starts], self.edges_ns[-1]),
            n_rows=np.add.reduceat(self.n_rows, starts),
            n_expected=np.add.reduceat(self.n_expected, starts),
            bad_ns=np.add.reduceat(self.bad_ns, starts),
        )


class Courses(msgspec.Struct, frozen=True, kw_only=True):
    """What price and clock did in each cell of a `Coverage`; NaN where a cell says nothing.

    Attributes:
        low: Lowest price, in ticks. Of a book: the lower one of the highest bid and the lowest ask that were set.
        high: Highest price, likewise.
        mean: Mean of closes, of trades or of mids, in ticks; of a book the middle of low and high.
        offset_low_ns: Smallest local minus venue time.
        offset_high_ns: Largest.
        offset_mean_ns: Mean.
    """

    low: FloatArray
    high: FloatArray
    mean: FloatArray
    offset_low_ns: FloatArray
    offset_high_ns: FloatArray
    offset_mean_ns: FloatArray


Table = dict[str, FloatArray]

# How the values of several rows, or of several cells, become the one of their cell. NaN is "none".
_REDUCE: Mapping[str, np.ufunc] = {
    "n_rows": np.add,
    "low": np.fmin,
    "high": np.fmax,
    "sum": np.add,
    "n_sum": np.add,
    "offset_low_ns": np.fmin,
    "offset_high_ns": np.fmax,
    "offset_sum_ns": np.add,
    "n_offset_sum": np.add,
}
_COUNTS = ("n_rows",)


class CoverageCells:
    """Follows the rows of a dataset in the order of their first column.

    Args:
        kind: Which columns they have.
        interval_ns: Length of a bar; 0 for the other kinds.
        with_courses: Also look at prices and clocks.
    """

    def __init__(self, kind: DataKind, interval_ns: int, with_courses: bool = False) -> None:
        self._kind, self._interval_ns, self._with_courses = kind, interval_ns, with_courses
        self._names = tuple(_REDUCE) if with_courses else _COUNTS
        self._widths_ns = [width_ns for width_ns in _WIDTHS_NS if width_ns >= interval_ns]
        self._pieces: list[tuple[IntArray, Table]] = []
        self._first_ns = self._last_ns = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `add` looks at."""
        names = COLUMNS[self._kind]
        return tuple(name for name in names if name not in _NOT_SHOWN) if self._with_courses else names[:1]

    def add(self, columns: Mapping[str, IntArray]) -> None:
        """Take the next rows."""
        times = columns[COLUMNS[self._kind][0]]
        if not len(times):
            return
        if not self._pieces:
            self._first_ns = int(times[0])
        self._last_ns = int(times[-1])
        while self._last_ns // self._widths_ns[0] - self._first_ns // self._widths_ns[0] >= CELLS_MAX:
            self._widen()
        table = {"n_rows": np.ones(len(times))}
        if self._with_courses:
            table |= _course_values(self._kind, columns)
        self._pieces.append(_joined(times // self._widths_ns[0], table))
        if len(self._pieces) > CELLS_MAX:
            self._pieces = [self._all()]

    def finish(self, bad_ranges: IntArray) -> tuple[Coverage, Courses | None]:
        """Return the cells of all rows, and their courses if these were asked for.

        Args:
            bad_ranges: Shape (n, 2), [start_ns, end_ns), disjoint and rising, as a certificate has them.

        Raises:
            ValueError: There were no rows.
        """
        if not self._pieces:
            raise ValueError("there are no rows to show")
        index, sparse = self._all()
        width_ns, first, n_cells = self._widths_ns[0], int(index[0]), int(index[-1] - index[0]) + 1
        table = {}
        for name, values in sparse.items():
            table[name] = np.zeros(n_cells) if _REDUCE[name] is np.add else _none(n_cells)
            table[name][index - first] = values
        end_ns = self._last_ns + max(self._interval_ns, 1)
        inner = np.arange(first + 1, first + n_cells, dtype=np.int64) * width_ns
        edges_ns = np.concatenate(([self._first_ns], inner, [end_ns]))
        coverage = Coverage(
            width_ns=width_ns,
            edges_ns=edges_ns,
            n_rows=table["n_rows"].astype(np.int64),
            n_expected=_expected(edges_ns, self._interval_ns),
            bad_ns=np.diff(_bad_before(edges_ns, bad_ranges)),
        )
        return coverage, _courses(self._kind, table) if self._with_courses else None

    def _widen(self) -> None:
        width_ns = self._widths_ns.pop(0)
        if self._pieces:
            index, table = self._all()
            self._pieces = [_joined(index // (self._widths_ns[0] // width_ns), table)]

    def _all(self) -> tuple[IntArray, Table]:
        index = np.concatenate([index for index, _ in self._pieces])
        return _joined(
            index, {name: np.concatenate([table[name] for _, table in self._pieces]) for name in self._names}
        )


# --- values of rows ------------------------------------------------------------------------------------------------


def _course_values(kind: DataKind, columns: Mapping[str, IntArray]) -> Table:
    low, high, middle = _prices(kind, columns)
    offsets = _none(len(low))
    if (
        "ts_venue_ns" in columns
    ):  # Where a source knows one clock only, such as for a snapshot, both times are its.
        offsets_ns = columns["ts_ns"] - columns["ts_venue_ns"]
        offsets = _where(offsets_ns != 0, offsets_ns)
    return {
        "low": low,
        "high": high,
        "sum": np.nan_to_num(middle, nan=0.0),
        "n_sum": np.isfinite(middle).astype(np.float64),
        "offset_low_ns": offsets,
        "offset_high_ns": offsets,
        "offset_sum_ns": np.nan_to_num(offsets, nan=0.0),
        "n_offset_sum": np.isfinite(offsets).astype(np.float64),
    }


# Lowest, highest and middle price of each row; what is no price, such as an empty side, is NaN.
def _prices(kind: DataKind, columns: Mapping[str, IntArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    if kind is DataKind.BARS:
        low, high, close = (columns[name].astype(np.float64) for name in ("low", "high", "close"))
        return low, high, close
    if kind is DataKind.TRADES:
        price = _where(columns["price_ticks"] > 0, columns["price_ticks"])
        return price, price, price
    if kind is DataKind.QUOTES:
        bid, ask = (_where(columns[name] > 0, columns[name]) for name in ("bid_ticks", "ask_ticks"))
        return bid, ask, (bid + ask) / 2
    is_set, flags = columns["qty_lots"] > 0, columns["flags"]
    bid = _where(is_set & (flags & BOOK_BID > 0), columns["price_ticks"])
    ask = _where(is_set & (flags & BOOK_ASK > 0), columns["price_ticks"])
    return ask, bid, _none(len(ask))


def _where(condition: NDArray[np.bool_], values: IntArray) -> FloatArray:
    return np.where(condition, values, np.nan)


def _none(n: int) -> FloatArray:
    return np.full(n, np.nan)


# --- cells ---------------------------------------------------------------------------------------------------------


def _starts(index: IntArray) -> IntArray:
    return np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))


def _joined(index: IntArray, table: Table) -> tuple[IntArray, Table]:
    starts = _starts(index)
    return index[starts], {name: _REDUCE[name].reduceat(values, starts) for name, values in table.items()}


def _courses(kind: DataKind, table: Table) -> Courses:
    low, high = table["low"], table["high"]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = table["sum"] / table["n_sum"]
        offset_mean_ns = table["offset_sum_ns"] / table["n_offset_sum"]
    if (
        kind is DataKind.BOOK
    ):  # Of levels that were set, the innermost count: the lowest ask, the highest bid.
        low, high = np.fmin(low, high), np.fmax(low, high)
        mean = (low + high) / 2
    return Courses(
        low=low,
        high=high,
        mean=mean,
        offset_low_ns=table["offset_low_ns"],
        offset_high_ns=table["offset_high_ns"],
        offset_mean_ns=offset_mean_ns,
    )


# Bars are expected at every interval from the first one on.
def _expected(edges_ns: IntArray, interval_ns: int) -> IntArray:
    if not interval_ns:
        return np.zeros(len(edges_ns) - 1, dtype=np.int64)
    n_before: IntArray = -((edges_ns[0] - edges_ns) // interval_ns)
    return np.diff(n_before)


# How much bad time lies before each of `times_ns`.
def _bad_before(times_ns: IntArray, ranges: IntArray) -> IntArray:
    if not len(ranges):
        return np.zeros(len(times_ns), dtype=np.int64)
    starts, ends = ranges[:, 0], ranges[:, 1]
    done = np.concatenate(([0], np.cumsum(ends - starts)))
    at = np.searchsorted(starts, times_ns, "right")  # Ranges that have begun; the last of them may go on.
    return done[at] - np.where(at > 0, np.maximum(ends[at - 1] - times_ns, 0), 0)
