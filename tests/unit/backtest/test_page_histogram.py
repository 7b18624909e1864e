"""Histograms: every value is counted once, and gains never share a bar with losses."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from njord.backtest.page_histogram import BINS_MAX, histogram
from njord.backtest.page_text import Cell

RETURNS = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-0.9, 5.0).map(lambda value: round(value, 6))
)


def counted(label: str) -> int:
    found = re.search(r": ([\d,]+)$", label)
    assert found
    return int(found.group(1).replace(",", ""))


@given(returns=RETURNS)
def test_every_return_is_in_one_bar_or_said_to_be_zero(returns: np.ndarray) -> None:
    drawing = histogram(returns)
    assert drawing is not None
    n_moved = int((returns != 0).sum())
    assert sum(counted(bar.label) for bar in drawing.bars) == n_moved
    assert sum(counted(bar.label) for bar in drawing.bars if bar.tone == "gain") == int((returns > 0).sum())
    assert len(drawing.bars) <= 2 * BINS_MAX
    assert any("exactly 0" in note for note in drawing.notes) == (n_moved < returns.size)


@given(returns=RETURNS)
def test_bars_stay_within_the_drawing_and_do_not_overlap(returns: np.ndarray) -> None:
    drawing = histogram(returns)
    assert drawing is not None
    for bar in drawing.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= 100.001
        assert 0 < bar.height <= 100
    for left, right in zip(drawing.bars, drawing.bars[1:], strict=False):
        assert left.x + left.width <= right.x + 1e-3


@pytest.mark.parametrize("returns", [[1.0, -0.003906], [0.5, -1e-12], [1e-12, -0.5], [0.02] * 500 + [-0.1]])
def test_a_rare_or_tiny_loss_is_not_drawn_among_the_gains(returns: list[float]) -> None:
    drawing = histogram(np.array(returns))
    assert drawing is not None
    n_gains = sum(value > 0 for value in returns)
    assert sum(counted(bar.label) for bar in drawing.bars if bar.tone == "gain") == n_gains
    assert sum(counted(bar.label) for bar in drawing.bars if bar.tone == "loss") == len(returns) - n_gains


def test_no_returns_are_no_drawing() -> None:
    assert histogram(np.empty(0)) is None


def test_a_hundred_flat_days_do_not_look_like_gains() -> None:
    drawing = histogram(np.zeros(100))
    assert drawing is not None
    assert drawing.bars == []
    assert drawing.notes == ["100 of exactly 0 are not drawn."]


@given(returns=RETURNS, mark=st.floats(-20, 20))
def test_the_drawing_reaches_its_marks_and_writes_values_as_told(returns: np.ndarray, mark: float) -> None:
    drawing = histogram(returns, lambda value, width: Cell(f"<{value:.3f}>"), [(mark, "here")])
    assert drawing is not None
    assert drawing.facts[1][1].text == f"<{returns.min():.3f}>"
    if (returns != 0).any():
        [(x, label)] = drawing.marks
        assert label == "here" and -0.001 <= x <= 100.001
        assert sum(counted(bar.label) for bar in drawing.bars) == int((returns != 0).sum())
        assert all(bar.label.startswith("<") for bar in drawing.bars)
