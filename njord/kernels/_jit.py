"""How is a kernel compiled? By one of three decorators, so that flags, cache and the way to switch it off agree.

`fastmath` stays off: a result must not depend on what the compiler finds. With NUMBA_DISABLE_JIT=1 the functions run as
plain Python, for coverage and debuggers. Machine code is kept beside the sources, in a folder named by the hash of all
of them: Numba itself looks only at the file of a function, and would go on using what a changed file was compiled into.
"""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar, cast

import numba
from numba.core import config, event

from njord.kernels._watch import tell

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _cache_folder() -> str:
    here = files(__package__)
    sources = sorted((each.name, each.read_bytes()) for each in here.iterdir() if each.name.endswith(".py"))
    digest = hashlib.sha256(repr((numba.__version__, sources)).encode()).hexdigest()
    return str(here.joinpath("__pycache__", f"kernels-{digest[:16]}"))


# NUMBA_CACHE_DIR wins; where this folder can not be written Numba falls back to the user's own.
_config: Any = config
if not _config.CACHE_DIR:
    _config.CACHE_DIR = _cache_folder()


class _Compiling(event.Listener):
    def on_start(self, event: object) -> None:
        tell(True)

    def on_end(self, event: object) -> None:
        tell(False)


_njit: Any = numba.njit  # Its stubs leave the option `_nrt` out.
_event: Any = event
_event.register("numba:compile", _Compiling())  # Silent where the cache has the machine code.


def kernel(function: Kernel) -> Kernel:
    """Compile `function` at its first call; later processes find the machine code in the cache beside the source.

    A kernel takes and returns scalars and arrays, allocates nothing that outlives the call, and releases the
    interpreter while it runs.
    """
    return cast(Kernel, _njit(cache=True, nogil=True)(function))


def bare_kernel(function: Kernel) -> Kernel:
    """Compile `function` like `kernel`, but without counting references: it neither allocates nor returns an array.

    Counting takes two atomic additions for each array and call, and the rules of an exchange are many small functions that
    take five arrays. Who calls holds its arguments meanwhile, so that nothing is lost; an event of a recorded session costs
    a third less. What it calls and is compiled for it first is compiled the same way; a function that allocates fails to
    compile.
    """
    return cast(Kernel, _njit(cache=True, nogil=True, _nrt=False)(function))


def inner_kernel(function: Kernel) -> Kernel:
    """Compile `function` like `bare_kernel`, always as part of its caller: for what takes more to call than to do."""
    return cast(Kernel, _njit(cache=True, nogil=True, _nrt=False, forceinline=True)(function))
