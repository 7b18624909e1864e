"""What did a live feed say? Blocks of messages in, one line each, durable before an engine sees them; blocks out.

A recorded dataset can be read again, a live feed can not: so it is recorded in the session's own folder. A line is
`{"refs":[…],"messages":[…]}`; the journal refers to its rows by the hash of its messages. A line that a crash cut off
was never seen by anybody and is cut off when the file is opened again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from njord.backtest.feed_blocks import feed_line, read_feed, refs_of
from njord.backtest.market import MarketBlock
from njord.core.contracts import Bar, BookEvent, TickerEvent, TradeEvent
from njord.core.errors import JournalHalted
from njord.storage.disk import Disk, OsDisk

MarketMessage = Bar | TradeEvent | BookEvent | TickerEvent


class FeedFile:
    """Appends a live feed's blocks, and reads them again; a context manager.

    Args:
        path: Created if missing; a torn last line is cut off.
        disk: Where it is opened.

    Raises:
        JournalHalted: The disk refused.
    """

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path = path
        disk = disk or OsDisk()
        try:
            self._file = disk.open_append(path)
            self._size = _end_of_lines(path)
            if path.stat().st_size > self._size:
                self._file.truncate(self._size)
            self._file.sync()
            disk.sync_folder(path.parent)
        except OSError as error:
            raise _refused(path, error) from None
        self._is_halted = False

    def append(self, messages: Sequence[MarketMessage]) -> MarketBlock:
        """Record messages in the order in which they became known; return the block to hand on.

        Raises:
            JournalHalted: The disk refused, or has before; nothing of it counts.
            ValueError: There are no messages.
        """
        if not messages:
            raise ValueError("a block has at least one message, was given none")
        if self._is_halted:
            raise JournalHalted(f"{self.path} takes no more: an earlier write failed")
        refs = refs_of(messages)
        line = feed_line(refs, messages)
        try:
            self._file.write(line)
            self._file.sync()
        except OSError as error:
            self._is_halted = True
            raise _refused(self.path, error) from None
        self._size += len(line)
        return MarketBlock(refs, tuple(messages))

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield every block, verified, from the start to where the file ends now.

        Raises:
            JournalCorrupt: A line is no block, or its messages have changed.
        """
        return read_feed(self.path, self._size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end_of_lines(path: Path) -> int:
    end = offset = 0
    with path.open("rb") as file:
        for text in file:
            offset += len(text)
            if text.endswith(b"\n"):
                end = offset
    return end


def _refused(path: Path, error: OSError) -> JournalHalted:
    return JournalHalted(f"{path} can not be written: {error.strerror or error}")
