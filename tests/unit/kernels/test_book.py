"""The book by hand: windows that move, levels far away, sweeps, and numbers beyond 64 bits."""

import numpy as np
import pytest

from njord.kernels import book_events
from njord.kernels.book import (
    ASK,
    BID,
    INT64_MAX,
    PRICE_MAX,
    IntArray,
    best,
    clear,
    grown,
    n_levels,
    new_book,
    set_level,
)
from njord.kernels.book_depth import depth, lots_within, sweep
from njord.kernels.book_events import first_bad_row, sequence
from njord.storage.store import kinds


def book_of(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], window: int = 64, room: int = 2
) -> IntArray:
    book = new_book(window, room)
    for side, levels in ((BID, bids), (ASK, asks)):
        for price, lots in levels:
            while not set_level(book, side, price, lots):
                book = grown(book)
    return book


def levels_of(book: IntArray, side: int, n: int = 100) -> list[tuple[int, int]]:
    levels = np.zeros((2, n), dtype=np.int64)
    found = depth(book, side, levels)
    return [(price, lots) for price, lots in zip(*levels[:, :found].tolist(), strict=True)]


def test_an_empty_book_has_no_best_price() -> None:
    book = new_book()
    for side in (BID, ASK):
        assert best(book, side) == (0, 0)
        assert levels_of(book, side) == []
        assert sweep(book, side, 5) == (0, 0, 0, True)
        assert set_level(book, side, 7, 0)
    assert best(book, BID) == (0, 0)


def test_the_best_level_is_the_highest_bid_and_the_lowest_ask() -> None:
    book = book_of([(100, 1), (102, 2), (101, 3)], [(105, 4), (104, 5), (110, 6)])
    assert (best(book, BID), best(book, ASK)) == ((102, 2), (104, 5))
    assert set_level(book, BID, 102, 0)
    assert set_level(book, ASK, 104, 9)
    assert (best(book, BID), best(book, ASK)) == ((101, 3), (104, 9))
    assert levels_of(book, BID) == [(101, 3), (100, 1)]
    assert levels_of(book, ASK, 2) == [(104, 9), (105, 4)]


@pytest.mark.parametrize("room", [2, 64])
def test_levels_beyond_the_window_are_as_good_as_those_inside(room: int) -> None:
    far = [(100_000 * number, number) for number in range(1, 20)]
    book = book_of(far, far, room=room)
    assert levels_of(book, BID) == far[::-1]
    assert levels_of(book, ASK) == far
    for price, _ in far[:-1]:
        assert set_level(book, ASK, price, 0)
    assert levels_of(book, ASK) == far[-1:]
    assert best(book, ASK) == (1_900_000, 19)
    assert n_levels(book, ASK) == 1


def test_a_full_table_asks_for_room_and_changes_nothing() -> None:
    book = book_of([(1_000, 1), (1, 2)], [])
    before = book.copy()
    assert not set_level(book, BID, 2, 1)
    assert not set_level(book, BID, 10**9, 1)
    assert np.array_equal(book, before)
    book = grown(book)
    assert set_level(book, BID, 2, 1)
    assert levels_of(book, BID) == [(1_000, 1), (2, 1), (1, 2)]


def test_prices_up_to_the_limit_are_exact() -> None:
    book = book_of([(1, INT64_MAX), (PRICE_MAX, 1)], [(PRICE_MAX, INT64_MAX), (1, 1)])
    assert levels_of(book, BID) == [(PRICE_MAX, 1), (1, INT64_MAX)]
    assert levels_of(book, ASK) == [(1, 1), (PRICE_MAX, INT64_MAX)]


def test_clearing_leaves_an_empty_book() -> None:
    book = book_of([(1, 1), (10**6, 1)], [(1, 1)])
    clear(book)
    assert n_levels(book, BID) == n_levels(book, ASK) == 0
    assert np.array_equal(book, book_of([], [], room=int(book[1])))


def test_a_sweep_pays_level_by_level_and_stops_where_the_side_ends() -> None:
    book = book_of([(10, 1)], [(20, 5), (21, 5), (9_000, 5)])
    assert sweep(book, ASK, 0) == (0, 0, 0, True)
    assert sweep(book, ASK, 5) == (5, 100, 20, True)
    assert sweep(book, ASK, 7) == (7, 142, 21, True)
    assert sweep(book, ASK, 12) == (12, 100 + 105 + 18_000, 9_000, True)
    assert sweep(book, ASK, 50) == (15, 205 + 45_000, 9_000, True)
    assert sweep(book, BID, 3) == (1, 10, 10, True)


def test_sums_beyond_64_bits_are_refused_not_wrapped() -> None:
    book = book_of([], [(4, 2**61), (5, 2**61), (10**6, INT64_MAX)])
    assert sweep(book, ASK, 2**61 - 1) == (2**61 - 1, 2**63 - 4, 4, True)
    assert sweep(book, ASK, 2**61) == (2**61, 0, 4, False)
    assert sweep(book, ASK, INT64_MAX) == (INT64_MAX, 0, 10**6, False)
    assert lots_within(book, ASK, 5) == (2**62, 2, True)
    assert lots_within(book, ASK, 10**6) == (0, 3, False)
    assert lots_within(book, ASK, 3) == (0, 0, True)


@pytest.mark.parametrize(
    ("book_id", "first", "last", "place"),
    [
        (10, 11, 15, book_events.FOLLOWS),
        (10, 9, 11, book_events.FOLLOWS),
        (10, 11, 11, book_events.FOLLOWS),
        (10, 5, 10, book_events.OLD),
        (10, 10, 10, book_events.OLD),
        (10, 12, 12, book_events.HOLE),
    ],
)
def test_the_venues_rule_about_update_ids(book_id: int, first: int, last: int, place: int) -> None:
    assert sequence(book_id, first, last) == place


@pytest.mark.parametrize(("flag", "price", "lots"), [(1, 0, 1), (2, -1, 1), (1, 2**62, 1), (2, 5, -1)])
def test_a_row_that_is_no_level_is_found(flag: int, price: int, lots: int) -> None:
    columns = [np.array(each, dtype=np.int64) for each in ([1, 8, flag], [5, 0, price], [0, 0, lots])]
    assert first_bad_row(*columns) == 2
    assert first_bad_row(*(column[:2] for column in columns)) == 2


def test_flags_are_those_of_the_store() -> None:
    ours = (book_events.BOOK_BID, book_events.BOOK_ASK, book_events.BOOK_SNAPSHOT, book_events.BOOK_END)
    assert ours == (kinds.BOOK_BID, kinds.BOOK_ASK, kinds.BOOK_SNAPSHOT, kinds.BOOK_EVENT_END)


@pytest.mark.parametrize("step", [1, 7, 97])
@pytest.mark.parametrize("side", [BID, ASK])
def test_thousands_of_changes_leave_the_same_levels_as_a_dictionary(side: int, step: int) -> None:
    # Dense prices meet every edge of a small window; wide ones fill the table and its chains.
    chance = np.random.default_rng(step)
    book, naive = new_book(64, 64), dict[int, int]()
    for turn in range(2_000):
        price = int(chance.integers(1, 200)) * step
        lots = int(chance.integers(0, 3))
        if turn % 5 == 0 and naive:
            price, lots = (max if side == BID else min)(naive), 0
        while not set_level(book, side, price, lots):
            book = grown(book)
        naive[price] = lots
        if not lots:
            del naive[price]
        if turn % 20 == 0:
            assert levels_of(book, side, 300) == sorted(naive.items(), reverse=side == BID)
            assert n_levels(book, side) == len(naive)
