"""Whatever pages a venue gives, the sink gets each of its rows once, in order, and only what was missing is asked for."""

from collections.abc import Callable, Mapping
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.apps.download import PIECE_NS, SETTLE_NS, download
from njord.apps.download_report import Columns, DownloadProgress, DownloadReport, DownloadRequest, Piece
from njord.apps.ranges import Range, missing_between
from njord.core.clock import ManualClock
from njord.core.errors import ConfigError, DataError, VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MINUTE
from njord.venues.binance_rows import BAR_COLUMNS, TRADE_COLUMNS
from njord.venues.history import HistoryPage, IntArray
from tests.unit.venues.test_history_rows import spot

MINUTE = NS_PER_MINUTE
START = 1_700_000_040_000_000_000
PAGE = 8
Change = Callable[[Random, IntArray, IntArray], IntArray]  # Chance, all places, those asked for.


def table(kind: str, places: IntArray) -> dict[str, IntArray]:
    """Rows that follow from their places: bars by opening time, trades by id, several of them at one time."""
    if kind == "bars":
        values = (places - START) // MINUTE
        return dict(zip(BAR_COLUMNS, (places, *(values + 100 + n for n in range(5))), strict=True))
    times = START + places // 3 * 1_000_000
    sides = np.where(places % 2, 1, -1)
    return dict(zip(TRADE_COLUMNS, (times, times, places, sides, places + 7, places + 1), strict=True))


class FakeVenue:
    """A market that has `n` rows less `holes`; `change` disturbs its pages, but leaves no row out a second time."""

    name = "fake"
    rows_max = PAGE

    def __init__(self, kind: str, n: int, holes: set[int], change: Change, chance: Random) -> None:
        self.kind = kind
        self.here = np.array([row for row in range(n) if row not in holes], dtype=np.int64)
        if kind == "bars":
            self.here = START + self.here * MINUTE
        self.now_ns = START + n * MINUTE + SETTLE_NS
        self.asked: list[Range] = []
        self.left_out: set[int] = set()
        self.change = change
        self.chance = chance

    def server_time_ns(self) -> int:
        return self.now_ns

    def instrument(self, symbol: str) -> Instrument:
        return spot()

    def check_interval(self, interval_ns: int) -> None:
        assert interval_ns == MINUTE

    def bars(self, instrument: Instrument, interval_ns: int, start_ns: int, end_ns: int) -> HistoryPage:
        return self._page(start_ns, end_ns)

    def trades(self, instrument: Instrument, first_id: int, end_id: int) -> HistoryPage:
        return self._page(first_id, end_id)

    def trade_id_at(self, instrument: Instrument, ts_ns: int) -> int:
        times = table("trades", self.here)["ts_ns"]
        row = int(np.searchsorted(times, ts_ns))
        return int(self.here[row]) if row < len(times) else int(self.here[-1]) + 1 if len(times) else 0

    def _page(self, first: int, end: int) -> HistoryPage:
        self.asked.append((first, end))
        places = self.here[(self.here >= first) & (self.here < end)][:PAGE]
        changed = self.change(self.chance, self.here, places)
        left_out = set(places.tolist()) - set(changed.tolist())
        if not left_out & self.left_out:
            self.left_out |= left_out
            places = changed
        nothing = np.zeros(len(places), dtype=np.bool_)
        return HistoryPage(columns=table(self.kind, places), off_grid=nothing, rounded_volume=nothing)


class MemorySink:
    """Keeps rows, refuses any twice or out of order."""

    def __init__(self, kind: str, rows: Mapping[str, IntArray] | None = None) -> None:
        self.place = "ts_open_ns" if kind == "bars" else "trade_id"
        self.rows = dict(rows or table(kind, np.empty(0, dtype=np.int64)))
        self.n_writes = 0
        self.fails = False

    @property
    def instrument(self) -> Instrument | None:
        return spot() if len(self.rows[self.place]) else None

    def missing_ranges(self, first: int, end: int, step: int) -> list[Range]:
        return missing_between(first, end, np.sort(self.rows[self.place]), step)

    def write(self, columns: Columns, piece: Piece) -> None:
        if self.fails:
            raise DataError("the disk is full")
        times = next(iter(columns.values()))
        assert (np.diff(times) >= 0).all()
        assert not np.isin(columns[self.place], self.rows[self.place]).any()
        assert len(np.unique(columns[self.place])) == len(times) > 0
        self.n_writes += 1
        joined = {name: np.concatenate((self.rows[name], columns[name])) for name in self.rows}
        order = np.lexsort((joined[self.place], next(iter(joined.values()))))
        self.rows = {name: values[order] for name, values in joined.items()}


def as_is(chance: Random, here: IntArray, places: IntArray) -> IntArray:
    return places


def shuffled(chance: Random, here: IntArray, places: IntArray) -> IntArray:
    order = list(range(len(places)))
    chance.shuffle(order)
    return places[order]


