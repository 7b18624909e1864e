"""A recorded book at a time, by either clock; what its audit says, and where it disagrees with quotes."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from njord.core.errors import DataError
from njord.data.book_replay import BookAudit, QuoteMismatch, book_at, check_quotes
from njord.data.book_sync import Gap
from njord.kernels.book import IntArray
from njord.kernels.book_events import BOOK_ASK, BOOK_BID, BOOK_END, BOOK_SNAPSHOT

NAMES = ("ts_ns", "ts_venue_ns", "first_update_id", "last_update_id", "flags", "price_ticks", "qty_lots")
SNAP_BID, SNAP_ASK = BOOK_SNAPSHOT | BOOK_BID, BOOK_SNAPSHOT | BOOK_ASK | BOOK_END
# The venue's clock runs 100 ahead; the snapshot's time is the local one.
ROWS = [
    (10, 110, 1, 4, BOOK_BID | BOOK_END, 50, 9),
    (20, 20, 5, 5, SNAP_BID, 100, 1),
    (20, 20, 5, 5, SNAP_ASK, 105, 2),
    (30, 130, 4, 7, BOOK_BID | BOOK_END, 101, 3),
    (40, 140, 8, 8, BOOK_ASK, 105, 0),
    (40, 140, 8, 8, BOOK_ASK | BOOK_END, 101, 7),
    (50, 150, 10, 11, BOOK_BID | BOOK_END, 99, 1),
    (60, 160, 12, 12, BOOK_BID | BOOK_END, 98, 1),
]


def columns(rows: Sequence[tuple[int, ...]], names: tuple[str, ...] = NAMES) -> dict[str, IntArray]:
    table = np.array(rows, dtype=np.int64).reshape(-1, len(names))
    return dict(zip(names, table.T, strict=True))


def best(at_ns: int, by: str = "local") -> tuple[object, object]:
    book, _ = book_at([columns(ROWS)], at_ns, "venue" if by == "venue" else "local")
    return book.best_bid, book.best_ask


@pytest.mark.parametrize(
    ("at_ns", "bid", "ask"),
    [
        (0, None, None),
        (19, None, None),
        (20, (100, 1), (105, 2)),
        (29, (100, 1), (105, 2)),
        (30, (101, 3), (105, 2)),
        (40, (101, 3), (101, 7)),
        (99, (101, 3), (101, 7)),
    ],
)
def test_the_book_at_a_local_time_holds_the_events_until_then(at_ns: int, bid: object, ask: object) -> None:
    assert best(at_ns) == (bid, ask)


def test_by_the_venues_clock_a_snapshot_counts_as_soon_as_it_comes() -> None:
    assert best(109, "venue") == (None, None)
    assert best(129, "venue") == ((100, 1), (105, 2))
    assert best(130, "venue") == ((101, 3), (105, 2))
    slow = [
        (ts, ts - 100, *rest) if not rest[2] & BOOK_SNAPSHOT else (ts, ts, *rest) for ts, _, *rest in ROWS
    ]
    book, _ = book_at([columns(slow)], -70, "venue")
    assert book.best_bid == (101, 3)


def test_the_audit_accounts_for_every_event() -> None:
    _, audit = book_at([columns(ROWS)])
    assert audit == BookAudit(
        is_synced=False, update_id=8, last_ts_ns=40, n_events=6, n_applied=2, n_dropped=1, n_old=0, n_waiting=2,
        n_overlapping=0, n_snapshots=1, n_stale=0, n_resyncs=0, n_gaps=1, gaps=(Gap(50, 8, 10, 11),),
        n_crossed=1, first_crossed_ns=40, n_torn_rows=0,
    )  # fmt: skip


def test_an_event_in_two_blocks_is_one_and_one_without_end_is_torn() -> None:
    blocks = [columns(ROWS[:2]), columns(ROWS[2:5]), columns([]), columns(ROWS[5:6])]
    book, audit = book_at(blocks)
    assert (book.best_ask, audit.n_events, audit.n_torn_rows) == ((101, 7), 4, 0)
    book, audit = book_at(blocks[:2])
    assert (book.best_ask, audit.n_events, audit.n_torn_rows) == ((105, 2), 3, 1)


def test_no_more_blocks_are_read_than_needed() -> None:
    def blocks() -> Iterator[dict[str, IntArray]]:
        yield columns(ROWS[:4])
        yield columns(ROWS[4:])
        raise AssertionError("nobody asked for this block")

    book, _ = book_at(blocks(), 35)
    assert book.best_bid == (101, 3)


@pytest.mark.parametrize(("price", "lots"), [(0, 1), (-5, 1), (2**62, 1), (5, -1)])
def test_rows_that_are_no_levels_are_refused(price: int, lots: int) -> None:
    bad = (70, 70, 13, 13, BOOK_BID | BOOK_END, price, lots)
    with pytest.raises(DataError, match=f"a level of {lots} lots at {price} ticks"):
        book_at([columns([*ROWS, bad])])


def test_read_only_and_strided_columns_are_as_good() -> None:
    block = {name: np.repeat(column, 2)[::2] for name, column in columns(ROWS).items()}
    for column in block.values():
        column.flags.writeable = False
    _, audit = book_at([block])
    assert audit.n_applied == 2


def test_quotes_are_compared_at_the_update_ids_of_both() -> None:
    names = ("ts_ns", "update_id", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
    quotes = [
        (1, 4, 1, 1, 1, 1),  # Before the snapshot: no event of the book in step.
        (20, 5, 100, 1, 105, 2),
        (25, 6, 7, 7, 7, 7),  # Inside a change.
        (30, 7, 101, 3, 105, 2),
        (40, 8, 101, 3, 101, 8),
        (50, 11, 1, 1, 1, 1),  # Behind the hole.
    ]
    for cut in range(len(quotes) + 1):
        check = check_quotes([columns(ROWS)], [columns(quotes[:cut], names), columns(quotes[cut:], names)])
        assert (check.n_both, check.n_equal) == (3, 2)
        assert check.mismatches == (QuoteMismatch(40, 8, (101, 3, 101, 7), (101, 3, 101, 8)),)
    assert check_quotes([columns(ROWS)], []).n_both == 0
