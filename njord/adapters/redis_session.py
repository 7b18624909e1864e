"""How far is a session published? Redis itself says: frames and the new position are written in one transaction.

One hash a session, `njord:tap:{session}`: `position` (number and hash of the last published block of its journal, and
by topic the number of its last message) and `started`, the first record, which says what ticks and lots mean. The
position is watched while it is written: who finds another one than it left (Redis came back empty, or somebody else
publishes the same session) writes nothing and looks again.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from njord.adapters.redis_bus import RedisBus
from njord.adapters.redis_client import asking
from njord.adapters.redis_streams import append_frame
from njord.core.bus import BusError, Frame
from njord.core.topics import STREAMS

_POSITION, _STARTED = "position", "started"
_TOPICS = tuple(STREAMS.values())
_USABLE = (b"none", b"stream")


class PublishedTo(msgspec.Struct, frozen=True):
    """How far a session is published.

    Attributes:
        seq: The last message of the last published block; 0 if nothing is published.
        hash: That block's.
        topics: By topic, the number of the last message appended to it.
    """

    seq: int = 0
    hash: str = ""
    topics: dict[str, int] = {}


class PositionMoved(Exception):
    """Redis does not hold the position that was expected: ask for it again."""


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(PublishedTo).decode


class SessionStream:
    """Appends one session's frames.

    Args:
        bus: Where to.
        session: Whose.
        stream_max_len: Entries that a stream keeps, about.
    """

    def __init__(self, bus: RedisBus, session: str, stream_max_len: int) -> None:
        self._client = bus.client
        self._key = f"njord:tap:{session}"
        self._stream_max_len = stream_max_len

    def position(self) -> PublishedTo:
        """Return how far the session is published: not at all, if a stream that it was appended to is gone.

        Raises:
            BusUnavailable: Try again later.
            BusError: What stands under a topic is no stream, or the position is not ours.
        """
        with asking(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.hget(self._key, _POSITION)
            for topic in _TOPICS:
                pipeline.type(topic)
            raw, *types = pipeline.execute()
        kinds = dict(zip(_TOPICS, types, strict=True))
        for topic, kind in kinds.items():
            if kind not in _USABLE:
                raise BusError(f"Redis holds something else than a stream under {topic}; delete that key")
        if raw is None:
            return PublishedTo()
        try:
            found = _decode(raw)
        except msgspec.MsgspecError:
            raise BusError(f"Redis holds something else than a position under {self._key}") from None
        if all(kinds.get(topic) == b"stream" for topic in found.topics):
            return found
        with asking():
            self._client.delete(self._key)
        return PublishedTo()

    def publish(
        self,
        frames: Sequence[tuple[str, Frame]],
        expected: PublishedTo,
        after: PublishedTo,
        started: bytes | None = None,
    ) -> None:
        """Append frames and move the position, all or nothing.

        Args:
            frames: By topic, in order.
            expected: The position that was left last.
            after: The position once the frames are there.
            started: The session's first record.

        Raises:
            PositionMoved: Redis has another position; nothing was written.
            BusUnavailable: Whether it was written is not known: ask for the position.
        """
        import redis

        with asking(), self._transaction() as pipeline:
            pipeline.watch(self._key)
            if not self._is_at(pipeline, expected):
                raise PositionMoved
            pipeline.multi()
            for topic, frame in frames:
                append_frame(pipeline, topic, frame, self._stream_max_len)
            pipeline.hset(self._key, _POSITION, _encode(after))
            if started is not None and not expected.seq:
                pipeline.hset(self._key, _STARTED, started)
            try:
                pipeline.execute()
            except redis.WatchError:
                raise PositionMoved from None

    def _transaction(self) -> Any:
        return self._client.pipeline(transaction=True)

    # While it is watched, a pipeline answers at once.
    def _is_at(self, pipeline: Any, expected: PublishedTo) -> bool:
        raw = pipeline.hget(self._key, _POSITION)
        if raw is None or not expected.seq:
            return raw is None and not expected.seq
        topics = list(expected.topics)
        return raw == _encode(expected) and (not topics or pipeline.exists(*topics) == len(topics))
