"""One member of a consumer group on a Redis stream: what comes, what comes again, and what nobody can digest.

A read returns, in this order: what this consumer's name left unacknowledged when it last ran, what other members of
the group left for too long, what is new. An entry that is no frame, and a frame that came too often without being
acknowledged, goes to `dead.{topic}` with the reason and its origin, and is acknowledged in the same transaction. A
server that was emptied has lost the group: it is made again, from the stream's beginning.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from njord.adapters.redis_client import BLOCK_MAX_MS, asking
from njord.core.bus import (
    ATTEMPTS_MAX,
    READ_MAX,
    DeadLetter,
    Delivery,
    Frame,
    dead_topic,
    decode_frame,
    encode_frame,
)
from njord.core.errors import CodecError
from njord.core.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from redis import Redis

_JOINS_MAX = 2  # In one read; who is emptied twice meanwhile is asked by the next.
FRAME = b"frame"  # The one field of an entry.
_Entry = tuple[bytes, dict[bytes, bytes]]


class RedisConsumer:
    """Reads one stream for one group.

    Args:
        client: For calls that answer at once.
        waiting: For calls that wait for something to come.
        topic: The stream.
        group: Its members share the frames.
        name: Ours; a consumer that starts again under its name gets back what it left.
        stale_ns: What another member left for so long is taken over.
        max_len: Dead letters that are kept, about.
        monotonic_ns: A clock that nobody sets back.
    """

    def __init__(
        self,
        client: "Redis",
        waiting: "Redis",
        topic: str,
        group: str,
        name: str,
        stale_ns: int,
        max_len: int,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._client = client
        self._waiting = waiting
        self._topic = topic
        self._group = group
        self._name = name
        self._stale_ns = stale_ns
        self._max_len = max_len
        self._now_ns = monotonic_ns
        self._own_after: str | None = "0"  # Of what we left; None = all of it was read again.
        self._claim_next_ns = 0
        self._has_group = False

    @property
    def topic(self) -> str:
        """The stream."""
        return self._topic

    def read(self, block_ms: int = 0) -> list[Delivery]:
        """Return what comes next; wait up to `block_ms` (to the next thousandth of a second) for it.

        Raises:
            BusUnavailable: Try again later; nothing is lost.
        """
        with asking():
            until_ns = self._now_ns() + block_ms * NS_PER_MS
            while True:
                left_ms = max(0, until_ns - self._now_ns()) // NS_PER_MS
                found = self._read_once(min(left_ms, BLOCK_MAX_MS))
                if found or self._now_ns() >= until_ns - NS_PER_MS:
                    return found

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these need not come again."""
        if deliveries:
            with asking():
                self._client.xack(self._topic, self._group, *(each.entry_id for each in deliveries))

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put a delivery aside and acknowledge it."""
        with asking():
            self._put_aside(delivery.entry_id, encode_frame(delivery.frame), reason)

    # A server that was emptied has lost the group: then all that is in the stream is new.
    def _read_once(self, block_ms: int) -> list[Delivery]:
        import redis

        for _ in range(_JOINS_MAX):
            try:
                self._join()
                return self._left() or self._stale() or self._new(block_ms)
            except redis.ResponseError as error:
                if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                    raise
                self._has_group = False
                self._own_after = None
        return []

    def _join(self) -> None:
        import redis

        if self._has_group:
            return
        try:
            self._client.xgroup_create(self._topic, self._group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._has_group = True

    def _left(self) -> list[Delivery]:
        while self._own_after is not None:
            entries = self._entries(self._client, self._own_after, None)
            self._own_after = entries[-1][0].decode() if entries else None
            if found := self._again(entries):
                return found
        return []

    def _stale(self) -> list[Delivery]:
        if self._now_ns() < self._claim_next_ns:
            return []
        answer: Any = self._client.xautoclaim(
            self._topic,
            self._group,
            self._name,
            min_idle_time=self._stale_ns // NS_PER_MS,
            count=READ_MAX,
        )
        found = self._again([entry for entry in answer[1] if entry[0] is not None])
        if not found:
            self._claim_next_ns = self._now_ns() + max(self._stale_ns // 4, NS_PER_S // 10)
        return found

    def _new(self, block_ms: int) -> list[Delivery]:
        client = self._waiting if block_ms else self._client
        entries = self._entries(client, ">", block_ms or None)
        return [each for entry in entries if (each := self._delivery(entry, 1)) is not None]

    def _entries(self, client: "Redis", after: str, block_ms: int | None) -> list[_Entry]:
        answer: Any = client.xreadgroup(
            self._group, self._name, {self._topic: after}, count=READ_MAX, block=block_ms
        )
        entries: list[_Entry] = answer[0][1] if answer else []
        return entries

    # Entries that come again say how often they came.
    def _again(self, entries: Sequence[_Entry]) -> list[Delivery]:
        if not entries:
            return []
        pending: Any = self._client.xpending_range(
            self._topic, self._group, min=entries[0][0], max=entries[-1][0], count=2 * READ_MAX
        )
        attempts = {each["message_id"]: each["times_delivered"] for each in pending}
        found = (self._delivery(entry, attempts.get(entry[0], 1)) for entry in entries)
        return [each for each in found if each is not None]

    def _delivery(self, entry: _Entry, attempt: int) -> Delivery | None:
        entry_id, fields = entry[0].decode(), entry[1]
        if not fields:  # Trimmed meanwhile: it can not come again, and the numbers show the gap.
            self._client.xack(self._topic, self._group, entry_id)
            return None
        raw = fields.get(FRAME, b"")
        if attempt > ATTEMPTS_MAX:
            reason = f"was delivered {attempt - 1} times and never acknowledged"
        else:
            try:
                return Delivery(self._topic, entry_id, decode_frame(raw), attempt)
            except CodecError as error:
                reason = str(error)
        self._put_aside(entry_id, raw, reason)
        return None

    def _put_aside(self, entry_id: str, raw: bytes, reason: str) -> None:
        letter: dict[Any, Any] = {
            "topic": self._topic,
            "entry_id": entry_id,
            "group": self._group,
            "reason": reason,
            "raw": raw,
        }
        with self._client.pipeline(transaction=True) as both:
            both.xadd(dead_topic(self._topic), letter, maxlen=self._max_len, approximate=True)
            both.xack(self._topic, self._group, entry_id)
            both.execute()


def append_frame(client: Any, topic: str, frame: Frame, max_len: int) -> Any:
    """Add a frame to a stream, or to a pipeline that does; the stream keeps about `max_len` entries."""
    return client.xadd(topic, {FRAME: encode_frame(frame)}, maxlen=max_len, approximate=True)


def read_dead(client: "Redis", topic: str) -> list[DeadLetter]:
    """Return what was put aside of a stream, oldest first."""
    entries: Any = client.xrange(dead_topic(topic))
    return [
        DeadLetter(
            fields[b"topic"].decode(),
            fields[b"entry_id"].decode(),
            fields[b"group"].decode(),
            fields[b"reason"].decode(),
            fields[b"raw"],
        )
        for _, fields in entries
    ]
