"""The journal: every message of a run, in order, in segments of NDJSON that prove their own integrity.

A line is `{"seq":N,"message":{…}}`. A block of lines is closed by `{"block":{"first":…,"last":…,"hash":…}}`, whose
hash covers the hash before it, the range, and every byte of the block: no line can be changed, dropped, inserted or
moved unseen. Market data that lies in a hashed dataset is not repeated: a `Ref` names the rows, they count in the
sequence, and a number without a line is the next referenced row.

The writer only appends. What a crash left behind after the last closed block is a torn tail: it is moved aside,
never guessed at. A disk that refuses a write halts the journal with a named reason; closed blocks stay whole.
"""

import errno
from pathlib import Path

import msgspec

from njord.core.codec import encode
from njord.core.contracts import Bar, BookEvent, Message, Ref, TickerEvent, TradeEvent
from njord.core.errors import JournalError, JournalHalted
from njord.storage.disk import Disk, DiskFile, OsDisk
from njord.storage.journal_reader import GENESIS, block_hash, list_segments, scan, segment_name

SEGMENT_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 4 * 1024 * 1024
_REFERENCED: frozenset[type[Message]] = frozenset({Bar, TradeEvent, BookEvent, TickerEvent})
_HALTS = {
    errno.ENOSPC: "DISK_FULL: no space left for the journal",
    errno.EDQUOT: "DISK_FULL: the disk quota is used up",
    errno.EFBIG: "DISK_FULL: the file may not grow further",
    errno.EIO: "DISK_BROKEN: the device failed a write",
}


class Seam(msgspec.Struct, frozen=True):
    """Where a torn tail was cut off before writing went on."""

    segment: str
    offset: int
    n_bytes: int


class JournalWriter:
    """Appends messages; `commit` closes a block, `sync` makes it durable.

    Args:
        directory: Holds this journal and nothing else; created if missing.
        disk: Where segments are opened.
        segment_bytes: A segment takes no further block beyond this size.

    Raises:
        JournalError: The directory holds a journal already; `resume` continues one.
    """

    def __init__(self, directory: Path, disk: Disk | None = None, segment_bytes: int = SEGMENT_BYTES) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if list_segments(directory):
            raise JournalError(f"{directory} holds a journal already; resume it, or choose an empty folder")
        self._prepare(directory, disk, segment_bytes)
        self._open_segment()

    @classmethod
    def resume(
        cls, directory: Path, disk: Disk | None = None, segment_bytes: int = SEGMENT_BYTES
    ) -> "tuple[JournalWriter, Seam | None]":
        """Verify the journal in `directory`, move a torn tail aside, and continue after the last closed block.

        Returns:
            The writer, and where a tail was cut off (None if the journal ended cleanly).

        Raises:
            JournalCorrupt: A closed block does not match its hash.
        """
        state = scan(directory)
        writer = cls.__new__(cls)
        writer._prepare(directory, disk, segment_bytes)
        writer._seq, writer._block_first, writer._hash = state.last_seq, state.last_seq + 1, state.head
        writer._referenced = state.rows_outstanding
        writer._segment = state.n_segments
        if state.n_segments == 0:
            writer._open_segment()
            return writer, None
        path = directory / segment_name(state.n_segments)
        writer._file = writer._disk.open_append(path)
        writer._size = state.tail_offset
        if state.torn_bytes == 0:
            return writer, None
        torn = path.read_bytes()[state.tail_offset :]
        (directory / f"torn-{path.stem}-{state.tail_offset}.bin").write_bytes(torn)
        writer._file.truncate(state.tail_offset)
        seam = Seam(path.name, state.tail_offset, len(torn))
        writer._lines.append(b'{"seam":%b}\n' % msgspec.json.encode(seam))
        return writer, seam

    def _prepare(self, directory: Path, disk: Disk | None, segment_bytes: int) -> None:
        self._directory = directory
        self._disk = disk or OsDisk()
        self._segment_bytes = segment_bytes
        self._segment = 0
        self._size = 0
        self._seq = 0
        self._block_first = 1
        self._hash = GENESIS
        self._referenced = 0
        self._buffered = 0
        self._lines: list[bytes] = []
        self._file: DiskFile | None = None
        self._halt = ""

    @property
    def n_messages(self) -> int:
        """How many messages were appended, referenced rows included."""
        return self._seq

    @property
    def head(self) -> str:
        """The hash of the last closed block: it stands for the whole journal up to there."""
        return self._hash

    def append(self, message: Message) -> None:
        """Record `message` as the next one; it reaches the disk with its block.

        Raises:
            JournalHalted: The disk refused an earlier write.
        """
        if self._halt:
            raise JournalHalted(self._halt)
        self._seq += 1
        if self._referenced and type(message) in _REFERENCED:
            self._referenced -= 1
            return
        if type(message) is Ref:
            self._referenced += message.last_row - message.first_row + 1
        line = b'{"seq":%d,"message":%b}\n' % (self._seq, encode(message))
        self._lines.append(line)
        self._buffered += len(line)
        if self._buffered > BLOCK_BYTES:
            self.commit()

    def commit(self) -> None:
        """Close the block and hand it to the operating system.

        Raises:
            JournalHalted: The disk refused; the segment was cut back to its last closed block.
        """
        if self._halt:
            raise JournalHalted(self._halt)
        if self._seq < self._block_first:
            return
        lines = b"".join(self._lines)
        digest = block_hash(self._hash, self._block_first, self._seq, lines)
        closing = b'{"block":{"first":%d,"last":%d,"hash":"%b"}}\n' % (
            self._block_first,
            self._seq,
            digest.encode(),
        )
        if self._size >= self._segment_bytes:
            self._roll()
        self._write(lines + closing)
        self._hash = digest
        self._block_first = self._seq + 1
        self._lines.clear()
        self._buffered = 0

    def sync(self) -> None:
        """Close the block and return once it survives a power cut. Call it before anything is sent."""
        self.commit()
        self._sync_file()

    def close(self) -> None:
        """Close the last block and the file; a halted journal is closed as it is."""
        if self._file is None:
            return
        try:
            if not self._halt:
                self.sync()
        finally:
            self._file.close()
            self._file = None

    def _roll(self) -> None:
        self._sync_file()
        self._open_file().close()
        self._open_segment()

    def _open_segment(self) -> None:
        self._segment += 1
        path = self._directory / segment_name(self._segment)
        self._file = self._disk.open_append(path)
        self._size = 0
        self._write(b'{"segment":{"number":%d,"previous":"%b"}}\n' % (self._segment, self._hash.encode()))

    def _open_file(self) -> DiskFile:
        if self._file is None:
            raise JournalError("the journal is closed")
        return self._file

    def _write(self, data: bytes) -> None:
        file = self._open_file()
        try:
            file.write(data)
        except OSError as error:
            self._halt = _reason(error)
            # Half a block may have reached the file: cut it off, so that what is on disk ends with a closed block.
            try:
                file.truncate(self._size)
            except OSError as second:
                self._halt += f"; cutting off the half-written block failed too ({second.strerror})"
            raise JournalHalted(self._halt) from None
        self._size += len(data)

    # A failed fsync is final: what it should have kept may be gone, and asking again can lie.
    def _sync_file(self) -> None:
        try:
            self._open_file().sync()
        except OSError as error:
            self._halt = _reason(error)
            raise JournalHalted(self._halt) from None


def _reason(error: OSError) -> str:
    return _HALTS.get(error.errno or 0, f"DISK_ERROR: {error.strerror or error}")
