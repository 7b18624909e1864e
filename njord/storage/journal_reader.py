"""Reading a journal: every block verified before a line of it is believed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from njord.core.errors import JournalCorrupt, JournalError

GENESIS = hashlib.sha256(b"njord journal 1").hexdigest()


class Line(msgspec.Struct, frozen=True, gc=False):
    """One message as it was written."""

    seq: int
    message: bytes


class Block(msgspec.Struct, frozen=True):
    """One closed and verified block; a number from `first` to `last` without a line is a referenced row."""

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


class _Body(msgspec.Struct):
    first: int
    last: int
    hash: str


class _Segment(msgspec.Struct):
    number: int
    previous: str


_NONE = msgspec.Raw(b"")  # Raw takes no part in unions: empty stands for absent.


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    seq: int | None = None
    message: msgspec.Raw = _NONE
    block: _Body | None = None
    segment: _Segment | None = None
    seam: msgspec.Raw = _NONE


class _Head(msgspec.Struct):
    kind: str
    first_row: int = 0
    last_row: int = 0


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


def read_blocks(directory: Path) -> Iterator[Block]:
    """Yield every closed block of the journal in `directory`, verified; a torn tail is left out.

    Raises:
        JournalError: There is no journal.
        JournalCorrupt: A closed block does not match its hash, or something is missing; segment and byte are named.
    """
    if not list_segments(directory):
        raise JournalError(f"there is no journal in {directory}")
    yield from _walk(directory, JournalState())


def scan(directory: Path) -> JournalState:
    """Verify the whole journal and return where it ends; an empty directory is an empty journal.

    Raises:
        JournalCorrupt: A closed block does not match its hash.
    """
    state = JournalState()
    for _ in _walk(directory, state):
        pass
    return state


def _walk(directory: Path, state: JournalState) -> Iterator[Block]:
    segments = list_segments(directory)
    for path in segments:
        if state.torn_bytes:
            raise JournalCorrupt(
                f"{directory / segment_name(state.n_segments)} is cut off at byte {state.tail_offset}, "
                f"yet {path.name} follows"
            )
        state.n_segments += 1
        state.tail_offset = 0
        yield from _walk_segment(path, state)


# A journal is cut into blocks of some megabytes, so that one block at a time is in memory.
def _walk_segment(path: Path, state: JournalState) -> Iterator[Block]:
    lines: list[Line] = []
    raw: list[bytes] = []
    pending = 0
    with path.open("rb") as file:
        for text in file:
            pending += len(text)
            record = _parse(text)
            if record is None:
                break
            if record.segment is not None:
                _check_segment(path, state, record.segment, is_first=state.tail_offset == 0 and not raw)
                state.tail_offset += pending
                pending = 0
                continue
            if record.block is None:
                raw.append(text)
                if record.seq is not None:
                    lines.append(Line(record.seq, bytes(record.message)))
                continue
            yield _close_block(path, state, record.block, lines, raw)
            state.tail_offset += pending
            lines, raw, pending = [], [], 0
        rest = file.read()
    state.torn_bytes = pending + len(rest)
    if state.torn_bytes and b'\n{"block":{' in b"\n" + rest:
        raise JournalCorrupt(f"{path}: unreadable line in a closed block after byte {state.tail_offset}")


def _parse(text: bytes) -> _Record | None:
    if not text.endswith(b"\n"):
        return None
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None


def _check_segment(path: Path, state: JournalState, segment: _Segment, is_first: bool) -> None:
    if not is_first or segment.number != state.n_segments or segment.previous != state.head:
        raise JournalCorrupt(f"{path} does not continue the segment before it")


def _close_block(
    path: Path, state: JournalState, closing: _Body, lines: list[Line], raw: list[bytes]
) -> Block:
    digest = block_hash(state.head, closing.first, closing.last, b"".join(raw))
    if digest != closing.hash or closing.first != state.last_seq + 1 or closing.last < closing.first:
        raise JournalCorrupt(
            f"{path}: the block of messages {closing.first} to {closing.last} at byte {state.tail_offset} "
            "does not match its hash"
        )
    rows = closing.last - closing.first + 1 - len(lines)
    for line in lines:
        head = _decode_head(line.message)
        if head.kind == "Ref":
            state.rows_outstanding += head.last_row - head.first_row + 1
    state.rows_outstanding -= rows
    if state.rows_outstanding < 0:
        raise JournalCorrupt(
            f"{path}: messages {closing.first} to {closing.last} count rows that no Ref names"
        )
    state.last_seq, state.head = closing.last, digest
    return Block(closing.first, closing.last, digest, tuple(lines))
