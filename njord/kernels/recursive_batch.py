"""What did the indicators of `recursive.py` say at every row? Whole arrays in and out, at compiled speed.

Each function folds the step of its name over `xs` and writes the value after each row into `out` (same shape, float64),
bit for bit what the step gives when called row by row. It starts from a state and returns the last one, so that a
series may come in pieces.
"""

import numpy as np
from numpy.typing import NDArray

from njord.kernels import recursive
from njord.kernels._jit import kernel
from njord.kernels.recursive import Atr, Ema, Macd, Rma, Rsi, Tema

FloatArray = NDArray[np.float64]

_ema_step, _ema_value = kernel(recursive.ema_step), kernel(recursive.ema_value)
_tema_step, _tema_value = kernel(recursive.tema_step), kernel(recursive.tema_value)
_macd_step, _macd_value = kernel(recursive.macd_step), kernel(recursive.macd_value)
_rma_step, _rma_value = kernel(recursive.rma_step), kernel(recursive.rma_value)
_rsi_step, _rsi_value = kernel(recursive.rsi_step), kernel(recursive.rsi_value)
_atr_step, _atr_value = kernel(recursive.atr_step), kernel(recursive.atr_value)


@kernel
def ema(state: Ema, xs: FloatArray, alpha: float, out: FloatArray) -> Ema:
    """Fold `ema_step`; return the last state."""
    for row in range(xs.size):
        state = _ema_step(state, xs[row], alpha)
        out[row] = _ema_value(state)
    return state


@kernel
def tema(state: Tema, xs: FloatArray, alpha: float, out: FloatArray) -> Tema:
    """Fold `tema_step`; return the last state."""
    for row in range(xs.size):
        state = _tema_step(state, xs[row], alpha)
        out[row] = _tema_value(state)
    return state


@kernel
def macd(
    state: Macd,
    xs: FloatArray,
    fast_alpha: float,
    slow_alpha: float,
    signal_alpha: float,
    out: FloatArray,
    signal_out: FloatArray,
) -> Macd:
    """Fold `macd_step` into the line `out` and its `signal_out`; return the last state."""
    for row in range(xs.size):
        state = _macd_step(state, xs[row], fast_alpha, slow_alpha, signal_alpha)
        out[row], signal_out[row] = _macd_value(state)
    return state


@kernel
def rma(state: Rma, xs: FloatArray, period: int, out: FloatArray) -> Rma:
    """Fold `rma_step`; return the last state."""
    for row in range(xs.size):
        state = _rma_step(state, xs[row], period)
        out[row] = _rma_value(state, period)
    return state


@kernel
def rsi(state: Rsi, xs: FloatArray, period: int, out: FloatArray) -> Rsi:
    """Fold `rsi_step`; return the last state."""
    for row in range(xs.size):
        state = _rsi_step(state, xs[row], period)
        out[row] = _rsi_value(state, period)
    return state


@kernel
def atr(
    state: Atr, high: FloatArray, low: FloatArray, close: FloatArray, period: int, out: FloatArray
) -> Atr:
    """Fold `atr_step` over bars; return the last state."""
    for row in range(close.size):
        state = _atr_step(state, high[row], low[row], close[row], period)
        out[row] = _atr_value(state, period)
    return state
