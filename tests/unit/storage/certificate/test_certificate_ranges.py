"""Ranges of bad time: merged, bounded, and compared with the time in positions."""

import numpy as np
import pytest

from njord.storage.certificate import tally
from njord.storage.certificate.tally import BadRanges, merge, overlap_ns


def array(*ranges: tuple[int, int]) -> "np.typing.NDArray[np.int64]":
    return np.array(ranges, dtype=np.int64).reshape(-1, 2)


def test_ranges_that_touch_or_overlap_are_one() -> None:
    bad = BadRanges()
    bad.add(np.array([50, 10, 20]), np.array([60, 20, 30]))
    bad.add_one(25, 40)
    bad.add_one(70, 70)
    bad.add_one(52, 55)
    assert bad.merged().tolist() == [[10, 40], [50, 60]]
    assert not bad.is_coarse


def test_too_many_ranges_join_where_they_are_closest_whatever_the_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tally, "RANGES_MAX", 3)
    monkeypatch.setattr(tally, "_JOIN_EVERY", 12)
    starts = np.array([0, 10, 100, 105, 200, 1_000])
    bad = BadRanges()
    bad.add(starts, starts + 1)
    assert bad.merged().tolist() == [[0, 106], [200, 201], [1_000, 1_001]]
    assert bad.is_coarse
    many = np.cumsum(np.random.default_rng(1).integers(2, 90, 200))
    at_once, one_by_one = BadRanges(), BadRanges()
    at_once.add(many, many + 1)
    for start in many.tolist():
        one_by_one.add_one(start, start + 1)
    assert at_once.merged().tolist() == one_by_one.merged().tolist()
    assert len(at_once.merged()) == 3


def test_the_overlap_is_what_both_hold() -> None:
    bad, held = array((10, 20), (30, 40)), array((0, 12), (18, 35), (39, 90))
    assert overlap_ns(bad, held) == overlap_ns(held, bad) == 2 + 2 + 5 + 1
    assert overlap_ns(bad, array()) == overlap_ns(array(), held) == 0
    assert overlap_ns(bad, array((20, 30))) == 0
    assert overlap_ns(bad, array((0, 100))) == 20


def test_merging_nothing_gives_nothing() -> None:
    assert merge(array()).tolist() == []
    assert BadRanges().merged().shape == (0, 2)
