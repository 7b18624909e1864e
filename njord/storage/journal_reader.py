"""Reading a journal: every block verified before a line of it is believed.

In comes a folder of segments, out come blocks and where the journal ends. Every byte is accounted for: lines by the
chained hash of their block, the lines that close blocks and open segments by being exactly what the writer writes.
What a crash cut off is a prefix of a block: whole lines, then part of one. Anything else is damage.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from njord.core.errors import JournalCorrupt, JournalError

GENESIS = hashlib.sha256(b"njord journal 1").hexdigest()


class Seam(msgspec.Struct, frozen=True):
    """Where a torn tail was cut off before writing went on."""

    segment: str
    offset: int
    n_bytes: int


class Line(msgspec.Struct, frozen=True, gc=False):
    """One message as it was written."""

    seq: int
    message: bytes


class Block(msgspec.Struct, frozen=True):
    """One closed and verified block; a number from `first` to `last` without a line is a referenced row.

    A block of notes alone (a seam, the end mark) holds no message: its `last` is `first` - 1.
    """

    first: int
    last: int
    hash: str
    lines: tuple[Line, ...]


class JournalState(msgspec.Struct, kw_only=True):
    """Where a journal ends."""

    n_segments: int = 0
    last_seq: int = 0
    head: str = GENESIS
    tail_offset: int = 0  # In the last segment: the end of the last closed block.
    torn_bytes: int = 0  # After it.
    rows_outstanding: int = 0  # Referenced rows that did not happen yet.
    rows_instruments: tuple[int, ...] = ()  # Whose rows they are.
    has_end_mark: bool = False  # The last block says that its writer closed the journal.
    seams: list[Seam] = []

    @property
    def is_complete(self) -> bool:
        """Whether the journal was closed in order and nothing was cut off since."""
        return self.has_end_mark and not self.torn_bytes


def referenced(instruments: tuple[int, ...], instrument: int) -> tuple[int, ...]:
    """Return the instruments whose rows are referenced after a Ref to one; a block forgets them when none is left."""
    return instruments if instrument in instruments else (*instruments, instrument)


class _Closing(msgspec.Struct, forbid_unknown_fields=True):
    first: int
    last: int
    hash: str


_NONE = msgspec.Raw(b"")  # Raw takes no part in unions: empty stands for absent.


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    seq: int = 0
    message: msgspec.Raw = _NONE
    block: _Closing | None = None
    seam: Seam | None = None
    end: bool = False


class _Head(msgspec.Struct):
    kind: str
    instrument: int = 0
    first_row: int = 0
    last_row: int = 0


class _Gathered(msgspec.Struct):
    """What a block holds so far."""

    raw: list[bytes] = []
    lines: list[Line] = []
    seams: list[Seam] = []
    has_end_mark: bool = False


_decode = msgspec.json.Decoder(_Record).decode
_decode_head = msgspec.json.Decoder(_Head).decode


def segment_name(number: int) -> str:
    """Return the file name of the `number`-th segment, from 1."""
    return f"{number:06d}.ndjson"


def list_segments(directory: Path) -> list[Path]:
    """Return the segments in order.

    Raises:
        JournalCorrupt: One is missing.
    """
    found = sorted(path for path in directory.glob("*.ndjson"))
    for number, path in enumerate(found, start=1):
        if path.name != segment_name(number):
            raise JournalCorrupt(
                f"{directory / segment_name(number)} is missing: the next segment is {path.name}"
            )
    return found


def block_hash(previous: str, first: int, last: int, lines: bytes) -> str:
    """Return the chained SHA-256 of a block."""
    digest = hashlib.sha256(f"{previous}\n{first} {last}\n".encode())
    digest.update(lines)
    return digest.hexdigest()


def segment_line(number: int, previous: str) -> bytes:
    """Return the line that opens a segment: its number, and the hash of the last block before it."""
    return b'{"segment":{"number":%d,"previous":"%b"}}\n' % (number, previous.encode())


def block_line(first: int, last: int, digest: str) -> bytes:
    """Return the line that closes a block."""
    return b'{"block":{"first":%d,"last":%d,"hash":"%b"}}\n' % (first, last, digest.encode())


def read_blocks(directory: Path, *, must_be_complete: bool = False) -> Iterator[Block]:
    """Yield every closed block of the journal in `directory`, verified; a torn tail is left out.

    Args:
        directory: Holds the segments.
        must_be_complete: Raise after the last block if the journal was not closed in order.

    Raises:
        JournalError: There is no journal, or it is not complete and must be.
        JournalCorrupt: A closed block does not match its hash, or something is missing; segment and byte are named.
    """
    if not list_segments(directory):
        raise JournalError(f"there is no journal in {directory}")
    state = JournalState()
    yield from _walk(directory, state)
    if must_be_complete and not state.is_complete:
        found = (
            f"{state.torn_bytes} bytes of a torn tail follow"
            if state.torn_bytes
            else "its end mark is missing"
        )
        raise JournalError(f"the journal in {directory} is cut off after message {state.last_seq}: {found}")


def scan(directory: Path) -> JournalState:
    """Verify the whole journal and return where it ends; an empty directory is an empty journal.

    Raises:
        JournalCorrupt: A closed block does not match its hash, or something is missing; segment and byte are named.
    """
    state = JournalState()
    for _ in _walk(directory, state):
        pass
    return state


def _walk(directory: Path, state: JournalState) -> Iterator[Block]:
    for path in list_segments(directory):
        if state.n_segments and (state.torn_bytes or not state.tail_offset):
            raise JournalCorrupt(
                f"{directory / segment_name(state.n_segments)} is cut off at byte {state.tail_offset}, "
                f"yet {path.name} follows"
            )
        state.n_segments += 1
        state.tail_offset = 0
        try:
            yield from _walk_segment(path, state)
        except OSError as error:
            raise JournalError(f"{path} can not be read: {error.strerror or error}") from None


# A journal is cut into blocks of some megabytes, so that one block at a time is in memory.
def _walk_segment(path: Path, state: JournalState) -> Iterator[Block]:
    gathered = _Gathered()
    with path.open("rb") as file:
        opening = file.readline()
        if not opening.endswith(b"\n"):
            state.torn_bytes = len(opening)
            return
        if opening != segment_line(state.n_segments, state.head):
            raise JournalCorrupt(f"{path}: byte 0 does not continue the segment before it")
        state.tail_offset = offset = len(opening)
        for text in file:
            if not text.endswith(b"\n"):
                offset += len(text)
                break
            closing = _gather(path, offset, text, gathered)
            offset += len(text)
            if closing is None:
                continue
            yield _close_block(path, state, text, closing, gathered)
            state.tail_offset = offset
            gathered = _Gathered()
    state.torn_bytes = offset - state.tail_offset


# Adds one whole line to the block; returns the block's end if the line is that.
def _gather(path: Path, offset: int, text: bytes, gathered: _Gathered) -> _Closing | None:
    try:
        record = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise JournalCorrupt(f"{path}: the line at byte {offset} is not a journal's") from None
    if record.block is not None:
        return record.block
    gathered.raw.append(text)
    if record.seq:
        gathered.lines.append(Line(record.seq, bytes(record.message)))
    elif record.seam is not None:
        gathered.seams.append(record.seam)
    gathered.has_end_mark = record.end
    return None


def _close_block(
    path: Path, state: JournalState, text: bytes, closing: _Closing, gathered: _Gathered
) -> Block:
    first, last = closing.first, closing.last
    digest = block_hash(state.head, first, last, b"".join(gathered.raw))
    is_next = first == state.last_seq + 1 and last >= first - 1
    if not is_next or text != block_line(first, last, digest):
        raise JournalCorrupt(
            f"{path}: the block of messages {first} to {last} at byte {state.tail_offset} does not match its hash"
        )
    for line in gathered.lines:
        head = _decode_head(line.message)
        if head.kind == "Ref":
            state.rows_instruments = referenced(state.rows_instruments, head.instrument)
            state.rows_outstanding += head.last_row - head.first_row + 1
    state.rows_outstanding -= last - first + 1 - len(gathered.lines)
    if state.rows_outstanding < 0:
        raise JournalCorrupt(f"{path}: messages {first} to {last} count rows that no Ref names")
    if not state.rows_outstanding:
        state.rows_instruments = ()
    state.last_seq, state.head = last, digest
    state.has_end_mark = gathered.has_end_mark
    state.seams += gathered.seams
    return Block(first, last, digest, tuple(gathered.lines))
