"""Drawdown: how far did equity fall from its peak, when, and for how long was it under water?

An equity curve and its times come in; depths (fractions of the peak, 0 at a peak), the deepest fall with its three
times and the longest time under water go out. A fall begins at the last point that stood at the peak, and ends at the
first one that reaches the old peak again.
"""

import msgspec
import numpy as np

from njord.performance.returns import FloatArray, IntArray, finite_array, increasing_times


class Drawdown(msgspec.Struct, frozen=True, kw_only=True):
    """One fall from a peak.

    Attributes:
        depth: (peak - trough) / peak, a fraction > 0; above 1 where equity went negative.
        peak_ns: The last time at the peak before the fall.
        trough_ns: The first time at the lowest point.
        recovery_ns: The first time back at the peak or above; None if the curve ends before.
    """

    depth: float
    peak_ns: int
    trough_ns: int
    recovery_ns: int | None


def drawdown_curve(equity: FloatArray) -> FloatArray:
    """Return the depth below the running peak at each point.

    Args:
        equity: Shape (n_points,), the starting equity first and > 0; NaN and infinity are refused.

    Returns:
        Shape (n_points,), (peak - equity) / peak, fractions >= 0.

    Raises:
        ValueError: NaN or infinity, or the first equity is not positive.

    Source: Magdon-Ismail and Atiya (2004), "Maximum Drawdown", Risk 17(10), 99-102; relative to the peak.
    """
    curve = finite_array(equity, "equity")
    if curve.size and curve[0] <= 0:
        raise ValueError(f"equity must start > 0, was {curve[0]}")
    peaks = np.maximum.accumulate(curve)
    depths: FloatArray = (peaks - curve) / peaks
    return depths


def max_drawdown(equity: FloatArray) -> float:
    """Return the deepest fraction lost from a peak; 0 if the curve never fell, NaN if it is empty.

    Args:
        equity: Shape (n_points,), the starting equity first and > 0; NaN and infinity are refused.

    Raises:
        ValueError: NaN or infinity, or the first equity is not positive.

    Source: Magdon-Ismail and Atiya (2004), "Maximum Drawdown", Risk 17(10), 99-102; relative to the peak.
    """
    return float(np.max(drawdown_curve(equity), initial=0.0)) if len(equity) else float("nan")


def deepest_drawdown(ts_ns: IntArray, equity: FloatArray) -> Drawdown | None:
    """Return the deepest fall with its times, the first one of equal depth; None if the curve never fell.

    Args:
        ts_ns: Shape (n_points,), strictly increasing.
        equity: Shape (n_points,), the starting equity first and > 0; NaN and infinity are refused.

    Raises:
        ValueError: NaN or infinity, a start not positive, or times that do not increase.
    """
    depths = drawdown_curve(equity)
    times = increasing_times(ts_ns, depths.size)
    if not depths.any():
        return None
    trough = int(depths.argmax())
    at_peak = np.flatnonzero(depths == 0)
    peak = at_peak[at_peak < trough][-1]
    later = at_peak[at_peak > trough]
    return Drawdown(
        depth=float(depths[trough]),
        peak_ns=int(times[peak]),
        trough_ns=int(times[trough]),
        recovery_ns=int(times[later[0]]) if later.size else None,
    )


def longest_under_water_ns(ts_ns: IntArray, equity: FloatArray) -> int:
    """Return the longest time from a peak until that peak was regained, or until the end of the curve.

    Args:
        ts_ns: Shape (n_points,), strictly increasing.
        equity: Shape (n_points,), the starting equity first and > 0; NaN and infinity are refused.

    Returns:
        Nanoseconds; 0 if the curve never fell. Standing still at a peak is not under water.

    Raises:
        ValueError: NaN or infinity, a start not positive, or times that do not increase.
    """
    depths = drawdown_curve(equity)
    times = increasing_times(ts_ns, depths.size)
    if depths.size == 0:
        return 0
    at_peak = np.flatnonzero(depths == 0)
    ends = np.append(times[at_peak[1:]], times[-1])
    # Two neighboring points at the peak have nothing below it between them.
    fell = np.append(np.diff(at_peak) > 1, depths[-1] > 0)
    return int(np.max((ends - times[at_peak])[fell], initial=0))
