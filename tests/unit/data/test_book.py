"""A book's measures by hand, the rule about update ids, and the component that keeps one book per instrument."""

import math
from decimal import Decimal

import pytest

from njord.core.contracts import BookEvent
from njord.core.types import BUY, SELL
from njord.data.book import Book, BookBuilder
from njord.data.book_stats import Level, slope
from njord.data.book_sync import BookSync, Gap


@pytest.fixture
def book() -> Book:
    book = Book(64)
    book.set_all([(100, 6), (99, 4), (90, 10)], [(102, 2), (103, 8)])
    return book


def test_best_prices_spread_mid_and_microprice(book: Book) -> None:
    assert (book.best_bid, book.best_ask) == (Level(100, 6), Level(102, 2))
    assert (book.spread_ticks, book.mid_ticks) == (2, 101.0)
    assert book.microprice_ticks == (102 * 6 + 100 * 2) / 8
    assert (book.n_bids, book.n_asks, book.is_crossed) == (3, 2, False)
    assert book.bids(2) == [(100, 6), (99, 4)]
    assert book.asks(10) == [(102, 2), (103, 8)]


def test_imbalance_runs_from_only_asks_to_only_bids(book: Book) -> None:
    assert book.imbalance(1) == (6 - 2) / 8
    assert book.imbalance(10) == (20 - 10) / 30
    book.clear()
    assert math.isnan(book.imbalance())
    book.set(SELL, 5, 1)
    assert book.imbalance() == -1.0


def test_the_slope_is_the_least_squares_line_through_the_mid_price(book: Book) -> None:
    x1, x2 = 1 / 101 * 1e4, 2 / 101 * 1e4
    assert book.slope(SELL) == pytest.approx((x1 * 2 + x2 * 10) / (x1 * x1 + x2 * x2))
    assert slope([Level(99, 7)], 100.0) == pytest.approx(7 / 100)
    assert slope([Level(99, 7), Level(98, 7)], 100.0) == pytest.approx(7 / 100)
    assert math.isnan(slope([], 100.0))
    assert math.isnan(slope([Level(100, 7)], 100.0))


def test_a_market_order_walks_the_other_side(book: Book) -> None:
    fill = book.market_order(BUY, 5)
    assert (fill.qty_lots, fill.cost, fill.worst_ticks) == (5, 2 * 102 + 3 * 103, 103)
    fill = book.market_order(SELL, 100)
    assert (fill.qty_lots, fill.cost, fill.worst_ticks) == (20, 600 + 396 + 900, 90)


def test_numbers_beyond_64_bits_stay_exact() -> None:
    book = Book()
    book.set_all([], [(2**40, 2**62), (2**50, 2**62)])
    fill = book.market_order(BUY, 2**63 - 1)
    assert fill.cost == 2**102 + 2**50 * (2**62 - 1)
    assert book.lots_until(SELL, 2**60) == 2**63


@pytest.mark.parametrize(("price", "lots"), [(0, 1), (-1, 1), (2**62, 1), (1, -1), (1, 2**63)])
def test_what_is_no_level_is_refused(book: Book, price: int, lots: int) -> None:
    with pytest.raises(ValueError, match="must be from"):
        book.set(BUY, price, lots)
    with pytest.raises(ValueError, match="must be from"):
        book.market_order(BUY, -1)


def test_the_numbers_of_a_book_are_those_of_its_questions(book: Book) -> None:
    stats = book.stats(2, Decimal(200))
    assert (stats.bid, stats.ask, stats.spread_ticks) == ((100, 6), (102, 2), 2)
    assert stats.spread_bps == pytest.approx(2 / 101 * 1e4)
    assert (stats.bid_lots, stats.ask_lots, stats.imbalance) == (10, 10, 0.0)
    assert (stats.bid_lots_within, stats.ask_lots_within) == (10, 10)  # 98.98 to 103.02.
    assert (book.stats(2, Decimal(99)).bid_lots_within, book.stats(2, Decimal(100)).bid_lots_within) == (0, 6)
    assert stats.ask_slope == book.slope(SELL, 2)
    empty = Book().stats()
    assert (empty.bid, empty.spread_ticks, empty.bid_lots_within) == (None, None, 0)
    assert math.isnan(empty.spread_bps)
    assert math.isnan(empty.mid_ticks)
    assert math.isnan(empty.microprice_ticks)
    assert math.isnan(empty.bid_slope)


def test_a_copy_is_a_book_of_its_own(book: Book) -> None:
    other = book.copy()
    other.set(BUY, 101, 1)
    assert book.best_bid == (100, 6)
    assert other.best_bid == (101, 1)


