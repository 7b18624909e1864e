"""The first run compiles kernels, once: say so on stderr after a second of it, and how long it took.

    compiling kernels (once) ... 14.2 s

What is compiled later in the same command is added to the seconds. Nothing is said where the cache has the machine code.
The log, where one is open, gets `kernels_compiled` with the number of functions and the seconds.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from njord.kernels._watch import unwatch, watch

if TYPE_CHECKING:
    import threading

    from njord.adapters.clock import Stopwatch

PATIENCE_S = 1.0  # Less than this is not worth a word.
SETTLED_S = (
    2.0  # Kernels are compiled at their first calls: after this without another one, it is over for now.
)
_TEXT = "compiling kernels (once) ..."


@contextmanager
def compile_notice() -> Iterator[None]:
    """Say what is compiled while the command runs."""
    notice = CompileNotice(_write)
    watch(notice)
    try:
        yield
    finally:
        unwatch(notice)
        notice.finish()


class CompileNotice:
    """Counts what is compiled and the time it takes, and says both once it is worth a word.

    Args:
        write: Shows a text; the flag says whether it is the last one of its line.

    Attributes:
        n_functions: How many functions have been compiled, those that others call included.
        seconds: How long it took, whatever was nested counted once.
    """

    def __init__(self, write: Callable[[str, bool], None]) -> None:
        self._write = write
        self._depth = 0  # Numba compiles under one lock: all of a tree comes from one thread.
        self._watch: Stopwatch | None = None
        self._timer: threading.Timer | None = None
        self._is_open = False
        self.n_functions = 0
        self.seconds = 0.0

    def __call__(self, begins: bool) -> None:
        """Take in that a function begins to be compiled, or is done."""
        if begins:
            self._depth += 1
            if self._depth == 1:
                self._begin()
            return
        self.n_functions += 1
        self._depth -= 1
        if self._depth == 0 and self._watch is not None:
            self.seconds += self._watch.elapsed_s()
            self._after(SETTLED_S, self._close)

    def finish(self) -> None:
        """Say what has not been said yet."""
        self._cancel()
        self._close()

    def _begin(self) -> None:
        from njord.adapters.clock import Stopwatch

        self._watch = Stopwatch()
        self._after(max(PATIENCE_S - self.seconds, 0.0), self._open)

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            self._write(_TEXT, False)

    def _close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._write(f"{_TEXT} {self.seconds:.1f} s", True)
        log = sys.modules.get("structlog")
        if log is not None and log.is_configured():
            fields = {"n_functions": self.n_functions, "seconds": round(self.seconds, 3)}
            log.get_logger("njord.cli").info("kernels_compiled", **fields)

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        import threading

        self._cancel()
        self._timer = threading.Timer(seconds, call)
        self._timer.daemon = True
        self._timer.start()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _write(text: str, is_last: bool) -> None:
    if not sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
        return
    print(f"\r\x1b[K{text}", end="\n" if is_last else "", file=sys.stderr, flush=True)
