"""The cross of two simple moving averages as plain Python in the fast lane: computed by the host, called when they cross.

njord backtest examples/sma_cross_python.py --data BTCUSDT-1m.csv --param fast=10 --param slow=30

It decides what `sma_cross` decides, exact ties included: a mean is a sum of whole ticks divided once, so that means which
are equal as fractions are equal floats, and a greater one is a greater float while sums x windows stay below 2**50.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec
import numpy as np

from njord.strategies import (
    BarView,
    BoolArray,
    Context,
    FloatArray,
    Indicator,
    Proposals,
    Sma,
    Strategy,
    StrategyParams,
    Target,
)


class SmaCrossPython(Strategy):
    """Long while the fast average is above the slow one, flat otherwise; a tie counts as flat."""

    class Params(StrategyParams, frozen=True):
        """The windows are in bars; `weight` is the share of equity held while long, or `qty` a fixed quantity."""

        fast: int = 10
        slow: int = 30
        weight: float = 1.0
        qty: Decimal | None = None

        def __post_init__(self) -> None:
            if not 1 <= self.fast < self.slow:
                raise ValueError(f"fast must be >= 1 and < slow ({self.slow}), was {self.fast}")
            if not 0 < self.weight <= 1:
                raise ValueError(f"weight must be in (0, 1], was {self.weight}")

    class State(msgspec.Struct):
        """What was asked for last."""

        is_long: bool = False

    params: Params
    state: State

    def warm_up(self) -> int:
        """Return the slow window: before, there is no average to compare."""
        return self.params.slow

    def indicators(self) -> Mapping[str, Indicator]:
        """Return both averages of closes."""
        return {"fast": Sma(self.params.fast), "slow": Sma(self.params.slow)}

    def wakes(self, features: Mapping[str, FloatArray]) -> BoolArray:
        """Return where the averages have changed sides since the row before, and where there is no row before."""
        above = features["fast"] > features["slow"]
        wakes = np.ones(above.size, dtype=np.bool_)
        wakes[1:] = above[1:] != above[:-1]
        return wakes

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Propose a new target when the averages have changed sides."""
        fast, slow = ctx.feature("fast"), ctx.feature("slow")
        wants_long = fast > slow
        if wants_long is self.state.is_long or not ctx.is_warm:
            return None
        self.state.is_long = wants_long
        features = (("fast", fast), ("slow", slow))
        if not wants_long:
            return Target(weight=0.0, reason="fast average not above slow", features=features)
        if self.params.qty is not None:
            return Target(qty=self.params.qty, reason="fast average above slow", features=features)
        return Target(weight=self.params.weight, reason="fast average above slow", features=features)