def doubled(chance: Random, here: IntArray, places: IntArray) -> IntArray:
    return np.sort(np.concatenate((places, places[::2])))


def thinned(chance: Random, here: IntArray, places: IntArray) -> IntArray:
    return places[[chance.random() < 0.5 for _ in places]] if len(places) else places


def emptied(chance: Random, here: IntArray, places: IntArray) -> IntArray:
    return places[:0]


def earlier(chance: Random, here: IntArray, places: IntArray) -> IntArray:
    if not len(places):
        return places
    first = int(np.searchsorted(here, places[0]))
    return here[max(0, first - 4) : first + 2]


def later(chance: Random, here: IntArray, places: IntArray) -> IntArray:
    if not len(places):
        return places
    first = int(np.searchsorted(here, places[0]))
    return here[first + 3 : first + 3 + PAGE]


CHANGES: list[Change] = [as_is, shuffled, doubled, thinned, emptied, earlier, later]


def get(venue: FakeVenue, sink: MemorySink, *, pages: int = 500, end_ns: int | None = None) -> DownloadReport:
    def quiet(progress: DownloadProgress) -> None:
        """Nobody looks."""

    interval_ns = MINUTE if venue.kind == "bars" else 0
    request = DownloadRequest(symbol="BTC/USDT", start_ns=START, end_ns=end_ns, interval_ns=interval_ns)
    return download(request, venue, sink, ManualClock(), quiet, pages)


