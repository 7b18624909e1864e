"""Long while the fast moving average of closes is above the slow one, flat otherwise."""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from njord.strategies import Indicator, Sma, StrategyParams
from njord.strategies.compiled import FloatArray, Now, SignalStrategy, Values, decision


class SmaCross(SignalStrategy):
    """Simple moving average cross on closes, decided from the first bar at which both averages are known.

    The averages are whole ticks summed up and divided once, so that an exact tie is a tie; it counts as flat.
    """

    class Params(StrategyParams, frozen=True):
        """The windows are in bars; `weight` is the share of equity held while long, or `qty` a fixed quantity."""

        fast: int = 10
        slow: int = 30
        weight: float = 1.0
        qty: Decimal | None = None

        def __post_init__(self) -> None:
            if self.fast < 1:
                raise ValueError(f"fast must be >= 1, was {self.fast}")
            if self.slow <= self.fast:
                raise ValueError(f"slow must be > fast ({self.fast}), was {self.slow}")
            if not 0 < self.weight <= 1:
                raise ValueError(f"weight must be in (0, 1], was {self.weight}")
            if self.qty is not None and not self.qty > 0:
                raise ValueError(f"qty must be > 0, was {self.qty}")

    params: Params
    reasons: ClassVar[Mapping[int, str]] = {
        0: "fast average not above slow",
        1: "fast average above slow",
    }

    def warm_up(self) -> int:
        """Return the slow window: before, there is no average to compare."""
        return self.params.slow

    def indicators(self) -> Mapping[str, Indicator]:
        """Return both averages, in the order in which `decide` reads them."""
        return {"fast": Sma(self.params.fast), "slow": Sma(self.params.slow)}

    @decision
    def decide(now: Now, values: Values, state: FloatArray, params: FloatArray) -> int:
        """Return 1 (long) or 0 (flat)."""
        return 1 if values[0] > values[1] else 0
