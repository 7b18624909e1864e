"""Is the tap alive, and how far is it? Starts it as a process of its own, and starts it again whenever it ends.

Nothing here waits but `stop`: `poll` reads what the tap has said and looks whether it lives. The tap ends by itself once
its standard input is closed, so that it does not outlive a node that was killed. `redis.url` goes through the
environment or the configuration, never through the command line, which every user of the machine can read.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from njord.adapters.redis_client import Backoff
from njord.apps.tap_state import TapState, decode_state

_READ_BYTES = 65_536
_BACKOFF = (0.5, 30.0)  # The first and the longest wait in seconds before a tap that ended is started again.


class TapProcess:
    """Supervises the tap of one session.

    Args:
        session_folder: The session's.
        root: The folder that holds `config/`.
        redis_url: Where configuration and environment do not say it; it is handed over in the environment.
        market: Publish market data too.
        monotonic_s: A clock that nobody sets back.
    """

    def __init__(
        self,
        session_folder: Path,
        root: Path,
        *,
        redis_url: str | None = None,
        market: bool = False,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = [sys.executable, "-m", "njord.apps.tap", str(session_folder), "--root", str(root)]
        self._command += ["--supervised", *(["--market"] if market else [])]
        self._environment = dict(os.environ)
        if redis_url is not None:
            self._environment["NJORD_REDIS__URL"] = redis_url
        self._now_s = monotonic_s
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff(*_BACKOFF)
        self._start_at_s = 0.0
        self._heard = b""
        self._is_wanted = False
        self._state = TapState()

    @property
    def state(self) -> TapState:
        """What the tap last said of itself; `lag` is as old as that, at most a second while it is well."""
        return self._state

    @property
    def pid(self) -> int:
        """The tap's process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start it, and keep it alive from now on."""
        self._is_wanted = True
        self._spawn()

    def poll(self) -> TapState:
        """Hear what the tap has said, and start it again if it has ended and its wait is over; never blocks."""
        process = self._process
        has_ended = process is not None and process.poll() is not None
        self._hear()  # After that: what it said last may be why it ended.
        if process is not None and has_ended:
            self._bury(process)
        if self._is_wanted and self._process is None and self._now_s() >= self._start_at_s:
            self._state = msgspec.structs.replace(self._state, n_restarts=self._state.n_restarts + 1)
            self._spawn()
        return self._state

    def stop(self, within_s: float = 3.0) -> TapState:
        """Let it publish what is left, and end it; after `within_s` seconds it is killed, which loses nothing."""
        self._is_wanted = False
        process = self._process
        if process is None:
            return self._state
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._hear()
        self._bury(process)
        return self._state

    def _spawn(self) -> None:
        self._heard = b""
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
        except OSError as error:
            self._failed(f"the tap can not be started: {error.strerror or error}")
            return
        if self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)

    def _hear(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        while True:
            try:
                said = os.read(process.stdout.fileno(), _READ_BYTES)
            except BlockingIOError:
                break
            if not said:
                break
            self._heard += said
        *lines, self._heard = self._heard.split(b"\n")
        if lines:
            heard = decode_state(lines[-1])
            self._state = msgspec.structs.replace(heard, n_restarts=self._state.n_restarts)
            if heard.is_connected:
                self._backoff.reset()

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None
        if self._is_wanted:
            self._failed(self._state.error or f"the tap ended with exit code {process.returncode}")

    def _failed(self, error: str) -> None:
        self._state = msgspec.structs.replace(self._state, is_connected=False, error=error)
        self._start_at_s = self._now_s() + self._backoff.next_s()
