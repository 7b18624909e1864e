"""The bus over Redis: pub/sub for what may be lost, streams with consumer groups for what may not.

In comes `redis.url`, out come the promises of `core/bus.py` between processes. A call either did its work or raises;
nothing is queued and nothing is sent twice here. Whoever must not lose anything asks again (`Backoff`) and numbers
what it sends; the tap does (`apps/tap.py`).
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from njord.adapters.redis_client import asking, connect
from njord.adapters.redis_pubsub import RedisSubscription
from njord.adapters.redis_streams import RedisConsumer, append_frame, read_dead
from njord.core.bus import STALE_NS, STREAM_MAX_LEN, DeadLetter, Frame

if TYPE_CHECKING:
    from redis import Redis


class RedisBus:
    """A bus between processes.

    Args:
        url: `redis.url`; it may hold a password and is kept out of every text.
        stream_max_len: Entries that a stream keeps, about.
        stale_ns: When what a consumer left is taken over by another of its group.

    Raises:
        ConfigError: The URL is none.
    """

    def __init__(self, url: str, *, stream_max_len: int = STREAM_MAX_LEN, stale_ns: int = STALE_NS) -> None:
        self._client = connect(url)
        self._waiting = connect(url, is_blocking=True)
        self._stream_max_len = stream_max_len
        self._stale_ns = stale_ns

    @property
    def client(self) -> "Redis":
        """The client for calls that answer at once; use it inside `asking()`."""
        return self._client

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand `payload` to whoever listens now."""
        with asking():
            self._client.publish(topic, payload)

    def publish_batch(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Publish several in order, in one round trip."""
        with asking(), self._client.pipeline(transaction=False) as pipeline:
            for payload in payloads:
                pipeline.publish(topic, payload)
            pipeline.execute()

    def append(self, topic: str, frame: Frame) -> None:
        """Add a frame to a stream; where that fails it may be there all the same."""
        with asking():
            append_frame(self._client, topic, frame, self._stream_max_len)

    def consumer(self, topic: str, group: str, name: str) -> RedisConsumer:
        """Join `group` of a stream; it need not exist yet, and nothing is asked before the first read."""
        return RedisConsumer(
            self._client,
            self._waiting,
            topic,
            group,
            name,
            self._stale_ns,
            self._stream_max_len,
            time.monotonic_ns,
        )

    def subscribe(self, topics: Sequence[str]) -> RedisSubscription:
        """Listen to `topics`; what is published once this has returned arrives."""
        return RedisSubscription(self._waiting, topics, time.monotonic_ns)

    def dead_letters(self, topic: str) -> list[DeadLetter]:
        """Return what was put aside of a stream."""
        with asking():
            return read_dead(self._client, topic)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._waiting.close()

    def __repr__(self) -> str:
        return "RedisBus(***)"
