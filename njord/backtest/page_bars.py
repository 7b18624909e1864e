"""Which candles does the page show? The bars or trades of a run come in, piece by piece; at most a few thousand candles of a
round width go out, exact: the first open, the highest high, the lowest low, the last close.
"""

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.backtest.reported import PricePiece
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S

IntArray = NDArray[np.int64]

CANDLES_MAX = 4_000
_WIDTHS_NS = (
    *(seconds * NS_PER_S for seconds in (1, 2, 5, 10, 15, 30)),
    *(minutes * NS_PER_MINUTE for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)),
    *(days * NS_PER_DAY for days in (1, 2, 7, 14, 28)),
)


class Candles(msgspec.Struct, frozen=True):
    """Candles as columns of equal length; prices in ticks.

    Attributes:
        width_ns: Width of a candle; the bar interval if every bar is shown.
        ts_ns: Opening time of each candle, strictly increasing, whole seconds apart.
        n_bars: How many bars or trades went in.
    """

    width_ns: int
    ts_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    n_bars: int

    def columns(self, instrument: Instrument) -> dict[str, list[float]]:
        """Return open, high, low, close as the floats nearest to the prices."""
        return {
            name: [instrument.price_float(ticks) for ticks in column.tolist()]
            for name, column in (("o", self.open), ("h", self.high), ("l", self.low), ("c", self.close))
        }


def candle_width_ns(interval_ns: int, span_ns: int, n_max: int = CANDLES_MAX) -> int:
    """Return the smallest round width, not below the bars', that cuts `span_ns` into `n_max` candles at most.

    One candle less than `n_max` is counted on, because UTC boundaries can cut the span at both ends.
    """
    if interval_ns >= NS_PER_S and span_ns <= interval_ns * n_max:
        return interval_ns
    for width_ns in _WIDTHS_NS:
        if width_ns >= interval_ns and span_ns <= width_ns * (n_max - 1):
            return width_ns
    width_ns = max(_WIDTHS_NS[-1], interval_ns)
    while span_ns > width_ns * (n_max - 1):
        width_ns *= 2
    return width_ns


def bucket_candles(pieces: Iterable[PricePiece], width_ns: int, interval_ns: int) -> Candles:
    """Return the candles of successive bars or trades; memory is one piece and the candles.

    Bars as wide as a candle keep their own opening time; wider candles begin at multiples of their width since 1970.

    Raises:
        ValueError: There are no bars.
    """
    done: list[list[IntArray]] = []
    n_bars, origin = 0, 0
    for prices in pieces:
        if not n_bars and width_ns == interval_ns:
            origin = int(prices.ts_open_ns[0]) % width_ns
        n_bars += prices.ts_open_ns.size
        piece = _bucket(prices, width_ns, origin)
        if done and done[-1][0][-1] == piece[0][0]:
            _join(done[-1], piece)
        done.append(piece)
    if not n_bars:
        raise ValueError("there are no bars to show")
    ts_ns, open_, high, low, close = (np.concatenate(columns) for columns in zip(*done, strict=True))
    return Candles(width_ns, ts_ns, open_, high, low, close, n_bars)


def _bucket(prices: PricePiece, width_ns: int, origin: int) -> list[IntArray]:
    starts_ns = (prices.ts_open_ns - origin) // width_ns * width_ns + origin
    first = np.flatnonzero(np.concatenate(([True], starts_ns[1:] != starts_ns[:-1])))
    last = np.append(first[1:], starts_ns.size) - 1
    return [
        starts_ns[first],
        prices.open[first],
        np.maximum.reduceat(prices.high, first),
        np.minimum.reduceat(prices.low, first),
        prices.close[last],
    ]


# A candle that began in the chunk before goes on: it moves, complete so far, from there to here.
def _join(before: list[IntArray], piece: list[IntArray]) -> None:
    piece[1][0] = before[1][-1]
    piece[2][0] = max(before[2][-1], piece[2][0])
    piece[3][0] = min(before[3][-1], piece[3][0])
    before[:] = [column[:-1] for column in before]
