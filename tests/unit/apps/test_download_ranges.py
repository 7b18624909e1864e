"""Missing places are exactly those without a row."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from njord.apps.ranges import count, merged, missing_between

STEP = 5
places = st.sets(st.integers(-10, 60)).map(lambda found: sorted(place * STEP for place in found))


def expand(ranges: list[tuple[int, int]]) -> list[int]:
    return [place for first, end in ranges for place in range(first, end, STEP)]


@given(places, st.integers(-5, 20), st.integers(-10, 60), st.integers(0, STEP - 1))
def test_what_is_missing_and_what_is_there_make_the_whole(
    there: list[int], first: int, end: int, beyond: int
) -> None:
    start, stop = first * STEP, end * STEP - beyond
    missing = missing_between(start, stop, np.array(there, dtype=np.int64), STEP)
    assert expand(missing) == [place for place in range(start, stop, STEP) if place not in there]
    assert count(missing, STEP) == len(expand(missing))
    assert all(later[0] > earlier[1] for earlier, later in pairwise(missing))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)).map(lambda pair: (pair[0], pair[0] + pair[1])))
)
def test_merged_ranges_hold_the_same_places_and_touch_nowhere(ranges: list[tuple[int, int]]) -> None:
    joined = merged(ranges)
    assert {place for first, end in joined for place in range(first, end)} == {
        place for first, end in ranges for place in range(first, end)
    }
    assert all(later[0] > earlier[1] for earlier, later in pairwise(joined))
