"""Tick inference and snapping at their edges."""

from decimal import Decimal

import numpy as np
import pytest

from njord.core.errors import DataError
from njord.storage.grid import TickInference, snap


def inferred(prices: list[float]) -> Decimal:
    inference = TickInference(len(prices))
    inference.add(np.array(prices))
    return inference.tick("x.csv")


def test_round_prices_never_make_a_tick_coarser_than_one() -> None:
    assert inferred([100.0, 2000.0, 30000.0]) == 1


def test_the_dirt_of_the_recordings_is_snapped_and_counted() -> None:
    snapped = snap(np.array([0.10441057000000001, 0.10441057, 0.104410574]), 8, 1)
    assert snapped.ticks.tolist() == [10441057] * 3
    assert snapped.dirty.tolist() == [True, False, False]
    assert snapped.off_grid.tolist() == [False, False, True]


def test_a_tick_of_a_multiple_is_snapped_exactly() -> None:
    snapped = snap(np.array([1.05, 1.1, 1.13, 0.15000000000000002]), 2, 5)
    assert snapped.ticks.tolist() == [21, 22, 23, 3]
    assert snapped.dirty.tolist() == [False, False, False, True]
    assert snapped.off_grid.tolist() == [False, False, True, False]


def test_very_large_and_very_small_prices_find_their_tick() -> None:
    assert inferred([4e12, 4e12 + 1, 4e12 + 0.5]) == Decimal("0.1")
    assert inferred([1e-12, 7e-12, 3e-10]) == Decimal("1e-12")


def test_floats_too_coarse_to_tell_a_grid_ask_for_the_tick() -> None:
    with pytest.raises(DataError, match="--tick"):
        inferred([1e17, 3e17])
    with pytest.raises(DataError, match="--tick"):
        inferred([1.5e300, 3.25])
    with pytest.raises(DataError, match="--tick"):
        inferred([1 / 3, 2 / 7, 5 / 11])


def test_a_price_just_below_a_round_one_was_meant_so() -> None:
    # Found by the campaign: a millionth of a tick is dirt only where floats are that coarse.
    inference = TickInference(1)
    inference.add(np.array([124.999999]))
    assert inference.tick("x.csv") == Decimal("0.000001")
