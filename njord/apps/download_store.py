"""How do downloaded rows lie in the store? Piece by piece, each a commit of its own with its certificate and source.

After every commit the dataset is whole: hash, certificate and the venue's rules are those of its rows, so that a crash
leaves nothing to mend, and the next download asks `missing_ranges` where to go on.
"""

import hashlib
import os
from collections.abc import Iterator

import numpy as np

from njord.apps.download_report import Columns, Piece
from njord.apps.ranges import IntArray, Range, merged, missing_between
from njord.apps.store_rows import Source, store_rows
from njord.core.instrument import Instrument
from njord.storage.bars_text import show_time
from njord.storage.interval import parse_timeframe
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import COLUMNS, DataKind
from njord.storage.store.rules import InstrumentRules
from njord.storage.store.store import Store, StoredDataset


class StoreSink:
    """One dataset of bars or trades as the sink of a download; it need not exist yet."""

    def __init__(self, store: Store, key: DatasetKey) -> None:
        self._store = store
        self._key = key
        self._place = "trade_id" if key.kind is DataKind.TRADES else COLUMNS[key.kind][0]
        self._interval_ns = parse_timeframe(key.timeframe) if key.timeframe else 0
        self._instrument: Instrument | None = None
        if self._exists():
            with store.open(key) as stored:
                self._instrument = stored.instrument

    @property
    def instrument(self) -> Instrument | None:
        """The instrument that the dataset is stored with; None = there is no dataset yet."""
        return self._instrument

    def missing_ranges(self, first: int, end: int, step: int) -> list[Range]:
        """Return the ranges of places in [first, end) without a row; memory holds the runs of ids, not the ids.

        Raises:
            DataError: The dataset is damaged.
        """
        if not self._exists():
            return missing_between(first, end, np.empty(0, dtype=np.int64), step)
        runs: list[Range] = []
        with self._store.open(self._key) as stored:
            for places in self._places(stored, first, end):
                runs = merged([*runs, *_runs(places, step)])
        missing, at = [], first
        for start, stop in runs:
            if start > at:
                missing.append((at, min(start, end)))
            at = max(at, stop)
        if at < end:
            missing.append((at, end))
        return [each for each in missing if each[0] < each[1]]

    def write(self, columns: Columns, piece: Piece) -> None:
        """Commit rows in time order, with the certificate of the dataset as it then is.

        Raises:
            DataError: They contradict stored rows, or the disk refuses.
        """
        rules = self._rules()
        if not rules or rules[-1].instrument != piece.venue_instrument:
            rules = (*rules, InstrumentRules(piece.venue_now_ns, piece.venue_instrument))
        store_rows(
            self._store,
            self._key,
            piece.instrument,
            [columns],
            self._source(columns, piece),
            interval_ns=self._interval_ns,
            rules=rules,
        )
        self._instrument = piece.instrument

    def _exists(self) -> bool:
        return os.path.lexists(self._store.root / self._key.path)

    def _rules(self) -> tuple[InstrumentRules, ...]:
        if not self._exists():
            return ()
        with self._store.open(self._key) as stored:
            return stored.manifest.rules

    def _places(self, stored: StoredDataset, first: int, end: int) -> Iterator[IntArray]:
        # Ids say nothing of times: all of them are looked at.
        start_ns, end_ns = (None, None) if self._key.kind is DataKind.TRADES else (first, end)
        for rows in stored.chunks(start_ns, end_ns, columns=(self._place,)):
            yield np.unique(rows[self._place])

    def _source(self, columns: Columns, piece: Piece) -> Source:
        digest = hashlib.sha256()
        for name in COLUMNS[self._key.kind]:
            digest.update(np.ascontiguousarray(columns[name], dtype="<i8").data)
        times = columns[COLUMNS[self._key.kind][0]]
        what = self._key.timeframe or "trades"
        span = f"{show_time(int(times[0]))} to {show_time(int(times[-1]))}"
        return Source(
            name=f"{self._key.venue} {self._key.symbol} {what} {span}",
            sha256=digest.hexdigest(),
            facts=piece.facts,
        )


# Places that follow each other without a hole, as ranges; `places` rise strictly.
def _runs(places: IntArray, step: int) -> list[Range]:
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) != step)
    starts = np.concatenate((places[:1], places[breaks + 1]))
    ends = np.concatenate((places[breaks], places[-1:])) + step
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
