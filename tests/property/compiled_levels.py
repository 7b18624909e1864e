"""A compiled strategy of random wishes: what it wants at each bar is written down, with a few rules that ask the market."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from njord.strategies import StrategyParams
from njord.strategies.compiled import KEEP, CompiledStrategy, FloatArray, Now, Values, decision

ASK_MARKET, ASK_POSITION, ASK_STATE = 100, 101, 102


class Levels(CompiledStrategy):
    """Wants `wanted[n]` at bar n, over and over; some codes look at the bar, the position or the state."""

    class Params(StrategyParams, frozen=True):
        """What is wanted, and how much of the account it is."""

        wanted: tuple[int, ...] = (1, 0)
        weight: float = 1.0
        qty: Decimal | None = None
        warm: int = 0

    params: Params
    levels: ClassVar[int] = 4

    def warm_up(self) -> int:
        """Return what the parameters say."""
        return self.params.warm

    def numbers(self) -> Sequence[float]:
        """Return what is wanted."""
        return [float(KEEP) if each == 99 else float(each) for each in self.params.wanted]

    def cells(self) -> int:
        """Return a counter's room."""
        return 1

    @decision
    def decide(now: Now, values: Values, state: FloatArray, params: FloatArray) -> int:
        """Return what is wanted at this bar."""
        wanted = int(params[(now.n_bars - 1) % params.size])
        state[0] += 1.0 if now.close > now.open else -1.0
        if wanted == ASK_MARKET:
            return 4 if now.high - now.close < now.close - now.low else -1
        if wanted == ASK_POSITION:
            return 0 if now.position_lots != 0 else 2
        if wanted == ASK_STATE:
            return 1 if state[0] > 0 else 0
        return wanted
