"""Component: one stage of the engine. It is a table from message type to handler, and nothing else is asked of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from njord.core.contracts import Message

# A handler takes exactly its own message type; the table that holds it guarantees that, the checker can not.
Handler = Callable[[Any], Sequence[Message] | None]


class Component(Protocol):
    """A stage of the system: state, and what it does with the messages it consumes."""

    def handlers(self) -> Mapping[type[Message], Handler]:
        """Return what to call for which message; a handler returns the messages it causes, or None."""


class JournalSink(Protocol):
    """Where the engine writes a message before acting on it."""

    def append(self, message: Message) -> None:
        """Record `message` as the next one."""
