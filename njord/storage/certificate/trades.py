"""What are these trades worth? Stored rows in, in pieces of any size; their certificate out, in bounded memory."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.storage.certificate.certificate import Certificate, make_finding
from njord.storage.certificate.clock import ClockChecks, Silences
from njord.storage.certificate.facts import NO_FACTS, SourceFacts
from njord.storage.certificate.findings import certify, counted, mended
from njord.storage.certificate.grading import OUTLIER_TRADES_AROUND, STEP_ROWS, TRADES
from njord.storage.certificate.ids import IdChecks
from njord.storage.certificate.robust import trade_outliers
from njord.storage.certificate.tally import BadRanges, Tally, far_from
from njord.storage.certificate.windows import RowWindows, Window

IntArray = NDArray[np.int64]

COLUMNS = ("ts_ns", "ts_venue_ns", "trade_id", "side", "price_ticks", "qty_lots")
AROUND = max(2 * OUTLIER_TRADES_AROUND + 1, STEP_ROWS)


class TradeChecks:
    """Follows trades in the order of `ts_ns`.

    Args:
        instrument: Whose ticks and lots these are.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._windows = RowWindows(len(COLUMNS), before=AROUND, after=AROUND)
        self._impossible, self._outliers = Tally(), Tally()
        self._ids, self._clock, self._silences = IdChecks(), ClockChecks(), Silences()
        self._n_sideless = 0
        self._bad = BadRanges()

    def add(self, columns: Mapping[str, IntArray]) -> None:
        """Take the next rows, as the columns of DataKind.TRADES."""
        for window in self._windows.add([columns[name] for name in COLUMNS]):
            self._look(window)

    def finish(self, dataset_hash: str, facts: SourceFacts = NO_FACTS) -> Certificate:
        """Return the certificate of all rows, for the dataset of this hash; `facts` is what importers mended."""
        for window in self._windows.finish():
            self._look(window)
        n_rows, ids, notes = self._windows.n_rows, self._ids, []
        findings = [
            counted("impossible_rows", self._impossible, n_rows),
            counted("outliers", self._outliers, n_rows),
            *mended(facts, n_rows, n_rows),
        ]
        if ids.are_consecutive:
            findings += [
                make_finding(
                    "missing_ids",
                    ids.n_missing,
                    ids.n_expected,
                    places=ids.holes.places,
                    worst=ids.holes.worst,
                ),
                counted("id_disorder", ids.not_rising, ids.n_rows),
            ]
            self._bad.add_all(ids.bad)
            coverage = ids.coverage
        else:
            notes.append(
                "The venue's ids are not consecutive: a missing trade can not be told."
                if ids.n_rows
                else "The trades have no ids: a missing trade can not be told."
            )
            silences, coverage = self._silences.finding(n_rows, self._bad)
            findings.append(silences)
        findings.append(self._clock.disorder(n_rows, facts.venue_out_of_order))
        clock, found, unasked = self._clock.findings()
        if self._n_sideless:
            notes.append(f"{self._n_sideless:,} trades do not say who the aggressor was.")
        return certify(
            kind=TRADES,
            dataset_hash=dataset_hash,
            n_rows=n_rows,
            span_ns=self._silences.span_ns,
            coverage=coverage,
            findings=[*findings, *found],
            facts=facts,
            bad=self._bad,
            clock=clock,
            notes=[*notes, *unasked],
        )

    def _look(self, window: Window) -> None:
        ts_ns, ts_venue_ns, ids, side, price, qty = window.columns
        start, end, first_row = window.start, window.end, window.first_row
        self._ids.look(ids[start:end], ids[start:end], ts_ns[start:end], first_row + start)
        rows = np.arange(first_row, first_row + len(ts_ns))
        self._silences.look(ts_ns[start:end], rows[start:end])
        self._clock.look(ts_ns, ts_venue_ns, rows, start, end)
        self._n_sideless += int(np.count_nonzero(side[start:end] == 0))
        at = np.flatnonzero((price[start:end] <= 0) | (qty[start:end] <= 0)) + start
        if len(at):
            self._impossible.add(
                at, ts_ns, first_row, lambda index: f"{qty[index]} lots at {price[index]} ticks"
            )
            flag_rows(self._bad, ts_ns, at)
        at, reach = trade_outliers(price, start, end)
        if len(at):
            words = far_from(at, reach, "the trades around it")
            self._outliers.add(at, ts_ns, first_row, words, sizes=reach)
            flag_rows(self._bad, ts_ns, at)


def flag_rows(bad: BadRanges, ts_ns: IntArray, at: IntArray) -> None:
    """Add to `bad` the time from each row `at` to the next one, at least a nanosecond."""
    next_ns = ts_ns[np.minimum(at + 1, len(ts_ns) - 1)]
    bad.add(ts_ns[at], np.maximum(next_ns, ts_ns[at] + 1))
