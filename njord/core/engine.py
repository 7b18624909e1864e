"""The engine: one message in, everything it causes out, in one order, every time.

No clock, no chance, no I/O. A message is journaled, then handed to the components in their fixed order; what they
return joins the end of the queue. The step ends when the queue is empty.
"""

from collections.abc import Sequence
from itertools import islice
from typing import get_args

from njord.core.component import Component, Handler, JournalSink
from njord.core.contracts import AnyMessage, Message
from njord.core.errors import RunawayCascade

CASCADE_MAX = 10_000


class Engine:
    """Runs messages through components, run to completion, first in first out.

    Args:
        components: In stage order; for each message they are asked in this order.
        journal: Written before a message is acted on.
        cascade_max: Most messages that one message may cause.
    """

    def __init__(
        self, components: Sequence[Component], journal: JournalSink, cascade_max: int = CASCADE_MAX
    ) -> None:
        table: dict[type[Message], list[Handler]] = {kind: [] for kind in get_args(AnyMessage)}
        for component in components:
            for kind, handler in component.handlers().items():
                table[kind].append(handler)
        self._handlers = {kind: tuple(handlers) for kind, handlers in table.items()}
        self._append = journal.append
        self._cascade_max = cascade_max

    def step(self, message: Message) -> list[Message]:
        """Run `message` and everything it causes to completion; return all of it, in order.

        Raises:
            RunawayCascade: The components keep answering each other.
        """
        append, handlers, limit = self._append, self._handlers, self._cascade_max
        append(message)
        done = [message]
        for handle in handlers[type(message)]:
            caused = handle(message)
            if caused:
                done += caused
        if len(done) == 1:
            return done
        # It grows while it is walked, first in, first out; who comes to the limit has met a cascade without end.
        for current in islice(done, 1, limit):
            append(current)
            for handle in handlers[type(current)]:
                caused = handle(current)
                if caused:
                    done += caused
        if len(done) > limit:
            append(done[limit])
            raise RunawayCascade(
                f"{type(message).__name__} at {message.ts_ns} caused more than {limit} messages"
            )
        return done
