"""How do we talk to Redis? A URL in, a client out that never hangs, and its troubles in our own words.

Every wait has a limit. The URL may hold a password: no text of the library or of the URL is passed on, because a
badly written password ends up in those; what went wrong is said by its kind.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from njord.core.bus import BusError, BusUnavailable
from njord.core.errors import ConfigError

if TYPE_CHECKING:
    from redis import Redis

ANSWER_WITHIN_S = 2.0
BLOCK_MAX_MS = 1_000  # A longer wait is asked for piece by piece, so that a dead server is noticed.

# Codes with which a server that lives refuses a write, or anything.
_REFUSALS = {
    "READONLY": "it takes no writes (it is read-only)",
    "OOM": "its memory is used up",
    "LOADING": "it is still loading its data",
    "NOREPLICAS": "it takes no writes (too few replicas)",
    "MISCONF": "it can not save its data",
    "MASTERDOWN": "its master is gone",
    "TRYAGAIN": "it asks to try again",
    "BUSY": "it is busy with a script",
    "CLUSTERDOWN": "its cluster is down",
}
_REFUSED_AUTH = ("NOAUTH", "WRONGPASS", "NOPERM", "ERR invalid password")


def connect(url: str, *, within_s: float = ANSWER_WITHIN_S, is_blocking: bool = False) -> "Redis":
    """Return a client for `url`; nothing is sent yet.

    Args:
        url: Where the server is; may hold a password.
        within_s: How long a connection or an answer may take.
        is_blocking: It is used for calls that wait for something to come.

    Raises:
        ConfigError: The URL is none.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        return Redis.from_url(
            url,
            socket_timeout=within_s + (BLOCK_MAX_MS / 1_000 if is_blocking else 0.0),
            socket_connect_timeout=within_s,
            retry=Retry(NoBackoff(), 0),  # Sent twice by a library is applied twice; who calls decides.
            protocol=2,
            decode_responses=False,
        )
    except (ValueError, TypeError):
        raise ConfigError(
            "redis.url can not be understood", "write it like redis://:PASSWORD@127.0.0.1:6379/0"
        ) from None


@contextmanager
def asking() -> Iterator[None]:
    """Turn what the library raises inside into our own errors.

    Raises:
        BusUnavailable: The server is gone, silent, or refuses for now.
        BusError: It refused for good.
    """
    import redis

    try:
        yield
    except (redis.RedisError, OSError) as error:
        text, is_passing = _explain(error)
        raise (BusUnavailable if is_passing else BusError)(f"Redis does not work: {text}") from None


# What went wrong, and whether trying again can help. A password that is refused may be put right on the server.
def _explain(error: Exception) -> tuple[str, bool]:
    import redis

    text = str(error).rpartition("caused error: ")[2]  # A pipeline repeats the command before it.
    code = text.split(" ", 1)[0]
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError) or text.startswith(
        _REFUSED_AUTH
    ):
        return "it refuses the name or the password of redis.url", True
    if isinstance(error, redis.ReadOnlyError):
        return _REFUSALS["READONLY"], True
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return _REFUSALS["OOM"], True
    if isinstance(error, redis.BusyLoadingError):
        return _REFUSALS["LOADING"], True
    if isinstance(error, redis.TimeoutError):
        return f"no answer within {ANSWER_WITHIN_S:g} s", True
    if isinstance(error, redis.ConnectionError | OSError):
        return "no connection", True
    if code in _REFUSALS:
        return _REFUSALS[code], True
    return (
        f"it refuses a command ({code if code.isalpha() and code.isupper() else type(error).__name__})",
        False,
    )


class Backoff:
    """How long to wait before the next attempt: twice as long each time, of which a random half.

    Args:
        first_s: The first wait, at most.
        most_s: No wait is longer.
        chance: Spreads those that wait for the same server.
    """

    def __init__(
        self, first_s: float = 0.05, most_s: float = 2.0, chance: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._chance = chance or random.Random()
        self._n_failed = 0

    def next_s(self) -> float:
        """Return how long to wait after one more failure."""
        limit_s = min(self._most_s, self._first_s * 2.0 ** min(self._n_failed, 32))
        self._n_failed += 1
        return limit_s * self._chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._n_failed = 0
