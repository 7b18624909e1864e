"""The way between the sequencer and the services over Redis: two streams, one connection each, one write a turn.

Entry `seq` of `engine.in` is message `seq` of the journal, so that nobody can put another one in its place or a second
one behind it unnoticed. Answers are appended to `engine.out` in any order. What a call could not send because Redis was
away it sends with the next one; what was lost with a server that came back empty is asked for again by the sequencer.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from njord.adapters.redis_client import BLOCK_MAX_MS, Backoff, asking, connect
from njord.apps.services_run import ALIVE_S, RUN_KEY, Announced, decode_announced, encode_announced
from njord.apps.services_words import Entry
from njord.core.bus import BusUnavailable
from njord.core.errors import InvariantError
from njord.core.units import NS_PER_MS

Command = tuple[str | bytes | int, ...]
ANSWERS_MAX_LEN: Final = 10_000
_READ_MAX: Final = 1_000
_KEPT: Final = 1_000  # Messages that can be put back; more than are ever unanswered.
_RENEW_S: Final = 1.0
_MESSAGE, _AGAIN, _ANSWER = b"m", b"q", b"a"
NOT_NEWER: Final = "The ID specified in XADD is equal or smaller"


class Wire:
    """One connection: commands out in one write, their replies in order.

    Args:
        url: May hold a password.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url, is_blocking=True)
        self._connection: Any = None  # The library does not type its connections.

    def ask(self, *commands: Command) -> list[Any]:
        """Return the reply to each command; one that was refused for good is an exception among them.

        Raises:
            BusUnavailable: Redis is away, or refuses for now; nothing is known of what was sent.
        """
        import redis

        with asking():
            try:
                connection = self._connection or self._client.connection_pool.get_connection()
                self._connection = connection
                connection.send_packed_command(connection.pack_commands(commands))
                return [self._reply(connection) for _ in commands]
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                self._drop()
                raise

    def _reply(self, connection: Any) -> Any:
        import redis

        try:
            return connection.read_response()
        except redis.ResponseError as error:
            return error

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._client.connection_pool.release(self._connection)
            self._connection = None

    def close(self) -> None:
        """Close it."""
        self._drop()
        self._client.close()


def checked(reply: Any) -> Any:
    """Return a reply.

    Raises:
        BusUnavailable: Redis refuses for now.
        BusError: It refuses for good.
    """
    if isinstance(reply, Exception):
        with asking():
            raise reply
    return reply


def read_announced(wire: Wire) -> Announced | None:
    """Return the run that is announced; None if there is none."""
    content = checked(wire.ask(("GET", RUN_KEY))[0])
    return None if content is None else decode_announced(content)


def _read(stream: str, after: str, wait_s: float, n_max: int) -> Command:
    wait_ms = min(round(wait_s * 1e9 / NS_PER_MS), BLOCK_MAX_MS)
    block: Command = ("BLOCK", wait_ms) if wait_ms else ()
    return ("XREAD", "COUNT", n_max, *block, "STREAMS", stream, after)


def _entries(reply: Any) -> list[tuple[bytes, list[bytes]]]:
    found = checked(reply)
    return list(found[0][1]) if found else []


class _Line:
    """What both ends have: a connection, the two streams, and how far one of them is read.

    Attributes:
        trouble: What is wrong with Redis; empty while it works.
    """

    def __init__(self, url: str, run: str) -> None:
        self._wire = Wire(url)
        self._in, self._out = f"engine.in.{run}", f"engine.out.{run}"
        self._last_id = "0-0"
        self._backoff = Backoff(0.02, 0.5)
        self.trouble = ""

    def _worked(self, entries: list[tuple[bytes, list[bytes]]]) -> None:
        self._backoff.reset()
        self.trouble = ""
        if entries:
            self._last_id = entries[-1][0].decode()

    def _failed(self, error: BusUnavailable, wait_s: float) -> None:
        self.trouble = str(error)
        time.sleep(min(self._backoff.next_s(), wait_s))


