"""What do exponential averages, and the indicators made of them, say now? A state and one value in, the next state out.

Plain functions, each self-contained: a strategy calls them interpreted, once for each bar, and `recursive_batch.py`
compiles the very same text into loops over whole arrays. A state holds no NaN, so that it can be stored; before there is anything to say a
value is NaN. A NaN among the inputs is a value that is missing: the state stays as it was. Infinite inputs are not
allowed for. Values have the unit of the inputs unless said otherwise.
"""

from math import comb
from typing import NamedTuple

NAN = float("nan")


class Ema(NamedTuple):
    """An exponential average; `n` is 0 before the first value, then 1."""

    n: int
    value: float


class Tema(NamedTuple):
    """Three exponential averages, each of the one before; `n` is 0 before the first value, then 1."""

    n: int
    first: float
    second: float
    third: float


class Macd(NamedTuple):
    """Two averages of the values and one of their difference; `n` is 0 before the first value, then 1."""

    n: int
    fast: float
    slow: float
    signal: float


class Rma(NamedTuple):
    """Wilder's average: while `n` < period the sum of the values seen, the average from then on."""

    n: int
    level: float


class Rsi(NamedTuple):
    """Wilder's averages of rises and falls; `n` counts values, up to period + 1, and `last` is the latest."""

    n: int
    last: float
    gain: float
    loss: float


class Atr(NamedTuple):
    """Wilder's average of true ranges; `n` counts bars, up to period, and `last` is the latest close."""

    n: int
    last: float
    level: float


NO_EMA = Ema(0, 0.0)
NO_TEMA = Tema(0, 0.0, 0.0, 0.0)
NO_MACD = Macd(0, 0.0, 0.0, 0.0)
NO_RMA = Rma(0, 0.0)
NO_RSI = Rsi(0, 0.0, 0.0, 0.0)
NO_ATR = Atr(0, 0.0, 0.0)


def span_alpha(span: float) -> float:
    """Return the weight of the newest value, 2 / (span + 1), whose average age is that of a plain mean of `span`."""
    return 2.0 / (span + 1.0)


def memory(alpha: float, passes: int = 1, weight: float = 1e-12) -> int:
    """Return after how many values all older ones together weigh less than `weight`.

    A cascade of p exponential averages gives what is older than the last n values the share
    sum over j < p of C(m, j) alpha^j (1 - alpha)^(m - j) with m = n + p - 1: fewer than p successes in m trials. The
    value that seeded the average counts as older.

    Args:
        alpha: Weight of the newest value, in (0, 1]; 1 / period for Wilder's average.
        passes: 1 for an EMA, 3 for the TEMA.
        weight: In (0, 1), a fraction.
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be in (0, 1], was {alpha}")

    def older(n: int) -> float:
        trials = n + passes - 1
        return sum(float(comb(trials, j)) * alpha**j * (1.0 - alpha) ** (trials - j) for j in range(passes))

    above = 1
    while older(above) >= weight:
        above *= 2
    below = above // 2
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if older(middle) >= weight else (below, middle)
    return above


def ema_step(state: Ema, x: float, alpha: float) -> Ema:
    """Put one value into an exponential average: value + alpha (x - value), seeded with the first value.

    Args:
        state: NO_EMA at the start.
        x: The newest value; NaN leaves the state as it was.
        alpha: Weight of the newest value, in (0, 1].
    """
    if x != x:
        return state
    if state.n == 0:
        return Ema(1, x)
    return Ema(1, state.value + alpha * (x - state.value))


def ema_value(state: Ema) -> float:
    """Return the average; NaN before the first value."""
    return state.value if state.n > 0 else NAN


def tema_step(state: Tema, x: float, alpha: float) -> Tema:
    """Put one value into three averages in a row, each pass over the result of the pass before.

    All three are seeded with the first value. NaN leaves the state as it was.

    Source: Mulloy (1994), "Smoothing Data with Faster Moving Averages", Stocks & Commodities 12(1), 11-19.
    """
    if x != x:
        return state
    if state.n == 0:
        return Tema(1, x, x, x)
    first = state.first + alpha * (x - state.first)
    second = state.second + alpha * (first - state.second)
    third = state.third + alpha * (second - state.third)
    return Tema(1, first, second, third)


def tema_value(state: Tema) -> float:
    """Return 3 EMA1 - 3 EMA2 + EMA3, which on a straight line has no lag; NaN before the first value."""
    return 3.0 * state.first - 3.0 * state.second + state.third if state.n > 0 else NAN


def macd_step(state: Macd, x: float, fast_alpha: float, slow_alpha: float, signal_alpha: float) -> Macd:
    """Put one value into both averages, and their difference into the signal; the first value seeds, signal 0.

    NaN leaves the state as it was.

    Source: Appel (1979), "The Moving Average Convergence-Divergence Trading Method".
    """
    if x != x:
        return state
    if state.n == 0:
        return Macd(1, x, x, 0.0)
    fast = state.fast + fast_alpha * (x - state.fast)
    slow = state.slow + slow_alpha * (x - state.slow)
    return Macd(1, fast, slow, state.signal + signal_alpha * (fast - slow - state.signal))


def macd_value(state: Macd) -> tuple[float, float]:
    """Return the MACD line, fast minus slow, and its signal; NaN, NaN before the first value."""
    return (state.fast - state.slow, state.signal) if state.n > 0 else (NAN, NAN)


def rma_step(state: Rma, x: float, period: int) -> Rma:
    """Put one value into Wilder's average: (average x (period - 1) + x) / period, an EMA of alpha = 1 / period.

    Seeded with the mean of the first `period` values, as Wilder does. NaN leaves the state as it was.

    Args:
        state: NO_RMA at the start.
        x: The newest value.
        period: Values in the seed, >= 1.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    if x != x:
        return state
    if state.n >= period:
        return Rma(period, (state.level * (period - 1) + x) / period)
    n, total = state.n + 1, state.level + x
    return Rma(n, total / period if n == period else total)


