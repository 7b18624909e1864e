"""The SMA cross of the peers as a compiled strategy that keeps its own windows: what any compiled strategy costs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from njord.strategies import Indicator, StrategyParams
from njord.strategies.compiled import CompiledStrategy, FloatArray, Now, Values, decision


class CompiledCross(CompiledStrategy):
    """Long while the fast mean of closes is above the slow one; sums and a ring of closes are its state."""

    class Params(StrategyParams, frozen=True):
        """Windows in bars."""

        fast: int = 10
        slow: int = 30
        weight: float = 1.0
        qty: Decimal | None = None

    params: Params

    def warm_up(self) -> int:
        """Return the slow window."""
        return self.params.slow

    def indicators(self) -> Mapping[str, Indicator]:
        """Return nothing: it computes for itself."""
        return {}

    def numbers(self) -> Sequence[float]:
        """Return both windows, and the ring's length less one: a power of two less one."""
        return (self.params.fast, self.params.slow, self._mask)

    def cells(self) -> int:
        """Return room for both sums and the ring."""
        return 3 + self._mask

    @property
    def _mask(self) -> int:
        return (1 << self.params.slow.bit_length()) - 1

    @decision
    def decide(now: Now, values: Values, state: FloatArray, params: FloatArray) -> int:
        """Return 1 (long) or 0 (flat)."""
        fast, slow, mask, row = int(params[0]), int(params[1]), int(params[2]), now.n_bars - 1
        state[0] += now.close
        state[1] += now.close
        if row >= fast:
            state[0] -= state[2 + ((row - fast) & mask)]
        if row >= slow:
            state[1] -= state[2 + ((row - slow) & mask)]
        state[2 + (row & mask)] = now.close
        return 1 if state[0] * params[1] > state[1] * params[0] else 0
