"""What are these order book events worth? Stored rows in, in pieces of any size; their certificate out.

Rows are gathered into events; sequence, times and levels are checked by numpy, and one plain pass rebuilds the sides of
the book as far as a crossed one needs it. Memory is bounded by the largest event and by the book.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.certificate.certificate import Certificate, Finding, make_finding
from njord.storage.certificate.clock import ClockChecks, Silences
from njord.storage.certificate.facts import NO_FACTS, SourceFacts
from njord.storage.certificate.findings import certify, counted, mended
from njord.storage.certificate.grading import BOOK, STEP_ROWS
from njord.storage.certificate.ids import IdChecks
from njord.storage.certificate.sides import BookSides
from njord.storage.certificate.tally import BadRanges, Tally
from njord.storage.certificate.windows import RowWindows, Window

IntArray = NDArray[np.int64]

COLUMNS = ("ts_ns", "ts_venue_ns", "first_update_id", "last_update_id", "flags", "price_ticks", "qty_lots")
# As in storage/store/kinds.py, which stands above this folder: the store's datasets carry certificates.
BID, ASK, SNAPSHOT, EVENT_END = 1, 2, 4, 8


class BookChecks:
    """Follows book events in the order of `ts_ns`.

    Args:
        instrument: Whose ticks and lots these are.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._held = [np.empty(0, dtype=np.int64) for _ in COLUMNS]
        self._n_rows = 0
        self._events = RowWindows(3, before=STEP_ROWS, after=STEP_ROWS)
        self._n_events = self._n_before_snapshot = 0
        self._has_snapshot = False
        self._impossible, self._crossed = Tally(), Tally()
        self._ids, self._clock, self._silences = IdChecks(), ClockChecks(), Silences()
        self._sides = BookSides()
        self._crossed_since_ns: int | None = None
        self._bad, self._bad_levels = BadRanges(), BadRanges()

    def add(self, columns: Mapping[str, IntArray]) -> None:
        """Take the next rows, as the columns of DataKind.BOOK."""
        rows = [np.concatenate((held, columns[name])) for held, name in zip(self._held, COLUMNS, strict=True)]
        ends = np.flatnonzero(rows[4] & EVENT_END)
        n_whole = int(ends[-1]) + 1 if len(ends) else 0
        self._held = [column[n_whole:] for column in rows]
        if n_whole:
            self._look([column[:n_whole] for column in rows], ends)

    def finish(self, dataset_hash: str, facts: SourceFacts = NO_FACTS) -> Certificate:
        """Return the certificate of all rows, for the dataset of this hash; `facts` is what importers mended."""
        notes = []
        if len(self._held[0]):
            notes.append("The last event has no end.")
            self._look(self._held, np.array([len(self._held[0]) - 1]))
        for window in self._events.finish():
            self._look_at_clock(window)
        first_ns, last_ns = self._silences.span_ns
        if self._crossed_since_ns is not None:
            self._bad.add_one(self._crossed_since_ns, last_ns + 1)
        self._bad.add_all(self._bad_levels)
        if not self._has_snapshot:
            self._bad.add_one(first_ns, last_ns + 1)
        findings = [
            make_finding("unanchored", self._n_before_snapshot, self._n_events),
            counted("impossible_rows", self._impossible, self._n_rows),
            self._crossed_finding(facts),
            self._clock.disorder(self._n_events, facts.venue_out_of_order),
            *mended(facts, self._n_rows, self._n_rows),
        ]
        if facts.quote_mismatches.n:
            seen = facts.quote_mismatches
            findings.append(make_finding("quote_mismatches", seen.n, self._n_events, places=seen.places))
        coverage = self._sequence(findings, notes)
        clock, found, unasked = self._clock.findings()
        return certify(
            kind=BOOK,
            dataset_hash=dataset_hash,
            n_rows=self._n_rows,
            span_ns=(first_ns, last_ns),
            coverage=coverage,
            findings=[*findings, *found],
            facts=facts,
            bad=self._bad,
            clock=clock,
            notes=[*notes, *unasked],
        )

    def _sequence(self, findings: list[Finding], notes: list[str]) -> float:
        ids = self._ids
        if not ids.n_rows:
            notes.append("The events have no ids: a missing one can not be told.")
            silences, coverage = self._silences.finding(self._n_events, self._bad)
            findings.append(silences)
            return coverage
        places, worst = ids.holes.places, ids.holes.worst
        findings.append(
            make_finding("sequence_holes", ids.n_missing, ids.n_expected, places=places, worst=worst)
        )
        findings.append(counted("id_disorder", ids.not_rising, ids.n_rows))
        self._bad.add_all(ids.bad)
        return ids.coverage

    def _crossed_finding(self, facts: SourceFacts) -> Finding:
        if facts.crossed.n > self._crossed.n:
            return make_finding("crossed", facts.crossed.n, self._n_events, places=facts.crossed.places)
        return counted("crossed", self._crossed, self._n_events)

    def _look(self, rows: list[IntArray], ends: IntArray) -> None:
        starts = np.concatenate(([0], ends[:-1] + 1))
        ts_ns, venue_ns, firsts, lasts, flags = (column[starts] for column in rows[:5])
        event_rows = starts + self._n_rows
        is_snapshot = (flags & SNAPSHOT) != 0
        diffs = np.flatnonzero(~is_snapshot)
        self._ids.look(firsts[diffs], lasts[diffs], ts_ns[diffs], 0, rows=event_rows[diffs])
        self._silences.look(ts_ns, event_rows)
        # A snapshot is fetched, not sent: it says nothing of the venue's clock.
        for window in self._events.add([ts_ns[diffs], venue_ns[diffs], event_rows[diffs]]):
            self._look_at_clock(window)
        if not self._has_snapshot:
            n_before = int(is_snapshot.argmax()) if is_snapshot.any() else len(starts)
            self._n_before_snapshot += n_before
            if n_before < len(starts):
                self._has_snapshot = True
                self._bad.add_one(self._silences.span_ns[0], int(ts_ns[n_before]))
        self._look_at_levels(rows)
        self._look_for_crosses(rows, starts, ends)
        self._n_events += len(starts)
        self._n_rows += len(rows[0])

    def _look_at_clock(self, window: Window) -> None:
        ts_ns, ts_venue_ns, event_rows = window.columns
        self._clock.look(ts_ns, ts_venue_ns, event_rows, window.start, window.end)

    def _look_at_levels(self, rows: list[IntArray]) -> None:
        ts_ns, flags, price, qty = rows[0], rows[4], rows[5], rows[6]
        side = flags & (BID | ASK)
        wrong = np.where(
            side == 0, (price != 0) | (qty != 0), (price <= 0) | (qty < 0) | (side == (BID | ASK))
        )
        at = np.flatnonzero(wrong)
        if len(at):
            self._impossible.add(
                at, ts_ns, self._n_rows, lambda index: f"{qty[index]} lots at {price[index]} ticks"
            )
            self._bad_levels.add(ts_ns[at], ts_ns[at] + 1)

    def _look_for_crosses(self, rows: list[IntArray], starts: IntArray, ends: IntArray) -> None:
        times, starts_at, ends_at = rows[0][starts].tolist(), starts.tolist(), ends.tolist()
        lasts, flags, prices, lots = (column.tolist() for column in rows[3:])
        tops = self._sides.follow(lasts, flags, prices, lots, starts_at, ends_at)
        for index, top in enumerate(tops):
            if top is None:
                if self._crossed_since_ns is not None:
                    self._bad.add_one(self._crossed_since_ns, times[index])
                    self._crossed_since_ns = None
                continue
            if self._crossed_since_ns is None:
                self._crossed_since_ns = times[index]
                bid, ask = (plain(self._instrument.price(ticks)) for ticks in top)
                words = f"bid {bid}, ask {ask}"
                row = self._n_rows + starts_at[index]
                self._crossed.add_place(times[index], row, words, size=top[0] - top[1])
            else:
                self._crossed.n += 1
