"""What was recorded between two times? A recording and a range in; its rows, each once and in order, out.

All files of a recording are read as one, whatever turns them over or compresses them meanwhile.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.units import NS_PER_MINUTE
from njord.storage.bars_text import one_line
from njord.storage.certificate.facts import FactCollector
from njord.storage.ingest.frames import stage_exact, stage_hash
from njord.storage.ingest.frames_header import DataHeader
from njord.storage.ingest.frames_open import Form, Opened
from njord.storage.ingest.frames_rows import RowSource, ranges
from njord.storage.recording_files import first_row_ns, is_at, lines_of, lock_shared, recorded_files
from njord.storage.stage import ColumnStage
from njord.storage.store.kinds import COLUMNS, DataKind

IntArray = NDArray[np.int64]

_TRIES = 100
# Files follow each other in time; rows sent again after a reconnect may reach back so far over the border.
_SEAM_NS = 60 * NS_PER_MINUTE
# A row without an id may have a twin that happened, too: only rows with one can be known again.
_ID_COLUMN = {DataKind.TRADES: "trade_id", DataKind.QUOTES: "update_id"}


def read_recording(
    folder: Path, name: str, start_ns: int | None = None, end_ns: int | None = None
) -> RowSource:
    """Read the rows of a recording with `start_ns` <= time < `end_ns`, over all of its files, each row once.

    Files may be turned over and compressed meanwhile. Rows that a file repeats from the end of the ones before it are
    dropped and counted; what then runs backwards is sorted and counted.

    Args:
        folder: Where the recording lies.
        name: What its files are called before the date, such as md.trades.BTCUSDT.
        start_ns: First time, by the first column; None = no bound.
        end_ns: First time that is too late; None = no bound.

    Raises:
        DataError: There is no such recording, a file is damaged, or files differ in kind or instrument.
    """
    facts = FactCollector()
    with ExitStack() as opened:
        files = _held(folder, name, opened)
        header, wanted = _wanted(files, start_ns, end_ns)
        types = (np.int64,) * len(COLUMNS[header.kind])
        rows = opened.enter_context(ColumnStage(types))
        latest_ns = -(2**63)
        for path, file in wanted:
            with ColumnStage(types) as part:
                _stage_file(path, file, header, part, facts)
                latest_ns = _join(rows, part, header.kind, latest_ns, facts)
        stage = ColumnStage(types)
        with ExitStack() as unless_done:
            unless_done.callback(stage.close)
            _take_range(rows, stage, header.kind, (start_ns, end_ns), facts)
            digest = stage_hash(stage, header.kind, header.instrument, header.interval_ns)
            unless_done.pop_all()
    return RowSource(
        kind=header.kind,
        instrument=header.instrument,
        interval_ns=header.interval_ns,
        key=header.key,
        stage=stage,
        digest=digest,
        facts=facts.facts(),
        assumptions=(f"Read from {len(wanted)} of the {len(files)} files of {one_line(name, 80)}.",),
    )


# --- files ---


# Opened files stay readable whatever becomes of their names; only a set of names that stood still is complete.
def _held(folder: Path, name: str, opened: ExitStack) -> list[tuple[Path, BinaryIO]]:
    for _ in range(_TRIES):
        with ExitStack() as unless_kept:
            files: list[tuple[Path, BinaryIO]] = []
            try:
                for each in recorded_files(folder, name):
                    file = unless_kept.enter_context(each.path.open("rb"))
                    lock_shared(file.fileno())
                    files.append((each.path, file))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise DataError(
                    f"a file of {one_line(name, 80)} can not be opened: {error.strerror}",
                    "check its permissions",
                ) from None
            now = [each.path for each in recorded_files(folder, name)]
            if now == [path for path, _ in files] and all(is_at(file.fileno(), path) for path, file in files):
                if not files:
                    raise DataError(
                        f"there is no recording {one_line(name, 80)} in {one_line(folder, 200)}",
                        "check its name",
                    )
                opened.enter_context(unless_kept.pop_all())
                return files
    raise DataError(f"the files of {one_line(name, 80)} do not stand still", "try again")


def _wanted(
    files: list[tuple[Path, BinaryIO]], start_ns: int | None, end_ns: int | None
) -> tuple[DataHeader, list[tuple[Path, BinaryIO]]]:
    header: DataHeader | None = None
    firsts: list[int] = []
    with_rows = []
    for path, file in files:
        this, first_ns = first_row_ns(path, file)
        file.seek(0)
        if header is not None and this != header:
            raise DataError(
                f"{one_line(path.name, 80)} is of another kind or instrument than the files before it",
                "read the recordings apart",
            )
        header = this
        if first_ns is not None:
            firsts.append(first_ns)
            with_rows.append((path, file))
    assert header is not None  # `_held` returns one file at least.
    wanted = []
    for index, held in enumerate(with_rows):
        is_late = end_ns is not None and firsts[index] - _SEAM_NS >= end_ns
        ends_early = start_ns is not None and any(
            first + _SEAM_NS < start_ns for first in firsts[index + 1 :]
        )
        if not is_late and not ends_early:
            wanted.append(held)
    return header, wanted


def _stage_file(
    path: Path, file: BinaryIO, header: DataHeader, into: ColumnStage, facts: FactCollector
) -> None:
    where = one_line(path.name, 80)
    with ExitStack() as opened:
        lines = lines_of(path, file, where, opened)
        lines.first()
        stage_exact(path, Opened(Form.NDJSON, file), header, lines, into, facts, where)


# --- seams ---


# Appends `part` to `rows` without what it repeats from their end; returns the latest time of both.
def _join(rows: ColumnStage, part: ColumnStage, kind: DataKind, latest_ns: int, facts: FactCollector) -> int:
    n_columns = len(COLUMNS[kind])
    ts_ns = part.read(0, 0, part.n_rows)
    if not len(ts_ns):
        return latest_ns
    again = _repeated(rows, part, kind, np.flatnonzero(ts_ns <= latest_ns))
    if len(again):
        facts.note("duplicates", ts_ns[again], again + 1, "repeated over the border of two files")
    keep = np.ones(len(ts_ns), dtype=np.bool_)
    keep[again] = False
    for start, end in ranges(part.n_rows):
        rows.append([part.read(column, start, end)[keep[start:end]] for column in range(n_columns)])
    return max(latest_ns, int(ts_ns.max()))


def _repeated(rows: ColumnStage, part: ColumnStage, kind: DataKind, overlapping: IntArray) -> IntArray:
    if not len(overlapping):
        return overlapping
    n_columns = len(COLUMNS[kind])
    size = n_columns * 8
    theirs = np.stack([part.read(column, 0, part.n_rows)[overlapping] for column in range(n_columns)], axis=1)
    first_ns = int(theirs[:, 0].min())
    known: set[bytes] = set()
    for start, end in reversed(list(ranges(rows.n_rows))):
        ours = np.stack([rows.read(column, start, end) for column in range(n_columns)], axis=1)
        if int(ours[:, 0].max()) < first_ns:
            break
        known.update(_split(ours[ours[:, 0] >= first_ns], size))
    again = []
    identity = COLUMNS[kind].index(_ID_COLUMN[kind]) if kind in _ID_COLUMN else None
    for index, values, each in zip(overlapping.tolist(), theirs, _split(theirs, size), strict=True):
        if each in known and (identity is None or values[identity]):
            again.append(index)
    return np.array(again, dtype=np.int64)


def _split(rows: NDArray[np.int64], size: int) -> list[bytes]:
    data = rows.tobytes()
    return [data[start : start + size] for start in range(0, len(data), size)]


def _take_range(
    rows: ColumnStage,
    into: ColumnStage,
    kind: DataKind,
    bounds: tuple[int | None, int | None],
    facts: FactCollector,
) -> None:
    n_columns = len(COLUMNS[kind])
    ts_ns = rows.read(0, 0, rows.n_rows)
    start_ns, end_ns = bounds
    inside = np.ones(len(ts_ns), dtype=np.bool_)
    if start_ns is not None:
        inside &= ts_ns >= start_ns
    if end_ns is not None:
        inside &= ts_ns < end_ns
    chosen = np.flatnonzero(inside)
    behind = ts_ns[chosen][1:] < np.maximum.accumulate(ts_ns[chosen])[:-1]
    if behind.any():
        at = chosen[1:][behind]
        facts.note("out_of_order", ts_ns[at], at + 1)
        chosen = chosen[np.argsort(ts_ns[chosen], kind="stable")]
    for column in range(n_columns):
        values = rows.read(column, 0, rows.n_rows)
        for start, end in ranges(len(chosen)):
            into.extend(column, values[chosen[start:end]])