@given(
    kind=st.sampled_from(["bars", "trades"]),
    n=st.integers(1, 60),
    holes=st.sets(st.integers(0, 59), max_size=20),
    there=st.sets(st.integers(0, 59), max_size=30),
    change=st.sampled_from(CHANGES),
    pages=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_every_row_of_the_venue_arrives_once_and_its_gaps_are_named(
    kind: str, n: int, holes: set[int], there: set[int], change: Change, pages: int, seed: int
) -> None:
    venue = FakeVenue(kind, n, holes, change, Random(seed))
    known = venue.here[np.isin(np.arange(len(venue.here)), list(there))]
    sink = MemorySink(kind, table(kind, known))
    report = get(venue, sink, pages=pages)
    assert {name: values.tolist() for name, values in sink.rows.items()} == {
        name: values.tolist() for name, values in table(kind, venue.here).items()
    }
    assert report.n_rows == len(venue.here) - len(known)
    assert report.is_complete
    step = MINUTE if kind == "bars" else 1
    missing = {place for gap in report.gaps for place in range(gap.first, gap.end, step)}
    first = START if kind == "bars" else venue.trade_id_at(spot(), START)
    end = START + n * MINUTE if kind == "bars" else first if not len(venue.here) else int(venue.here[-1]) + 1
    assert missing == set(range(first, end, step)) - set(venue.here.tolist())
    assert sum(gap.n_missing for gap in report.gaps) == len(missing)


@pytest.mark.parametrize("kind", ["bars", "trades"])
def test_a_whole_store_is_asked_for_nothing(kind: str) -> None:
    venue = FakeVenue(kind, 50, set(), as_is, Random(0))
    sink = MemorySink(kind, table(kind, venue.here))
    report = get(venue, sink)
    assert (venue.asked, sink.n_writes, report.n_known, report.n_rows) == ([], 0, 50, 0)


def test_holes_that_one_page_can_hold_share_a_request() -> None:
    venue = FakeVenue("bars", 40, set(), as_is, Random(0))
    there = np.delete(venue.here, [3, 5, 7, 20, 39])
    sink = MemorySink("bars", table("bars", there))
    assert get(venue, sink).n_rows == 5
    assert [((first - START) // MINUTE, (end - START) // MINUTE) for first, end in venue.asked] == [
        (3, 8), (20, 21), (39, 40),
    ]  # fmt: skip


def test_years_before_the_first_bar_cost_two_requests_and_a_last_one() -> None:
    venue = FakeVenue("bars", 5_000, set(range(4_990)), as_is, Random(0))
    report = get(venue, MemorySink("bars"))
    assert [gap.n_missing for gap in report.gaps] == [4_990]
    assert len(venue.asked) == 4


def test_one_bar_with_two_contents_is_not_believed_and_asked_again() -> None:
    class Doubtful(FakeVenue):
        def _page(self, first: int, end: int) -> HistoryPage:
            page = super()._page(first, end)
            if len(self.asked) > 1:
                return page
            columns = {name: np.concatenate((values, values[-1:])) for name, values in page.columns.items()}
            columns["close"][-2] += 1
            nothing = np.zeros(len(columns["close"]), dtype=np.bool_)
            return HistoryPage(columns=columns, off_grid=nothing, rounded_volume=nothing)

    venue = Doubtful("bars", 20, set(), as_is, Random(0))
    sink = MemorySink("bars")
    report = get(venue, sink)
    assert report.n_conflicts == 2
    assert sink.rows["close"].tolist() == table("bars", venue.here)["close"].tolist()


def test_answers_about_something_else_end_in_one_line() -> None:
    class Deaf(FakeVenue):
        def _page(self, first: int, end: int) -> HistoryPage:
            self.asked.append((first, end))
            nothing = np.zeros(3, dtype=np.bool_)
            return HistoryPage(
                columns=table("bars", START - np.arange(3, 0, -1) * MINUTE),
                off_grid=nothing,
                rounded_volume=nothing,
            )

    deaf = Deaf("bars", 50, set(), as_is, Random(0))
    with pytest.raises(VenueUnavailable, match="nothing of what is asked for, 6 times in a row"):
        get(deaf, MemorySink("bars"))
    assert len(deaf.asked) == 6


def test_a_piece_is_committed_every_half_minute_of_work() -> None:
    clock = ManualClock()
    sink, n_writes = MemorySink("bars"), []

    def look(progress: DownloadProgress) -> None:
        n_writes.append(sink.n_writes)
        clock.advance_to(clock.now_ns() + PIECE_NS // 2)

    venue = FakeVenue("bars", PAGE * 6, set(), as_is, Random(0))
    request = DownloadRequest(symbol="BTC/USDT", start_ns=START, interval_ns=MINUTE)
    report = download(request, venue, sink, clock, look)
    assert n_writes == [0, 0, 1, 1, 2, 2]
    assert report.n_commits == 3


def test_a_store_that_refuses_is_said_and_not_hidden() -> None:
    venue = FakeVenue("bars", 20, set(), as_is, Random(0))
    sink = MemorySink("bars")
    sink.fails = True
    with pytest.raises(DataError, match="the disk is full"):
        get(venue, sink)


@pytest.mark.parametrize("late_ns", [0, 1, SETTLE_NS - 1])
def test_a_bar_is_taken_once_its_end_is_settled_and_not_before(late_ns: int) -> None:
    venue = FakeVenue("bars", 10, set(), as_is, Random(0))
    venue.now_ns = START + 10 * MINUTE + late_ns
    sink = MemorySink("bars")
    get(venue, sink)
    assert len(sink.rows["ts_open_ns"]) == 9
    venue.now_ns = START + 10 * MINUTE + SETTLE_NS
    get(venue, sink)
    assert len(sink.rows["ts_open_ns"]) == 10


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "line"),
    [
        (START, START, r"--end 2023-11-14T22:14:00Z does not lie after --start 2023-11-14T22:14:00Z"),
        (START, START - 1, "does not lie after"),
        (2 * START, None, "lies in the future"),
    ],
)
def test_a_time_that_holds_nothing_is_refused(start_ns: int, end_ns: int | None, line: str) -> None:
    venue = FakeVenue("bars", 10, set(), as_is, Random(0))
    request = DownloadRequest(symbol="BTC/USDT", start_ns=start_ns, end_ns=end_ns, interval_ns=MINUTE)
    with pytest.raises(ConfigError, match=line):
        download(request, venue, MemorySink("bars"), ManualClock(), lambda progress: None)


def test_the_edges_of_a_request_are_whole_bars() -> None:
    venue = FakeVenue("bars", 30, set(), as_is, Random(0))
    sink = MemorySink("bars")
    request = DownloadRequest(
        symbol="BTC/USDT", start_ns=START + 1, end_ns=START + 5 * MINUTE + 1, interval_ns=MINUTE
    )
    report = download(request, venue, sink, ManualClock(), lambda progress: None)
    assert ((sink.rows["ts_open_ns"] - START) // MINUTE).tolist() == [1, 2, 3, 4, 5]
    assert (report.start_ns, report.end_ns) == (START + MINUTE, START + 6 * MINUTE)


def test_the_report_says_what_a_reader_must_know_and_nothing_when_all_went_well() -> None:
    venue = FakeVenue("bars", 30, set(), as_is, Random(0))
    assert get(venue, MemorySink("bars")).notes() == []
    holes = set(range(0, 30, 2)) | {29}
    bars = get(FakeVenue("bars", 30, holes, as_is, Random(0)), MemorySink("bars")).notes()
    assert (
        bars[0] == "the venue has no bars between 2023-11-14T22:14:00Z and 2023-11-14T22:15:00Z (1 missing)"
    )
    assert bars[-1] == "and 5 more such gaps (6 missing)"
    trades = get(FakeVenue("trades", 30, {4, 5}, as_is, Random(0)), MemorySink("trades")).notes()
    assert trades == ["the venue has no trades with ids 4 to 5 (2 missing)"]
    twice = get(FakeVenue("bars", 30, set(), doubled, Random(0)), MemorySink("bars")).notes()
    assert twice == ["15 rows came more than once and were dropped"]
