"""What does a declared indicator say now? Bars in, one by one or as columns; floats out, the same bits either way.

A `Running` is one indicator on one instrument from its first bar on. `step` and `piece` may follow each other in any
order: both leave the state behind in which the other goes on.
"""

from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Protocol

import numpy as np

from njord.core.contracts import Bar
from njord.core.instrument import Instrument
from njord.kernels import recursive, rolling, rolling_batch
from njord.strategies import indicators as declared
from njord.strategies.features import BarColumns, FloatArray, IntArray
from njord.strategies.indicators import Indicator

_NAN = float("nan")
_MESSAGE_FIELD = {"volume": "volume_lots"}  # The others are called the same in messages and columns.


class Running(Protocol):
    """One indicator under way."""

    def step(self, bar: Bar) -> float:
        """Take the next bar; return the value at it."""

    def piece(self, bars: BarColumns) -> FloatArray:
        """Take the next bars; return the value at each, float64, shape (n,)."""


def start(indicator: Indicator, instrument: Instrument) -> Running:
    """Return `indicator` on an instrument none of whose bars has been seen.

    Raises:
        TypeError: It is none of the indicators there are.
    """
    make = _STARTS.get(type(indicator))
    if make is None:
        raise TypeError(f"{type(indicator).__name__} is no indicator; see njord.strategies.indicators")
    running: Running = make(indicator, instrument)
    return running


# --- one number of a bar ---


# Whole numbers of a bar, and the way from them to the floats that a strategy reads.
class _Source:
    def __init__(self, of: str, instrument: Instrument) -> None:
        self.whole: Callable[[Bar], int] = attrgetter(_MESSAGE_FIELD.get(of, of))
        self.wholes: Callable[[BarColumns], IntArray] = attrgetter(_MESSAGE_FIELD.get(of, of))
        if of == "volume":
            self.multiple, self.divisor = instrument.lot_multiple, float(10**instrument.lot_scale)
        else:
            self.multiple, self.divisor = instrument.tick_multiple, float(10**instrument.tick_scale)

    def scaled(self, value: Any) -> Any:
        return value * self.multiple / self.divisor


class _Value:
    def __init__(self, spec: declared.Value, instrument: Instrument) -> None:
        self._source = _Source(spec.of, instrument)

    def step(self, bar: Bar) -> float:
        return float(self._source.scaled(self._source.whole(bar)))

    def piece(self, bars: BarColumns) -> FloatArray:
        values: FloatArray = self._source.scaled(self._source.wholes(bars))
        return values


# --- windows of whole numbers: a piece begins again with the window before it, and the sums are exact ---


class _Window:
    def __init__(self, spec: Any, instrument: Instrument) -> None:
        self._source = _Source(spec.of, instrument)
        self._window: int = spec.window
        # What is in the window: after a step as a queue, after a piece as an array, which no step may ever ask for.
        self._seen: deque[int] = deque(maxlen=self._window)
        self._tail: IntArray | None = None

    def step(self, bar: Bar) -> float:
        if self._tail is not None:
            self._refresh()
        source, seen = self._source, self._seen
        x = source.whole(bar)
        leaving = seen[0] if len(seen) == self._window else 0
        seen.append(x)
        return self._next(x, leaving) * source.multiple / source.divisor

    def piece(self, bars: BarColumns) -> FloatArray:
        own = self._source.wholes(bars)
        if not own.size:
            return np.empty(0)
        tail = np.array(self._seen, dtype=np.int64) if self._tail is None else self._tail
        before = tail[max(0, tail.size - self._window + 1) :]
        every = np.concatenate((before, own))
        said = np.empty(every.size)
        try:
            self._batch(every, said)
        except ValueError:  # What an int64 can not sum, Python's own numbers can.
            self._refresh()
            said[before.size :] = [self._stepped(x) for x in own.tolist()]
        else:
            self._tail = every[max(0, every.size - self._window) :]
        values: FloatArray = self._source.scaled(said[before.size :])
        return values

    # Go on by steps where a piece has ended.
    def _refresh(self) -> None:
        if self._tail is not None:
            self._seen.clear()  # A tail that is shorter than the window begins with what was seen.
            self._seen.extend(self._tail.tolist())
            self._tail = None
            self._refill()

    def _stepped(self, x: int) -> float:
        seen = self._seen
        leaving = seen[0] if len(seen) == self._window else 0
        seen.append(x)
        return self._next(x, leaving)

    # One value comes in, `leaving` has just left; the result is in whole units.
    def _next(self, x: int, leaving: int) -> float:
        raise NotImplementedError

    def _batch(self, xs: IntArray, out: FloatArray) -> None:
        raise NotImplementedError

    # Make the state that `_next` goes on from out of what is in the window.
    def _refill(self) -> None:
        raise NotImplementedError


