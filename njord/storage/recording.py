"""How are live rows kept? Rows in; one NDJSON file that only grows out.

Turning a file over and compressing it is another process's work (`rotation`), which the recorder notices by the file
at its path being another one.
"""

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_text import one_line
from njord.storage.ingest.frames_header import DataHeader, decode_header, encode_header
from njord.storage.ingest.ndjson import LINE_BYTES_MAX, RowDecoder, Seam, encode_rows
from njord.storage.recording_files import is_at, lock_shared
from njord.storage.recording_read import read_recording
from njord.storage.store.kinds import COLUMNS, Columns, DataKind

__all__ = ["Recorder", "read_recording"]

FLUSH_BYTES = 64 * 1024
_TRIES = 100


class Recorder:
    """Appends rows of one kind to one NDJSON file, and follows its path when the file there is turned over.

    Rows wait until `flush_bytes` of them are there or `flush` is called; the host calls it by its clock. A shared lock
    is held while the file is open, so that nobody compresses or removes it. One recorder writes a path at a time.

    Args:
        path: NAME.ndjson; created with its header if it is not there.
        kind: Which columns the rows have.
        instrument: Gives the steps of prices and quantities.
        interval_ns: Length of a bar; 0 for the other kinds.
        key: The topic or dataset, for the header.
        flush_bytes: How much may wait in memory; 0 = every `append` reaches the operating system.

    Raises:
        DataError: The file is somebody else's, another kind or instrument, or can not be written.
    """

    def __init__(
        self,
        path: Path,
        kind: DataKind,
        instrument: Instrument,
        interval_ns: int = 0,
        key: str = "",
        flush_bytes: int = FLUSH_BYTES,
    ) -> None:
        self.path = path
        self._where = one_line(path.name, 80)
        self._header = DataHeader(kind=kind, key=key, instrument=instrument, interval_ns=interval_ns)
        self._flush_bytes = flush_bytes
        self._waiting: list[bytes] = []
        self._n_waiting = 0
        self._fd = -1
        self._open()

    def append(self, rows: Columns) -> None:
        """Take rows, one array per column of the kind.

        Raises:
            DataError: The disk refuses; rows that did not reach it go on waiting.
        """
        header = self._header
        line = encode_rows([rows[name] for name in COLUMNS[header.kind]], header.kind, header.instrument)
        self._waiting.append(line)
        self._n_waiting += len(line)
        if self._n_waiting > self._flush_bytes:
            self.flush()

    def flush(self) -> None:
        """Hand what waits to the operating system; whole lines reach the file, or none of them.

        Raises:
            DataError: The disk refuses; the rows go on waiting.
        """
        if not self._waiting:
            return
        if not is_at(self._fd, self.path):
            os.close(self._fd)
            self._fd = -1
            self._open()
        self._write(b"".join(self._waiting))
        self._waiting.clear()
        self._n_waiting = 0

    def sync(self) -> None:
        """Return once everything taken so far survives a power cut.

        Raises:
            DataError: The disk refuses.
        """
        self.flush()
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._refused(error) from None

    def close(self) -> None:
        """Write what waits, sync, and give up the lock; closing again does nothing."""
        if self._fd < 0:
            return
        try:
            self.sync()
        finally:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        for _ in range(_TRIES):
            try:
                fd = os.open(
                    self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
                )
            except OSError as error:
                raise self._refused(error) from None
            with ExitStack() as unless_kept:
                unless_kept.callback(os.close, fd)
                # Between opening and locking the file may have been turned over and taken for compression.
                if not lock_shared(fd):
                    continue
                if not is_at(fd, self.path):
                    continue
                self._fd = fd
                try:
                    self._take_up()
                except BaseException:
                    self._fd = -1
                    raise
                unless_kept.pop_all()
                return
        raise DataError(f"{self._where} is locked by another process", "stop it, or record to another file")

    # What a crash left of the last line is completed if it is a whole row, and cut off behind a seam if not.
    def _take_up(self) -> None:
        size = os.fstat(self._fd).st_size
        first = os.pread(self._fd, LINE_BYTES_MAX, 0).partition(b"\n")
        if not first[1]:
            if size and not encode_header(self._header).startswith(first[0]):
                raise DataError(f"{self._where} is not a recording", "record to another file")
            self._truncate(0)
            self._write(encode_header(self._header) + b"\n")
            return
        if decode_header(first[0], self._where) != self._header:
            raise DataError(
                f"{self._where} records other rows (another kind, key, interval or instrument)",
                "record to another file, or turn this one over first",
            )
        end = os.pread(self._fd, LINE_BYTES_MAX, max(0, size - LINE_BYTES_MAX))
        torn = end[end.rfind(b"\n") + 1 :]
        if not torn:
            return
        decoder = RowDecoder(self._header.kind, self._header.instrument, self._where)
        try:
            decoder.decode(torn, 1)
            self._write(b"\n")
        except DataError:
            self._truncate(size - len(torn))
            self._write(msgspec.json.encode(Seam(len(torn))) + b"\n")

    def _write(self, data: bytes) -> None:
        size = os.fstat(self._fd).st_size
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            with suppress(DataError):
                self._truncate(size)
            raise self._refused(error) from None

    def _truncate(self, size: int) -> None:
        try:
            os.ftruncate(self._fd, size)
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> DataError:
        return DataError(
            f"{self._where} can not be written: {error.strerror or error}",
            "check the folder and its free space",
        )