class SequencerLine(_Line):
    """The sequencer's end: it numbers, and keeps the announcement alive.

    Args:
        url: Of Redis.
        announced: The run.
        stream_max_len: Entries that `engine.in` keeps, about.
        next_row: Says where the market goes on.
        now_s: Seconds on a clock that nobody can set back.
    """

    def __init__(
        self,
        url: str,
        announced: Announced,
        stream_max_len: int,
        next_row: Callable[[], int] = lambda: 0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(url, announced.run)
        self._announced = announced
        self._max_len = stream_max_len
        self._next_row = next_row
        self._now_s = now_s
        self._renewed_s = float("-inf")
        self._unsent: list[Entry] = []
        self._sent: deque[Entry] = deque(maxlen=_KEPT)
        self._n_questions = 0

    def exchange(self, entries: Sequence[Entry], wait_s: float) -> list[bytes]:
        """Put entries behind the last one, and return what was said since the last call.

        Raises:
            InvariantError: Somebody else has written the next entry.
        """
        self._unsent += entries
        self._sent += [entry for entry in entries if not entry.again]
        added = [self._added(entry) for entry in self._unsent]
        commands = added + self._renewal()
        commands.append(_read(self._out, self._last_id, wait_s, _READ_MAX))
        try:
            for entry in self._unsent:
                if entry.again:
                    self._put_back(entry.again)
            replies = self._wire.ask(*commands)
            for command, reply in zip(added, replies, strict=False):
                if isinstance(reply, Exception):
                    self._check_added(command, reply)
            answers = _entries(replies[-1])
        except BusUnavailable as error:
            self._failed(error, wait_s)
            return []
        self._unsent.clear()
        self._worked(answers)
        return [fields[1] for _, fields in answers if len(fields) == 2 and fields[0] == _ANSWER]

    def _added(self, entry: Entry) -> Command:
        add: Command = ("XADD", self._in, "MAXLEN", "~", self._max_len)
        if not entry.again:
            return (*add, f"{entry.seq}-0", _MESSAGE, entry.message)
        self._n_questions += 1
        return (*add, f"{entry.seq}-{self._n_questions}", _AGAIN, str(entry.again))

    # A server that came back empty has lost what nobody has answered. It comes before the question for it, because
    # whoever has read the question reads nothing that stands before it.
    def _put_back(self, from_seq: int) -> None:
        entry_id = f"{from_seq}-0"
        if checked(self._wire.ask(("XRANGE", self._in, entry_id, entry_id))[0]):
            return
        lost = [self._added(entry) for entry in self._sent if entry.seq >= from_seq]
        if lost:
            self._wire.ask(("DEL", self._in), *lost)

    # Whatever was sent before the connection broke may be there already.
    def _check_added(self, command: Command, error: Exception) -> None:
        if NOT_NEWER not in str(error):
            checked(error)
        entry_id, field, content = command[-3:]
        if field == _AGAIN:
            return
        there = _entries_of_range(self._wire.ask(("XRANGE", self._in, entry_id, entry_id))[0])
        if [fields for _, fields in there] != [[_MESSAGE, content]]:
            raise InvariantError(f"somebody else writes {self._in}: entry {entry_id!s} is not ours")

    def _renewal(self) -> list[Command]:
        now_s = self._now_s()
        if now_s - self._renewed_s < _RENEW_S:
            return []
        self._renewed_s = now_s
        return [self._announcement("")]

    def _announcement(self, ended: str) -> Command:
        said = replace(self._announced, next_row=self._next_row(), ended=ended)
        return ("SET", RUN_KEY, encode_announced(said), "EX", ALIVE_S)

    def end(self, reason: str, *streams: str) -> None:
        """Say that the run is over, and let its streams go, with `streams`; without Redis nobody is told."""
        try:
            self._wire.ask(
                self._announcement(reason),
                *(("EXPIRE", name, 60) for name in (self._in, self._out, *streams)),
            )
        except BusUnavailable as error:
            self.trouble = str(error)
        self._wire.close()


def _entries_of_range(reply: Any) -> list[tuple[bytes, list[bytes]]]:
    return [(entry_id, list(fields)) for entry_id, fields in checked(reply)]


class ServiceLine(_Line):
    """A service's end.

    Args:
        url: Of Redis.
        run: The name of the streams.
    """

    def __init__(self, url: str, run: str) -> None:
        super().__init__(url, run)
        self._unsent: list[bytes] = []

    def first_seq(self) -> int | None:
        """Return the number of the first message that the stream holds; None while it holds none.

        Raises:
            BusUnavailable: Redis is away.
        """
        found = _entries_of_range(self._wire.ask(("XRANGE", self._in, "-", "+", "COUNT", 1))[0])
        if not found:
            return None
        (entry_id, fields) = found[0]
        return _seq_of(entry_id) + (fields[0] != _MESSAGE)

    def go_on_after(self, seq: int) -> None:
        """Read what follows message `seq` from now on."""
        self._last_id = f"{seq}-0"

    def exchange(self, answers: Sequence[bytes], wait_s: float) -> list[Entry]:
        """Say `answers`, and return the entries that follow those of the last call."""
        self._unsent += answers
        commands: list[Command] = [
            ("XADD", self._out, "MAXLEN", "~", ANSWERS_MAX_LEN, "*", _ANSWER, answer)
            for answer in self._unsent
        ]
        commands.append(_read(self._in, self._last_id, wait_s, _READ_MAX))
        try:
            replies = self._wire.ask(*commands)
            for reply in replies[:-1]:
                checked(reply)
            entries = _entries(replies[-1])
        except BusUnavailable as error:
            self._failed(error, wait_s)
            return []
        self._unsent.clear()
        self._worked(entries)
        return [_entry(entry_id, fields) for entry_id, fields in entries]

    def announced(self) -> Announced | None:
        """Return the run that is announced now.

        Raises:
            BusUnavailable: Redis is away.
        """
        return read_announced(self._wire)

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()


def _entry(entry_id: bytes, fields: list[bytes]) -> Entry:
    if fields[0] == _MESSAGE:
        return Entry(_seq_of(entry_id), fields[1])
    return Entry(_seq_of(entry_id), again=int(fields[1]))


def _seq_of(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
