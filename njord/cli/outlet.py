"""Output that nobody waits for: lines go into a bounded queue, and a thread writes them.

A terminal that was stopped (Ctrl-S) or a pipe that nobody reads would otherwise stop a session, its kill switch
included. What finds the queue full is dropped and counted: the journal has all of it.
"""

import io
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

TEXTS_MAX = 20_000
_BATCH = 500


class Outlet(io.TextIOBase):
    """A text file that never blocks its writer.

    Args:
        stream: Where the texts go in the end.
        dropped: Returns what to write where so many texts were dropped.
        on_gone: Called once, by the thread, if the reader has gone.
    """

    def __init__(
        self, stream: TextIO, dropped: Callable[[int], str], on_gone: Callable[[], None] = lambda: None
    ) -> None:
        self._stream = stream
        self._dropped = dropped
        self._on_gone = on_gone
        self._texts: deque[str] = deque()
        self._n_dropped = 0
        self._is_busy = self._is_gone = self._is_ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._drain, name="outlet", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether everything is written: who draws pictures draws the next one only then."""
        with self._changed:
            return not self._texts and not self._is_busy

    def isatty(self) -> bool:
        """Whether a person looks."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Take a text to be written soon."""
        with self._changed:
            if self._is_gone or self._is_ending:
                return len(text)
            if len(self._texts) >= TEXTS_MAX:
                self._n_dropped += 1
            else:
                self._texts.append(text)
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def end(self, within_s: float) -> bool:
        """Take no more; return whether everything was written within that time."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _drain(self) -> None:
        while (text := self._take()) is not None:
            try:
                self._put(text)
            except OSError:
                with self._changed:
                    self._is_gone, self._is_busy = True, False
                    self._texts.clear()
                self._on_gone()
                return

    def _take(self) -> str | None:
        with self._changed:
            self._is_busy = False
            self._changed.wait_for(lambda: self._texts or self._n_dropped or self._is_ending)
            parts = [self._texts.popleft() for _ in range(min(_BATCH, len(self._texts)))]
            if self._n_dropped and not self._texts:
                parts.append(self._dropped(self._n_dropped))
                self._n_dropped = 0
            self._is_busy = bool(parts)
            return "".join(parts) if parts else None

    # Past the stream's buffer where there is a descriptor: a thread that hangs in a buffer's lock would hang the exit.
    def _put(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except (AttributeError, OSError):
            self._stream.write(text)
            self._stream.flush()
            return
        left = memoryview(text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        while left:
            left = left[os.write(descriptor, left) :]
