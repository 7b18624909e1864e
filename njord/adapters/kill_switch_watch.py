"""What does the kill switch say right now? Asked before every message, answered without waiting for anything.

Each source is read by a thread of its own, so that a server that hangs never delays the file. A reading counts from
the moment at which the question was asked; one that is too old by a clock that nobody can set back is HALTED. Of
several sources the strictest counts, and none is ever ACTIVE by silence.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from njord.adapters.kill_switch_redis import RedisSwitch
from njord.adapters.kill_switch_sources import KillReading, read_kill_file
from njord.core.types import TradingState

FILE, REDIS = "file", "redis"
REDIS_POLL_S = 0.2
_MARGIN = 0.05  # Of the age: an answer that does not come is told just before the last one is too old.
_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCE_ONLY: 1, TradingState.HALTED: 2}
_MS = 1e-3


class Reading(msgspec.Struct, frozen=True):
    """The strictest of all sources.

    Attributes:
        state: What counts.
        source: Which of them says so: file or redis.
        reason: Why, as its record says; where there is none, the doubt. Names nothing of this machine.
        operator: Who decided it; empty where nobody did.
        flattens: Positions are to be closed.
        detail: Where it was read, for a person at this machine.
    """

    state: TradingState
    source: str
    reason: str
    operator: str
    flattens: bool = False
    detail: str = ""


class KillSwitchWatch:
    """Reads the file always, and the Redis key where a URL is given.

    Args:
        path: The file.
        redis_url: May hold a password; None = Redis is not asked.
        key: The Redis key.
        max_age_ms: From when on a reading is too old.
        poll_ms: How often the file is read.
        on_change: Called in one of the threads when what counts has changed.

    Raises:
        ConfigError: The URL can not be understood.
    """

    def __init__(
        self,
        path: Path,
        redis_url: str | None,
        key: str,
        max_age_ms: int,
        poll_ms: int = 50,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        max_age_s = max_age_ms * _MS
        self._max_age_s = max_age_s
        self._on_change = on_change
        self._lock = threading.Lock()
        self._latest: dict[str, tuple[float, Reading]] = {}
        self._current = (_unread(FILE), 0.0)  # What counts, and until when; replaced as a whole.
        self._sources = [_Source(FILE, lambda: read_kill_file(path), poll_ms * _MS, self._publish)]
        self._redis: RedisSwitch | None = None
        if redis_url is not None:
            # Asked at least twice in its age; one answer may take as long as the age then has left.
            poll_s = min(REDIS_POLL_S, max_age_s / 2)
            self._redis = RedisSwitch(redis_url, key, max_age_s * (1 - _MARGIN) - poll_s)
            self._sources.append(_Source(REDIS, self._redis.read, poll_s, self._publish))

    def start(self) -> None:
        """Begin to read; every source was read once, or could not be in time, when this returns."""
        for source in self._sources:
            source.start()
        for source in self._sources:
            source.has_read.wait(self._max_age_s)

    def stop(self) -> None:
        """End the threads; from then on the switch counts as tripped as soon as the last reading is too old."""
        for source in self._sources:
            source.ends.set()
        for source in self._sources:
            source.join(self._max_age_s)
        if self._redis is not None:
            self._redis.close()

    def reading(self) -> Reading:
        """Return what counts now; never waits, never raises."""
        word, until_s = self._current
        return word if time.clock_gettime(_CLOCK) <= until_s else self._aged()

    def _aged(self) -> Reading:
        latest = dict(self._latest)
        return counting(
            {source.name: latest.get(source.name) for source in self._sources}, now_s() - self._max_age_s
        )

    def _publish(self, name: str, asked_s: float, reading: KillReading) -> None:
        with self._lock:
            self._latest[name] = (asked_s, _word(name, reading))
            latest = {source.name: self._latest.get(source.name) for source in self._sources}
            before, _ = self._current
            word = counting(latest, -math.inf)
            asked = [found[0] for found in latest.values() if found is not None]
            until_s = math.inf if word.state is TradingState.HALTED else min(asked) + self._max_age_s
            self._current = (word, until_s)
        if self._on_change is not None and word != before:
            self._on_change()


class _Source(threading.Thread):
    """Asks one source again and again."""

    def __init__(
        self,
        name: str,
        read: Callable[[], KillReading],
        poll_s: float,
        publish: Callable[[str, float, KillReading], None],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._read = read
        self._poll_s = poll_s
        self._publish = publish
        self.has_read = threading.Event()
        self.ends = threading.Event()

    def run(self) -> None:
        """Ask until told to end."""
        while not self.ends.is_set():
            asked_s = now_s()
            self._publish(self.name, asked_s, self._read())
            self.has_read.set()
            self.ends.wait(max(0.0, asked_s + self._poll_s - now_s()))


# A machine that slept has slept for the switch too: where the system can say so, sleep counts as age.
def now_s() -> float:
    """Return seconds on a clock that nobody can set back."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def read_once(path: Path, redis: RedisSwitch | None) -> dict[str, Reading]:
    """Return what every source says now, by its name, in this thread."""
    words = {FILE: _word(FILE, read_kill_file(path))}
    if redis is not None:
        words[REDIS] = _word(REDIS, redis.read())
    return words


def counting(latest: Mapping[str, tuple[float, Reading] | None], oldest_s: float) -> Reading:
    """Return what counts of the last readings: the strictest, and HALTED where one is missing or too old.

    What is HALTED does not grow old: nothing is stricter, and its reason is better than its age.

    Args:
        latest: Of every source when it was asked, and what it said; None = it has not been read.
        oldest_s: What was asked before is too old.
    """
    words: dict[str, Reading] = {}
    for name, found in latest.items():
        asked_s, word = found or (math.inf, _unread(name))
        is_fresh = word.state is TradingState.HALTED or asked_s >= oldest_s
        words[name] = word if is_fresh else _too_old(word)
    return strictest(words)


def strictest(words: Mapping[str, Reading]) -> Reading:
    """Return the word that counts: of equal states one that flattens, then the first."""
    return max(words.values(), key=_strictness)


def _strictness(word: Reading) -> tuple[int, bool]:
    return _STRICTNESS[word.state], word.flattens


def _too_old(word: Reading) -> Reading:
    reason = f"the last reading of {word.source} is too old"
    return Reading(TradingState.HALTED, word.source, reason, "", detail=f"{reason}: it said {word.state}")


def _unread(source: str) -> Reading:
    return Reading(TradingState.HALTED, source, f"{source} was not read yet", "")


def _word(source: str, reading: KillReading) -> Reading:
    record = reading.record
    if record is None:
        return Reading(reading.state, source, reading.doubt, "", detail=reading.detail)
    return Reading(
        reading.state, source, record.reason, record.operator, flattens=record.flatten, detail=reading.detail
    )
