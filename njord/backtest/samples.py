"""How much was at stake, moment by moment? Fills, prices in pieces and sampled times come in; positions, prices and gross
exposure at those times go out, as floats for statistics and charts.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from njord.backtest.recorded_fills import FillRows, PositionSteps
from njord.backtest.reported import PricePiece, ReportedMarket
from njord.core.instrument import Instrument
from njord.performance.exposure import gross_fractions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def sampled_exposure(
    market: ReportedMarket, fills: FillRows, ts_ns: IntArray, equity: FloatArray
) -> FloatArray:
    """Return the gross exposure at each of the rising times, a fraction of equity; NaN where that is gone."""
    qty = np.zeros((len(market.instruments), ts_ns.size))
    prices = np.full(qty.shape, np.nan)
    for index, instrument in enumerate(market.instruments):
        steps = fills.steps(index, instrument.base)
        if not steps.lots:
            continue
        qty[index] = positions_at(steps, instrument, ts_ns)
        prices[index] = prices_at(market.prices(index), instrument, ts_ns)
    return gross_fractions(qty, prices, equity)


def positions_at(steps: PositionSteps, instrument: Instrument, ts_ns: IntArray) -> FloatArray:
    """Return the signed position in base at each time, by when fills were known; fees in kind leave it."""
    n_known = np.searchsorted(steps.ts_ns, ts_ns, side="right")
    lots = [0, *steps.lots]
    held = np.array([instrument.qty_float(lots[n]) for n in n_known.tolist()])
    if steps.fees_in_kind:
        held -= np.cumsum([0.0, *map(float, steps.fees_in_kind)])[n_known]
    held[np.abs(held) < 0.999 * instrument.qty_float(1)] = 0.0  # Dust that a fee left is not a position.
    return held


def prices_at(pieces: Iterable[PricePiece], instrument: Instrument, ts_ns: IntArray) -> FloatArray:
    """Return the last price known at each time, NaN before the first one; memory is one piece and the result."""
    ticks = np.full(ts_ns.size, -1, dtype=np.int64)
    done, last = 0, -1
    for piece in pieces:
        end = int(np.searchsorted(ts_ns, piece.ts_ns[-1], side="left"))
        at = np.searchsorted(piece.ts_ns, ts_ns[done:end], side="right") - 1
        ticks[done:end] = np.where(at >= 0, piece.close[np.maximum(at, 0)], last)
        done, last = max(done, end), int(piece.close[-1])
    ticks[done:] = last
    return np.where(ticks < 0, np.nan, ticks * instrument.price_float(1))
