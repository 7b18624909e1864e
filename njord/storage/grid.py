"""Which tick do these prices lie on, and which tick is each of them? Floats in, whole ticks out; numpy only.

The float of a price of n ticks, tick = m x 10**-k, is the correctly rounded quotient n*m / 10**k: both operands
are exact as floats below 2**53 and for k <= 22, and IEEE 754 division rounds correctly. So a price is clean exactly
when it equals that quotient, and everything else is dirt or off the grid.
"""

from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import plain

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

DIRT_TICKS = 1e-6
# What arithmetic leaves on a float is a few of its last bits; a price further off than 2**10 of them was meant so:
# 124.999999 is no 125 with a little dirt.
DIRT_RELATIVE = 2.0**10 * float(np.finfo(np.float64).eps)
FINEST_DECIMALS = 12
MISFITS_PER_PRICE = 0.001
# In units of the tick's last decimal. Below it scaling a price errs by less than half a unit, so that rounding finds
# the right tick, and floats stand at least eight to a tick, so that lying on the grid still says something.
_UNITS_BELOW = 2.0**50
_INT64_LOTS = 2.0**63


class Snapped(msgspec.Struct, frozen=True):
    """Prices as ticks, and how each came there."""

    ticks: IntArray
    dirty: BoolArray  # Within 1e-6 tick of a grid point, but not the float nearest to it.
    off_grid: BoolArray  # Further away: rounded to the nearest tick.


class TickInference:
    """Finds the coarsest power of ten, 1 at most, that at least 99.9 % of prices lie on.

    Never coarser than 1: a short file of round prices (100, 110) says little about the grid, and too coarse a tick
    distorts every fill, where one too fine costs nothing.
    """

    def __init__(self, n_prices: int) -> None:
        self._allowed = int(n_prices * MISFITS_PER_PRICE)
        self._misfits = [0] * (FINEST_DECIMALS + 1)
        self._coarsest = 0
        self._price_max = 0.0

    def add(self, prices: FloatArray) -> None:
        """Count the `prices` (finite, > 0) that miss each grid still in question.

        Whatever lies on a grid lies on every finer one, so that only the misfits go on to the next.
        """
        left = prices
        self._price_max = max(self._price_max, float(prices.max(initial=0.0)))
        for decimals in range(self._coarsest, FINEST_DECIMALS + 1):
            if self._price_max * 10.0**decimals >= _UNITS_BELOW:
                return  # No grid this fine can be told; if none coarser fits, `tick` says so.
            snapped = snap(left, decimals, 1)
            left = left[snapped.off_grid]
            self._misfits[decimals] += len(left)
            if self._misfits[decimals] > self._allowed:
                self._coarsest = max(self._coarsest, decimals + 1)
            if not len(left):
                return

    def tick(self, where: str) -> Decimal:
        """Return the inferred tick.

        Raises:
            DataError: The prices lie on no grid down to 1e-12, or on none that their floats can tell apart.
        """
        if self._coarsest > FINEST_DECIMALS or self._price_max * 10.0**self._coarsest >= _UNITS_BELOW:
            raise DataError(
                f"{where}: the prices lie on no grid of a power of ten (99.9 % of them must, down to 1e-{FINEST_DECIMALS})",
                "give the tick with --tick, such as --tick 0.01",
            )
        return Decimal(1).scaleb(-self._coarsest)


def snap(prices: FloatArray, decimals: int, multiple: int) -> Snapped:
    """Return `prices` in ticks of multiple x 10**-decimals, each to the nearest tick.

    Args:
        prices: Finite, > 0, and below 2**50 units of 10**-decimals (`check_range`). One halfway between two ticks may
            go to either: scaling a float is itself rounded.
        decimals: 0 to 18.
        multiple: The tick in units of 10**-decimals, >= 1.
    """
    scale = 10.0**decimals
    nearest = np.rint(prices * scale if multiple == 1 else prices * scale / multiple)
    clean = (nearest * multiple if multiple != 1 else nearest) / scale == prices
    if clean.all():
        nothing = np.zeros(len(prices), dtype=np.bool_)
        return Snapped(nearest.astype(np.int64), nothing, nothing)
    # Zero is no price: 1e-7 is not 0 ticks of 1 with a little dirt, it is far off that grid.
    dirt = np.minimum(DIRT_TICKS, DIRT_RELATIVE * nearest)
    near = (np.abs(prices * scale / multiple - nearest) <= dirt) & (nearest > 0)
    return Snapped(nearest.astype(np.int64), near & ~clean, ~near & ~clean)


def check_range(price_max: float, instrument: Instrument, where: str) -> None:
    """Refuse prices that have more ticks than a float can tell apart.

    Raises:
        DataError: The largest price is 2**50 or more units of the tick's last decimal.
    """
    if price_max * 10.0**instrument.tick_scale >= _UNITS_BELOW:
        raise DataError(
            f"{where}: the price {price_max:.17g} is too large for a tick of {plain(instrument.tick_size)} (2**50 units at most)",
            "give a coarser tick with --tick",
        )


def lots(volumes: FloatArray, instrument: Instrument, where: str) -> IntArray:
    """Return `volumes` (finite, >= 0, in base) in lots, rounded to the nearest, ties to even: for information only.

    Raises:
        DataError: A volume has more lots than an int64 holds.
    """
    counted = np.rint(volumes * 10.0**instrument.lot_scale / instrument.lot_multiple)
    if len(counted) and counted.max() >= _INT64_LOTS:
        raise DataError(
            f"{where}: the volume {float(volumes.max()):.17g} is too large for a lot of {plain(instrument.lot_size)} (2**63 lots at most)",
            "give a coarser lot with --lot, such as --lot 0.001",
        )
    return counted.astype(np.int64)
