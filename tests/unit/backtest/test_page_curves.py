"""Downsampled curves: no trough and no peak is lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from njord.backtest.page_curves import extremes

VALUES = hnp.arrays(np.float64, st.integers(1, 120), elements=st.floats(-1e6, 1e6))


@given(values=VALUES, n_per_stretch=st.integers(1, 50))
def test_every_stretch_keeps_its_lowest_and_its_highest_value(values: np.ndarray, n_per_stretch: int) -> None:
    kept = extremes(values, n_per_stretch)
    assert (np.diff(kept) > 0).all()
    for first in range(0, values.size, n_per_stretch):
        stretch = values[first : first + n_per_stretch]
        inside = kept[(kept >= first) & (kept < first + n_per_stretch)]
        assert inside.size <= 2
        assert values[inside].min() == stretch.min()
        assert values[inside].max() == stretch.max()


@given(values=VALUES)
def test_stretches_of_one_keep_everything(values: np.ndarray) -> None:
    assert extremes(values, 1).tolist() == list(range(values.size))
