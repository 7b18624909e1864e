"""Places of drawings: what is drawn lies within, labels are round, and what is undefined breaks a line."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.research.research_page_plot import (
    Scale,
    band,
    decimals_of,
    levels,
    line,
    moments,
    scale_of,
    thinned,
)

HOUR_NS = 3_600_000_000_000
FLOATS = st.floats(-1e9, 1e9) | st.just(math.nan) | st.just(math.inf)


@given(values=st.lists(FLOATS, max_size=20))
def test_every_defined_value_and_label_lies_within_the_drawing(values: list[float]) -> None:
    scale = scale_of(values)
    assert scale.low < scale.high
    assert all(0 <= scale.down(value) <= 100 for value in values if math.isfinite(value))
    ticks = levels(scale, lambda value, step: f"{value:.{decimals_of(step)}f}")
    assert 1 <= len(ticks) <= 7
    assert all(-0.01 <= tick.at <= 100.01 for tick in ticks)
    assert len({tick.text for tick in ticks}) == len(ticks), "labels tell values apart"


def test_labels_are_round() -> None:
    ticks = levels(Scale(-0.3, 2.2), lambda value, step: f"{value:.{decimals_of(step)}f}")
    assert [tick.text for tick in ticks] == ["0.0", "0.5", "1.0", "1.5", "2.0"]


def test_a_line_breaks_where_it_is_not_defined() -> None:
    assert line([(0, 0), (50, 10), (60, math.nan), (100, 20)]) == "M0.0 0.0L500.0 100.0M1000.0 200.0"
    assert band([0, 100], [90, 80], [10, 20]) == "M0.0 100.0L1000.0 200.0L1000.0 800.0L0.0 900.0Z"


@pytest.mark.parametrize(
    ("hours", "texts"),
    [
        (3, ["Jan 1", "01:00", "02:00", "03:00"]),
        (96, ["Jan 1", "Jan 2", "Jan 3", "Jan 4", "Jan 5"]),
        (24 * 900, ["1970", "1971", "1972"]),
    ],
)
def test_moments_are_round(hours: int, texts: list[str]) -> None:
    assert [tick.text for tick in moments(0, hours * HOUR_NS, 4)] == texts


def test_labels_are_thinned_evenly() -> None:
    assert [tick.text for tick in thinned([str(n) for n in range(10)], [float(n) for n in range(10)], 4)] == [
        "0",
        "3",
        "6",
        "9",
    ]
