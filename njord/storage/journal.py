"""The journal: every message of a run, in order, in segments of NDJSON that prove their own integrity.

A line is `{"seq":N,"message":{…}}`. A block of lines is closed by `{"block":{"first":…,"last":…,"hash":…}}`, whose
hash covers the hash before it, the range, and every byte of the block: no line can be changed, dropped, inserted or
moved unseen. Market data that lies in a hashed dataset is not repeated: a `Ref` names the rows, they count in the
sequence, and a number without a line is the next referenced row. `close` adds an end mark, so that a journal whose
last blocks were taken away is not mistaken for a whole one.

The writer only appends. Where a venue dies with it, it may hash and write a block behind the run (`behind`), which then
makes the next one. What a crash left behind after the last closed block is a torn tail: it is moved aside, and
a seam in the chain says so. A disk that refuses a write halts the journal with a named reason; closed blocks stay
whole.
"""

from concurrent.futures import Executor, Future
from pathlib import Path

import msgspec

from njord.core.codec import encode, encode_lines
from njord.core.contracts import (
    Bar,
    BookEvent,
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    Ref,
    RiskDecision,
    Target,
    TickerEvent,
    TradeEvent,
)
from njord.core.errors import JournalError, JournalHalted
from njord.storage.disk import Disk, DiskFile, OsDisk
from njord.storage.journal_halts import CLOSED, INTERRUPTED, UNWRITABLE, reason_of
from njord.storage.journal_reader import (
    GENESIS,
    JournalState,
    Seam,
    block_hash,
    block_line,
    list_segments,
    referenced,
    scan,
    segment_line,
    segment_name,
)

SEGMENT_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 4 * 1024 * 1024
# What a Ref can stand for.
_ROWS = (Bar, TradeEvent, BookEvent, TickerEvent)
# The messages of an order's life. Encoding one where it falls due costs four times as much as encoding it among many,
# so they wait, a batch at most. Our own stages made them of what can be encoded: none is refused later.
_WAITING: frozenset[type[Message]] = frozenset(
    {Target, OrderIntent, RiskDecision, OrderEvent, OrderUpdate, FillEvent, PositionSnapshot}
)
_BATCH_LINES = 256
# Near to a full block no more wait than it has room for at so much each, so that the line that fills it closes it.
_LINE_BYTES = 8 * 1024
_END_MARK = b'{"end":true}\n'


class _Line(msgspec.Struct, gc=False):  # One message's line, encoded in one go.
    seq: int
    message: Message


