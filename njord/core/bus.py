"""How do messages reach other processes? Topics and bytes in, deliveries out; declared once, for every transport.

Two ways, and a topic has one of them (`core/topics.py`). *Published*: whoever listens gets it, at most once; a slow
listener loses the oldest. *Appended*: a stream keeps frames, and each group of consumers gets every frame at least
once; what is not acknowledged comes again, what nobody can digest ends in `dead.{topic}`. A frame carries sequence
numbers, so that a consumer applies each message once (`core/bus_reader.py`). `MemoryBus` is all of it in one process.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from njord.core.clock import Clock
from njord.core.errors import CodecError, NjordError
from njord.core.units import NS_PER_S

STREAM_MAX_LEN = 100_000  # Entries of a stream; the oldest go.
QUEUE_MAX_LEN = 1_000  # Payloads that wait for one listener; the oldest go.
STALE_NS = 30 * NS_PER_S  # A delivery that nobody acknowledged for so long goes to another consumer.
ATTEMPTS_MAX = 5  # A delivery that came so often and was never acknowledged is poison.
READ_MAX = 64  # Deliveries of one read.


class BusError(NjordError):
    """The bus did not do what it was asked."""


class BusUnavailable(BusError):
    """The bus can not be reached or refuses writes; nothing is known of what was sent last. Try again later."""


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """Successive messages of one topic and one session; the tag is the format's version.

    Attributes:
        session: Whose sequence numbers they are.
        first_seq: The first payload's number in the session's journal.
        last_seq: The last one's.
        previous_seq: The number of the message of this topic before the first payload, 0 if there is none: whoever has
            not had that one misses something.
        payloads: Lines of the journal, without their newline.
    """

    session: str
    first_seq: int
    last_seq: int
    previous_seq: int
    payloads: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.previous_seq < self.first_seq <= self.last_seq:
            raise ValueError(
                f"numbers must rise: previous {self.previous_seq}, first {self.first_seq}, last {self.last_seq}"
            )
        if not 0 < len(self.payloads) <= self.last_seq - self.first_seq + 1:
            raise ValueError(f"{len(self.payloads)} payloads do not fit {self.first_seq} to {self.last_seq}")


class Delivery(msgspec.Struct, frozen=True):
    """One frame as a consumer gets it; `attempt` is 1 the first time."""

    topic: str
    entry_id: str
    frame: Frame
    attempt: int = 1


class Published(msgspec.Struct, frozen=True):
    """One payload as a listener gets it."""

    topic: str
    payload: bytes


class DeadLetter(msgspec.Struct, frozen=True):
    """What no consumer of a group could digest, why, and where it came from."""

    topic: str
    entry_id: str
    group: str
    reason: str
    raw: bytes  # The frame as it was found.


class Consumer(Protocol):
    """One member of a group that reads a stream together: each frame goes to one of them."""

    @property
    def topic(self) -> str:
        """The stream."""

    def read(self, block_ms: int = 0) -> list[Delivery]:
        """Return what comes next, oldest first: first what this consumer's name left unacknowledged when it last ran.

        Args:
            block_ms: Wait so long for something to come; 0 = do not wait.

        Raises:
            BusUnavailable: Try again later; nothing is lost.
        """

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these need not come again: what they cause is done and kept."""

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put a delivery aside that can not be digested, and acknowledge it."""


class Subscription(Protocol):
    """One listener to published payloads."""

    @property
    def n_dropped(self) -> int:
        """How many payloads were dropped because this listener was slow, as far as it is known."""

    def read(self, block_ms: int = 0) -> list[Published]:
        """Return what has come, oldest first; wait up to `block_ms` for the first one."""

    def close(self) -> None:
        """Listen no more."""


class Bus(Protocol):
    """Where messages go that other processes read."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand `payload` to whoever listens now: at most once."""

    def publish_batch(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Publish several at once, in order."""

    def append(self, topic: str, frame: Frame) -> None:
        """Add a frame to a stream; every group gets it at least once."""

    def consumer(self, topic: str, group: str, name: str) -> Consumer:
        """Join `group`, which begins with the oldest frame that is there."""

    def subscribe(self, topics: Sequence[str]) -> Subscription:
        """Listen to topics from now on; `md.*` means all that begin with `md.`."""

    def dead_letters(self, topic: str) -> list[DeadLetter]:
        """Return what was put aside of a stream, oldest first."""


def dead_topic(topic: str) -> str:
    """Return the stream that a stream's poison goes to."""
    return f"dead.{topic}"


def check_pattern(topic: str) -> str:
    """Return `topic` if it can be listened to: a name, or the beginning of names and a final `*`."""
    if not topic or set("*?[]\\^") & set(topic[:-1]) or topic[-1] in "?[]\\^":
        raise ValueError(
            f"a subscription is a topic, or the beginning of topics and a final *, was {topic!r}"
        )
    return topic


encode_frame = msgspec.msgpack.Encoder().encode  # Callable[[Frame], bytes]
_decode_frame = msgspec.msgpack.Decoder(Frame).decode


def decode_frame(data: bytes) -> Frame:
    """Return the frame that `data` holds.

    Raises:
        CodecError: It is none, or of another version.
    """
    try:
        return _decode_frame(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"not a frame: {error}") from None


# --- in one process ------------------------------------------------------------------------------------------------


class _Pending(msgspec.Struct):
    consumer: str
    delivered_ns: int
    attempts: int


class _Group:
    def __init__(self) -> None:
        self.last_id = 0
        self.pending: dict[int, _Pending] = {}


class _Stream:
    def __init__(self, max_len: int) -> None:
        self.entries: deque[tuple[int, Frame]] = deque(maxlen=max_len)
        self.last_id = 0
        self.groups: dict[str, _Group] = {}

    def after(self, entry_id: int) -> Iterator[tuple[int, Frame]]:
        return (entry for entry in self.entries if entry[0] > entry_id)

    def get(self, entry_id: int) -> Frame | None:
        index = entry_id - self.entries[0][0] if self.entries else -1
        return self.entries[index][1] if 0 <= index < len(self.entries) else None


class MemoryBus:
    """A bus within one thread: what a transport promises, without one. It never waits, so `block_ms` means nothing.

    Args:
        clock: Tells when an unacknowledged delivery is stale.
        stream_max_len: Frames that a stream keeps.
        queue_max_len: Payloads that wait for one listener.
        stale_ns: When a delivery goes to another consumer of its group.
        attempts_max: When a delivery is poison.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        stream_max_len: int = STREAM_MAX_LEN,
        queue_max_len: int = QUEUE_MAX_LEN,
        stale_ns: int = STALE_NS,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> None:
        self._clock = clock
        self._stream_max_len = stream_max_len
        self._queue_max_len = queue_max_len
        self._stale_ns = stale_ns
        self._attempts_max = attempts_max
        self._streams: dict[str, _Stream] = {}
        self._listeners: list[MemorySubscription] = []
        self._dead: dict[str, deque[DeadLetter]] = {}

    def publish(self, topic: str, payload: bytes) -> None:
        """Put `payload` into the queue of every listener."""
        for listener in self._listeners:
            listener.offer(topic, payload)

    def publish_batch(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Publish several, in order."""
        for payload in payloads:
            self.publish(topic, payload)

    def append(self, topic: str, frame: Frame) -> None:
        """Add a frame to a stream; beyond its length the oldest goes."""
        stream = self._stream(topic)
        stream.last_id += 1
        stream.entries.append((stream.last_id, frame))

    def consumer(self, topic: str, group: str, name: str) -> "MemoryConsumer":
        """Join `group` of a stream."""
        self._stream(topic).groups.setdefault(group, _Group())
        return MemoryConsumer(self, topic, group, name)

    def subscribe(self, topics: Sequence[str]) -> "MemorySubscription":
        """Listen to `topics` from now on."""
        listener = MemorySubscription(tuple(map(check_pattern, topics)), self._queue_max_len, self._listeners)
        self._listeners.append(listener)
        return listener

    def dead_letters(self, topic: str) -> list[DeadLetter]:
        """Return what was put aside of a stream."""
        return list(self._dead.get(topic, ()))

    def _stream(self, topic: str) -> _Stream:
        if topic not in self._streams:
            self._streams[topic] = _Stream(self._stream_max_len)
        return self._streams[topic]

    def deliver(self, topic: str, group: str, name: str, own_after: int | None) -> list[Delivery]:
        """Return what a consumer gets next; the consumer's part of `read`.

        Args:
            own_after: What it left behind this entry comes again; None = nothing of it.
        """
        stream, now_ns = self._streams[topic], self._clock.now_ns()
        members = stream.groups[group]
        ids = [
            entry_id
            for entry_id, pending in members.pending.items()
            if (own_after is not None and pending.consumer == name and entry_id > own_after)
            or now_ns - pending.delivered_ns >= self._stale_ns
        ]
        found = [
            delivery
            for entry_id in sorted(ids)[:READ_MAX]
            if (delivery := self._again(topic, group, name, entry_id)) is not None
        ]
        if found:
            return found
        for entry_id, frame in stream.after(members.last_id):
            members.last_id = entry_id
            members.pending[entry_id] = _Pending(name, now_ns, 1)
            found.append(Delivery(topic, str(entry_id), frame))
            if len(found) == READ_MAX:
                break
        return found

    # What was trimmed from the stream meanwhile can not come again: a reader sees the gap by its numbers.
    def _again(self, topic: str, group: str, name: str, entry_id: int) -> Delivery | None:
        stream = self._streams[topic]
        pending, frame = stream.groups[group].pending, stream.get(entry_id)
        if frame is None:
            del pending[entry_id]
            return None
        attempt = pending[entry_id].attempts + 1
        delivery = Delivery(topic, str(entry_id), frame, attempt)
        if attempt > self._attempts_max:
            self.put_aside(group, delivery, f"was delivered {attempt - 1} times and never acknowledged")
            return None
        pending[entry_id] = _Pending(name, self._clock.now_ns(), attempt)
        return delivery

    def acknowledge(self, topic: str, group: str, entry_id: str) -> None:
        """Forget a delivery; the consumer's part of `ack`."""
        self._streams[topic].groups[group].pending.pop(int(entry_id), None)

    def put_aside(self, group: str, delivery: Delivery, reason: str) -> None:
        """Keep poison and acknowledge it; the consumer's part of `dead_letter`."""
        topic = delivery.topic
        letters = self._dead.setdefault(topic, deque(maxlen=self._stream_max_len))
        letters.append(DeadLetter(topic, delivery.entry_id, group, reason, encode_frame(delivery.frame)))
        self.acknowledge(topic, group, delivery.entry_id)


class MemoryConsumer:
    """A member of a group on a `MemoryBus`."""

    def __init__(self, bus: MemoryBus, topic: str, group: str, name: str) -> None:
        self._bus = bus
        self._topic = topic
        self._group = group
        self._name = name
        self._own_after: int | None = (
            0  # Of what an earlier one of this name left; None = all of it came again.
        )

    @property
    def topic(self) -> str:
        """The stream."""
        return self._topic

    def read(self, block_ms: int = 0) -> list[Delivery]:
        """Return what comes next; it never waits."""
        found = self._bus.deliver(self._topic, self._group, self._name, self._own_after)
        if self._own_after is not None:
            left = [int(each.entry_id) for each in found if each.attempt > 1]
            self._own_after = max(left, default=None)
        return found

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these need not come again."""
        for delivery in deliveries:
            self._bus.acknowledge(self._topic, self._group, delivery.entry_id)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put a delivery aside and acknowledge it."""
        self._bus.put_aside(self._group, delivery, reason)


class MemorySubscription:
    """A listener on a `MemoryBus`, with a queue of its own."""

    def __init__(self, topics: tuple[str, ...], max_len: int, listeners: "list[MemorySubscription]") -> None:
        self._topics = topics
        self._queue: deque[Published] = deque(maxlen=max_len)
        self._listeners = listeners
        self._n_dropped = 0

    @property
    def n_dropped(self) -> int:
        """How many payloads the full queue lost, the oldest first."""
        return self._n_dropped

    def offer(self, topic: str, payload: bytes) -> None:
        """Queue a payload if its topic is listened to."""
        if any(topic.startswith(own[:-1]) if own.endswith("*") else topic == own for own in self._topics):
            self._n_dropped += len(self._queue) == self._queue.maxlen
            self._queue.append(Published(topic, payload))

    def read(self, block_ms: int = 0) -> list[Published]:
        """Return what has come; it never waits."""
        found = list(self._queue)
        self._queue.clear()
        return found

    def close(self) -> None:
        """Listen no more."""
        self._listeners.remove(self)
