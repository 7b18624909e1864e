"""The wall clock is the system's; the stopwatch only moves forward."""

import time

from njord.adapters.clock import Stopwatch, WallClock
from njord.core.clock import Clock


def test_the_wall_clock_tells_the_systems_time_in_utc_nanoseconds() -> None:
    clock: Clock = WallClock()
    before = time.time_ns()
    now = clock.now_ns()
    assert before <= now <= time.time_ns()


def test_a_stopwatch_starts_at_zero_and_never_runs_back() -> None:
    before = time.perf_counter_ns()
    stopwatch = Stopwatch()
    readings = [stopwatch.elapsed_ns() for _ in range(100)]
    assert readings == sorted(readings)
    assert 0 <= readings[0] <= time.perf_counter_ns() - before
    assert stopwatch.elapsed_s() >= readings[-1] / 1e9
