"""Buy when a fall ends: RSI back from oversold, TEMA rising below the middle Bollinger band; sell what is overbought."""

import msgspec

from njord.kernels.recursive import (
    NO_RSI,
    NO_TEMA,
    Rsi,
    Tema,
    memory,
    rsi_step,
    rsi_value,
    span_alpha,
    tema_step,
    tema_value,
)
from njord.kernels.rolling import NO_SUMS, Sums, bollinger_value, sums_step
from njord.strategies import BarView, Context, Proposals, Strategy, StrategyParams, Target

_DECIMALS = 6  # Of the features: what is left of the time before the warm-up lies below them.


class RsiTemaBb(Strategy):
    """Wilder's RSI, the true TEMA and Bollinger bands on closes; long or flat.

    Long when the RSI rises through `oversold` while the TEMA rises and is still below the middle band. Flat again when
    the RSI is above `overbought` or the close above the upper band. A bar whose close lies outside its own high and low
    is malformed and is passed over.
    """

    class Params(StrategyParams, frozen=True):
        """Periods are in bars, RSI levels in 0 to 100, the bands' width in standard deviations."""

        rsi_period: int = 14
        oversold: float = 30.0
        overbought: float = 70.0
        tema_span: int = 9
        bb_window: int = 20
        bb_width: float = 2.0
        weight: float = 1.0

        def __post_init__(self) -> None:
            for name in ("rsi_period", "tema_span", "bb_window"):
                if not 2 <= getattr(self, name) <= 1_000:
                    raise ValueError(f"{name} must be 2 to 1000, was {getattr(self, name)}")
            if not 0 < self.oversold < self.overbought < 100:
                raise ValueError(
                    f"0 < oversold < overbought < 100 must hold, was {self.oversold}, {self.overbought}"
                )
            if not 0 < self.bb_width <= 10:
                raise ValueError(f"bb_width must be in (0, 10], was {self.bb_width}")
            if not 0 < self.weight <= 1:
                raise ValueError(f"weight must be in (0, 1], was {self.weight}")

    class State(msgspec.Struct):
        """The indicators, the closes in the bands' window, and what was asked for last."""

        rsi: Rsi = NO_RSI
        tema: Tema = NO_TEMA
        bands: Sums = NO_SUMS
        closes: list[int] = msgspec.field(default_factory=list)
        is_long: bool = False

    params: Params
    state: State

    def warm_up(self) -> int:
        """Return enough bars that whatever came before them weighs less than 1e-12 in every indicator."""
        params = self.params
        rsi = params.rsi_period + memory(1.0 / params.rsi_period)
        tema = memory(span_alpha(params.tema_span), passes=3)
        return 1 + max(rsi, tema, params.bb_window)

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Update the indicators; propose a new target when they say so."""
        params, state = self.params, self.state
        if not 0 < bar.low_ticks <= bar.close_ticks <= bar.high_ticks:
            return None
        rsi_before, tema_before = rsi_value(state.rsi, params.rsi_period), tema_value(state.tema)
        self._update(bar)
        if not ctx.is_warm:
            return None
        close, tick = bar.close, bar.instrument.price_float(1)
        rsi, tema = rsi_value(state.rsi, params.rsi_period), tema_value(state.tema)
        _, middle, upper = (
            band * tick for band in bollinger_value(state.bands, params.bb_window, params.bb_width)
        )
        if state.is_long:
            if rsi <= params.overbought and close <= upper:
                return None
            reason = "RSI overbought" if rsi > params.overbought else "close above the upper band"
        elif rsi_before <= params.oversold < rsi and tema_before < tema < middle:
            reason = "RSI back from oversold"
        else:
            return None
        state.is_long = not state.is_long
        values = (("rsi", rsi), ("tema", tema), ("middle", middle), ("upper", upper))
        return Target(
            weight=params.weight if state.is_long else 0.0,
            reason=reason,
            features=tuple((name, round(value, _DECIMALS)) for name, value in values),
        )

    # The averages in price, the bands in whole ticks, whose sums are exact.
    def _update(self, bar: BarView) -> None:
        params, state = self.params, self.state
        close, ticks = bar.close, bar.close_ticks
        state.rsi = rsi_step(state.rsi, close, params.rsi_period)
        state.tema = tema_step(state.tema, close, span_alpha(params.tema_span))
        leaving = state.closes.pop(0) if len(state.closes) == params.bb_window else 0
        state.closes.append(ticks)
        state.bands = sums_step(state.bands, ticks, leaving, params.bb_window)
