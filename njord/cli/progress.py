"""Progress on the terminal for work that takes longer than two seconds: a bar on a screen, plain lines elsewhere."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from njord.adapters.clock import Stopwatch

if TYPE_CHECKING:
    from njord.storage.store.kinds import Columns

_QUIET_S = 2.0
_LINE_EVERY_S = 5.0


class Progress:
    """Shows how far a piece of work is, on stderr, once it has taken long enough to wonder.

    Args:
        unit: What is counted.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._watch = Stopwatch()
        self._next_s = _QUIET_S
        self._is_screen = sys.stderr.isatty()
        self._shown = False
        self._hushed = threading.Event()

    def show(self, done: int, total: int) -> None:
        """Report `done` of `total`."""
        self._hush()
        elapsed_s = self._watch.elapsed_s()
        if elapsed_s < self._next_s or done <= 0:
            return
        self._next_s = elapsed_s + (0.2 if self._is_screen else _LINE_EVERY_S)
        left_s = elapsed_s * (total - done) / done
        text = f"{done:,} of {total:,} {self._unit}, {done / total:.0%}, about {left_s:.0f} s left"
        self._say(text)

    def say(self, text: str) -> None:
        """Say what is under way where no end is in sight, once it has taken long enough to wonder."""
        self._hush()
        hushed = self._hushed = threading.Event()

        def wonder() -> None:
            if not hushed.wait(_QUIET_S):
                self._say(f"{text} ...")

        threading.Thread(target=wonder, daemon=True).start()

    def _say(self, text: str) -> None:
        self._shown = True
        print(
            f"\r\x1b[K{text}" if self._is_screen else text,
            end="" if self._is_screen else "\n",
            file=sys.stderr,
        )
        sys.stderr.flush()

    def _hush(self) -> None:
        self._hushed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hush()
        if self._is_screen and self._shown:
            print("\r\x1b[K", end="", file=sys.stderr)


def counted(
    blocks: "Iterable[Columns]", n_total: int, show: Callable[[int, int], None]
) -> "Iterator[Columns]":
    """Yield `blocks`, reporting how many of `n_total` rows have passed."""
    n_done = 0
    for block in blocks:
        yield block
        n_done += len(next(iter(block.values())))
        show(n_done, n_total)
