"""What would be on disk? The journal of one simulated session: appended, made durable, cut by a crash, and run again.

It stands where `JournalWriter` and `SessionJournal` stand in a live session: while it is run again, what the host makes
must be what was written, byte for byte; what a crash cut off is made again and appended.
"""

import hashlib
from collections.abc import Sequence

from njord.apps.live_host import LiveHost
from njord.core.codec import encode
from njord.core.contracts import INBOUND, Bar, Message, TimerFired, TradeEvent
from njord.core.errors import JournalError

_ROWS = (TradeEvent, Bar)


class MemoryJournal:
    """Messages in order.

    Args:
        recorded: Written before; they are compared with what is appended until their end.

    Attributes:
        messages: Everything written.
        n_synced: How many of them would survive a power cut.
    """

    def __init__(self, recorded: Sequence[Message] = ()) -> None:
        self.messages = list(recorded)
        self.n_synced = len(self.messages)
        self._next = 0  # Where `append` is.

    def append(self, message: Message) -> None:
        """Record a message as the next one.

        Raises:
            JournalError: Another one was recorded in its place.
        """
        if self._next == len(self.messages):
            self.messages.append(message)
        elif encode(message) != encode(self.messages[self._next]):
            raise JournalError(
                f"message {self._next + 1} was {encode(self.messages[self._next]).decode()}, "
                f"is now {encode(message).decode()}"
            )
        self._next += 1

    def sync(self) -> None:
        """Make everything durable."""
        self.n_synced = len(self.messages)

    def cut(self, n_kept: int) -> "MemoryJournal":
        """Return what a crash leaves of it: what is durable, and some of the rest."""
        return MemoryJournal(self.messages[: max(n_kept, self.n_synced)])

    def run_again(self, host: LiveHost) -> None:
        """Let a fresh host, whose engine writes here, see everything that came in; nothing is sent.

        Raises:
            JournalError: It does something else than what was recorded.
        """
        recorded = self.messages
        n_recorded = len(recorded)
        host.is_replaying = True
        while self._next < n_recorded:
            message = recorded[self._next]
            if isinstance(message, TimerFired):
                host.fired(message)
            elif isinstance(message, _ROWS):
                host.accept(message)
            elif isinstance(message, INBOUND):
                host.tell(message)
            else:
                raise JournalError(
                    f"message {self._next + 1} is made by nothing now: {encode(message).decode()}"
                )
        host.is_replaying = False

    def digest(self) -> str:
        """Return the SHA-256 of every message's bytes."""
        digest = hashlib.sha256()
        for message in self.messages:
            digest.update(encode(message))
            digest.update(b"\n")
        return digest.hexdigest()
