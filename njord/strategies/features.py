"""What may a strategy compute before the run? All bars of one instrument as arrays in, named float arrays out.

`precompute` sees every row at once, which is fast and is the one door through which the future can leak: the value of
row i may use rows up to i and no later ones. `njord poison` replaces later rows by noise to see whether that holds.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class BarColumns(msgspec.Struct, frozen=True, kw_only=True):
    """All bars of one instrument in a run, as arrays of equal length.

    Attributes:
        instrument: Its symbol, tick and lot.
        ts_open_ns: When each bar opened, rising.
        ts_ns: When each bar closed, and so became known.
        open: First price, in ticks, int64, exact; so are `high`, `low` and `close`.
        volume_lots: Volume in lots.
    """

    instrument: Instrument
    ts_open_ns: IntArray
    ts_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume_lots: IntArray

    def __len__(self) -> int:
        return int(self.ts_ns.size)

    @property
    def open_price(self) -> FloatArray:
        """First price, float64, for signals: what `bar.open` is in `on_bar`."""
        return self._prices(self.open)

    @property
    def high_price(self) -> FloatArray:
        """Highest price, float64, for signals."""
        return self._prices(self.high)

    @property
    def low_price(self) -> FloatArray:
        """Lowest price, float64, for signals."""
        return self._prices(self.low)

    @property
    def close_price(self) -> FloatArray:
        """Last price, float64, for signals."""
        return self._prices(self.close)

    @property
    def volume(self) -> FloatArray:
        """Volume in base, float64."""
        instrument = self.instrument
        return self.volume_lots * instrument.lot_multiple / float(10**instrument.lot_scale)

    def rows(self, first: int, end: int) -> "BarColumns":
        """Return the bars [first, end) as columns of their own, sharing memory."""
        names = ("ts_open_ns", "ts_ns", "open", "high", "low", "close", "volume_lots")
        return BarColumns(
            instrument=self.instrument, **{name: getattr(self, name)[first:end] for name in names}
        )

    # The same division as Instrument.price_float: below 2**53 ticks the very same floats.
    def _prices(self, ticks: IntArray) -> FloatArray:
        return ticks * self.instrument.tick_multiple / float(10**self.instrument.tick_scale)


def checked_features(given: object, n_rows: int) -> dict[str, FloatArray]:
    """Return what a `precompute` returned, if it is one float64 per bar and name; NaN is a value like any other.

    Raises:
        TypeError: It is no mapping of names to float arrays.
        ValueError: An array has not one value per bar.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"precompute returns a mapping of names to arrays, or None, was {type(given).__name__}"
        )
    return {_name(name): _array(name, values, n_rows) for name, values in given.items()}


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a feature's name is text, was {type(name).__name__}")
    return name


# Whole numbers are refused too: a price in ticks that passes for a price in quote is a mistake nobody sees.
def _array(name: object, values: object, n_rows: int) -> FloatArray:
    if not isinstance(values, np.ndarray):
        raise TypeError(f"feature {name!r} must be a numpy array, was {type(values).__name__}")
    if values.dtype != np.float64:
        raise TypeError(f"feature {name!r} must be of float64, was {values.dtype}; say values.astype(float)")
    if values.shape != (n_rows,):
        raise ValueError(
            f"feature {name!r} must have one value per bar, shape ({n_rows},), was {values.shape}; "
            "fill the rows without a value with nan"
        )
    return values
