"""What of a session's journal is to be published next? New closed blocks in, frames by topic to Redis out.

A frame's payloads are the journal's own lines. Where Redis stands says Redis (`adapters/redis_session.py`): after any
trouble the position is asked for again, and the journal is read up to there. So a message is never left out, and one
that comes twice has the same number. Market data are not in the journal but named by it; they are published from their
datasets if asked for, at most once.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from njord.adapters.redis_session import PositionMoved, PublishedTo, SessionStream
from njord.core.bus import Frame
from njord.core.errors import JournalError, NjordError
from njord.core.topics import STREAMS
from njord.storage.journal_follow import ClosedBlock, JournalFollower

FRAME_MAX = 256  # Payloads of a frame.
BATCH_MESSAGES = 32_768  # Messages of one transaction, about: a server is asked for no more at once.
BATCH_BLOCKS = 1_000
SESSION_FILE = "session.json"
_TOPIC_OF = {kind.__name__: topic for kind, topic in STREAMS.items()}


class _Kind(msgspec.Struct, frozen=True, gc=False):
    kind: str


class _Line(msgspec.Struct, gc=False):
    seq: int = 0  # 0: a note, which has no message.
    message: _Kind = _Kind("")


class _SessionFacts(msgspec.Struct):
    started_ns: int = 0


_decode_lines = msgspec.json.Decoder(_Line).decode_lines


def stream_lines(block: ClosedBlock) -> Iterator[tuple[str, int, bytes]]:
    """Yield topic, number and text of each line of `block` that goes to a stream, in order."""
    for found, line in zip(_decode_lines(b"\n".join(block.lines)), block.lines, strict=True):
        topic = _TOPIC_OF.get(found.message.kind)
        if topic is not None:
            yield topic, found.seq, line


def frames_of(session: str, lines: Sequence[tuple[int, bytes]], previous: int) -> Iterator[Frame]:
    """Yield one topic's numbered lines in order, up to 256 a frame; `previous` is the number before the first."""
    for begin in range(0, len(lines), FRAME_MAX):
        part = lines[begin : begin + FRAME_MAX]
        yield Frame(session, part[0][0], part[-1][0], previous, tuple(line for _, line in part))
        previous = part[-1][0]


class MarketData(Protocol):
    """Publishes the rows that a journal's blocks name; one is made for each reading of the journal from its start."""

    def follow(self, block: ClosedBlock, *, is_new: bool) -> int:
        """Read the block's rows, and publish them if the block is new; return how many were published."""

    def close(self) -> None:
        """Let go of the data."""


def session_id(folder: Path) -> str:
    """Return whose numbers a session's are: its name, and when it was begun, because a name can be given again."""
    try:
        facts = msgspec.json.decode((folder / SESSION_FILE).read_bytes(), type=_SessionFacts)
    except (OSError, msgspec.MsgspecError):
        facts = _SessionFacts()
    return f"{folder.name}@{facts.started_ns}" if facts.started_ns else folder.name


class Batch:
    """Frames of some successive blocks, and the position behind them.

    Args:
        before: The position in front of them.
    """

    def __init__(self, before: PublishedTo) -> None:
        self.before = before
        self.blocks: list[ClosedBlock] = []
        self.n_messages = 0
        self._lines: dict[str, list[tuple[int, bytes]]] = {}

    def add(self, block: ClosedBlock) -> None:
        """Sort a block's lines by topic."""
        for topic, seq, line in stream_lines(block):
            self._lines.setdefault(topic, []).append((seq, line))
            self.n_messages += 1
        self.blocks.append(block)

    def after(self) -> PublishedTo:
        """Return the position once all of it is published."""
        topics = self.before.topics | {topic: lines[-1][0] for topic, lines in self._lines.items()}
        return PublishedTo(self.blocks[-1].last, self.blocks[-1].hash, topics)

    def frames(self, session: str) -> Iterator[tuple[str, Frame]]:
        """Yield each topic's frames in order."""
        for topic, lines in self._lines.items():
            for frame in frames_of(session, lines, self.before.topics.get(topic, 0)):
                yield topic, frame


class Counts(msgspec.Struct):
    """What a tap has done."""

    n_read: int = 0  # Messages of the journal, rows included.
    n_messages: int = 0  # Appended to streams.
    n_entries: int = 0  # In so many frames.
    n_rows: int = 0  # Market data, published.
    n_restarts: int = 0  # How often the journal was read anew because Redis was elsewhere than it was left.


