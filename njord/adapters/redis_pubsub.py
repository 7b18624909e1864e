"""One listener to what is published over Redis: at most once, from the moment that `subscribe` returned.

The server keeps what a slow listener has not fetched up to a limit of its own and then hangs up. The listener joins
again by itself; what was published meanwhile is gone, and the sequence numbers in the frames show it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from njord.adapters.redis_client import ANSWER_WITHIN_S, BLOCK_MAX_MS, asking
from njord.core.bus import BusUnavailable, Published, check_pattern
from njord.core.units import NS_PER_MS

if TYPE_CHECKING:
    from redis import Redis

READ_MAX = 1_000  # Payloads of one read.
_CONFIRMED = {"subscribe", "psubscribe"}
_PAYLOADS = {"message", "pmessage"}


class RedisSubscription:
    """Listens to topics; a lost connection is made again by the next `read`.

    Args:
        client: Makes the connection.
        topics: Names, or beginnings of names and a final `*`.
        monotonic_ns: A clock that nobody sets back.

    Raises:
        BusUnavailable: The server does not confirm.
    """

    def __init__(self, client: "Redis", topics: Sequence[str], monotonic_ns: Callable[[], int]) -> None:
        self._client: Any = client  # The library does not type what it listens with.
        self._topics = tuple(map(check_pattern, topics))
        self._now_ns = monotonic_ns
        self._pubsub: Any = None
        self.n_reconnects = 0
        with asking():
            self._join()

    @property
    def n_dropped(self) -> int:
        """Always 0: what the server dropped nobody counts; `n_reconnects` says how often it may have."""
        return 0

    def read(self, block_ms: int = 0) -> list[Published]:
        """Return what has come; wait up to `block_ms` for the first payload.

        Raises:
            BusUnavailable: The connection is lost: what is published until it is made again is lost too.
        """
        until_ns = self._now_ns() + block_ms * NS_PER_MS
        found: list[Published] = []
        try:
            with asking():
                if self._pubsub is None:
                    self._join()
                    self.n_reconnects += 1
                while len(found) < READ_MAX:
                    left_ms = 0 if found else max(0, until_ns - self._now_ns()) // NS_PER_MS
                    message = self._next(min(left_ms, BLOCK_MAX_MS) / 1_000)
                    if message is not None:
                        found += _payloads(message)
                    elif found or self._now_ns() >= until_ns - NS_PER_MS:
                        break
        except BusUnavailable:
            self.close()
            if not found:
                raise
        return found

    def close(self) -> None:
        """Listen no more."""
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            pubsub.close()

    # Returns once the server has confirmed every topic: what is published from then on arrives.
    def _join(self) -> None:
        pubsub = self._client.pubsub()
        names = [topic for topic in self._topics if not topic.endswith("*")]
        patterns = [topic for topic in self._topics if topic.endswith("*")]
        try:
            if names:
                pubsub.subscribe(*names)
            if patterns:
                pubsub.psubscribe(*patterns)
            n_confirmed, until_ns = 0, self._now_ns() + int(ANSWER_WITHIN_S * 1_000) * NS_PER_MS
            while n_confirmed < len(self._topics):
                answer: Any = pubsub.get_message(timeout=ANSWER_WITHIN_S)
                n_confirmed += answer is not None and answer["type"] in _CONFIRMED
                if answer is None and self._now_ns() >= until_ns:
                    raise TimeoutError
        except BaseException:
            pubsub.close()
            raise
        self._pubsub = pubsub

    # The library takes a payload of which only a part has come within its timeout for a lost connection, and with it
    # everything that is on its way: so it is asked only once something has come, and given time for the rest.
    def _next(self, timeout_s: float) -> Any:
        pubsub = self._pubsub
        if pubsub is None or pubsub.connection is None or not pubsub.connection.can_read(timeout_s):
            return None
        return pubsub.get_message(timeout=ANSWER_WITHIN_S)


def _payloads(message: Any) -> list[Published]:
    if message["type"] not in _PAYLOADS:
        return []
    return [Published(message["channel"].decode(), message["data"])]
