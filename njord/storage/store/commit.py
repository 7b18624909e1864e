"""How do rows get into a dataset? In time order, any number at a time; the dataset changes when `commit` says so.

Rows of one period wait on an anonymous temporary file until the period is over; then they are merged with the rows
that the store has of it, and the period's parts are written under temporary names. Memory is that of one part.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
import numpy as np

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.bars_text import one_line, show_interval, show_time
from njord.storage.interval import parse_timeframe, refuse_overlap
from njord.storage.stage import ColumnStage
from njord.storage.store.files import StoreFiles
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import COLUMNS, Columns, DataKind, IntArray
from njord.storage.store.manifest import NO_CERTIFICATE, Manifest, SourceFile
from njord.storage.store.parts import TS_END_NS, as_columns, blocks, period_of, period_range, read_bytes
from njord.storage.store.periods import PeriodMerge, PeriodMerger
from njord.storage.store.rows_hash import rows_hash
from njord.storage.store.rules import FeeTier, InstrumentRules
from njord.storage.store.stored import StoredDataset
from njord.storage.store.transaction import StagedPart, Transaction

_SHOWN = 40
Dated = TypeVar("Dated", InstrumentRules, FeeTier)


class Commit:
    """The next state of one dataset in the making; a context manager that leaves the old state unless `commit` ran.

    Attributes:
        n_added: Rows so far that the dataset did not have; complete after `rows_after_merge` or `commit`.
        n_known: Rows so far that it had.
        n_replaced: Rows so far that took the place of one with another content.
    """

    def __init__(
        self,
        root: Path,
        key: DatasetKey,
        instrument: Instrument,
        interval_ns: int,
        replace: bool,
        files: StoreFiles,
    ) -> None:
        self.key = key
        self.n_added = self.n_known = self.n_replaced = 0
        self._root = root
        self._interval_ns = _interval(key, interval_ns)
        if (instrument.symbol, instrument.venue) != (key.symbol, key.venue):
            raise DataError(
                f"the instrument is {one_line(instrument.id)}, the dataset {key.path}",
                "give both the same names",
            )
        self._transaction = Transaction(root, key.path, key.kind, files)
        try:
            self._old = self._transaction.manifest
            self.instrument = _instrument(self._old, key, instrument)
            self._parts: dict[str, list[StagedPart]] = {}
            for part in self._old.parts if self._old is not None else ():
                self._parts.setdefault(part.period, []).append(StagedPart(part))
            self._merger = PeriodMerger(self._transaction, key.kind, replace)
        except BaseException:
            self._transaction.close()
            raise
        self._period = ""
        self._stage: ColumnStage | None = None
        self._last_ns = -1
        self._is_complete = False
        self._hash = ""

    # --- rows in ------------------------------------------------------------------------------------------------------

    def append(self, columns: Columns) -> None:
        """Take rows in time order, after those of the call before; bars strictly rising.

        Args:
            columns: One int64 array per column of the kind, all of one length; none at all is fine.

        Raises:
            DataError: The rows are no rows of this kind, contradict stored ones, or the disk refuses.
        """
        if self._is_complete:
            raise ValueError("rows were added after the merged rows had been asked for")
        rows = self._checked(columns)
        times = rows[0]
        first = 0
        while first < len(times):
            period = self._period_at(int(times[first]))
            if period != self._period:
                self._end_period()
                self._period, self._stage = period, ColumnStage((np.int64,) * len(rows))
            assert self._stage is not None
            end = int(np.searchsorted(times, period_range(period)[1], "left"))
            self._stage.append([column[first:end] for column in rows])
            first = end

    # --- the whole dataset as it will be ------------------------------------------------------------------------------

    def rows_after_merge(self) -> Iterator[dict[str, IntArray]]:
        """Yield all rows of the dataset as it will be after the commit, in order, a row group at a time.

        No rows can be added afterwards. Reading to the end also finds `hash_after_merge`.
        """
        self._complete()
        kind = self.key.kind
        last = np.empty(0, dtype=np.int64)
        digest = rows_hash(kind, self.instrument, self._interval_ns)
        for staged in self._staged():
            name = staged.temp or self._transaction.folder / staged.part.file
            data = read_bytes(name, staged.part, self._transaction.path)
            for block in blocks(data, staged.part, COLUMNS[kind], self._transaction.path):
                digest.add(block)
                if kind is DataKind.BARS:
                    refuse_overlap(np.concatenate((last, block[0])), self._interval_ns, self.key.path)
                    last = block[0][-1:]
                yield as_columns(kind, block)
        self._hash = digest.text()

    @property
    def manifest_before(self) -> Manifest | None:
        """The manifest of the state that this one follows; None for a new dataset."""
        return self._old

    @property
    def n_rows_after_merge(self) -> int:
        """How many rows the dataset will have after the commit."""
        self._complete()
        return sum(staged.part.n_rows for staged in self._staged())

    @property
    def hash_after_merge(self) -> str:
        """The canonical hash of the dataset as it will be after the commit."""
        self._complete()
        if not self._hash and self._old is not None and not self._has_changed:
            self._hash = self._old.hash
        if not self._hash:
            for _ in self.rows_after_merge():
                pass
        return self._hash

    # --- done ---------------------------------------------------------------------------------------------------------

    def commit(
        self,
        *,
        source: SourceFile | None = None,
        certificate: bytes | None = None,
        assumptions: tuple[str, ...] = (),
        rules: tuple[InstrumentRules, ...] | None = None,
        fees: tuple[FeeTier, ...] | None = None,
    ) -> StoredDataset:
        """Make the merged rows the dataset's state, durable when this returns.

        Args:
            source: What was imported; its row counts are filled in here.
            certificate: Of the merged rows, a JSON object; None keeps the old one only if no row has changed.
            assumptions: Sentences, added to those the dataset has.
            rules: The instrument's rules; None keeps those the dataset has.
            fees: Its fees; None keeps those the dataset has.

        Raises:
            DataError: There is not a single row, or the disk refuses.
        """
        digest = self.hash_after_merge
        staged = self._staged()
        if not staged:
            raise DataError(f"{self.key.path} would have no rows", "import a file with rows")
        old = self._old
        parts = tuple(one.part for one in staged)
        names = {part.file for part in parts}
        known = () if old is None else (*old.retired, *(part.file for part in old.parts))
        kept = old.certificate if old is not None and not self._has_changed else NO_CERTIFICATE
        manifest = Manifest(
            key=self.key,
            instrument=self.instrument,
            interval_ns=self._interval_ns,
            n_rows=sum(part.n_rows for part in parts),
            hash=digest,
            parts=parts,
            retired=tuple(sorted({name for name in known if name not in names and self._is_there(name)})),
            rules=_dated(rules) if rules is not None else old.rules if old else (),
            fees=_dated(fees) if fees is not None else old.fees if old else (),
            sources=self._sources(source),
            assumptions=tuple(dict.fromkeys((*(old.assumptions if old else ()), *assumptions))),
            certificate=_certificate(certificate) if certificate is not None else kept,
        )
        if old is None or manifest != msgspec.structs.replace(old, checksum=""):
            self._transaction.publish(manifest, staged)
        self.close()
        return StoredDataset(self._root, self.key.path)

    def close(self) -> None:
        """Leave the dataset as it is and let the next writer in."""
        if self._stage is not None:
            self._stage.close()
            self._stage = None
        self._transaction.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _has_changed(self) -> bool:
        return bool(self.n_added or self.n_replaced)

    def _complete(self) -> None:
        self._is_complete = True
        self._end_period()

    def _staged(self) -> list[StagedPart]:
        periods = sorted(self._parts, key=lambda period: period_range(period)[0])
        return [staged for period in periods for staged in self._parts[period]]

    def _is_there(self, name: str) -> bool:
        return (self._transaction.folder / name).exists()

    def _sources(self, source: SourceFile | None) -> tuple[SourceFile, ...]:
        old = self._old.sources if self._old is not None else ()
        if source is None:
            return old
        n_added = self.n_added + self.n_replaced
        source = msgspec.structs.replace(
            source, n_rows=n_added + self.n_known, n_added=n_added, n_known=self.n_known
        )
        repeated = not n_added and any((one.name, one.sha256) == (source.name, source.sha256) for one in old)
        return old if repeated else (*old, source)

    def _period_at(self, ts_ns: int) -> str:
        period = period_of(self.key.kind, ts_ns)
        wider = (period[:n_chars] for n_chars in (7, 4))  # What `compact` made of the month or year.
        return next((known for known in (period, *wider) if known in self._parts), period)

    def _end_period(self) -> None:
        if self._stage is None:
            return
        stage, self._stage = self._stage, None
        with stage:
            done: PeriodMerge = self._merger.merge(self._period, stage, self._parts.get(self._period, []))
        self._parts[self._period] = done.parts
        self.n_added += done.n_added
        self.n_known += done.n_known
        self.n_replaced += done.n_replaced

    def _checked(self, columns: Columns) -> list[IntArray]:
        names, path = COLUMNS[self.key.kind], self.key.path
        if set(columns) != set(names):
            raise ValueError(f"{path} has the columns {', '.join(names)}, was given {', '.join(columns)}")
        rows = [_whole_numbers(columns[name], name, path) for name in names]
        if len({len(column) for column in rows}) != 1:
            raise ValueError(f"the columns of {path} must be of one length")
        times = rows[0]
        if not len(times):
            return rows
        if times.min() < 0 or times.max() >= TS_END_NS:
            at = int(times.min()) if times.min() < 0 else int(times.max())
            raise DataError(
                f"{path}: the time {show_time(at)} can not be stored",
                "use times from 1970 to the end of 2261",
            )
        step_min = 1 if self.key.kind is DataKind.BARS else 0
        backwards = np.diff(times, prepend=self._last_ns) < step_min
        if backwards.any():
            at = int(times[int(np.argmax(backwards))])
            raise DataError(
                f"{path}: the row at {show_time(at)} comes after one that is {'not earlier' if step_min else 'later'}",
                "put the rows in time order",
            )
        self._last_ns = int(times[-1])
        return rows


def _whole_numbers(values: IntArray, name: str, path: str) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} of {path} must be a row of whole numbers, was {array.dtype} {array.shape}")
    if array.dtype.kind == "u" and len(array) and array.max() > np.iinfo(np.int64).max:
        raise DataError(
            f"{path}: {name} {int(array.max())} is beyond 2^63 - 1", "import it with a coarser tick or lot"
        )
    return array.astype(np.int64, copy=False)


def _interval(key: DatasetKey, interval_ns: int) -> int:
    if key.kind is not DataKind.BARS:
        return 0
    named_ns = parse_timeframe(key.timeframe)
    if interval_ns not in (0, named_ns):
        raise DataError(
            f"bars of {show_interval(interval_ns)} do not belong in {key.path}",
            "give the timeframe they have",
        )
    return named_ns


# The grid on which the stored rows lie; a file on another grid would mean other prices by the same numbers.
def _instrument(old: Manifest | None, key: DatasetKey, given: Instrument) -> Instrument:
    if old is None:
        return given
    if old.key != key:
        raise DataError(
            f"{key.path} holds {one_line(old.key.symbol, _SHOWN)}, not {one_line(key.symbol, _SHOWN)}: both would share a folder",
            "use another store for one of them",
        )
    for name in ("tick_size", "lot_size"):
        was, comes = getattr(old.instrument, name), getattr(given, name)
        if was != comes:
            flag = "--tick" if name == "tick_size" else "--lot"
            raise DataError(
                f"{key.path} is stored with {name} {plain(was)}, the import has {plain(comes)}",
                f"import with {flag} {plain(was)}, or into another store",
            )
    if old.instrument.kind is not given.kind:
        raise DataError(
            f"{key.path} is of a {old.instrument.kind.value} instrument, the import of a {given.kind.value} one",
            "import into another store",
        )
    return old.instrument


def _dated(entries: tuple[Dated, ...]) -> tuple[Dated, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.from_ns))


def _certificate(data: bytes) -> msgspec.Raw:
    msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    return msgspec.Raw(data.strip())
