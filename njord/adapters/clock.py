"""The wall clock, the only one in njord: what time is it outside, and how long has this taken."""

import time

from njord.core.units import NS_PER_S


class WallClock:
    """The machine's time, for hosts that stamp at the door and for logs; nothing pure ever sees it."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch, UTC."""
        return time.time_ns()


class Stopwatch:
    """Time since it was made, on a clock that nobody can set back: for progress and rates."""

    def __init__(self) -> None:
        self._start_ns = time.perf_counter_ns()

    def elapsed_ns(self) -> int:
        """Return nanoseconds since the stopwatch was made."""
        return time.perf_counter_ns() - self._start_ns

    def elapsed_s(self) -> float:
        """Return seconds since the stopwatch was made."""
        return self.elapsed_ns() / NS_PER_S
