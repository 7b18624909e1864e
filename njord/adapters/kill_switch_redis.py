"""The kill switch as a Redis key: the source that many machines share. Whatever can not be read counts as tripped.

The value is the same record as in the file, or one of the plain values "1" (tripped) and "0" (clear). A key that is
not there is HALTED: a server that has lost its data must not release anything, so that clearing writes a record too.
Every question has a deadline. A replica that has lost its master is not believed either: a trip could not reach it.
"""

from typing import Any

import msgspec

from njord.adapters.kill_switch_sources import SIZE_MAX, KillReading, KillRecord, decode_record, doubtful
from njord.adapters.redis_client import connect
from njord.core.types import TradingState

_PLAIN = {b"0": TradingState.ACTIVE, b"1": TradingState.HALTED}


class RedisSwitch:
    """One key of one server, asked by one thread.

    Args:
        url: May hold a password; no text that leaves this class names anything of it.
        key: Where the record is.
        timeout_s: How long a connection or an answer may take.

    Raises:
        ConfigError: The URL can not be understood.
    """

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        self._key = key
        self._client = connect(url, within_s=timeout_s)

    def read(self) -> KillReading:
        """Return the state that the key stands for; never raises, since doubt is an answer: HALTED."""
        for _ in range(
            2
        ):  # A connection may have been closed since the last question: that says nothing yet.
            trouble, content, role = self._ask()
            if trouble != _UNREACHABLE:
                break
        if trouble:
            return self._doubtful(trouble)
        if not isinstance(content, bytes) or not content:
            return self._doubtful("Redis holds no record: the key is absent or empty")
        if not _is_connected(role):
            return self._doubtful("Redis is a replica that has lost its master: what it says may be old")
        if content in _PLAIN:
            return KillReading(state=_PLAIN[content], detail=f"Redis key {self._key} is {content.decode()}")
        record = decode_record(content)
        if record is None:
            return self._doubtful("Redis holds no record of ours")
        return KillReading(state=record.state, detail=f"Redis key {self._key} says so", record=record)

    def write(self, record: KillRecord) -> str:
        """Put `record` under the key; return what went wrong, empty if nothing did."""
        import redis

        for _ in range(2):
            try:
                self._client.set(self._key, msgspec.json.encode(record))
            except (redis.RedisError, OSError) as error:
                trouble = _words(error)
            else:
                return ""
            if trouble != _UNREACHABLE:
                break
        return trouble

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    # What went wrong, the value, and the server's role. No more than a record can be long is asked for.
    def _ask(self) -> tuple[str, Any, Any]:
        import redis

        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.getrange(self._key, 0, SIZE_MAX)
                pipeline.role()
                content, role = pipeline.execute()
        except (redis.RedisError, OSError) as error:
            return _words(error), None, None
        return "", content, role

    def _doubtful(self, doubt: str) -> KillReading:
        return doubtful(doubt, f"{doubt} ({self._key})")


_UNREACHABLE = "Redis can not be reached"


# Never the error's own text: it may name the server, its user or its path. A switch's journal keeps these words.
def _words(error: Exception) -> str:
    import redis

    if isinstance(error, (redis.TimeoutError, TimeoutError)):
        return "Redis does not answer in time"
    if type(error) is redis.ConnectionError or isinstance(error, OSError):
        return _UNREACHABLE
    return f"Redis refuses: {type(error).__name__}"


# ["master", ...] or ["slave", host, port, state, offset]; a cluster's and a sentinel's answers begin otherwise.
def _is_connected(role: object) -> bool:
    match role:
        case [b"master", *_]:
            return True
        case [b"slave", _, _, b"connected", *_]:
            return True
    return False
