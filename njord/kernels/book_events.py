"""How does a recorded book move on, event by event? Rows of stored changes in; the book after them, and where they end.

The venue's rule about update ids is `sequence`, here and for whoever takes single events: a change follows the book if
it begins no later than one id after it and ends later; it is old if it ends no later, and a hole lies before it
otherwise. Quantities are absolute, so that a change that overlaps the book can be applied.
"""

from njord.kernels._jit import kernel
from njord.kernels.book import ASK, BID, PRICE_MAX, IntArray, best, set_level

OLD, FOLLOWS, HOLE = -1, 0, 1
# Why `apply_events` stopped.
ALL_DONE, SNAPSHOT, AFTER_HOLE, PAST_END, NO_ROOM, TORN = 0, 1, 2, 3, 4, 5
# What a run keeps between calls.
LAST_ID = 0  # Update id of the book.
N_EVENTS = 1  # Changes applied.
N_OLD = 2  # Changes older than the book.
N_OVERLAPPING = 3  # Changes applied that began before the book's own id.
N_CROSSED = 4  # Changes after which the best bid was at or above the best ask.
FIRST_CROSSED_NS = 5
N_TOPS = 6  # Rows of `tops` that are filled.
LAST_NS = 7  # Local time of the last change applied.
IS_FRESH = 8  # 1 if nothing was applied since the snapshot: the first change may begin before it.
RUN_SIZE = 9

TOP_ROWS = 6  # ts_ns, update id, bid ticks, bid lots, ask ticks, ask lots.
BOOK_BID, BOOK_ASK, BOOK_SNAPSHOT, BOOK_END = (
    1,
    2,
    4,
    8,
)  # Flags of a row, as storage/store/kinds.py has them.


@kernel
def sequence(book_id: int, first_id: int, last_id: int) -> int:
    """Return how a change of update ids `first_id` to `last_id` stands to a book at `book_id`: OLD, FOLLOWS or HOLE."""
    if last_id <= book_id:
        return OLD
    return FOLLOWS if first_id <= book_id + 1 else HOLE


@kernel
def first_bad_row(flags: IntArray, prices: IntArray, lots: IntArray) -> int:
    """Return the first row that no book can hold, the number of rows if there is none.

    A level has a price from 1 to PRICE_MAX and a quantity from 0 on; a row of neither side says nothing.
    """
    for row in range(len(flags)):
        if flags[row] & (BOOK_BID | BOOK_ASK) and (
            prices[row] < 1 or prices[row] > PRICE_MAX or lots[row] < 0
        ):
            return row
    return len(flags)


@kernel
def apply_rows(
    book: IntArray, flags: IntArray, prices: IntArray, lots: IntArray, begin: int, end: int
) -> int:
    """Set the levels of rows [begin, end); return `end`, or the row for which the book must grow first.

    Args:
        book: From `new_book`.
        flags: Which side a row is of, as stored; a row of neither changes nothing.
        prices: Ticks.
        lots: The new quantity, 0 to remove the level.
        begin: First row.
        end: Behind the last row.
    """
    for row in range(begin, end):
        if flags[row] & BOOK_BID:
            if not set_level(book, BID, prices[row], lots[row]):
                return row
        elif flags[row] & BOOK_ASK and not set_level(book, ASK, prices[row], lots[row]):
            return row
    return end


@kernel
def apply_events(
    book: IntArray, run: IntArray, times: IntArray, ts_ns: IntArray, first_ids: IntArray, last_ids: IntArray,
    flags: IntArray, prices: IntArray, lots: IntArray, begin: int, until_ns: int, tops: IntArray,
) -> tuple[int, int]:  # fmt: skip
    """Apply changes that follow each other, from row `begin` on.

    Args:
        book: A book in step with update id run[LAST_ID].
        run: Shape (RUN_SIZE,), moved on.
        times: The column that `until_ns` is compared with.
        ts_ns: Columns of the stored book, as are the five after it; an event's rows follow each other.
        first_ids: See ts_ns.
        last_ids: See ts_ns.
        flags: See ts_ns.
        prices: See ts_ns.
        lots: See ts_ns.
        begin: First row of an event.
        until_ns: Events after this time are not applied.
        tops: Shape (TOP_ROWS, n): takes the best levels after each event while there is room; n = 0 takes none.

    Returns:
        (first row of the event that was not applied, why): ALL_DONE, SNAPSHOT, AFTER_HOLE, PAST_END, NO_ROOM (the
        book must grow; the event is applied again from its start), or TORN (the event's last row is not there yet).
    """
    row, n = begin, len(flags)
    while row < n:
        end = row
        while end < n and not flags[end] & BOOK_END:
            end += 1
        if end == n:
            return row, TORN
        end += 1
        if flags[row] & BOOK_SNAPSHOT:
            return row, SNAPSHOT
        if times[row] > until_ns:
            return row, PAST_END
        place = sequence(run[LAST_ID], first_ids[row], last_ids[row])
        if place == HOLE:
            return row, AFTER_HOLE
        if place == OLD:
            run[N_OLD] += 1
            row = end
            continue
        if apply_rows(book, flags, prices, lots, row, end) < end:
            return row, NO_ROOM
        if first_ids[row] <= run[LAST_ID] and not run[IS_FRESH]:
            run[N_OVERLAPPING] += 1
        run[IS_FRESH] = 0
        run[LAST_ID] = last_ids[row]
        run[LAST_NS] = ts_ns[row]
        run[N_EVENTS] += 1
        note_top(book, run, ts_ns[row], tops)
        row = end
    return row, ALL_DONE


@kernel
def note_top(book: IntArray, run: IntArray, ts_ns: int, tops: IntArray) -> None:
    """Count a crossed book and write its best levels into `tops`, while there is room."""
    bid, bid_lots = best(book, BID)
    ask, ask_lots = best(book, ASK)
    if bid and ask and bid >= ask:
        if not run[N_CROSSED]:
            run[FIRST_CROSSED_NS] = ts_ns
        run[N_CROSSED] += 1
    at = run[N_TOPS]
    if at < tops.shape[1]:
        tops[0, at] = ts_ns
        tops[1, at] = run[LAST_ID]
        tops[2, at] = bid
        tops[3, at] = bid_lots
        tops[4, at] = ask
        tops[5, at] = ask_lots
        run[N_TOPS] += 1
