"""How fast this machine is today: a bare Python moving average cross over the same closes, nothing else.

No engine, no money, no journal: one struct a bar and one callback. What an engine costs is its time over this, taken
in the same run, since the same machine differs by half from hour to hour.
"""

import gc
import time
from collections import deque
from pathlib import Path

import msgspec
import polars as pl


class _Bar(msgspec.Struct, gc=False):
    open: float
    high: float
    low: float
    close: float
    volume: float


class _Cross:
    def __init__(self, fast: int, slow: int) -> None:
        self.fast, self.slow = fast, slow
        self.closes: deque[float] = deque()
        self.fast_sum = self.slow_sum = 0.0
        self.is_long = False
        self.n_changes = 0

    def on_bar(self, bar: _Bar) -> None:
        close, closes = bar.close, self.closes
        closes.append(close)
        self.fast_sum += close
        self.slow_sum += close
        n = len(closes)
        if n > self.fast:
            self.fast_sum -= closes[-1 - self.fast]
        if n > self.slow:
            self.slow_sum -= closes.popleft()
        elif n < self.slow:
            return
        wants_long = self.fast_sum * self.slow > self.slow_sum * self.fast
        if wants_long is not self.is_long:
            self.is_long = wants_long
            self.n_changes += 1


def bare_loop_ns(data: Path, fast: int, slow: int) -> float:
    """Return the nanoseconds per bar of the bare loop, best of three."""
    frame = pl.read_csv(data)
    columns = [frame[name].cast(pl.Float64).to_list() for name in ("open", "high", "low", "close", "volume")]
    gc.collect()
    best = float("inf")
    for _ in range(3):
        on_bar = _Cross(fast, slow).on_bar
        start = time.perf_counter()
        for bar in map(_Bar, *columns):
            on_bar(bar)
        best = min(best, time.perf_counter() - start)
    return best / frame.height * 1e9