class JournalWriter:
    """Appends messages; `commit` closes a block, `sync` makes it durable.

    Args:
        directory: Holds this journal and nothing else; created if missing.
        disk: Where segments are opened.
        segment_bytes: A segment takes no further block beyond this size.
        behind: One worker that hashes and writes each block while the next one is filled. What it meets is raised by the
            next `commit`, `sync` or `close`; the latter two return when all of it is done.

    Raises:
        JournalError: The directory holds a journal already; `resume` continues one.
        JournalHalted: The disk refused.
    """

    def __init__(
        self,
        directory: Path,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        behind: Executor | None = None,
    ) -> None:
        self._prepare(directory, disk, segment_bytes)
        self._behind = behind
        if list_segments(directory):
            raise JournalError(f"{directory} holds a journal already; resume it, or choose an empty folder")
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
            JournalHalted: The disk refused; nothing was cut off that was not kept aside before.
        """
        state = scan(directory)
        writer = cls.__new__(cls)
        writer._prepare(directory, disk, segment_bytes)
        writer._seq, writer._block_first, writer._hash = state.last_seq, state.last_seq + 1, state.head
        writer._referenced, writer._referenced_instruments = state.rows_outstanding, state.rows_instruments
        if state.n_segments == 0:
            writer._open_segment()
            return writer, None
        return writer, writer._reopen(state)

    def _prepare(self, directory: Path, disk: Disk | None, segment_bytes: int) -> None:
        self._directory = directory
        self._disk = disk or OsDisk()
        self._segment_bytes = segment_bytes
        self._segment = self._size = self._seq = 0
        self._block_first = 1
        self._hash = GENESIS
        self._referenced = self._buffered = 0
        self._referenced_instruments: tuple[int, ...] = ()
        self._lines: list[bytes] = []  # Of the open block, each with its line end.
        self._waiting: list[_Line] = []  # The last ones, yet to be encoded.
        self._batch_lines = _BATCH_LINES
        self._file: DiskFile | None = None
        self._is_named = False  # Whether the segment's name would survive a power cut.
        self._halt = ""
        self._behind = None
        self._under_way: Future[None] | None = None  # The block that is written behind.
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error) from None

    @property
    def n_messages(self) -> int:
        """How many messages were appended, referenced rows included."""
        return self._seq

    @property
    def head(self) -> str:
        """The hash of the last closed block: it stands for the whole journal up to there."""
        self._wait()
        return self._hash

    def append(self, message: Message) -> None:
        """Record `message` as the next one; it reaches the disk with its block.

        Raises:
            JournalHalted: The disk refused an earlier write, or the journal was closed.
        """
        if self._halt:
            raise JournalHalted(self._halt)
        if type(message) in _WAITING:
            self._seq = seq = self._seq + 1
            waiting = self._waiting
            waiting.append(_Line(seq, message))
            if len(waiting) >= self._batch_lines:
                self._encode_waiting()
            return
        named = self._referenced_instruments
        if self._referenced and isinstance(message, _ROWS) and message.instrument in named:
            self._seq += 1
            self._referenced -= 1
            return
        # One that can not be encoded raises here, and takes no number.
        line = encode(_Line(self._seq + 1, message)) + b"\n"
        self._encode_waiting()
        self._seq += 1
        if type(message) is Ref:
            self._referenced_instruments = referenced(self._referenced_instruments, message.instrument)
            self._referenced += message.last_row - message.first_row + 1
        self._add(line)

    def _encode_waiting(self) -> None:
        if not self._waiting:
            return
        # Halted until all of it has happened: what came after them has been acted on, there is no going on without them.
        self._halt = UNWRITABLE
        lines = encode_lines(self._waiting)
        self._waiting.clear()
        self._add(lines)

    # Takes in whole lines; a block that is full is closed.
    def _add(self, lines: bytes) -> None:
        self._lines.append(lines)
        self._halt = ""
        self._buffered += len(lines)
        if self._buffered > BLOCK_BYTES:
            self.commit()
        else:
            self._batch_lines = min(max((BLOCK_BYTES - self._buffered) // _LINE_BYTES, 1), _BATCH_LINES)

    def count_rows(self, n_rows: int) -> None:
        """Take the next `n_rows` rows that a Ref names as appended; they are counted and not written.

        Raises:
            JournalHalted: As `append` does.
            JournalError: No Ref has named as many.
        """
        if self._halt:
            raise JournalHalted(self._halt)
        if n_rows > self._referenced:
            raise JournalError(f"{n_rows} rows to count, Refs have named {self._referenced} more")
        self._seq += n_rows
        self._referenced -= n_rows

    def commit(self) -> None:
        """Close the block and hand it to the operating system.

        Raises:
            JournalHalted: The disk refused; the segment was cut back to its last closed block.
        """
        if self._halt:
            raise JournalHalted(self._halt)
        self._encode_waiting()
        if self._seq < self._block_first and not self._lines:
            return
        self._wait()
        # Halted until all of it has happened: an interrupt in between must not let the block be written twice.
        self._halt = INTERRUPTED
        block = self._block_first, self._seq, b"".join(self._lines)
        if self._behind is None:
            self._close_block(*block)
        else:
            self._under_way = self._behind.submit(self._close_block, *block)
        self._block_first = self._seq + 1
        if not self._referenced:
            self._referenced_instruments = ()
        self._lines.clear()
        self._buffered = 0
        self._batch_lines = _BATCH_LINES
        self._halt = ""

    # Everything that `behind` does: the chain, the segments and the file are nobody else's while it is under way.
    def _close_block(self, first: int, last: int, lines: bytes) -> None:
        digest = block_hash(self._hash, first, last, lines)
        if self._size >= self._segment_bytes:
            self._roll()
        self._write(lines + block_line(first, last, digest))
        self._hash = digest

    # Until the block under way is written, or has failed; an interrupt leaves it under way.
    def _wait(self) -> None:
        if self._under_way is None:
            return
        error = self._under_way.exception()
        self._under_way = None
        if error is not None:
            self._halt = str(error) or INTERRUPTED
            raise error

    def sync(self) -> None:
        """Close the block and return once it survives a power cut. Call it before anything is sent."""
        self.commit()
        self._wait()
        self._sync_file()

    def close(self) -> None:
        """Write the end mark, close the last block and the file; a halted journal is closed as it is."""
        if self._file is None and self._under_way is None:
            return
        try:
            self._wait()
            if not self._halt:
                self._encode_waiting()
                self._lines.append(_END_MARK)
                self.sync()
        finally:
            self._shut()

    def _shut(self) -> None:
        file, self._file, was_halted = self._file, None, bool(self._halt)
        self._halt = self._halt or CLOSED
        try:
            if file is not None:
                file.close()
        except OSError as error:
            if not was_halted:
                raise self._refused(error) from None

    # --- segments ---

    def _roll(self) -> None:
        self._sync_file()
        try:
            self._open_file().close()
        except OSError as error:
            raise self._refused(error) from None
        self._open_segment()

    def _open_segment(self) -> None:
        self._segment += 1
        self._open(segment_name(self._segment))
        self._size = 0
        self._write(segment_line(self._segment, self._hash))

    def _open(self, name: str) -> None:
        self._file = None
        try:
            self._file = self._disk.open_append(self._directory / name)
        except OSError as error:
            raise self._refused(error) from None
        self._is_named = False

    # Continues the last segment; what is torn off is durable in a file of its own before it is cut.
    def _reopen(self, state: JournalState) -> Seam | None:
        self._segment, self._size = state.n_segments, state.tail_offset
        name = segment_name(state.n_segments)
        seam = None
        if state.torn_bytes:
            seam = Seam(name, state.tail_offset, state.torn_bytes)
            self._keep_aside((self._directory / name).read_bytes()[state.tail_offset :], seam)
        self._open(name)
        if seam is not None:
            try:
                self._open_file().truncate(state.tail_offset)
            except OSError as error:
                raise self._refused(error) from None
        if not state.tail_offset:
            self._write(segment_line(self._segment, self._hash))
        if seam is not None:
            self._lines.append(b'{"seam":%b}\n' % msgspec.json.encode(seam))
            self.sync()
        return seam

    def _keep_aside(self, torn: bytes, seam: Seam) -> None:
        stem = f"torn-{seam.segment.partition('.')[0]}-{seam.offset}"
        path, again = self._directory / f"{stem}.bin", 1
        while path.exists():
            again += 1
            path = self._directory / f"{stem}-{again}.bin"
        try:
            file = self._disk.open_append(path)
            try:
                file.write(torn)
                file.sync()
            finally:
                file.close()
            self._disk.sync_folder(self._directory)
        except OSError as error:
            raise self._refused(error) from None

    # --- the disk ---

    def _open_file(self) -> DiskFile:
        if self._file is None:
            raise JournalError("the journal is closed")
        return self._file

    def _write(self, data: bytes) -> None:
        file = self._open_file()
        try:
            file.write(data)
        except BaseException as error:
            halt = reason_of(error) if isinstance(error, OSError) else INTERRUPTED
            # Half a block may have reached the file: cut it off, so that what is on disk ends with a closed block.
            try:
                file.truncate(self._size)
            except OSError as second:
                halt += f"; cutting off the half-written block failed too ({second.strerror})"
            self._halt = halt
            if isinstance(error, OSError):
                raise JournalHalted(halt) from None
            raise
        self._size += len(data)

    # A failed fsync is final: what it should have kept may be gone, and asking again can lie.
    def _sync_file(self) -> None:
        try:
            self._open_file().sync()
            if not self._is_named:
                self._disk.sync_folder(self._directory)
                self._disk.sync_folder(self._directory.parent)
                self._is_named = True
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> JournalHalted:
        halt = self._halt = reason_of(error)
        return JournalHalted(halt)


__all__ = ["JournalWriter", "Seam"]
