"""What has been added to a journal since the last look? A folder that a writer may still write to in; new blocks out.

Only closed blocks count, each verified as `journal_reader` does: what is torn off is not there yet, and may be cut
away and written anew by a writer that resumed. So nothing behind the last closed block is remembered between looks.
"""

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import msgspec

from njord.core.errors import JournalCorrupt, JournalError
from njord.storage.journal_reader import GENESIS, block_hash, block_line, segment_line, segment_name

_READ_BYTES = 8 * 2**20
_CLOSING = b'{"block":{'
_END_MARK = b'{"end":true}'
_END_BYTES = 64 * 1024


class ClosedBlock(msgspec.Struct, frozen=True):
    """One closed and verified block, its lines as they stand in the file without their newline.

    A number from `first` to `last` without a line is a referenced row; lines without a number are notes.
    """

    first: int
    last: int
    hash: str
    lines: tuple[bytes, ...]


class _Closing(msgspec.Struct):
    first: int
    last: int
    hash: str


class _Record(msgspec.Struct):
    block: _Closing


_decode = msgspec.json.Decoder(_Record).decode


class JournalFollower:
    """Reads on where it last stopped; begins at the journal's start.

    Args:
        directory: The journal's; it need not exist yet.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segment = 1
        self._offset = 0  # Behind the last closed block of the segment, or behind its opening line.
        self._head = GENESIS
        self._suspect = b""  # A block that did not match its hash at the last look.
        self.last_seq = 0
        self.has_end_mark = (
            False  # The last block says that its writer closed the journal; it may be resumed.
        )

    def poll(self) -> Iterator[ClosedBlock]:
        """Yield the blocks that were closed since, oldest first, until none is left.

        Raises:
            JournalCorrupt: A closed block does not match its hash, or the journal got shorter.
            JournalError: It can not be read.
        """
        try:
            while True:
                is_last = not (self._directory / segment_name(self._segment + 1)).exists()
                yield from self._poll_segment()
                if is_last:
                    return
                self._next_segment()
        except OSError as error:
            raise JournalError(
                f"the journal in {self._directory} can not be read: {error.strerror or error}"
            ) from None

    def sync(self) -> None:
        """Return once everything that was yielded survives a power cut.

        Raises:
            JournalError: The disk refused.
        """
        path = self._directory / segment_name(self._segment)
        try:
            with path.open("rb", buffering=0) as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise JournalError(f"{path} can not be synced: {error.strerror or error}") from None

    # A writer finishes a segment, and syncs it, before it begins the next.
    def _next_segment(self) -> None:
        path = self._directory / segment_name(self._segment)
        if not path.exists() or path.stat().st_size != self._offset:
            raise JournalCorrupt(
                f"{path} is cut off at byte {self._offset}, yet {segment_name(self._segment + 1)} follows"
            )
        self._segment += 1
        self._offset = 0

    def _poll_segment(self) -> Iterator[ClosedBlock]:
        path = self._directory / segment_name(self._segment)
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            if not self._offset and not self._open_segment(file, path):
                return
            want = _READ_BYTES
            while data := self._read(file, path, want):
                suspect, found = self._suspect, False
                for block in self._blocks(path, data):
                    found = True
                    yield block
                if found:
                    want = _READ_BYTES
                elif len(data) < want or self._suspect != suspect:
                    return
                else:
                    want *= 2  # A block that is larger than one look.

    def _open_segment(self, file: FileIO, path: Path) -> bool:
        opening = segment_line(self._segment, self._head)
        data = self._read(file, path, len(opening))
        if not data.endswith(b"\n"):
            return False
        if data != opening:
            raise JournalCorrupt(f"{path}: byte 0 does not continue the segment before it")
        self._offset = len(opening)
        return True

    def _read(self, file: FileIO, path: Path, want: int) -> bytes:
        size = os.fstat(file.fileno()).st_size
        if size < self._offset:
            raise JournalCorrupt(f"{path} is shorter than it was: {size} bytes, {self._offset} were read")
        pieces: list[bytes] = []
        offset = self._offset
        while want and (piece := os.pread(file.fileno(), want, offset)):
            pieces.append(piece)
            offset += len(piece)
            want -= len(piece)
        return b"".join(pieces)

    def _blocks(self, path: Path, data: bytes) -> Iterator[ClosedBlock]:
        begin = 0
        while True:
            closing = begin if data.startswith(_CLOSING, begin) else data.find(b"\n" + _CLOSING, begin) + 1
            end = data.find(b"\n", closing) + 1
            if (not closing and not data.startswith(_CLOSING)) or not end:
                return
            block = self._block(path, data[begin:closing], data[closing:end])
            if block is None:
                return
            self._offset += end - begin
            self._head, self.last_seq = block.hash, block.last
            begin = end
            yield block

    # Bytes that were cut away and written anew between two reads make no block: they are looked at once more.
    def _block(self, path: Path, lines: bytes, text: bytes) -> ClosedBlock | None:
        try:
            closing = _decode(text).block
        except msgspec.MsgspecError:
            closing = _Closing(0, 0, "")
        digest = block_hash(self._head, closing.first, closing.last, lines)
        is_next = closing.first == self.last_seq + 1 and closing.last >= self.last_seq
        if is_next and text == block_line(closing.first, closing.last, digest):
            self._suspect = b""
            block = ClosedBlock(closing.first, closing.last, digest, tuple(lines.split(b"\n")[:-1]))
            self.has_end_mark = block.lines[-1:] == (_END_MARK,)
            return block
        if self._suspect == lines + text:
            raise JournalCorrupt(
                f"{path}: the block at byte {self._offset} does not match its hash, or its place"
            )
        self._suspect = lines + text
        return None


def journal_end(directory: Path) -> int:
    """Return about how many messages the journal holds, by its last closed block alone; 0 if none is seen."""
    try:
        for path in sorted(directory.glob("*.ndjson"), reverse=True):
            with path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _END_BYTES))
                lines = file.read().split(b"\n")[:-1]
            for text in reversed(lines):
                if text.startswith(_CLOSING):
                    return _decode(text).block.last
    except (OSError, msgspec.MsgspecError):
        return 0
    return 0
