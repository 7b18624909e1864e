"""Clocks are handed in. The engine itself never asks: each message carries its time."""

from typing import Protocol


class Clock(Protocol):
    """Where a host takes the time from that it stamps at the door."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch, UTC."""


class FixedClock:
    """A clock that stands still."""

    def __init__(self, ts_ns: int) -> None:
        self._ts_ns = ts_ns

    def now_ns(self) -> int:
        """Return the one time it knows."""
        return self._ts_ns


class ManualClock:
    """A clock that its owner moves, forwards only."""

    def __init__(self, ts_ns: int = 0) -> None:
        self._ts_ns = ts_ns

    def now_ns(self) -> int:
        """Return the time it was last moved to."""
        return self._ts_ns

    def advance_to(self, ts_ns: int) -> None:
        """Move to `ts_ns`.

        Raises:
            ValueError: `ts_ns` lies in the past.
        """
        if ts_ns < self._ts_ns:
            raise ValueError(f"a clock runs forwards: asked for {ts_ns}, it is {self._ts_ns}")
        self._ts_ns = ts_ns