class _Sums(_Window):
    _sums = rolling.NO_SUMS

    def _next(self, x: int, leaving: int) -> float:
        self._sums = rolling.sums_step(self._sums, x, leaving, self._window)
        return self._said()

    def _refill(self) -> None:
        seen = self._seen
        self._sums = rolling.Sums(len(seen), sum(seen), sum(x * x for x in seen))

    def _said(self) -> float:
        raise NotImplementedError


class _Sma(_Window):
    _total = 0

    # What `sums_step` and `mean_value` do, without the squares: it is called on every bar of a replay.
    def _next(self, x: int, leaving: int) -> float:
        self._total = total = self._total + x - leaving
        return float(total) / float(self._window) if len(self._seen) == self._window else _NAN

    def _refill(self) -> None:
        self._total = sum(self._seen)

    def _batch(self, xs: IntArray, out: FloatArray) -> None:
        rolling_batch.check_total(xs, self._window)
        rolling_batch.mean(xs, self._window, out)


class _Deviation(_Sums):
    def _said(self) -> float:
        return rolling.deviation_value(self._sums, self._window)

    def _batch(self, xs: IntArray, out: FloatArray) -> None:
        rolling_batch.deviation(xs, self._window, rolling_batch.check_range(xs, self._window), out)


class _Band(_Sums):
    def __init__(self, spec: declared.Band, instrument: Instrument) -> None:
        super().__init__(spec, instrument)
        self._width = spec.width

    def _said(self) -> float:
        return rolling.bollinger_value(self._sums, self._window, self._width)[2]

    def _batch(self, xs: IntArray, out: FloatArray) -> None:
        reach = np.empty(xs.size)
        rolling_batch.deviation(xs, self._window, rolling_batch.check_range(xs, self._window), reach)
        rolling_batch.mean(xs, self._window, out)
        out += self._width * reach


class _Slope(_Window):
    _line = rolling.NO_LINE

    def _next(self, x: int, leaving: int) -> float:
        self._line = rolling.line_step(self._line, x, leaving, self._window)
        return rolling.slope_value(self._line, self._window)

    def _batch(self, xs: IntArray, out: FloatArray) -> None:
        rolling_batch.slope(xs, self._window, rolling_batch.check_range(xs, self._window), out)

    def _refill(self) -> None:
        seen = self._seen
        self._line = rolling.Line(len(seen), sum(seen), sum(place * x for place, x in enumerate(seen)))


class _Extreme(_Window):
    def __init__(self, spec: Any, instrument: Instrument) -> None:
        super().__init__(spec, instrument)
        self._sign = 1 if isinstance(spec, declared.Highest) else -1
        self._head = self._n = self._row = 0
        self._refill()

    def _next(self, x: int, leaving: int) -> float:
        self._push(x)
        return float(self._values[self._head]) if self._row >= self._window else _NAN

    def _push(self, x: int) -> None:
        self._head, self._n = rolling.extreme_step(
            self._rows, self._values, self._head, self._n, self._row, x, self._sign
        )
        self._row += 1

    def _batch(self, xs: IntArray, out: FloatArray) -> None:
        from njord.kernels.rolling_extreme import extreme  # Loads a compiler, where extremes are asked for.

        extremes = np.empty(xs.size, dtype=np.int64)
        extreme(xs, self._window, self._sign, extremes)
        out[:] = extremes
        out[: self._window - 1] = _NAN

    def _refill(self) -> None:
        self._rows, self._values = [0] * self._window, [0] * self._window
        self._head = self._n = self._row = 0
        for x in self._seen:
            self._push(x)