class Tap:
    """Publishes one session.

    Args:
        folder: The session's; its journal is in `journal`.
        stream: Where it goes.
        session: Whose numbers they are.
        open_market: Opens what publishes rows too; None = they are not published.
    """

    def __init__(
        self,
        folder: Path,
        stream: SessionStream,
        session: str,
        open_market: Callable[[], MarketData] | None = None,
    ) -> None:
        self._journal = folder / "journal"
        self._stream = stream
        self._session = session
        self._open_market = open_market
        self._market: MarketData | None = None
        self._started: bytes | None = None  # The session's first record.
        self._market_seq = 0  # Rows up to here were published, or were there before this tap.
        self._follower = JournalFollower(self._journal)
        self._pending: Batch | None = None  # Read, and not known to be published.
        self._known: PublishedTo | None = None  # Where Redis was left.
        self._is_sure = False  # Whether it is still there.
        self.seq = 0  # Everything up to here is published.
        self.counts = Counts()
        self.note = ""  # Why no market data are published, where they were asked for.

    @property
    def has_ended(self) -> bool:
        """Whether all is published up to an end mark."""
        return self._pending is None and self._follower.has_end_mark

    def step(self) -> int:
        """Publish what is there; return how many messages were appended.

        Raises:
            BusUnavailable: Redis does not work now: call again later, nothing is lost.
            BusError: Redis holds what is not ours.
            JournalError: The journal can not be read, or is not the one that was published.
        """
        try:
            return self._step()
        except PositionMoved:
            self._is_sure = False
            return 0
        except NjordError:
            self._is_sure = False
            raise

    def doubt(self) -> None:
        """Let the next step ask Redis where it is: a server that was emptied says nothing by itself."""
        self._is_sure = False

    def close(self) -> None:
        """Let go of the data."""
        if self._market is not None:
            self._market.close()

    def _step(self) -> int:
        n_before = self.counts.n_messages
        known = self._find_place()
        batch = Batch(known)
        for block in self._follower.poll():
            self._started = block.lines[0] if block.first == 1 and block.lines else self._started
            batch.add(block)
            if batch.n_messages >= BATCH_MESSAGES or len(batch.blocks) >= BATCH_BLOCKS:
                batch = Batch(self._publish(batch))
        if batch.blocks:
            self._publish(batch)
        return self.counts.n_messages - n_before

    # Blocks that say nothing to anybody move our place in the journal, not the position in Redis.
    def _publish(self, batch: Batch) -> PublishedTo:
        self._pending = batch
        if batch.n_messages:
            frames = list(batch.frames(self._session))
            self._follower.sync()  # What others have heard, no power cut may take out of the journal.
            self._stream.publish(frames, batch.before, batch.after(), self._started)
            self.counts.n_entries += len(frames)
        return self._done(batch)

    def _done(self, batch: Batch) -> PublishedTo:
        self._pending = None
        self._known = batch.after() if batch.n_messages else batch.before
        self.counts.n_messages += batch.n_messages
        for block in batch.blocks:
            self._follow(block)
        self.seq = batch.blocks[-1].last
        return self._known

    def _follow(self, block: ClosedBlock) -> None:
        self.counts.n_read += block.last - block.first + 1
        if self._market is not None:
            try:
                self.counts.n_rows += self._market.follow(block, is_new=block.last > self._market_seq)
            except NjordError as error:
                self._market.close()
                self._market, self.note = None, str(error)
        self._market_seq = max(self._market_seq, block.last)

    def _find_place(self) -> PublishedTo:
        if self._is_sure and self._known is not None:
            return self._known
        found, pending = self._stream.position(), self._pending
        if pending is not None and pending.n_messages and found == pending.after():
            self._done(pending)  # It was written, and the answer was lost.
        elif self._known is None or found != self._known:
            self._restart(found)
        elif pending is not None:
            self._publish(pending)
        self._is_sure = True
        return self._known or found

    # What can not be lost goes on without what can.
    def _opened_market(self) -> MarketData | None:
        if self._open_market is None:
            return None
        try:
            return self._open_market()
        except NjordError as error:
            self.note = str(error)
            return None

    # Reads the journal from its start up to what is published.
    def _restart(self, found: PublishedTo) -> None:
        self.counts.n_restarts += self._known is not None
        self.close()
        self._pending, self._known, self.seq = None, None, 0
        self._follower = JournalFollower(self._journal)
        self._market = self._opened_market()
        last_hash = ""
        for block in self._follower.poll() if found.seq else ():
            self._market_seq = max(self._market_seq, block.last)
            self._follow(block)
            last_hash = block.hash
            if block.last >= found.seq:
                break
        if (self._follower.last_seq, last_hash) != (found.seq, found.hash):
            raise JournalError(
                f"message {found.seq} of the session {self._session} is published, and its journal does not hold it; "
                "next: begin another session"
            )
        self._known, self.seq = found, found.seq
