"""What are these quotes worth? Stored rows of best bid and ask in, in pieces of any size; their certificate out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.certificate.certificate import Certificate, make_finding
from njord.storage.certificate.clock import Silences
from njord.storage.certificate.facts import NO_FACTS, SourceFacts
from njord.storage.certificate.findings import certify, counted, mended
from njord.storage.certificate.grading import OUTLIER_TRADES_AROUND, QUOTES
from njord.storage.certificate.ids import IdChecks
from njord.storage.certificate.robust import trade_outliers
from njord.storage.certificate.tally import BadRanges, Tally, far_from
from njord.storage.certificate.trades import flag_rows
from njord.storage.certificate.windows import RowWindows, Window

IntArray = NDArray[np.int64]

COLUMNS = ("ts_ns", "update_id", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
AROUND = 2 * OUTLIER_TRADES_AROUND + 1


class QuoteChecks:
    """Follows quotes in the order of `ts_ns`.

    Args:
        instrument: Whose ticks and lots these are.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._windows = RowWindows(len(COLUMNS), before=AROUND, after=AROUND)
        self._crossed, self._locked, self._empty, self._impossible = Tally(), Tally(), Tally(), Tally()
        self._outliers, self._ids, self._silences = Tally(), IdChecks(), Silences()
        self._bad = BadRanges()

    def add(self, columns: Mapping[str, IntArray]) -> None:
        """Take the next rows, as the columns of DataKind.QUOTES."""
        for window in self._windows.add([columns[name] for name in COLUMNS]):
            self._look(window)

    def finish(self, dataset_hash: str, facts: SourceFacts = NO_FACTS) -> Certificate:
        """Return the certificate of all rows, for the dataset of this hash; `facts` is what importers mended."""
        for window in self._windows.finish():
            self._look(window)
        n_rows = self._windows.n_rows
        silences, coverage = self._silences.finding(n_rows, self._bad)
        late = facts.venue_out_of_order
        return certify(
            kind=QUOTES,
            dataset_hash=dataset_hash,
            n_rows=n_rows,
            span_ns=self._silences.span_ns,
            coverage=coverage,
            findings=[
                counted("impossible_rows", self._impossible, n_rows),
                counted("crossed", self._crossed, n_rows),
                counted("outliers", self._outliers, n_rows),
                counted("id_disorder", self._ids.not_rising, self._ids.n_rows),
                make_finding("venue_disorder", late.n, n_rows, places=late.places),
                silences,
                counted("empty_sides", self._empty, n_rows),
                counted("locked", self._locked, n_rows),
                *mended(facts, n_rows, 2 * n_rows),
            ],
            facts=facts,
            bad=self._bad,
            notes=["Quotes carry one clock: offset, steps and drift can not be told."],
        )

    def _look(self, window: Window) -> None:
        ts_ns, ids, bid, bid_lots, ask, ask_lots = window.columns
        start, end, first_row = window.start, window.end, window.first_row
        own = slice(start, end)
        self._ids.look(ids[own], ids[own], ts_ns[own], first_row + start)
        self._silences.look(ts_ns[own], np.arange(first_row + start, first_row + end))
        two_sided = (bid[own] > 0) & (ask[own] > 0)
        impossible = (bid[own] < 0) | (ask[own] < 0)
        impossible |= ((bid[own] > 0) != (bid_lots[own] > 0)) | ((ask[own] > 0) != (ask_lots[own] > 0))
        for tally, mask, is_bad in (
            (self._crossed, two_sided & (bid[own] > ask[own]), True),
            (self._locked, two_sided & (bid[own] == ask[own]), False),
            (self._empty, (bid[own] == 0) | (ask[own] == 0), False),
            (self._impossible, impossible, True),
        ):
            at = np.flatnonzero(mask) + start
            if len(at):
                tally.add(at, ts_ns, first_row, lambda index: self._words(window, index))
                if is_bad:
                    flag_rows(self._bad, ts_ns, at)
        # Twice the mid price; one-sided quotes have none.
        mid = np.where((bid > 0) & (ask > 0), bid + ask, 0)
        at, reach = trade_outliers(mid, start, end)
        if len(at):
            words = far_from(at, reach, "the quotes around it")
            self._outliers.add(at, ts_ns, first_row, words, sizes=reach)
            flag_rows(self._bad, ts_ns, at)

    def _words(self, window: Window, index: int) -> str:
        bid, ask = (plain(self._instrument.price(int(window.columns[column][index]))) for column in (2, 4))
        return f"bid {bid}, ask {ask}"
