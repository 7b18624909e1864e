"""Which numbers does a strategy read at every bar? Named by `Strategy.indicators`, computed by the host, never by hand.

    def indicators(self) -> Mapping[str, Indicator]:
        return {"fast": Sma(self.params.fast), "rsi": Rsi(14), "lower": Band(20, -2.0)}

`ctx.feature("fast")` is then the value at the current bar. Prices are in quote, volumes in base, as `bar.close` and
`bar.volume` are; NaN until there is something to say. A value is made of its bar and earlier ones, and is the same bits
whether it came bar by bar (live, paper, replay) or a block at a time (a backtest): `indicator_steps.py`.

Moving averages and their like are of `of`: "open", "high", "low", "close" or "volume".
"""

from typing import Literal

import msgspec

Column = Literal["open", "high", "low", "close", "volume"]


class Indicator(msgspec.Struct, frozen=True):
    """Base of all indicators: a description, equal to another that says the same; it has no state."""


class Value(Indicator, frozen=True):
    """The bar's own number, for `wakes`."""

    of: Column = "close"


class _Windowed(Indicator, frozen=True):
    window: int
    of: Column = "close"

    def __post_init__(self) -> None:
        _check_whole("window", self.window)


class Sma(_Windowed, frozen=True):
    """Mean of the last `window` values; NaN until there are as many.

    A sum of whole ticks divided once: two means that are equal as fractions are equal floats, and one that is greater
    is a greater float as long as sum x window of the other stays below 2**50.
    """


class Deviation(_Windowed, frozen=True):
    """Population standard deviation (divided by n) of the last `window` values; NaN until there are as many."""


class Slope(_Windowed, frozen=True):
    """Slope of the least-squares line through the last `window` values, per bar; NaN until there are as many."""


class Highest(_Windowed, frozen=True):
    """Greatest of the last `window` values; NaN until there are as many."""


class Lowest(_Windowed, frozen=True):
    """Least of the last `window` values; NaN until there are as many."""


class Band(Indicator, frozen=True):
    """Mean + `width` x population deviation of the last `window` values: a Bollinger band, the lower where `width` < 0."""

    window: int = 20
    width: float = 2.0
    of: Column = "close"

    def __post_init__(self) -> None:
        _check_whole("window", self.window)


class Ema(Indicator, frozen=True):
    """Exponential average with the weight 2 / (span + 1), seeded with the first value."""

    span: int
    of: Column = "close"

    def __post_init__(self) -> None:
        _check_whole("span", self.span)


class Tema(Indicator, frozen=True):
    """Mulloy's triple exponential average with the weight 2 / (span + 1), seeded with the first value."""

    span: int
    of: Column = "close"

    def __post_init__(self) -> None:
        _check_whole("span", self.span)


class Rsi(Indicator, frozen=True):
    """Wilder's relative strength, 0 to 100; NaN until there are `period` + 1 values."""

    period: int = 14
    of: Column = "close"

    def __post_init__(self) -> None:
        _check_whole("period", self.period)


class Atr(Indicator, frozen=True):
    """Wilder's average true range, in quote; NaN until there are `period` bars."""

    period: int = 14

    def __post_init__(self) -> None:
        _check_whole("period", self.period)


def _check_whole(name: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} of an indicator is a whole number of bars >= 1, was {value!r}")
