"""A venue's past comes into the store exactly, through CCXT and HTTP, whatever the server does wrong on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from njord.apps.download import download
from njord.apps.download_report import Columns, DownloadProgress, DownloadReport, DownloadRequest, Piece
from njord.apps.ranges import Range, missing_between
from njord.core.errors import ConfigError, VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MINUTE
from njord.venues.ccxt_history import BinanceUSHistory, open_binanceus
from njord.venues.history import VenueRefusal
from njord.venues.rest import Patience
from tests.integration.binance_server import (
    BREAKING,
    NS_PER_MS,
    PAGES,
    START_MS,
    BinanceServer,
    Market,
    Plan,
    VirtualTime,
)

pytestmark = pytest.mark.integration

START_NS = START_MS * NS_PER_MS
BARS = DownloadRequest(symbol="BTC/USDT", start_ns=START_NS, interval_ns=NS_PER_MINUTE)
TRADES = DownloadRequest(symbol="BTC/USDT", start_ns=START_NS)


class MemorySink:
    """Rows in memory; `place` is the column that tells them apart."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.rows: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        self._instrument: Instrument | None = None

    @property
    def instrument(self) -> Instrument | None:
        return self._instrument

    def missing_ranges(self, first: int, end: int, step: int) -> list[Range]:
        places = np.sort(self.rows[self.place]) if self.rows else np.empty(0, dtype=np.int64)
        return missing_between(first, end, places, step)

    def write(self, columns: Columns, piece: Piece) -> None:
        times = next(iter(columns.values()))
        assert (np.diff(times) >= 0).all(), "rows come in order of time"
        if self.rows:
            columns = {name: np.concatenate((self.rows[name], columns[name])) for name in columns}
        order = np.argsort(next(iter(columns.values())), kind="stable")
        assert len(np.unique(columns[self.place])) == len(columns[self.place]), "no row twice"
        self.rows = {name: values[order] for name, values in columns.items()}
        self._instrument = piece.instrument


def same(rows: Columns, market: Columns) -> bool:
    return list(rows) == list(market) and all(np.array_equal(rows[name], market[name]) for name in rows)


@contextmanager
def venue_at(
    server: BinanceServer, patience: Patience | None = None, timeout_ms: int = 5_000
) -> Iterator[BinanceUSHistory]:
    with open_binanceus(
        server.time,
        server.time.sleep,
        Random(3),
        endpoint=server.url,
        patience=patience,
        timeout_ms=timeout_ms,
    ) as venue:
        yield venue


def fetch(
    server: BinanceServer,
    request: DownloadRequest,
    sink: MemorySink,
    progress: Callable[[DownloadProgress], None] = lambda each: None,
    timeout_ms: int = 5_000,
) -> DownloadReport:
    with venue_at(server, timeout_ms=timeout_ms) as venue:
        return download(request, venue, sink, server.time, progress)


def at_the_end_of(market: Market) -> VirtualTime:
    return VirtualTime(market.end_ms + 2_500)


def test_bars_are_the_market_to_the_last_digit_and_the_open_one_stays_out() -> None:
    market = Market(2_500)
    with BinanceServer(market, at_the_end_of(market), serves_open_bar=True) as server:
        sink = MemorySink("ts_open_ns")
        report = fetch(server, BARS, sink)
    assert same(sink.rows, market.closed_bars())
    assert (report.n_rows, report.n_pages, report.gaps, report.is_complete) == (2_500, 3, (), True)
    assert report.n_unasked > 0
    assert report.off_grid.n == 0
    assert [asked.path for asked in server.asked] == ["exchangeInfo", "time", "klines", "klines", "klines"]
    assert all("limit" not in asked.query or asked.query["limit"] == "1000" for asked in server.asked)


def test_trades_are_the_market_with_the_side_of_the_aggressor() -> None:
    market = Market(60, 3_456)
    with BinanceServer(market, at_the_end_of(market)) as server:
        sink = MemorySink("trade_id")
        report = fetch(server, TRADES, sink)
    assert same(sink.rows, market.trades)
    assert (report.n_rows, report.gaps) == (3_456, ())
    assert [asked.query["fromId"] for asked in server.rows_asked("aggTrades")] == [
        "5000", "6000", "7000", "8000",
    ]  # fmt: skip


