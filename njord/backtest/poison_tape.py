"""Are these the decisions of the run? Every message of a run again comes in, compared byte for byte with its journal.

The tape is the journal of the second run. It ends it at the cut, or at the first difference.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from njord.core.codec import decode, encode
from njord.core.contracts import (
    INBOUND,
    AmendIntent,
    Bar,
    BookEvent,
    CancelIntent,
    FillEvent,
    FundingEvent,
    Message,
    OrderIntent,
    OrderUpdate,
    ProposalRefused,
    Target,
    TickerEvent,
    TradeEvent,
)
from njord.core.errors import NjordError
from njord.storage.journal_reader import Block, read_blocks

DECISIONS: Final = (Target, OrderIntent, CancelIntent, AmendIntent, ProposalRefused)
_FROM_VENUE = (OrderUpdate, FillEvent, FundingEvent)
_ROWS = (Bar, TradeEvent, BookEvent, TickerEvent)


class CutReached(NjordError):
    """The run has come past the cut: nothing that follows is compared."""


class Differs(NjordError):
    """The run and its journal part ways.

    Attributes:
        seq: Place in the journal.
        expected: What stands there; empty where only market data stand there.
        derived: What came instead; empty where nothing came, or the next row of market data.
        message: The one that differs: what came, or what stands there and did not come.
        cause: The inbound message that led to it, itself where it came from outside.
    """

    def __init__(self, seq: int, expected: str, derived: str, message: Message, cause: Message) -> None:
        super().__init__(f"message {seq}")
        self.seq = seq
        self.expected = expected
        self.derived = derived
        self.message = message
        self.cause = cause


class CutTape:
    """The journal of a second run: it writes nothing and compares.

    Args:
        folder: Holds the journal of the first.
        cut_ns: Until when both must be the same.
    """

    head = ""

    def __init__(self, folder: Path, cut_ns: int) -> None:
        self._records = _records(read_blocks(folder))
        self._next = next(self._records, None)
        self._cut_ns = cut_ns
        self._cause: Message | None = None  # The inbound message under way, and the one before it.
        self._before: Message | None = None
        self.n_messages = 0
        self.n_decisions = 0

    def append(self, message: Message) -> None:
        """Compare one message.

        Raises:
            CutReached: It became known after the cut.
            Differs: It is not the one that the journal holds.
        """
        if message.ts_ns > self._cut_ns:
            self.finish()
            raise CutReached("the cut is reached")
        if isinstance(message, INBOUND):
            self._before, self._cause = self._cause, message
        seq, recorded = self._next or (self.n_messages + 1, b"")
        is_row = isinstance(message, _ROWS)
        if is_row and recorded is not None:  # Rows are counted in a journal, not written.
            raise self._differs(seq, recorded, message)
        if not is_row and (recorded is None or encode(message) != recorded):
            raise self._differs(seq, recorded, message)
        self._next = next(self._records, None)
        self.n_messages += 1
        self.n_decisions += isinstance(message, DECISIONS)

    def finish(self) -> None:
        """Assert that the journal holds no more until the cut.

        Raises:
            Differs: It does.
        """
        if self._next is None or self._next[1] is None:
            return
        missing = decode(self._next[1])
        if missing.ts_ns <= self._cut_ns:
            raise Differs(self._next[0], self._next[1].decode(), "", missing, self._cause or missing)

    def commit(self) -> None:
        """Do nothing: a comparison is not kept."""

    def sync(self) -> None:
        """Do nothing: a comparison is not kept."""

    def close(self) -> None:
        """Let go of the journal."""
        self._records.close()

    # Where one of the two is only what happens next, the other is the message that is too much, or missing.
    def _differs(self, seq: int, recorded: bytes | None, message: Message) -> Differs:
        expected = (recorded or b"").decode()
        is_next = isinstance(message, INBOUND) and not isinstance(message, _FROM_VENUE)
        if is_next and recorded:
            return Differs(seq, expected, "", decode(recorded), self._before or message)
        return Differs(seq, expected, encode(message).decode(), message, self._cause or message)


# Sequence number and message; None stands for a row of market data.
def _records(blocks: Iterator[Block]) -> Generator[tuple[int, bytes | None]]:
    for block in blocks:
        expected = block.first
        for line in block.lines:
            for seq in range(expected, line.seq):
                yield seq, None
            yield line.seq, line.message
            expected = line.seq + 1
        for seq in range(expected, block.last + 1):
            yield seq, None
