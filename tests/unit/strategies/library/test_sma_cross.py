"""The shipped cross decides in Python what it decides compiled: bar by bar, and where it may sleep."""

from decimal import Decimal
from itertools import product

import numpy as np
import pytest

from njord.adapters.plugins import load_strategy
from njord.strategies import compiled
from njord.strategies.compiled import SignalStrategy

NAN, INF = float("nan"), float("inf")
EDGES = (NAN, -INF, INF, -0.0, 0.0, 1.0, np.nextafter(1.0, 2.0), -1.5, 5e-324)


@pytest.fixture
def cross() -> SignalStrategy:
    loaded = load_strategy("sma_cross")
    made = loaded.cls(loaded.cls.Params(fast=2, slow=3, qty=Decimal(1)))
    assert isinstance(made, SignalStrategy)
    return made


def test_python_and_the_compiler_name_the_same_level_whatever_is_compared(cross: SignalStrategy) -> None:
    assert cross.only_compares
    for values in product(EDGES, EDGES):
        cross._values[:] = values
        told = cross.machine.ask(cross._event, cross._values, cross._cells, cross._numbers)
        assert cross._decided() == told == int(values[0] > values[1])


def test_it_wakes_at_the_same_rows_from_both(cross: SignalStrategy, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(7)
    features = {name: chance.choice(np.array(EDGES), 500) for name in ("fast", "slow")}
    plain = cross.wakes(features)
    monkeypatch.setattr(compiled, "_UNCOMPILED_ROWS", 499)
    np.testing.assert_array_equal(cross.wakes(features), plain)
    assert 0 < plain.sum() < 500