def test_a_window_of_trades_begins_and_ends_at_its_times() -> None:
    market = Market(60, 3_456)
    times = market.trades["ts_ns"]
    request = DownloadRequest(symbol="BTC/USDT", start_ns=int(times[700]) + 1, end_ns=int(times[2_000]))
    with BinanceServer(market, at_the_end_of(market)) as server:
        sink = MemorySink("trade_id")
        fetch(server, request, sink)
    wanted = (times >= request.start_ns) & (times < times[2_000])
    assert same(sink.rows, {name: values[wanted] for name, values in market.trades.items()})


@pytest.mark.parametrize("fault", [*BREAKING, *PAGES])
@pytest.mark.parametrize("kind", ["klines", "aggTrades"])
def test_one_fault_of_each_kind_changes_nothing(kind: str, fault: str) -> None:
    market = Market(2_300, 2_300 if kind == "aggTrades" else 0)
    # Also at the very first request for rows, and at the last page.
    plan = Plan({0: fault, 2: fault, 4: fault})
    with BinanceServer(market, at_the_end_of(market), plan) as server:
        sink = MemorySink("ts_open_ns" if kind == "klines" else "trade_id")
        report = fetch(server, BARS if kind == "klines" else TRADES, sink)
        assert sum(bool(asked.fault) for asked in server.asked) >= 2
    assert same(sink.rows, market.closed_bars() if kind == "klines" else market.trades)
    assert report.gaps == ()
    if kind == "klines" and fault in ("repeated", "overlapping"):
        assert report.n_duplicates > 0
    if kind == "klines" and fault == "shuffled":
        assert report.n_disordered > 0


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 12))]
)
def test_all_faults_mixed_under_a_seed_change_nothing(seed: int) -> None:
    market = Market(12_000, 9_000, seed=seed, missing_bars=[(1_200, 1_300), (5_000, 5_001)])
    for request, place, rows in (
        (BARS, "ts_open_ns", market.closed_bars()),
        (TRADES, "trade_id", market.trades),
    ):
        with BinanceServer(market, at_the_end_of(market), Plan(seed=seed, share=0.4)) as server:
            sink = MemorySink(place)
            report = fetch(server, request, sink)
            assert {asked.fault for asked in server.asked} & {*BREAKING}
        assert same(sink.rows, rows), f"seed {seed}"
        assert [gap.n_missing for gap in report.gaps] == ([100, 1] if request is BARS else [])


def test_a_silent_connection_is_given_up_and_asked_again() -> None:
    market = Market(1_500)
    with BinanceServer(market, at_the_end_of(market), Plan({1: "slow"})) as server:
        sink = MemorySink("ts_open_ns")
        fetch(server, BARS, sink, timeout_ms=1_000)
    assert same(sink.rows, market.closed_bars())


def test_a_venue_that_never_answers_is_named_so() -> None:
    market = Market(10)
    plan = Plan({0: "slow", 1: "slow"})
    with (
        BinanceServer(market, at_the_end_of(market), plan) as server,
        venue_at(server, Patience(n_attempts=2), timeout_ms=100) as venue,
        pytest.raises(VenueUnavailable, match="klines in 2 attempts, the last time no answer in time"),
    ):
        venue.bars(venue.instrument("BTC/USDT"), NS_PER_MINUTE, START_NS, START_NS + NS_PER_MINUTE)


@pytest.mark.parametrize("fault", PAGES)
@pytest.mark.parametrize("phase", [0, 1])
def test_the_first_trade_of_a_time_is_found_although_every_second_answer_misleads(
    fault: str, phase: int
) -> None:
    market = Market(60, 3_456, missing_trades=[(900, 905)])
    times, ids = market.trades["ts_ns"], market.trades["trade_id"]
    plan = Plan(dict.fromkeys(range(phase, 2_000, 2), fault))
    with BinanceServer(market, at_the_end_of(market), plan) as server, venue_at(server) as venue:
        instrument = venue.instrument("BTC/USDT")
        for row in (0, 1, 17, 899, 900, 1_733, 3_450):
            ts_ns = int(times[row])
            assert venue.trade_id_at(instrument, ts_ns) == ids[np.searchsorted(times, ts_ns)]
        assert venue.trade_id_at(instrument, int(times[-1]) + 1_000_000) == ids[-1] + 1
        assert venue.trade_id_at(instrument, 0) == ids[0]


