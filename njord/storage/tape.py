"""What does a journal hold, message by message, and does an engine say the same again? Blocks in, messages out.

A number without a line is a row of a dataset that a Ref names: it counts, and it is not here. The tape is also a
journal that compares: handed to an engine in place of one, it takes what the engine appends and raises `Difference` at
the first byte that was recorded otherwise.
"""

from collections.abc import Iterator

import msgspec

from njord.core.codec import encode
from njord.core.contracts import Bar, BookEvent, Message, TickerEvent, TradeEvent
from njord.core.errors import NjordError
from njord.storage.journal_reader import Block

ROWS = (Bar, TradeEvent, BookEvent, TickerEvent)  # What a Ref can stand for.
_SHOWN_BYTES = 300


class Recorded(msgspec.Struct, frozen=True):
    """One message as it was written."""

    seq: int
    message: bytes | None  # None: the next referenced row.


class Difference(NjordError):
    """The engine and the journal part ways at `seq`."""

    def __init__(self, seq: int, text: str) -> None:
        super().__init__(text)
        self.seq = seq


class Tape:
    """The recorded messages in sequence; also the journal of an engine that is run again, which compares."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._records = records(blocks)
        self._next: Recorded | None = next(self._records, None)
        self.seq = 0  # Of the last message that was compared.

    def peek(self) -> Recorded | None:
        """Return the next recorded message; None behind the last."""
        return self._next

    def append(self, message: Message) -> None:
        """Compare what the engine appends with what was recorded.

        Raises:
            Difference: It is not what was recorded, or nothing was.
        """
        recorded = self._next
        if recorded is None:
            raise Difference(
                self.seq + 1, f"the journal ends, yet the engine derives {shown(encode(message))}"
            )
        self.seq = recorded.seq
        if recorded.message is None:
            if not isinstance(message, ROWS):
                raise Difference(
                    recorded.seq, f"recorded a market data row, derived {shown(encode(message))}"
                )
        elif (derived := encode(message)) != recorded.message:
            raise Difference(recorded.seq, f"recorded {shown(recorded.message)} derived {shown(derived)}")
        self._next = next(self._records, None)


def records(blocks: Iterator[Block]) -> Iterator[Recorded]:
    """Yield every message of a journal's blocks in sequence, referenced rows included."""
    for block in blocks:
        expected = block.first
        for line in block.lines:
            while expected < line.seq:
                yield Recorded(expected, None)
                expected += 1
            yield Recorded(line.seq, line.message)
            expected = line.seq + 1
        while expected <= block.last:
            yield Recorded(expected, None)
            expected += 1


def shown(message: bytes) -> str:
    """Return a message as text for a person, cut where it is long."""
    text = message.decode(errors="replace")
    return text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES] + "…"
