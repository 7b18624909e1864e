"""How do trades get into order? Staged rows in; the same rows by time, each trade once, out.

A trade is known by its id: a row with the id and content of an earlier one is an exact duplicate, one with its id and
other content a conflict, and the first stays. Trades without an id are all kept: two alike may both have happened.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.storage.bars_order import CHUNK_ROWS
from njord.storage.certificate.facts import FactCollector, SourceFacts
from njord.storage.ingest.frames_rows import ranges
from njord.storage.stage import ColumnStage

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_NO_ID = 0


class TradeStage(NamedTuple):
    """Staged trades, and where in them their time, id and row number are."""

    stage: ColumnStage
    n_columns: int
    ts: int
    ts_venue: int
    trade_id: int
    row: int | None = None  # None: rows are numbered as they lie there, from 1.

    def rows(self, start: int, end: int) -> IntArray:
        """Return the source's row numbers of the staged rows [start, end)."""
        return self.stage.read(self.row, start, end) if self.row is not None else np.arange(start, end) + 1


class _Order(NamedTuple):
    is_sorted: bool
    ids_rise: bool


def put_in_order(trades: TradeStage, into: ColumnStage, facts: FactCollector) -> None:
    """Write the rows of `trades` to `into` by time, equal times in the source's order, without repeated trades.

    What was wrong is noted in `facts`. Rows in order pass in blocks; sorting, or looking for an id among ids that do
    not rise, holds up to 40 bytes a row.
    """
    order = _note_order(trades, facts)
    n_rows = trades.stage.n_rows
    keep = None if order.ids_rise else _first_of_each(trades, facts)
    if order.is_sorted:
        for start, end in ranges(n_rows):
            kept = slice(None) if keep is None else keep[start:end]
            into.append([trades.stage.read(column, start, end)[kept] for column in range(trades.n_columns)])
        return
    by_time = np.argsort(trades.stage.read(trades.ts, 0, n_rows), kind="stable")
    if keep is not None:
        by_time = by_time[keep[by_time]]
    for column in range(trades.n_columns):
        values = trades.stage.read(column, 0, n_rows)
        for start, end in ranges(len(by_time), CHUNK_ROWS):
            into.extend(column, values[by_time[start:end]])


def refuse_disorder(facts: SourceFacts, where: str) -> None:
    """Refuse a source whose rows had to be sorted, or of which some were dropped.

    Raises:
        DataError: They had to.
    """
    faults = (
        (facts.out_of_order, "out of order"),
        (facts.duplicates, "repeated"),
        (facts.conflicting_duplicates, "with the id of another trade"),
    )
    found = [(seen, what) for seen, what in faults if seen.n]
    if found:
        counted = " and ".join(
            f"{seen.n} {'trade' if seen.n == 1 else 'trades'} {what}" for seen, what in found
        )
        row = min(place.row for seen, _ in found for place in seen.places)
        raise DataError(f"{where}: {counted}, first at row {row}", "allow repair to sort and drop them")


def _note_order(trades: TradeStage, facts: FactCollector) -> _Order:
    latest, latest_venue, latest_id = -1, -1, _NO_ID
    is_sorted = ids_rise = True
    for start, end in ranges(trades.stage.n_rows):
        rows = trades.rows(start, end)
        ts_ns = trades.stage.read(trades.ts, start, end)
        ts_venue_ns = trades.stage.read(trades.ts_venue, start, end)
        ids = trades.stage.read(trades.trade_id, start, end)
        behind, latest = _behind(ts_ns, latest)
        if behind.any():
            is_sorted = False
            facts.note("out_of_order", ts_ns[behind], rows[behind])
        behind, latest_venue = _behind(ts_venue_ns, latest_venue)
        if behind.any():
            facts.note("venue_out_of_order", ts_ns[behind], rows[behind])
        given = ids[ids != _NO_ID]
        if len(given):
            ids_rise = ids_rise and int(given[0]) > latest_id and bool((given[1:] > given[:-1]).all())
            latest_id = int(given[-1])
    return _Order(is_sorted, ids_rise)


def _behind(stamps: IntArray, latest: int) -> tuple[BoolArray, int]:
    before = np.maximum.accumulate(np.concatenate(([latest], stamps)))
    return stamps < before[:-1], int(before[-1])


def _first_of_each(trades: TradeStage, facts: FactCollector) -> BoolArray:
    ids = trades.stage.read(trades.trade_id, 0, trades.stage.n_rows)
    keep = np.ones(len(ids), dtype=np.bool_)
    by_id = np.argsort(ids, kind="stable")
    sorted_ids = ids[by_id]
    again = np.flatnonzero((sorted_ids[1:] == sorted_ids[:-1]) & (sorted_ids[1:] != _NO_ID)) + 1
    if not len(again):
        return keep
    # The first row of each id: the last place before, where a new id begins.
    starts = np.flatnonzero(np.concatenate(([True], sorted_ids[1:] != sorted_ids[:-1])))
    first = by_id[starts[np.searchsorted(starts, again, side="right") - 1]]
    later = by_id[again]
    same = np.ones(len(later), dtype=np.bool_)
    for column in range(trades.n_columns):
        if column != trades.row:
            values = trades.stage.read(column, 0, len(ids))
            same &= values[later] == values[first]
    keep[later] = False
    in_file_order = np.argsort(later)
    later, same = later[in_file_order], same[in_file_order]
    ts_ns, rows = trades.stage.read(trades.ts, 0, len(ids)), trades.rows(0, len(ids))
    for fact, hit in (("duplicates", same), ("conflicting_duplicates", ~same)):
        if hit.any():
            facts.note(fact, ts_ns[later[hit]], rows[later[hit]])
    return keep
