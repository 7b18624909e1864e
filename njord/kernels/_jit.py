"""How is a kernel compiled? One decorator for all of them, so that flags, cache and the way to switch it off agree.

`fastmath` stays off: a result must not depend on what the compiler finds. With NUMBA_DISABLE_JIT=1 the functions run as
plain Python, for coverage and debuggers.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` at its first call; later processes find the machine code in the cache beside the source.

    A kernel takes and returns scalars and arrays, allocates nothing that outlives the call, and releases the
    interpreter while it runs.
    """
    return cast(Kernel, numba.njit(cache=True, nogil=True)(function))


def inlined(function: Kernel) -> Kernel:
    """Compile `function` into its callers: for the small steps of a loop, where a call would cost more than the work."""
    return cast(Kernel, numba.njit(cache=True, nogil=True, inline="always")(function))
