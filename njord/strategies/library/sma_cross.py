"""Long while the fast moving average of closes is above the slow one, flat otherwise."""

from collections import deque
from decimal import Decimal

import msgspec

from njord.strategies import BarView, Context, Proposals, Strategy, StrategyParams, Target


class SmaCross(Strategy):
    """Simple moving average cross on closes, decided from the first bar at which both averages are known.

    The averages are compared as sums of whole ticks, cross-multiplied: an exact tie is a tie, and counts as flat.
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

    class State(msgspec.Struct):
        """The closes of the slow window, both sums, and what was asked for last."""

        closes: deque[int] = msgspec.field(default_factory=deque)
        fast_sum: int = 0
        slow_sum: int = 0
        is_long: bool = False

    params: Params
    state: State

    def warm_up(self) -> int:
        """Return the slow window: before, there is no average to compare."""
        return self.params.slow

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Update both sums; propose a new target when the averages have changed sides."""
        params, state = self.params, self.state
        fast, slow, closes = params.fast, params.slow, state.closes
        close = bar.message.close
        n = len(closes)
        fast_sum, slow_sum = state.fast_sum + close, state.slow_sum + close
        if n >= fast:
            fast_sum -= closes[-fast]
        if n == slow:
            slow_sum -= closes.popleft()
        closes.append(close)
        state.fast_sum, state.slow_sum = fast_sum, slow_sum
        if n + 1 < slow:
            return None
        wants_long = fast_sum * slow > slow_sum * fast
        if wants_long is state.is_long or not ctx.is_warm:
            return None
        state.is_long = wants_long
        tick = bar.instrument.price_float(1)
        features = (("fast", fast_sum * tick / fast), ("slow", slow_sum * tick / slow))
        if not wants_long:
            return Target(weight=0.0, reason="fast average not above slow", features=features)
        if params.qty is not None:
            return Target(qty=params.qty, reason="fast average above slow", features=features)
        return Target(weight=params.weight, reason="fast average above slow", features=features)