def rma_value(state: Rma, period: int) -> float:
    """Return the average; NaN before `period` values."""
    return state.level if state.n >= period else NAN


def rsi_step(state: Rsi, x: float, period: int) -> Rsi:
    """Put one price into Wilder's averages of rises and of falls, each seeded with the mean of the first `period`.

    Args:
        state: NO_RSI at the start.
        x: The newest price; NaN leaves the state as it was.
        period: Changes in the seed, >= 1; Wilder's own is 14.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems", chapter 6.
    """
    if x != x:
        return state
    if state.n == 0:
        return Rsi(1, x, 0.0, 0.0)
    change = x - state.last
    rise, fall = max(change, 0.0), max(-change, 0.0)
    if state.n > period:
        gain = (state.gain * (period - 1) + rise) / period
        return Rsi(state.n, x, gain, (state.loss * (period - 1) + fall) / period)
    n, gain, loss = state.n + 1, state.gain + rise, state.loss + fall
    if n > period:
        return Rsi(n, x, gain / period, loss / period)
    return Rsi(n, x, gain, loss)


def rsi_value(state: Rsi, period: int) -> float:
    """Return the RSI, 0 to 100, without a unit; NaN before `period` + 1 prices.

    100 - 100 / (1 + gain / loss), written as 100 gain / (gain + loss): 100 if nothing fell, 0 if nothing rose. Where
    nothing moved at all Wilder's formula says nothing; it counts as 50.
    """
    if state.n <= period:
        return NAN
    moved = state.gain + state.loss
    # A product of the smallest floats can round up beyond its share.
    return min(100.0, 100.0 * state.gain / moved) if moved > 0.0 else 50.0


def atr_step(state: Atr, high: float, low: float, close: float, period: int) -> Atr:
    """Put one bar into Wilder's average of true ranges, seeded with the mean of the first `period`.

    The true range is the largest of high - low, |high - last close| and |low - last close|; of the first bar, which
    has no close before it, high - low. A bar with a NaN leaves the state as it was.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems", chapter 3.
    """
    if high != high or low != low or close != close:
        return state
    true_range = high - low
    if state.n > 0:
        true_range = max(true_range, abs(high - state.last), abs(low - state.last))
    if state.n >= period:
        return Atr(period, close, (state.level * (period - 1) + true_range) / period)
    n, total = state.n + 1, state.level + true_range
    return Atr(n, close, total / period if n == period else total)


def atr_value(state: Atr, period: int) -> float:
    """Return the average true range, in price; NaN before `period` bars."""
    return state.level if state.n >= period else NAN
