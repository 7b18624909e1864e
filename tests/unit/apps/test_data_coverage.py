"""Coverage in numbers: every row in one cell, gaps where they are, bad time to the nanosecond, whatever the pieces."""

import numpy as np
import pytest

from njord.apps.data_coverage import CELLS_MAX, Coverage, CoverageCells
from njord.storage.store.kinds import BOOK_ASK, BOOK_BID, DataKind
from tests.unit.storage.store.store_samples import DAY_NS, MINUTE_NS, START_NS, Rows, bars, piece, trades

NONE = np.empty((0, 2), dtype=np.int64)
SECOND_NS = 1_000_000_000
HOUR_NS = 60 * MINUTE_NS


def covered(
    kind: DataKind,
    rows: Rows,
    bad: list[tuple[int, int]] | None = None,
    interval_ns: int = 0,
    size: int = 10**6,
) -> Coverage:
    """The coverage of rows that come in pieces of `size`."""
    cells = CoverageCells(kind, interval_ns)
    n_rows = len(next(iter(rows.values())))
    for first in range(0, n_rows, size):
        cells.add(piece(rows, first, first + size))
    return cells.finish(np.array(bad, dtype=np.int64).reshape(-1, 2) if bad else NONE)[0]


def bars_without(n_bars: int, missing: range) -> Rows:
    """Minute bars 0 to n_bars but those of `missing`."""
    kept = np.array([number not in missing for number in range(n_bars)])
    return {name: column[kept] for name, column in bars(n_bars).items()}


def test_a_gap_in_the_middle_is_where_it_is_and_the_last_cell_is_partial() -> None:
    found = covered(DataKind.BARS, bars_without(23, range(7, 12)), interval_ns=MINUTE_NS).coarser(5)
    assert found.width_ns == 5 * MINUTE_NS
    assert found.n_rows.tolist() == [5, 2, 3, 5, 3]
    assert found.n_expected.tolist() == [5, 5, 5, 5, 3]
    assert found.shares().tolist() == [1, 0.4, 0.6, 1, 1]
    assert (found.edges_ns - START_NS).tolist() == [minutes * MINUTE_NS for minutes in (0, 5, 10, 15, 20, 23)]


def test_cells_lie_on_the_clock_so_that_the_first_one_is_partial() -> None:
    rows = bars(20)
    rows["ts_open_ns"] = rows["ts_open_ns"] + 3 * MINUTE_NS
    found = covered(DataKind.BARS, rows, interval_ns=MINUTE_NS).coarser(5)
    assert found.n_rows.tolist() == [2, 5, 5, 5, 3]
    assert found.n_expected.tolist() == found.n_rows.tolist()


def test_bars_off_the_clock_are_expected_where_they_open() -> None:
    rows = bars(600)
    rows["ts_open_ns"] = rows["ts_open_ns"] + 37 * SECOND_NS
    for n_max in (2, 3, 7, 61, 601):
        found = covered(DataKind.BARS, rows, interval_ns=MINUTE_NS).coarser(n_max)
        assert found.n_rows.tolist() == found.n_expected.tolist()
        assert found.n_rows.sum() == 600


@pytest.mark.parametrize("interval_ns", [7 * MINUTE_NS, 3 * DAY_NS, 400 * DAY_NS])
def test_an_odd_interval_is_expected_exactly(interval_ns: int) -> None:
    rows = bars(50)
    rows["ts_open_ns"] = START_NS + np.arange(50) * interval_ns
    found = covered(DataKind.BARS, rows, interval_ns=interval_ns)
    assert found.width_ns >= interval_ns
    assert found.n_rows.tolist() == found.n_expected.tolist()


@pytest.mark.parametrize("n_rows", [1, 2, 1_999, 20_000])
@pytest.mark.parametrize("size", [1_000_000, 997])
def test_cells_add_up_to_the_rows_however_the_pieces_are_cut(n_rows: int, size: int) -> None:
    rows = trades(n_rows)
    found = covered(DataKind.TRADES, rows, size=size)
    assert 1 <= found.n_cells <= CELLS_MAX
    assert int(found.n_rows.sum()) == n_rows
    counted = np.histogram(rows["ts_ns"], bins=found.edges_ns.astype(np.float64))[0]
    assert abs(found.n_rows - counted).sum() <= 2  # numpy compares as floats.
    expected = [np.count_nonzero((rows["ts_ns"] >= a) & (rows["ts_ns"] < b)) for a, b in zip(found.edges_ns[:-1], found.edges_ns[1:], strict=True)]  # fmt: skip
    assert found.n_rows.tolist() == expected
    for n_max in (2, 60, 100):
        coarse = found.coarser(n_max)
        assert coarse.n_cells <= n_max
        assert int(coarse.n_rows.sum()) == n_rows
        assert (coarse.edges_ns[0], coarse.edges_ns[-1]) == (found.edges_ns[0], found.edges_ns[-1])
        assert set(coarse.edges_ns.tolist()) <= set(found.edges_ns.tolist())


def test_a_single_row_is_one_cell() -> None:
    found = covered(DataKind.TRADES, trades(1))
    assert found.n_rows.tolist() == [1]
    assert (found.edges_ns - START_NS).tolist() == [0, 1]


