"""Where does a column of bytes change? 64 rows compared at once, the answer in the bits of one number.

Written in the compiler's own words, each beside the plain Python that runs where nothing is compiled and says the same.
Bit i of a mask stands for row i of a block of 64. Masks are signed, as Numba mixes no signed and unsigned numbers, and so
the highest bit makes one negative.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from njord.kernels._jit import inner_kernel

_function: Any = cgutils.get_or_insert_function  # It has no types.
ByteArray = NDArray[np.int8]
IntArray = NDArray[np.int64]
ROWS = 64  # Of one mask.
_BUT_LAST = 2**63 - 1
_BIT, _SHORT, _WORD = ir.IntType(1), ir.IntType(32), ir.IntType(64)
_BYTE = ir.IntType(8)
_BYTES = ir.VectorType(_BYTE, ROWS)


@inner_kernel
def changes(xs: ByteArray, block: int) -> int:
    """Return at which rows of a block another byte stands than a row before; row 0 counts as one.

    Args:
        xs: Shape (n,), n at least 64 (`block` + 1) + 1.
        block: At least 0; its first row is 64 `block`.
    """
    first = block * ROWS
    return _differing(xs, first, first - 1) if first else (_differing(xs, 0, 1) & _BUT_LAST) << 1 | 1


@inner_kernel
def lowest(mask: int) -> int:
    """Return which is the lowest bit that is set; `mask` is not 0."""
    return _lowest(mask)


@inner_kernel
def others(mask: int) -> int:
    """Return the mask without the lowest bit that is set."""
    return _others(mask)


@inner_kernel
def fetch(xs: IntArray, row: int) -> None:
    """Let the memory bring a row that will be read soon; nothing happens where there is no such row."""
    _fetch(xs, row)


def _differing(xs: ByteArray, first: int, second: int) -> int:
    return sum(1 << at for at in range(ROWS) if xs[first + at] != xs[second + at])


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _others(mask: int) -> int:
    return mask & (mask - 1)


def _fetch(xs: IntArray, row: int) -> None:
    pass


Typed = tuple[Any, Callable[..., Any]]


def _type_differing(typing_context: Any, xs: Any, first: Any, second: Any) -> Typed:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = []
        for at in arguments[1:]:
            place = _place(context, builder, signature, arguments[0], at)
            vectors.append(builder.load(builder.bitcast(place, _BYTES.as_pointer()), align=1))
        return builder.bitcast(builder.icmp_unsigned("!=", *vectors), _WORD)

    return types.int64(xs, first, second), emit


def _type_lowest(typing_context: Any, mask: Any) -> Typed:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], _BIT(1))

    return types.int64(types.int64), emit


def _type_others(typing_context: Any, mask: Any) -> Typed:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Numba's own subtraction would be compiled as if it never wrapped.
        return builder.and_(arguments[0], builder.sub(arguments[0], _WORD(1)))

    return types.int64(types.int64), emit


def _type_fetch(typing_context: Any, xs: Any, row: Any) -> Typed:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature, *arguments)
        hint_type = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _SHORT, _SHORT, _SHORT])
        hint = _function(builder.module, hint_type, "llvm.prefetch.p0i8")
        # To be read, and read again, as data.
        builder.call(hint, [builder.bitcast(place, _BYTE.as_pointer()), _SHORT(0), _SHORT(3), _SHORT(1)])
        return context.get_dummy_value()

    return types.void(xs, row), emit


def _place(context: Any, builder: Any, signature: Any, xs: Any, row: Any) -> Any:
    return builder.gep(context.make_array(signature.args[0])(context, builder, xs).data, [row])


_emitted_differing: Any = intrinsic(_type_differing)
_emitted_lowest: Any = intrinsic(_type_lowest)
_emitted_others: Any = intrinsic(_type_others)
_emitted_fetch: Any = intrinsic(_type_fetch)

overload(_differing)(
    lambda xs, first, second: lambda xs, first, second: _emitted_differing(xs, first, second)
)
overload(_lowest)(lambda mask: lambda mask: _emitted_lowest(mask))
overload(_others)(lambda mask: lambda mask: _emitted_others(mask))
overload(_fetch)(lambda xs, row: lambda xs, row: _emitted_fetch(xs, row))
