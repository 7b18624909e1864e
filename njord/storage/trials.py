"""The trial ledger: how often has an idea been tried, in all, and how did the trials come out?

One line of NDJSON for each run, sweep, walk-forward, ... goes in, with the hash and the Sharpe ratio of every point
it evaluated; counts of distinct trials go out. The file only grows. It is locked while it is read and appended to, a
line is on the disk before `add` returns, and a line that a crash cut short is closed, told and passed over: it never
hides what comes after it. The same trial again is no new one, and nothing is written for it.
"""

import base64
import binascii
import contextlib
import fcntl
import hashlib
import math
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.performance.selection import TrialCount
from njord.storage.disk import OsDisk

TRIALS_NAME = "trials.ndjson"
TRIALS_SCHEMA = 1
TrialKind = Literal["backtest", "sweep", "walkforward", "montecarlo", "notebook"]
KINDS: tuple[TrialKind, ...] = get_args(TrialKind)
_Points = NDArray[np.void]
_POINT = np.dtype([("identity", "<u8"), ("sharpe", "<f8")])
_LOCK_POLL_S = 0.005


class Trial(msgspec.Struct, frozen=True):
    """One point that was evaluated.

    Attributes:
        identity: As `trial_identity` makes it.
        sharpe: Per bar, not annualized; NaN if it has none.
    """

    identity: int
    sharpe: float


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What one run, sweep, ... adds.

    Attributes:
        kind: What tried it.
        idea: Name of the strategy (of its file); several in one run are joined by "+".
        ts_ns: When.
        symbols: On which markets.
        interval_ns: Bar interval of the returns that Sharpe ratios are made of.
        points: At least one.
        synthetic: On a generated market; those are counted apart.
    """

    kind: TrialKind
    idea: str
    ts_ns: int
    symbols: tuple[str, ...]
    interval_ns: int
    points: Sequence[Trial]
    synthetic: bool = False


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    schema: int
    kind: str
    idea: str
    ts_ns: int
    symbols: tuple[str, ...]
    synthetic: bool
    interval_ns: int
    n_points: int
    points: str  # base64 of little-endian (uint64 identity, float64 Sharpe ratio) pairs.


class _Schema(msgspec.Struct, frozen=True):
    schema: int


class LedgerFault(msgspec.Struct, frozen=True):
    """A line that is no record, and what it looks like: cut short by a crash, or damaged."""

    line: int
    says: str


class LedgerState(msgspec.Struct, frozen=True):
    """What the ledger holds of one idea, and what is wrong with the file.

    Attributes:
        count: Of the idea.
        number: The how-manieth trial of the idea the asked identity is, from 1; None if it is none or was not asked.
        faults: Lines that were passed over.
    """

    count: TrialCount
    number: int | None
    faults: tuple[LedgerFault, ...]


def trial_identity(code: str, data: Sequence[str], params: str, terms: str) -> int:
    """Return what makes a trial the same trial: 64 bits of the hash of its four parts.

    Args:
        code: Hash of the strategy's source.
        data: Of each dataset its hash and rows.
        params: Canonical text of the parameters.
        terms: Hash of what else decides: capital, costs, account, risk limits.
    """
    text = "\x1e".join((code, "\x1f".join(data), params, terms))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


class TrialLedger:
    """The ledger in one file; it is made with the first record.

    Args:
        path: `<state>/trials.ndjson`.
        lock_wait_s: How long to wait for others; whoever holds the lock reads, appends a line and syncs it, which
            takes milliseconds.
    """

    def __init__(self, path: Path, lock_wait_s: float = 10.0) -> None:
        self.path = path
        self._lock_wait_s = lock_wait_s

    def add(self, record: TrialRecord) -> int:
        """Append `record` durably and return how many of its points are new; with none, nothing is written.

        Raises:
            ValueError: It has no point, or a kind that nobody knows.
            DataError: The file can not be locked, read or written, or a newer njord wrote it.
        """
        if not record.points or record.kind not in KINDS:
            raise ValueError(f"a trial record needs a point and one of {KINDS}, was {record.kind!r}")
        with self._told("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                self._lock(descriptor, fcntl.LOCK_EX)
                return self._append(descriptor, record)
            finally:
                os.close(descriptor)

    def count(self, idea: str, interval_ns: int, *, synthetic: bool = False) -> TrialCount:
        """Return how many distinct trials `idea` has had.

        All of them count, whatever their symbol and bar interval; mean and variance are of those of `interval_ns`
        alone, because Sharpe ratios per bar of different intervals are not of one size.

        Raises:
            DataError: The file can not be locked or read, or a newer njord wrote it.
        """
        return self.state(idea, interval_ns, synthetic=synthetic).count

    def state(
        self, idea: str, interval_ns: int, *, identity: int | None = None, synthetic: bool = False
    ) -> LedgerState:
        """Return the count of `idea`, the number of one of its trials, and the faults of the file.

        Raises:
            DataError: The file can not be locked or read, or a newer njord wrote it.
        """
        lines, faults = _decoded(self._read(), self.path)
        own = [line for line in lines if line.idea == idea and line.synthetic is synthetic]
        number = None if identity is None else _number(own, identity)
        return LedgerState(_count(own, interval_ns), number, tuple(faults))

    def _read(self) -> bytes:
        with self._told("read"):
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                return b""
            with os.fdopen(descriptor, "rb") as file:
                self._lock(descriptor, fcntl.LOCK_SH)
                return file.read()

    def _append(self, descriptor: int, record: TrialRecord) -> int:
        size = os.fstat(descriptor).st_size
        known = _pread(descriptor, size)
        lines, _ = _decoded(known, self.path)
        points = np.array([(each.identity, each.sharpe) for each in record.points], dtype=_POINT)
        own = [line for line in lines if line.idea == record.idea and line.synthetic is record.synthetic]
        seen = np.unique(
            np.concatenate([np.empty(0, np.uint64), *(_points(line)["identity"] for line in own)])
        )
        fresh = np.setdiff1d(points["identity"], seen)
        if not fresh.size:
            return 0
        # What a crash left without its end is closed first, so that the new line is one of its own.
        data = (b"\n" if known and not known.endswith(b"\n") else b"") + _encoded(record, points)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
        if not size:
            OsDisk().sync_folder(self.path.parent)
        return int(fresh.size)

    def _lock(self, descriptor: int, kind: int) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # Reading a pipe would wait.
            raise DataError(f"the trial ledger {self.path} is no file", "move it away")
        waited_s = 0.0
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if waited_s >= self._lock_wait_s:
                    raise DataError(
                        f"the trial ledger {self.path} is locked by another process",
                        f"see who holds it: fuser {self.path}",
                    ) from None
                time.sleep(_LOCK_POLL_S)
                waited_s += _LOCK_POLL_S

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"the trial ledger {self.path} can not be {what}: {error.strerror or error}",
                "check who may write there, or set paths.state to another folder",
            ) from None


def _pread(descriptor: int, size: int) -> bytes:
    parts, offset = [], 0
    while offset < size and (part := os.pread(descriptor, size - offset, offset)):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _encoded(record: TrialRecord, points: _Points) -> bytes:
    line = _Line(
        schema=TRIALS_SCHEMA,
        kind=record.kind,
        idea=record.idea,
        ts_ns=record.ts_ns,
        symbols=record.symbols,
        synthetic=record.synthetic,
        interval_ns=record.interval_ns,
        n_points=len(points),
        points=base64.b64encode(points.tobytes()).decode("ascii"),
    )
    return msgspec.json.encode(line) + b"\n"


def _decoded(data: bytes, path: Path) -> tuple[list[_Line], list[LedgerFault]]:
    lines: list[_Line] = []
    faults: list[LedgerFault] = []
    rows = data.split(b"\n")
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        try:
            _check_version(row, path)
            line = msgspec.json.decode(row, type=_Line)
            _points(line)
        except (msgspec.MsgspecError, ValueError, UnicodeDecodeError):
            is_last = number == len(rows)
            faults.append(
                LedgerFault(number, "was cut short by a crash" if is_last else "is no whole record")
            )
            continue
        lines.append(line)
    return lines, faults


def _check_version(row: bytes, path: Path) -> None:
    schema = msgspec.json.decode(row, type=_Schema).schema
    if schema > TRIALS_SCHEMA:
        raise DataError(
            f"the trial ledger {path} was written by a newer njord (records of version {schema}, this one knows "
            f"{TRIALS_SCHEMA})",
            "update njord, or set paths.state to another folder",
        )


def _points(line: _Line) -> _Points:
    try:
        points = np.frombuffer(base64.b64decode(line.points, validate=True), dtype=_POINT)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if len(points) != line.n_points:
        raise ValueError(f"{line.n_points} points were announced, {len(points)} are there")
    return points


# The first evaluation of every trial, in the order in which they came.
def _distinct(lines: list[_Line]) -> tuple[_Points, NDArray[np.int64]]:
    points = np.concatenate([np.empty(0, _POINT), *(_points(line) for line in lines)])
    intervals = np.repeat([line.interval_ns for line in lines], [line.n_points for line in lines])
    _, first = np.unique(points["identity"], return_index=True)
    first.sort()
    return points[first], intervals[first]


def _count(lines: list[_Line], interval_ns: int) -> TrialCount:
    if not lines:
        return TrialCount(n=0)
    points, intervals = _distinct(lines)
    sharpes = points["sharpe"][(intervals == interval_ns) & np.isfinite(points["sharpe"])]
    return TrialCount(
        n=len(points),
        n_compared=len(sharpes),
        mean_sharpe=float(sharpes.mean()) if len(sharpes) else math.nan,
        variance_sharpe=float(sharpes.var(ddof=1)) if len(sharpes) > 1 else math.nan,
        first_ns=lines[0].ts_ns,
        last_ns=lines[-1].ts_ns,
    )


def _number(lines: list[_Line], identity: int) -> int | None:
    if not lines:
        return None
    points, _ = _distinct(lines)
    at = np.flatnonzero(points["identity"] == identity)
    return int(at[0]) + 1 if len(at) else None