def test_a_crossed_book_says_so(book: Book) -> None:
    book.set(BUY, 102, 1)
    assert book.is_crossed
    assert book.spread_ticks == 0


# --- the rule about update ids ---


def test_changes_wait_for_the_snapshot_and_those_it_holds_are_dropped() -> None:
    sync: BookSync[str] = BookSync()
    assert sync.change(1, 5, 0, "a") == sync.change(6, 9, 0, "b") == sync.change(10, 12, 0, "c") == []
    assert not sync.is_synced
    assert sync.snapshot(7, "s") == ["s", "b", "c"]
    assert (sync.book_id, sync.counts.n_dropped, sync.counts.n_applied) == (12, 1, 2)
    assert sync.counts.n_overlapping == 0  # The first change may hold the snapshot's id.
    assert sync.change(13, 13, 0, "d") == ["d"]


def test_a_hole_is_reported_and_ends_with_the_next_snapshot() -> None:
    sync: BookSync[str] = BookSync()
    sync.snapshot(7, "s")
    sync.change(8, 9, 1, "a")
    assert sync.change(12, 14, 2, "b") == []
    assert sync.gaps == [Gap(2, 9, 12, 14)]
    assert sync.gaps[0].n_missing == 2
    assert not sync.is_synced
    assert sync.change(15, 16, 3, "c") == []
    assert sync.snapshot(14, "t") == ["t", "c"]
    counts = sync.counts
    assert (counts.n_gaps, counts.n_resyncs, counts.n_snapshots, counts.n_dropped) == (1, 1, 2, 1)


def test_a_snapshot_older_than_what_waits_shows_a_hole_at_once() -> None:
    sync: BookSync[str] = BookSync()
    sync.change(10, 12, 5, "a")
    assert sync.snapshot(7, "s") == ["s"]
    assert not sync.is_synced
    assert sync.gaps == [Gap(5, 7, 10, 12)]
    assert sync.snapshot(9, "t") == ["t", "a"]
    assert sync.is_synced


def test_old_changes_and_stale_snapshots_are_ignored_and_counted() -> None:
    sync: BookSync[str] = BookSync()
    sync.snapshot(7, "s")
    assert sync.change(3, 7, 0, "a") == []
    assert sync.change(8, 9, 0, "b") == ["b"]
    assert sync.change(9, 11, 0, "c") == ["c"]
    assert sync.snapshot(10, "t") == []
    counts = sync.counts
    assert (counts.n_old, counts.n_overlapping, counts.n_stale, counts.n_snapshots) == (1, 1, 1, 1)


def test_a_snapshot_of_its_own_id_is_taken() -> None:
    sync: BookSync[str] = BookSync()
    sync.snapshot(7, "s")
    assert sync.snapshot(7, "t") == ["t"]
    assert (sync.counts.n_stale, sync.counts.n_snapshots) == (0, 2)


def test_no_more_changes_wait_than_allowed() -> None:
    sync: BookSync[str] = BookSync(waiting_max=2)
    for update_id, name in enumerate("abc"):
        sync.change(update_id, update_id, 0, name)
    assert (sync.n_waiting, sync.counts.n_dropped) == (2, 1)
    assert sync.snapshot(0, "s") == ["s", "b", "c"]


# --- the component ---


def event(first: int, last: int, bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...] = (), *, snapshot: bool = False, instrument: int = 0) -> BookEvent:  # fmt: skip
    return BookEvent(
        ts_ns=last, instrument=instrument, bids=bids, asks=asks, is_snapshot=snapshot, first_update_id=first,
        last_update_id=last, ts_venue_ns=last,
    )  # fmt: skip


def test_the_component_keeps_a_book_per_instrument_and_lists_its_holes() -> None:
    builder = BookBuilder(2)
    handle = builder.handlers()[BookEvent]
    assert handle(event(3, 4, ((99, 1),))) is None
    handle(event(4, 4, ((100, 1), (98, 2)), ((101, 1),), snapshot=True))
    handle(event(5, 6, ((100, 0),)))
    handle(event(1, 1, ((7, 1),), snapshot=True, instrument=1))
    assert builder.books[0].bids(5) == [(98, 2)]
    assert builder.books[1].bids(5) == [(7, 1)]
    assert builder.is_synced(0)
    handle(event(9, 9, ((97, 1),)))
    assert not builder.is_synced(0)
    assert builder.gaps(0) == (Gap(9, 6, 9, 9),)
    assert builder.books[0].bids(5) == [(98, 2)]
    assert builder.gaps(1) == ()
    handle(event(8, 8, ((50, 5),), snapshot=True))
    assert builder.books[0].bids(5) == [(97, 1), (50, 5)]
