"""What was the case in that very moment? A recorded run is run again, and somebody listens to every message of it.

The messages from outside go in again, as in a replay, and what the engine makes of them must be what the journal says;
so whatever the listener finds in the system is what stood there then. Each message is told before anybody acts on it,
together with the message that caused it and the stage that made it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from njord.backtest.recorded_run import RecordedRun, inbound
from njord.backtest.simulation import precompute
from njord.core.component import Component, Handler
from njord.core.contracts import Message
from njord.core.engine import Engine
from njord.core.errors import ConfigError, JournalError
from njord.storage.tape import Difference, Tape
from njord.system import System

Progress = Callable[[int, int], None]
_STEPS_SHOWN = 8_192


class Heard(msgspec.Struct, frozen=True, gc=False):
    """One message of the run; `by` is the stage that made it, empty for what came from outside."""

    seq: int
    message: Message
    by: str = ""
    cause_seq: int = 0


class Listener(Protocol):
    """Who is told."""

    @property
    def is_done(self) -> bool:
        """Whether it needs to hear no more; asked after every message from outside and all that it caused."""

    def note(self, heard: Heard, system: System) -> None:
        """Take note of a message that nobody has acted on yet; the system is as it was then."""


def rerun(run: RecordedRun, listener: Listener, last_seq: int, progress: Progress) -> System:
    """Run a recorded run again until the listener has heard enough, or to its end; return what it ran on.

    Args:
        run: What was run.
        listener: Told of every message.
        last_seq: How far it is expected to go, for the progress.
        progress: Told how far it is.

    Raises:
        ConfigError: Its code or strategy has changed, and it comes out otherwise.
        DataError: Its data are gone or have changed.
        JournalError: It comes out otherwise though nothing has changed.
    """
    tape = run.tape()
    with run.open_market() as market:
        trace = _Trace(tape, listener)
        trace.system = system = System(run.spec(), trace)
        engine = Engine(tuple(_Watched(name, stage, trace) for name, stage in system.stages.items()), trace)
        precompute(system, market)
        try:
            for n_steps, message in enumerate(inbound(tape, market), 1):
                engine.step(message)
                if listener.is_done:
                    break
                if n_steps % _STEPS_SHOWN == 0:
                    progress(min(tape.seq, last_seq), last_seq)
        except Difference as difference:
            # What a killed session had yet to write is no difference.
            if tape.peek() is not None or not run.is_session:
                raise _changed(run, difference) from None
        return system


def _changed(run: RecordedRun, difference: Difference) -> Exception:
    notes = run.notes()
    said = f"message {difference.seq} of {run.folder.name} comes out otherwise now"
    if notes:
        return ConfigError(
            f"{said}: {notes[0].partition(';')[0]}", "put back what it ran with, then ask again"
        )
    return JournalError(f"{said}, though nothing has changed: {difference}")


# The journal of the run: compares, and tells the listener who made what.
class _Trace:
    def __init__(self, tape: Tape, listener: Listener) -> None:
        self._tape = tape
        self._listener = listener
        self._made: dict[int, tuple[str, int]] = {}  # Of messages that are yet to be appended, by identity.
        self.system: System

    def append(self, message: Message) -> None:
        self._tape.append(message)
        by, cause_seq = self._made.pop(id(message), ("", 0))
        self._listener.note(Heard(self._tape.seq, message, by, cause_seq), self.system)

    # A message is handled after it was appended, and before the next is: the tape stands at the cause.
    def made(self, stage: str, message: Message) -> None:
        self._made[id(message)] = (stage, self._tape.seq)


# A stage of which it is known what it makes.
class _Watched:
    def __init__(self, name: str, stage: Component, trace: _Trace) -> None:
        self._name = name
        self._stage = stage
        self._trace = trace

    def handlers(self) -> dict[type[Message], Handler]:
        return {kind: self._watch(handler) for kind, handler in self._stage.handlers().items()}

    def _watch(self, handler: Handler) -> Handler:
        name, made = self._name, self._trace.made

        def handle(message: Message) -> Sequence[Message] | None:
            caused = handler(message)
            if caused:
                for each in caused:
                    made(name, each)
            return caused

        return handle