# --- recursions over floats ---


class _Recursive:
    def __init__(self, of: str, instrument: Instrument, state: Any) -> None:
        self._source = _Source(of, instrument)
        self._state = state

    def step(self, bar: Bar) -> float:
        source = self._source
        return self._next(float(source.scaled(source.whole(bar))))

    def piece(self, bars: BarColumns) -> FloatArray:
        source = self._source
        values = source.scaled(source.wholes(bars))
        out = np.empty(values.size)
        if values.size:
            self._state = self._batch(values, out)
        return out

    def _next(self, x: float) -> float:
        raise NotImplementedError

    def _batch(self, xs: FloatArray, out: FloatArray) -> Any:
        raise NotImplementedError


class _Ema(_Recursive):
    def __init__(self, spec: declared.Ema, instrument: Instrument) -> None:
        super().__init__(spec.of, instrument, recursive.NO_EMA)
        self._alpha = recursive.span_alpha(spec.span)

    def _next(self, x: float) -> float:
        self._state = recursive.ema_step(self._state, x, self._alpha)
        return recursive.ema_value(self._state)

    def _batch(self, xs: FloatArray, out: FloatArray) -> recursive.Ema:
        from njord.kernels.recursive_batch import ema

        return ema(self._state, xs, self._alpha, out)


class _Tema(_Recursive):
    def __init__(self, spec: declared.Tema, instrument: Instrument) -> None:
        super().__init__(spec.of, instrument, recursive.NO_TEMA)
        self._alpha = recursive.span_alpha(spec.span)

    def _next(self, x: float) -> float:
        self._state = recursive.tema_step(self._state, x, self._alpha)
        return recursive.tema_value(self._state)

    def _batch(self, xs: FloatArray, out: FloatArray) -> recursive.Tema:
        from njord.kernels.recursive_batch import tema

        return tema(self._state, xs, self._alpha, out)


class _Rsi(_Recursive):
    def __init__(self, spec: declared.Rsi, instrument: Instrument) -> None:
        super().__init__(spec.of, instrument, recursive.NO_RSI)
        self._period = spec.period

    def _next(self, x: float) -> float:
        self._state = recursive.rsi_step(self._state, x, self._period)
        return recursive.rsi_value(self._state, self._period)

    def _batch(self, xs: FloatArray, out: FloatArray) -> recursive.Rsi:
        from njord.kernels.recursive_batch import rsi

        return rsi(self._state, xs, self._period, out)


class _Atr:
    def __init__(self, spec: declared.Atr, instrument: Instrument) -> None:
        self._price = instrument.price_float
        self._period = spec.period
        self._state = recursive.NO_ATR

    def step(self, bar: Bar) -> float:
        high, low, close = self._price(bar.high), self._price(bar.low), self._price(bar.close)
        self._state = recursive.atr_step(self._state, high, low, close, self._period)
        return recursive.atr_value(self._state, self._period)

    def piece(self, bars: BarColumns) -> FloatArray:
        from njord.kernels.recursive_batch import atr

        out = np.empty(len(bars))
        if len(bars):
            high, low, close = bars.high_price, bars.low_price, bars.close_price
            self._state = atr(self._state, high, low, close, self._period, out)
        return out


_STARTS: dict[type[Indicator], Callable[[Any, Instrument], Running]] = {
    declared.Value: _Value,
    declared.Sma: _Sma,
    declared.Deviation: _Deviation,
    declared.Band: _Band,
    declared.Slope: _Slope,
    declared.Highest: _Extreme,
    declared.Lowest: _Extreme,
    declared.Ema: _Ema,
    declared.Tema: _Tema,
    declared.Rsi: _Rsi,
    declared.Atr: _Atr,
}
