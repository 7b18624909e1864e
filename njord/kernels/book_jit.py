"""How are the functions of book and exchange compiled? As `_jit.kernel` does it, but without counting references.

Numba counts the references to each array that a function takes: two atomic additions an array and call, and the rules of an
exchange are many small functions that take five. What allocates no array and returns none has no use for them: whoever
called holds its arguments meanwhile. Without them an event of a recorded session costs a third less.
"""

from typing import Any, cast

import numba

from njord.kernels._jit import Kernel

_njit: Any = numba.njit  # Its stubs leave the option out.


def bare_kernel(function: Kernel) -> Kernel:
    """Compile `function` like `_jit.kernel`, for functions that neither allocate nor return an array.

    What they call and is compiled for them first is compiled the same way; a function that allocates fails to compile.
    """
    return cast(Kernel, _njit(cache=True, nogil=True, _nrt=False)(function))


def inner_kernel(function: Kernel) -> Kernel:
    """Compile `function` like `bare_kernel`, always as part of its caller: for what takes more to call than to do."""
    return cast(Kernel, _njit(cache=True, nogil=True, _nrt=False, forceinline=True)(function))
