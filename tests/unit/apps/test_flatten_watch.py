"""A trip that flattens is HALTED once all is closed or its time is up, and until the switch says otherwise."""

import pytest

from njord.adapters.kill_switch_watch import Reading
from njord.apps.flatten_watch import FlattenWatch
from njord.core.types import TradingState

CLEAR = Reading(TradingState.ACTIVE, "file", "", "")
TRIP = Reading(TradingState.REDUCE_ONLY, "file", "outage", "me", flattens=True)
HALTED = Reading(TradingState.HALTED, "file", "outage (flat)", "me")


def is_never_asked() -> bool:
    pytest.fail("nobody is closing anything")


def test_a_word_that_does_not_flatten_is_passed_on() -> None:
    watch = FlattenWatch(30)
    reduce_only = Reading(TradingState.REDUCE_ONLY, "file", "calm down", "me")
    for word in (CLEAR, reduce_only, HALTED, CLEAR):
        assert watch.judge(word, is_never_asked, 0.0) is word


def test_it_is_halted_when_flat_though_not_before_the_engine_was_told_to_close() -> None:
    watch = FlattenWatch(30)
    assert watch.judge(TRIP, is_never_asked, 100.0) is TRIP
    assert watch.judge(TRIP, lambda: False, 101.0) is TRIP
    assert watch.judge(TRIP, lambda: True, 102.0) == HALTED
    assert watch.judge(TRIP, is_never_asked, 103.0) == HALTED  # Whatever comes: it has ended.


def test_it_is_halted_when_the_time_is_up() -> None:
    watch = FlattenWatch(30)
    watch.judge(TRIP, lambda: False, 100.0)
    assert watch.judge(TRIP, lambda: False, 129.9) is TRIP
    word = watch.judge(TRIP, lambda: False, 130.0)
    assert (word.state, word.reason, word.flattens) == ("halted", "outage (not flat within 30 s)", False)


def test_a_new_trip_has_its_time_anew() -> None:
    watch = FlattenWatch(30)
    watch.judge(TRIP, lambda: False, 100.0)
    watch.judge(TRIP, lambda: True, 101.0)
    assert watch.judge(CLEAR, is_never_asked, 102.0) is CLEAR
    assert watch.judge(TRIP, lambda: False, 200.0) is TRIP
    assert watch.judge(TRIP, lambda: False, 229.0) is TRIP
