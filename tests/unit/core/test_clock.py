"""Clocks are handed in, and run forwards."""

import pytest

from njord.core.clock import FixedClock, ManualClock


def test_a_fixed_clock_stands_still() -> None:
    clock = FixedClock(5)
    assert [clock.now_ns(), clock.now_ns()] == [5, 5]


def test_a_manual_clock_moves_forwards_only() -> None:
    clock = ManualClock()
    clock.advance_to(7)
    clock.advance_to(7)
    assert clock.now_ns() == 7
    with pytest.raises(ValueError, match="asked for 6, it is 7"):
        clock.advance_to(6)
    assert clock.now_ns() == 7
