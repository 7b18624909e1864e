"""What did a live feed say? The file that its session kept of it in; its blocks, verified, out.

A line is `{"refs":[…],"messages":[…]}`: one block as the engine saw it. Each of its Refs carries the hash of the block's
messages, and counts the rows of one instrument in it. `apps/feed_file.py` writes it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from njord.backtest.market import MarketBlock
from njord.core.codec import encode
from njord.core.contracts import AnyMessage, Message, Ref
from njord.core.errors import JournalCorrupt

FEED_NAME = "feed.ndjson"


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refs: tuple[Ref, ...]
    messages: tuple[AnyMessage, ...]


_decode = msgspec.json.Decoder(_Line).decode


def read_feed(path: Path, size: int | None = None) -> Iterator[MarketBlock]:
    """Yield the blocks of a feed file without touching it; a torn last line is left out.

    Args:
        path: The file.
        size: Read no further than so many bytes; None = to its end.

    Raises:
        JournalCorrupt: A line is no block, or its messages have changed.
    """
    offset = 0
    with path.open("rb") as file:
        for text in file:
            if not text.endswith(b"\n") or (size is not None and offset >= size):
                return
            try:
                line = _decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise JournalCorrupt(f"{path}: the line at byte {offset} is no block of a feed") from None
            if line.refs != refs_of(line.messages):
                raise JournalCorrupt(f"{path}: the block at byte {offset} does not match its hash")
            offset += len(text)
            yield MarketBlock(line.refs, line.messages)


def feed_line(refs: Sequence[Ref], messages: Sequence[Message]) -> bytes:
    """Return the line of one block, ended by a newline."""
    parts = (b",".join(map(encode, each)) for each in (refs, messages))
    return b'{"refs":[%b],"messages":[%b]}\n' % tuple(parts)


def refs_of(messages: Sequence[Message]) -> tuple[Ref, ...]:
    """Return the Refs of one block: one for each instrument, every message of it is a row."""
    digest = hashlib.sha256(b"\n".join(encode(message) for message in messages)).hexdigest()
    counts: dict[int, int] = {}
    for message in messages:
        index: int = getattr(message, "instrument", 0)
        counts[index] = counts.get(index, 0) + 1
    return tuple(
        Ref(
            ts_ns=messages[0].ts_ns,
            dataset_hash=digest,
            instrument=index,
            first_row=0,
            last_row=counts[index] - 1,
        )
        for index in sorted(counts)
    )
