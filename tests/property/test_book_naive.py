"""The book equals a dictionary of levels, whatever happens: windows that move, tables that grow, huge prices; a book
that rows of a market move, too; and one rebuilt from blocks equals one rebuilt event by event."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from njord.core.types import BUY, SELL
from njord.data.book import Book
from njord.data.book_replay import BookAudit, BookReplay, book_at, check_quotes
from njord.data.book_sync import BookSync
from njord.kernels.book import ASK, BID, PRICE_MAX, IntArray, best, n_levels
from njord.kernels.book_depth import depth
from njord.kernels.book_events import BOOK_ASK, BOOK_BID, BOOK_END, BOOK_SNAPSHOT
from njord.kernels.exchange import ROWS_USED, advance
from njord.kernels.exchange_orders import BOOK_FULL, grown, new_exchange
from njord.kernels.exchange_queue import PROBABILITY
from njord.kernels.exchange_rows import ROW_BID
from njord.storage.store.kinds import COLUMNS, DataKind

Levels = dict[int, int]

# Prices that meet again, near and far: a few around a center, and centers far apart.
PRICES = st.one_of(
    st.integers(1, 300),
    st.builds(lambda center, off: max(1, center + off), st.sampled_from([5_000, 10**6, 10**12, PRICE_MAX - 200]), st.integers(-80, 80)),
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), PRICES, st.one_of(st.just(0), st.integers(1, 2**62))), max_size=60
)


def naive_depth(levels: Levels, side: int) -> list[tuple[int, int]]:
    return sorted(levels.items(), reverse=side == BID)


def kernel_depth(state: IntArray, side: int, n: int) -> list[tuple[int, int]]:
    found = np.zeros((2, n), dtype=np.int64)
    n = depth(state, side, found)
    return [(price, lots) for price, lots in zip(*found[:, :n].tolist(), strict=True)]


@given(st.sampled_from([64, 128, 1024]), CHANGES, st.integers(0, 2**63 - 1), PRICES)
def test_a_book_equals_a_dictionary_of_levels(
    window: int, changes: list[tuple[object, int, int]], wanted: int, limit: int
) -> None:
    book = Book(window)
    naive: tuple[Levels, Levels] = ({}, {})
    for side, price, lots in changes:
        which = BID if side is BUY else ASK
        book.set(BUY if side is BUY else SELL, price, lots)
        if lots:
            naive[which][price] = lots
        else:
            naive[which].pop(price, None)
        expected = naive_depth(naive[which], which)
        assert best(book.state, which) == (expected[0] if expected else (0, 0))
        assert n_levels(book.state, which) == len(expected)
    for which, side in ((BID, SELL), (ASK, BUY)):
        expected = naive_depth(naive[which], which)
        assert kernel_depth(book.state, which, len(expected) + 1) == expected
        assert kernel_depth(book.state, which, 3) == expected[:3]
        left, cost, worst = wanted, 0, 0
        for price, lots in expected:
            if left:
                left, cost, worst = left - min(left, lots), cost + price * min(left, lots), price
        fill = book.market_order(side, wanted)
        assert (fill.qty_lots, fill.cost, fill.worst_ticks) == (wanted - left, cost, worst)
        good = [lots for price, lots in expected if (price >= limit if which == BID else price <= limit)]
        assert book.lots_until(side.opposite, limit) == sum(good)


CENTER = 2**61
DISTANCES = st.one_of(st.integers(-8, 40), PRICES.map(lambda price: min(price, CENTER - 1)))


@given(
    st.sampled_from([64, 1024, 4096]),
    st.lists(st.tuples(st.sampled_from([BID, ASK]), DISTANCES, st.integers(0, 2)), max_size=60),
)
def test_rows_of_a_market_leave_the_levels_that_single_changes_leave(
    window: int, changes: list[tuple[int, int, int]]
) -> None:
    rows = np.array([(ROW_BID + side, 0, CENTER + (2 * side - 1) * off, lots) for side, off, lots in changes])
    x = new_exchange(PROBABILITY, False, window=window, room=2)
    while (said := advance(x, np.require(rows.reshape(-1, 4).T, np.int64, "C"), 0)) != ROWS_USED:
        assert said == BOOK_FULL
        x = grown(x, said)
    naive: tuple[Levels, Levels] = ({}, {})
    for side, off, lots in changes:
        price = CENTER + (2 * side - 1) * off
        was = naive_depth(naive[side], side)[:1]
        naive[side][price] = lots
        if not lots:
            del naive[side][price]
        elif not was or (price - was[0][0]) * (1 - 2 * side) > 0:
            for other in [each for each in naive[1 - side] if (each - price) * (1 - 2 * side) <= 0]:
                del naive[1 - side][other]
    for side in (BID, ASK):
        assert n_levels(x.book, side) == len(naive[side])
        assert kernel_depth(x.book, side, len(naive[side]) + 1) == naive_depth(naive[side], side)


class Event(NamedTuple):
    ts_ns: int
    first: int
    last: int
    is_snapshot: bool
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


@st.composite
def recordings(draw: st.DrawFn) -> list[Event]:
    """Events of a book with holes, repeats, overlaps, stale and late snapshots."""
    levels = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 5)), max_size=3)
    events, update_id = [], 100
    for at in range(draw(st.integers(1, 25))):
        kind = draw(
            st.sampled_from(["next"] * 6 + ["snapshot", "snapshot", "stale", "hole", "old", "overlap"])
        )
        first = update_id + 1
        last = first + draw(st.integers(0, 3))
        if kind == "snapshot" or kind == "stale":
            first = last = max(1, update_id - (draw(st.integers(0, 8)) if kind == "stale" else 0))
        elif kind == "hole":
            first, last = first + 5, last + 5
        elif kind == "old":
            first, last = update_id - 5, update_id - draw(st.integers(0, 2))
        elif kind == "overlap":
            first -= 2
        events.append(
            Event(1_000 + 10 * at, first, last, kind in ("snapshot", "stale"), draw(levels), draw(levels))
        )
        update_id = max(update_id, last)
    return events


def columns_of(events: list[Event]) -> dict[str, IntArray]:
    rows = []
    for event in events:
        flags = BOOK_SNAPSHOT if event.is_snapshot else 0
        head = (event.ts_ns, event.ts_ns + 3, event.first, event.last)
        its = [(*head, flags | side, price, lots) for side, each in ((BOOK_BID, event.bids), (BOOK_ASK, event.asks)) for price, lots in each]  # fmt: skip
        its = its or [(*head, flags, 0, 0)]
        its[-1] = (*head, its[-1][4] | BOOK_END, *its[-1][5:])
        rows += its
    names = COLUMNS[DataKind.BOOK]
    return dict(zip(names, np.array(rows, dtype=np.int64).reshape(-1, len(names)).T, strict=True))


def one_by_one(events: list[Event], until_ns: int) -> tuple[tuple[Levels, Levels], BookSync[Event]]:
    sync: BookSync[Event] = BookSync()
    sides: tuple[Levels, Levels] = ({}, {})
    for event in events:
        if event.ts_ns > until_ns:
            break
        ready = sync.snapshot(event.last, event) if event.is_snapshot else sync.change(event.first, event.last, event.ts_ns, event)  # fmt: skip
        for each in ready:
            if each.is_snapshot:
                sides[0].clear()
                sides[1].clear()
            for side, levels in zip(sides, (each.bids, each.asks), strict=True):
                for price, lots in levels:
                    side[price] = lots
                    if not lots:
                        del side[price]
    return sides, sync


@given(recordings(), st.integers(990, 1_260), st.lists(st.integers(0, 100), max_size=4))
def test_a_book_from_blocks_equals_one_event_by_event(
    events: list[Event], until_ns: int, cuts: list[int]
) -> None:
    columns = columns_of(events)
    n = len(columns["ts_ns"])
    edges = [0, *sorted(min(cut, n) for cut in cuts), n]
    blocks = [{name: column[begin:end] for name, column in columns.items()} for begin, end in pairwise(edges)]  # fmt: skip
    sides, sync = one_by_one(events, until_ns)
    book, audit = book_at(blocks, until_ns, window=64)
    assert kernel_depth(book.state, BID, 300) == naive_depth(sides[0], BID)
    assert kernel_depth(book.state, ASK, 300) == naive_depth(sides[1], ASK)
    assert counts_of(audit) == {name: getattr(sync.counts, name) for name in sync.counts.__struct_fields__}
    assert (audit.is_synced, audit.gaps, audit.n_waiting) == (
        sync.is_synced,
        tuple(sync.gaps),
        sync.n_waiting,
    )
    assert audit.n_events == sum(event.ts_ns <= until_ns for event in events)
    later, venue_audit = book_at(blocks, until_ns + 3, "venue", 64)
    if not any(event.is_snapshot and event.ts_ns > until_ns for event in events):
        assert np.array_equal(later.state, book.state)
        assert venue_audit == audit


def counts_of(audit: BookAudit) -> dict[str, int]:
    names = BookSync[Event]().counts.__struct_fields__
    return {name: getattr(audit, name) for name in names}


@given(recordings(), st.data())
def test_quotes_taken_from_the_book_agree_with_it_and_changed_ones_are_found(
    events: list[Event], data: st.DataObject
) -> None:
    columns = columns_of(events)
    replay = BookReplay()
    replay.feed(columns, with_tops=True)
    tops = np.concatenate([np.empty((6, 0), dtype=np.int64), *replay.take_tops()], axis=1)
    _, last = np.unique(tops[1][::-1], return_index=True)
    rows = tops[:, len(tops[1]) - 1 - last]  # One per update id, rising.
    names = COLUMNS[DataKind.QUOTES]
    if (np.diff(tops[1]) <= 0).any() or not rows.shape[1]:
        return
    wrong = data.draw(st.sets(st.integers(0, rows.shape[1] - 1)))
    for at in sorted(wrong):
        rows[data.draw(st.integers(2, 5)), at] += 1
    cut = data.draw(st.integers(0, rows.shape[1]))
    quotes = [dict(zip(names, part, strict=True)) for part in (rows[:, :cut], rows[:, cut:])]
    check = check_quotes([columns], quotes)
    assert (check.n_both, check.n_equal) == (rows.shape[1], rows.shape[1] - len(wrong))
    assert [each.update_id for each in check.mismatches] == rows[1, sorted(wrong)].tolist()[:20]
