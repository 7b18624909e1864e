"""Sums of the powers of returns, eight bars side by side: written in the compiler's own vectors.

A compiler may not reorder additions of floats, and so adds one after the other what could be added in eight lanes. Here
the lanes are the definition: bar i goes into lane i mod 8, and the lanes are added as a tree. Every machine adds in that
order, however wide its registers are, and so does the plain function, which runs where nothing is compiled.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel

FloatArray = NDArray[np.float64]
_variable: Any = cgutils.alloca_once_value  # It has no types.
LANES = 8
N_SUMS = 5  # r, r^2, r^3, r^4, min(r, 0)^2.


def _add_lanes(
    close: FloatArray, first: int, n_times: int, cash: float, lots: float, sums: FloatArray
) -> None:
    lanes = [[0.0] * LANES for _ in range(N_SUMS)]
    for row in range(first, first + n_times * LANES):
        before = close[row - 1]
        change = lots * (close[row] - before) / (cash + lots * before)
        square = change * change
        terms = (change, square, square * change, square * square, square if change < 0.0 else 0.0)
        for power, term in enumerate(terms):
            lanes[power][(row - first) % LANES] += term
    for power, parts in enumerate(lanes):
        while len(parts) > 1:
            parts = [parts[at] + parts[at + 1] for at in range(0, len(parts), 2)]
        sums[power] += parts[0]


@overload(_add_lanes)
def _add_lanes_compiled(
    close: Any, first: Any, n_times: Any, cash: Any, lots: Any, sums: Any
) -> Callable[..., None]:
    def add(close: Any, first: Any, n_times: Any, cash: Any, lots: Any, sums: Any) -> None:
        _vectors(close, first, n_times, cash, lots, sums)

    return add


@bare_kernel
def add_returns(
    close: FloatArray, first: int, n_times: int, cash: float, lots: float, sums: FloatArray
) -> None:
    """Add the returns of LANES x `n_times` bars from row `first` on, each against the bar before it.

    Args:
        close: Shape (n,), of which the row before `first` is read too.
        first: At least 1.
        n_times: At least 0.
        cash: What is held besides, in money.
        lots: What one tick of the close is worth, in money.
        sums: Shape (N_SUMS,), added to.
    """
    _add_lanes(close, first, n_times, cash, lots, sums)


def _typed(
    typing_context: Any, close: Any, first: Any, n_times: Any, cash: Any, lots: Any, sums: Any
) -> tuple[Any, Callable[..., Any]]:
    return types.void(close, first, n_times, cash, lots, sums), _emit


_vectors: Any = intrinsic(_typed)


_WORD, _LANE = ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def _emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    close, first, n_times, cash, lots, sums = arguments
    data = context.make_array(signature.args[0])(context, builder, close).data
    zero = ir.Constant(_VECTOR, [0.0] * LANES)
    totals = [_variable(builder, zero) for _ in range(N_SUMS)]
    cash, lots = _spread(builder, cash), _spread(builder, lots)
    with cgutils.for_range(builder, n_times) as loop:
        row = builder.add(first, builder.mul(loop.index, ir.Constant(_WORD, LANES)))
        before = _load(builder, data, builder.sub(row, ir.Constant(_WORD, 1)))
        gain = builder.fmul(lots, builder.fsub(_load(builder, data, row), before))
        change = builder.fdiv(gain, builder.fadd(cash, builder.fmul(lots, before)))
        square = builder.fmul(change, change)
        downside = builder.select(builder.fcmp_ordered("<", change, zero), square, zero)
        terms = (change, square, builder.fmul(square, change), builder.fmul(square, square), downside)
        for total, term in zip(totals, terms, strict=True):
            builder.store(builder.fadd(builder.load(total), term), total)
    out = context.make_array(signature.args[5])(context, builder, sums).data
    for power, total in enumerate(totals):
        place = builder.gep(out, [ir.Constant(_WORD, power)])
        builder.store(builder.fadd(builder.load(place), _tree(builder, builder.load(total))), place)
    return context.get_dummy_value()


def _spread(builder: Any, number: Any) -> Any:
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(_LANE, 0))
    everywhere = ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES)
    return builder.shuffle_vector(one, nothing, everywhere)


def _load(builder: Any, data: Any, row: Any) -> Any:
    loaded = builder.load(builder.bitcast(builder.gep(data, [row]), _VECTOR.as_pointer()))
    loaded.align = 8  # A row is where it is.
    return loaded


def _tree(builder: Any, vector: Any) -> Any:
    parts = [builder.extract_element(vector, ir.Constant(_LANE, lane)) for lane in range(LANES)]
    while len(parts) > 1:
        parts = [builder.fadd(parts[at], parts[at + 1]) for at in range(0, len(parts), 2)]
    return parts[0]
