"""Long while the close makes a new high of the last `window` bars, flat again below their low: a Donchian breakout.

njord backtest examples/breakout.py --data BTCUSDT-1h.csv --param window=48
"""

from njord.strategies import BarView, Context, Proposals, Strategy, StrategyParams, Target


class Breakout(Strategy):
    """Buys strength and sells weakness; the channel is made of the bars before the current one."""

    class Params(StrategyParams, frozen=True):
        """`window` is in bars, `weight` the share of equity held while long."""

        window: int = 48
        weight: float = 1.0

        def __post_init__(self) -> None:
            if self.window < 2:
                raise ValueError(f"window must be >= 2, was {self.window}")
            if not 0 < self.weight <= 1:
                raise ValueError(f"weight must be in (0, 1], was {self.weight}")

    params: Params

    def warm_up(self) -> int:
        """Return the window and the current bar: `history` reaches back as far."""
        return self.params.window + 1

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Compare the close with the channel of the bars before it."""
        if not ctx.is_warm:
            return None
        before = ctx.history(self.params.window + 1)[:-1]
        if not ctx.qty and bar.close_ticks > max(past.high_ticks for past in before):
            return Target(weight=self.params.weight, reason="above the channel")
        if ctx.qty and bar.close_ticks < min(past.low_ticks for past in before):
            return Target(weight=0.0, reason="below the channel")
        return None
