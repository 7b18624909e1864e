"""The engine with its stages in other processes: one message in, everything it causes out, in the order of one engine.

It does what `core/engine.py` does, and numbers what it writes. Message `seq` is released to the services that consume
it, their answers are joined in stage order, and only a message whose place in the queue is certain is released: all
that is queued already at once, the next one from outside when nothing is left. So journal and orders are those of one
process, byte for byte. A service that is silent is asked again and waited for; what is no answer of ours is refused,
told as an `Alert`, and waited for all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from njord.apps.services_door import AnswerRefused, Door
from njord.apps.services_stages import ANSWERS_KEPT, Handlers, StageTables
from njord.apps.services_words import PAPER, STAGES, Answer, Entry, Hello, decode_reply
from njord.core.codec import encode
from njord.core.component import Component, JournalSink
from njord.core.contracts import Alert, Message
from njord.core.engine import CASCADE_MAX
from njord.core.errors import NjordError, RunawayCascade
from njord.core.types import Severity

WINDOW: Final = 256  # Messages released and not joined; fewer than a service keeps its answers to.
WAIT_S: Final = 0.1  # A stop is noticed within this.
ASK_AGAIN_S: Final = 1.0
PATIENCE_S: Final = 1.0  # Of a stop with a service that may only be slow.
ALERTS_MAX: Final = 100  # Of one process: a flood of forgeries must not fill the disk.
_CANDIDATES_MAX: Final = 1000  # Different answers of one service to one message that are looked at.


class Line(Protocol):
    """The way to the services and back."""

    def exchange(self, entries: Sequence[Entry], wait_s: float) -> list[bytes]:
        """Put entries behind the last one, and return what was said since the last call.

        Args:
            entries: May be empty.
            wait_s: Wait so long for the first word; 0 = return what is there.
        """


class Stopped(NjordError):
    """The engine was told to stop while a service is missing; the message under way is not done."""


class Waiting(msgspec.Struct, frozen=True):
    """Who is waited for, for which message, since how long."""

    services: tuple[str, ...]
    seq: int
    waited_s: float


class LockStepEngine:
    """Runs messages through stages in several processes, run to completion, first in first out.

    Args:
        stages: Of the whole system, in stage order; the paper service's own are driven here.
        journal: Written before a message is released.
        line: To the others.
        door: Opens their answers.
        last_seq: How many messages the journal holds.
        now_s: Seconds on a clock that nobody can set back.
        on_wait: Told once a second of whom is waited for, and None when they are back.
        followers: What the paper service keeps of other stages' state, for its screen.
        cascade_max: Most messages that one message may cause.

    Attributes:
        alerts: What was refused and is to be told; whoever feeds the engine tells it between two messages.
        stop_reason: Set, it ends a wait that lasts; what can be decided is still decided.
        n_refused: Answers that were none.
        n_repeated: Answers that came again.
    """

    def __init__(
        self,
        stages: Mapping[str, Component],
        journal: JournalSink,
        line: Line,
        door: Door,
        *,
        last_seq: int,
        now_s: Callable[[], float],
        on_wait: Callable[[Waiting | None], None] = lambda waiting: None,
        followers: Mapping[str, Handlers] | None = None,
        cascade_max: int = CASCADE_MAX,
    ) -> None:
        self._own = StageTables(PAPER, stages, followers)
        self._services = {name: StageTables(name, stages) for name in STAGES if name != PAPER}
        # Where each stage's answer is found: its service, and its place there.
        self._order = [
            (name, self._tables_of(name).names.index(stage))
            for stage in stages
            for name in STAGES
            if stage in STAGES[name]
        ]
        self._append = journal.append
        self._line = line
        self._door = door
        self._seq = last_seq  # Of the last message that was written.
        self._joined = last_seq
        self._now_s = now_s
        self._on_wait = on_wait
        self._cascade_max = cascade_max
        self._out: list[Entry] = []
        self._answers: dict[tuple[int, str], dict[bytes, Answer]] = {}  # As they came, by what was sent.
        self._believed: dict[int, dict[str, bytes]] = {}  # Of the last messages: to tell a repetition.
        self.alerts: list[Alert] = []
        self.stop_reason = ""
        self.n_refused = 0
        self.n_repeated = 0
        self._now_ns = 0

    def _tables_of(self, service: str) -> StageTables:
        return self._own if service == PAPER else self._services[service]

    def step(self, message: Message) -> list[Message]:
        """Run `message` and everything it causes to completion; return all of it, in order.

        Raises:
            RunawayCascade: The components keep answering each other.
            Stopped: A service is missing, and the engine was told to stop.
        """
        done, n_written, first = [message], 0, self._seq + 1
        for index, current in enumerate(done):  # Grows while it is walked: first in, first out.
            while n_written < min(len(done), index + WINDOW):
                self._append(done[n_written])
                n_written += 1
                self._seq += 1
                if n_written > self._cascade_max:
                    kind = type(message).__name__
                    raise RunawayCascade(
                        f"{kind} at {message.ts_ns} caused more than {self._cascade_max} messages"
                    )
                self._out.append(Entry(self._seq, encode(done[n_written - 1])))
            done.extend(self._caused_by(first + index, current))
        return done

    def poll(self, wait_s: float = 0.0) -> None:
        """Hand on what is left to hand on and hear what is said; by itself while nothing is to be decided."""
        out, self._out = self._out, []
        for raw in self._line.exchange(out, wait_s):
            self._take(raw)

    def _caused_by(self, seq: int, message: Message) -> list[Message]:
        self._now_ns = max(self._now_ns, message.ts_ns)
        kind = type(message)
        caused: dict[str, Sequence[Sequence[Message]]] = {PAPER: self._own.caused_by(message)}
        for name, tables in self._services.items():
            if kind in tables.asked:
                caused[name] = self._answer_of(name, tables, seq, message)
            elif (seq, name) in self._answers:
                del self._answers[seq, name]
                self._refuse("malformed", f"{name} answers message {seq}, which it was not asked")
        self._joined = seq
        self._believed.pop(seq - ANSWERS_KEPT, None)
        return [each for name, place in self._order if name in caused for each in caused[name][place]]

    # --- waiting for answers ---

    def _answer_of(self, name: str, tables: StageTables, seq: int, message: Message) -> list[list[Message]]:
        began_s = asked_s = told_s = self._now_s()
        while True:
            candidates = self._answers.pop((seq, name), None)
            if candidates is not None:
                caused = self._opened(name, tables, seq, message, candidates)
                if caused is not None:
                    if told_s != began_s:
                        self._on_wait(None)
                    return caused
            self.poll(WAIT_S)
            now_s = self._now_s()
            if self.stop_reason and now_s - began_s >= PATIENCE_S:
                raise Stopped(f"{self.stop_reason}, while {name} has not answered message {seq}")
            if now_s - asked_s >= ASK_AGAIN_S:
                asked_s = told_s = now_s
                self._out.append(Entry(self._seq, again=seq))
                missing = tuple(
                    other
                    for other, each in self._services.items()
                    if type(message) in each.asked
                    and other not in self._believed.get(seq, {})
                    and (seq, other) not in self._answers
                )
                self._on_wait(Waiting(missing, seq, now_s - began_s))

    # The first answer that opens is believed; what does not is refused, what differs from it is no answer of ours.
    def _opened(
        self, name: str, tables: StageTables, seq: int, message: Message, candidates: dict[bytes, Answer]
    ) -> list[list[Message]] | None:
        believed = None
        for raw, answer in candidates.items():
            if believed is not None:
                self._refuse("two_answers", f"{name} has answered message {seq} before, otherwise")
                continue
            try:
                believed = self._door.open(answer, tables.names, message.ts_ns)
            except AnswerRefused as refused:
                self._refuse(refused.reason, f"{name}'s answer to message {seq}: {refused}")
                continue
            self._believed.setdefault(seq, {})[name] = raw
        return believed

    def _take(self, raw: bytes) -> None:
        try:
            reply = decode_reply(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._refuse("malformed", "bytes that are no answer")
            return
        if reply.service not in self._services:
            self._refuse("malformed", "an answer of a service that is none")
        elif isinstance(reply, Hello):
            if reply.applied > self._joined:  # It may owe what it has applied; the rest comes by itself.
                self._out.append(Entry(self._seq, again=self._joined + 1))
        elif not self._seq - ANSWERS_KEPT < reply.seq <= self._seq:
            self._refuse(
                "replayed", f"{reply.service} answers message {reply.seq}, the last one is {self._seq}"
            )
        elif (known := self._believed.get(reply.seq, {}).get(reply.service)) is not None or (
            reply.seq <= self._joined
        ):
            if known == raw:
                self.n_repeated += 1
            else:
                self._refuse("two_answers", f"{reply.service} has answered message {reply.seq} otherwise")
        else:
            self._add(reply, raw)

    def _add(self, answer: Answer, raw: bytes) -> None:
        candidates = self._answers.setdefault((answer.seq, answer.service), {})
        if raw in candidates:
            self.n_repeated += 1
        elif len(candidates) < _CANDIDATES_MAX:
            candidates[raw] = answer
        else:
            self._refuse("two_answers", f"{answer.service} answers message {answer.seq} again and again")

    def _refuse(self, reason: str, text: str) -> None:
        self.n_refused += 1
        if self.n_refused > ALERTS_MAX:
            return
        self.alerts.append(
            Alert(
                ts_ns=self._now_ns,
                severity=Severity.CRITICAL,
                category="security",
                source=PAPER,
                title="an answer to the engine was refused",
                message=text,
                labels=(("reason", reason),),
            )
        )