def test_two_rows_lifetimes_apart_still_fit() -> None:
    rows = trades(2)
    rows["ts_ns"] = np.array([0, 2**63 - 2])
    found = covered(DataKind.TRADES, rows)
    assert found.n_cells <= CELLS_MAX
    assert int(found.n_rows.sum()) == 2
    assert found.coarser(2).n_cells == 2


def test_bad_time_is_cut_at_the_cells_to_the_nanosecond() -> None:
    bad = [
        (START_NS + 4 * MINUTE_NS + 7, START_NS + 11 * MINUTE_NS),
        (START_NS + 12 * MINUTE_NS, START_NS + DAY_NS),
    ]
    found = covered(DataKind.BARS, bars(15), bad, MINUTE_NS).coarser(3)
    assert found.bad_ns.tolist() == [MINUTE_NS - 7, 5 * MINUTE_NS, MINUTE_NS + 3 * MINUTE_NS]


def test_bad_time_before_and_after_the_rows_is_not_theirs() -> None:
    bad = [(START_NS - 9, START_NS - 5), (START_NS + 15 * MINUTE_NS, START_NS + 16 * MINUTE_NS)]
    assert not covered(DataKind.BARS, bars(15), bad, MINUTE_NS).bad_ns.any()


def test_nothing_to_show_and_too_few_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        CoverageCells(DataKind.BARS, MINUTE_NS).finish(NONE)
    with pytest.raises(ValueError, match="n_max must be >= 2, was 1"):
        covered(DataKind.TRADES, trades(9)).coarser(1)


# --- price and clock -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_000_000, 331])
def test_no_extreme_of_a_price_is_left_out(size: int) -> None:
    rows = bars(5_000)
    rows["high"][3_333] = 9_000_000
    rows["low"][1_234] = 17
    cells = CoverageCells(DataKind.BARS, MINUTE_NS, with_courses=True)
    for first in range(0, 5_000, size):
        cells.add(piece(rows, first, first + size))
    coverage, courses = cells.finish(NONE)
    assert courses is not None
    ends = np.cumsum(coverage.n_rows)
    for cell in range(coverage.n_cells):
        own = slice(int(ends[cell] - coverage.n_rows[cell]), int(ends[cell]))
        assert courses.low[cell] == rows["low"][own].min()
        assert courses.high[cell] == rows["high"][own].max()
        assert courses.mean[cell] == pytest.approx(rows["close"][own].mean())
    assert np.isnan(courses.offset_low_ns).all()


def test_a_cell_without_rows_has_no_price() -> None:
    rows = bars_without(30, range(10, 20))
    cells = CoverageCells(DataKind.BARS, MINUTE_NS, with_courses=True)
    cells.add(rows)
    coverage, courses = cells.finish(NONE)
    assert courses is not None
    assert np.isnan(courses.mean).tolist() == (coverage.n_rows == 0).tolist()
    assert np.isnan(courses.mean).sum() == 10


def test_clocks_are_compared_only_where_there_are_two() -> None:
    rows = trades(4)
    rows["ts_ns"] = START_NS + np.arange(4, dtype=np.int64)
    rows["ts_venue_ns"] = rows["ts_ns"] - np.array([30, 0, -10, 70])
    rows["price_ticks"] = np.array([5, -1, 0, 9])
    cells = CoverageCells(DataKind.TRADES, 0, with_courses=True)
    cells.add(rows)
    _, courses = cells.finish(NONE)
    assert courses is not None
    assert (courses.offset_low_ns[0], courses.offset_high_ns[0], courses.offset_mean_ns[0]) == (-10, 70, 30)
    assert (courses.low[0], courses.high[0], courses.mean[0]) == (5, 9, 7)


def test_an_empty_side_is_no_quote() -> None:
    cells = CoverageCells(DataKind.QUOTES, 0, with_courses=True)
    columns = {
        "bid_ticks": [100, 0, 104],
        "ask_ticks": [102, 103, 0],
        "bid_lots": [1, 0, 1],
        "ask_lots": [1, 1, 0],
    }
    cells.add({name: np.array(values) for name, values in columns.items()} | {"ts_ns": np.full(3, START_NS)})
    _, courses = cells.finish(NONE)
    assert courses is not None
    assert (courses.low[0], courses.high[0], courses.mean[0]) == (100, 103, 101)


def test_a_book_shows_the_highest_bid_and_the_lowest_ask_that_were_set() -> None:
    cells = CoverageCells(DataKind.BOOK, 0, with_courses=True)
    flags = np.array([BOOK_BID, BOOK_BID, BOOK_BID, BOOK_ASK, BOOK_ASK, BOOK_ASK, 0])
    cells.add(
        {
            "ts_ns": np.full(7, START_NS),
            "ts_venue_ns": np.full(7, START_NS),
            "flags": flags,
            "price_ticks": np.array([90, 98, 99, 101, 102, 100, 0]),
            "qty_lots": np.array([1, 1, 0, 5, 5, 0, 0]),
        }
    )
    _, courses = cells.finish(NONE)
    assert courses is not None
    assert (courses.low[0], courses.high[0], courses.mean[0]) == (98, 101, 99.5)