def test_a_market_without_a_trade_is_empty_and_no_error() -> None:
    market = Market(60)
    with BinanceServer(market, at_the_end_of(market)) as server:
        report = fetch(server, TRADES, MemorySink("trade_id"))
    assert (report.n_rows, report.gaps, report.is_complete) == (0, (), True)


@pytest.mark.parametrize("skew_ms", [-7_200_000, 7_200_000])
def test_the_venues_clock_decides_what_has_closed(skew_ms: int) -> None:
    market = Market(200)
    local = VirtualTime(market.end_ms + 2_500 - skew_ms)
    with BinanceServer(market, local, skew_ms=skew_ms, serves_open_bar=True) as server:
        sink = MemorySink("ts_open_ns")
        fetch(server, BARS, sink)
    assert same(sink.rows, market.closed_bars())


def test_what_the_venue_itself_lacks_is_asked_for_again_and_then_named() -> None:
    market = Market(
        3_000, 3_000, missing_bars=[(0, 40), (1_000, 1_007), (2_999, 3_000)], missing_trades=[(5, 9)]
    )
    with BinanceServer(market, at_the_end_of(market)) as server:
        sink, trades = MemorySink("ts_open_ns"), MemorySink("trade_id")
        report = fetch(server, BARS, sink)
        by_trades = fetch(server, TRADES, trades)
    minute = NS_PER_MINUTE
    assert same(sink.rows, market.closed_bars())
    assert [((gap.first - START_NS) // minute, (gap.end - START_NS) // minute) for gap in report.gaps] == [
        (0, 40), (1_000, 1_007), (2_999, 3_000),
    ]  # fmt: skip
    assert [(gap.first, gap.end, gap.n_missing) for gap in by_trades.gaps] == [(5_005, 5_009, 4)]
    assert same(trades.rows, market.trades)


def test_a_second_run_asks_for_what_is_missing_and_nothing_else() -> None:
    market = Market(5_000)
    with BinanceServer(market, at_the_end_of(market)) as server:
        sink = MemorySink("ts_open_ns")
        middle = START_NS + 2_000 * NS_PER_MINUTE
        fetch(
            server,
            DownloadRequest(
                symbol="BTC/USDT",
                start_ns=middle,
                end_ns=middle + 500 * NS_PER_MINUTE,
                interval_ns=NS_PER_MINUTE,
            ),
            sink,
        )
        n_before = len(server.asked)
        report = fetch(server, BARS, sink)
        asked = [each for each in server.asked[n_before:] if each.path == "klines"]
        fetch(server, BARS, sink)
        assert len(server.rows_asked("klines")) == 1 + len(asked)
    assert same(sink.rows, market.closed_bars())
    assert (report.n_known, report.n_rows) == (500, 4_500)
    first_ms = [(int(each.query["startTime"]) - START_MS) // 60_000 for each in asked]
    assert first_ms == [0, 1_000, 2_500, 3_500, 4_500]
    assert (int(asked[0].query["endTime"]) - START_MS) // 60_000 == 1_999


@pytest.mark.parametrize("n_requests", [1, 2, 3, 4])
def test_ctrl_c_keeps_what_is_done_and_the_next_run_ends_the_same(n_requests: int) -> None:
    market = Market(4_500)
    seen: list[DownloadProgress] = []

    def stop(progress: DownloadProgress) -> None:
        seen.append(progress)
        if len(seen) == n_requests:
            raise KeyboardInterrupt

    with BinanceServer(market, at_the_end_of(market), Plan({1: "jumped"})) as server:
        sink = MemorySink("ts_open_ns")
        report = fetch(server, BARS, sink, stop)
        assert not report.is_complete
        assert report.n_rows == len(sink.rows["ts_open_ns"]) >= 1_000
        assert fetch(server, BARS, sink).is_complete
    assert same(sink.rows, market.closed_bars())


def test_an_outage_ends_with_one_line_and_what_came_is_kept() -> None:
    market = Market(4_500)
    plan = Plan(dict.fromkeys(range(2, 40), "503"))
    with BinanceServer(market, at_the_end_of(market), plan) as server:
        sink = MemorySink("ts_open_ns")
        with pytest.raises(
            VenueUnavailable, match=r"^binanceus gave no usable answer to klines in 8 attempts, .*503"
        ) as said:
            fetch(server, BARS, sink)
        assert "\n" not in str(said.value)
        assert len(sink.rows["ts_open_ns"]) == 2_000
        plan.at = {}
        fetch(server, BARS, sink)
    assert same(sink.rows, market.closed_bars())
    waits = server.time.slept_s[:7]
    assert all(later > earlier * 0.9 for earlier, later in pairwise(waits))
    assert 10 < sum(waits) < 120


def test_the_venues_wish_to_be_left_alone_is_obeyed() -> None:
    market = Market(500)
    plan = Plan({0: "429", 1: "418"}, retry_after_s=45)
    with BinanceServer(market, at_the_end_of(market), plan) as server:
        sink = MemorySink("ts_open_ns")
        fetch(server, BARS, sink)
        times = [asked.ts_ns for asked in server.rows_asked("klines")]
    assert same(sink.rows, market.closed_bars())
    assert all(wait_ns >= 45e9 for wait_ns in np.diff(times))
    assert len(times) == 3


def test_a_ban_of_hours_ends_the_work_at_once() -> None:
    market = Market(500)
    plan = Plan({0: "418"}, retry_after_s=7_200)
    with BinanceServer(market, at_the_end_of(market), plan) as server:
        with pytest.raises(VenueUnavailable, match="wants no request for 7200 s"):
            fetch(server, BARS, MemorySink("ts_open_ns"))
        assert sum(server.time.slept_s) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_weight_of_every_minute_stays_within_the_budget(seed: int) -> None:
    market = Market(90_000, seed=seed)
    plan = Plan(seed=seed, share=0.1, retry_after_s=1)
    with BinanceServer(market, at_the_end_of(market), plan, weight_limit=50) as server:
        sink = MemorySink("ts_open_ns")
        # Faults that are the server's whim may come; those for too much weight may not.
        fetch(server, BARS, sink)
    assert same(sink.rows, market.closed_bars())
    assert max(server.weights.values()) <= 40
    assert len(server.weights) >= 3


def test_an_unknown_symbol_is_one_line_with_those_near_it() -> None:
    market = Market(10)
    with BinanceServer(market, at_the_end_of(market)) as server:
        request = DownloadRequest(symbol="btcusdt", start_ns=START_NS, interval_ns=NS_PER_MINUTE)
        with pytest.raises(
            ConfigError, match=r"^--symbol btcusdt is not traded at binanceus; did you mean BTC/USDT, "
        ):
            fetch(server, request, MemorySink("ts_open_ns"))
        with venue_at(server) as venue:
            rules = venue.instrument("ETH/USDT")
            gone = Instrument(
                symbol="OLD/USDT", venue="binanceus", base="OLD", quote="USDT", tick_size=rules.tick_size, lot_size=rules.lot_size
            )  # fmt: skip
            with pytest.raises(VenueRefusal, match=r"refuses klines: Invalid symbol\.") as said:
                venue.bars(gone, NS_PER_MINUTE, START_NS, START_NS + NS_PER_MINUTE)
            assert (said.value.status, said.value.code) == (400, -1121)
    assert (str(rules.tick_size), str(rules.lot_size), str(rules.max_qty)) == ("0.01", "0.0001", "9E+3")


def test_a_redirect_to_another_host_is_not_followed() -> None:
    market = Market(10)
    with BinanceServer(market, at_the_end_of(market), Plan({0: "redirect"})) as server:
        with pytest.raises(VenueRefusal, match=f"only {server.url} is talked to"):
            fetch(server, BARS, MemorySink("ts_open_ns"))
        assert len(server.rows_asked("klines")) == 1


def test_progress_rises_to_the_end_and_estimates_what_is_left() -> None:
    market = Market(4_500)
    seen: list[DownloadProgress] = []
    with BinanceServer(market, at_the_end_of(market)) as server:
        fetch(server, BARS, MemorySink("ts_open_ns"), seen.append)
    assert [each.n_rows for each in seen] == [1_000, 2_000, 3_000, 4_000, 4_500]
    assert [each.n_done for each in seen] == [1_000, 2_000, 3_000, 4_000, 4_500]
    assert all(each.n_total == 4_500 for each in seen)
    left = [each.left_s for each in seen]
    assert left[-1] == 0
    assert all(later is not None and later < 0.1 for later in left)
    assert seen[-1].until_ns == START_NS + 4_499 * NS_PER_MINUTE
