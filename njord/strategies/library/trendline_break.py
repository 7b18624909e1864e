"""Long from the close that breaks above the trend line of the closes before it, flat from the one that breaks below."""

import msgspec

from njord.kernels.rolling import NO_LINE, Line, ahead_value, line_step
from njord.strategies import BarView, Context, Proposals, Strategy, StrategyParams, Target


class TrendlineBreak(Strategy):
    """A least-squares line through the last `window` closes, drawn on by one bar, against the close that came.

    Both sides are compared as whole numbers, so a close exactly on the threshold is no break. A bar whose close lies
    outside its own high and low is malformed and is passed over.
    """

    class Params(StrategyParams, frozen=True):
        """`window` is in bars, `break_bps` in basis points of the line; `weight` is the share of equity while long."""

        window: int = 5
        break_bps: int = 200
        weight: float = 1.0

        def __post_init__(self) -> None:
            if self.window < 2:
                raise ValueError(f"window must be >= 2, was {self.window}")
            if not 0 < self.break_bps < 10_000:
                raise ValueError(f"break_bps must be in (0, 10000), was {self.break_bps}")
            if not 0 < self.weight <= 1:
                raise ValueError(f"weight must be in (0, 1], was {self.weight}")

    class State(msgspec.Struct):
        """The closes that the line goes through, their sums, and what was asked for last."""

        closes: list[int] = msgspec.field(default_factory=list)
        line: Line = NO_LINE
        is_long: bool = False

    params: Params
    state: State

    def warm_up(self) -> int:
        """Return the window and the bar that may break it."""
        return self.params.window + 1

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Compare the close with the line of the bars before, then let it join the line."""
        params, state = self.params, self.state
        close = bar.close_ticks
        if not 0 < bar.low_ticks <= close <= bar.high_ticks:
            return None
        numerator, denominator = ahead_value(state.line, params.window)
        is_known = state.line.n == params.window
        leaving = state.closes.pop(0) if is_known else 0
        state.closes.append(close)
        state.line = line_step(state.line, close, leaving, params.window)
        if not is_known or not ctx.is_warm:
            return None
        scaled = close * denominator * 10_000
        if not state.is_long and scaled > numerator * (10_000 + params.break_bps):
            state.is_long = True
            reason, weight = "broke above the trend line", params.weight
        elif state.is_long and scaled < numerator * (10_000 - params.break_bps):
            state.is_long = False
            reason, weight = "broke below the trend line", 0.0
        else:
            return None
        line = numerator / denominator * bar.instrument.price_float(1)
        return Target(weight=weight, reason=reason, features=(("close", bar.close), ("line", line)))
