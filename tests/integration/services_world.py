"""Four real services over a real Redis, in a folder of their own; each can be killed, started again, and lied to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from njord.apps.services_run import RUN_KEY, Announced, decode_announced
from tests.redis_server import RedisServer
from tests.warm_njord import warm_njord

NJORD = str(Path(sys.executable).with_name("njord"))
NAMES = ("paper", "md", "strat", "risk")
_PATIENCE_S = 100.0  # Kernels may have to be compiled.


class Services:
    """A context manager: a server and a folder; what still runs at the end is killed.

    Args:
        root: The folder that the services run in.
        said: What all four are given: strategy, data, flags.
        pace: How fast the recording comes.
    """

    def __init__(self, root: Path, said: Sequence[str], pace: str = "max") -> None:
        self.root = root
        self.said = list(said)
        self._pace = pace
        self.redis = RedisServer()
        self.output: dict[str, list[str]] = {name: [] for name in NAMES}
        self._running: dict[str, subprocess.Popen[str]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What every command of the folder runs in."""
        return {
            **os.environ,
            "NJORD_REDIS__URL": self.redis.url,
            "NJORD_RISK__KILL_SWITCH_MAX_AGE_MS": "30000",  # A slow machine is not what is judged.
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def njord(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        return subprocess.run(
            [warm_njord(), *words], env=self.environment, cwd=self.root, capture_output=True, text=True
        )

    def clear(self) -> None:
        """Clear the kill switch: a Redis that was never told anything counts as tripped."""
        done = self.njord("kill", "clear", "--reason", "the test begins")
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, *names: str, command: Sequence[str] | None = None) -> None:
        """Start services."""
        for name in names:
            words = [NJORD, "run", name, *self.said, "--replay", self._pace]
            if command is not None:
                words = [*command, f"run-{name}", f"REPLAY={self._pace}"]
            self._running[name] = subprocess.Popen(
                words,
                env=self.environment,
                cwd=self.root,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a service, as a crash would."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        self.output[name].append(process.communicate()[0])

    def stop(self, name: str) -> tuple[int, float]:
        """Ask a service to end; return its exit code and how long it took in seconds."""
        began = time.monotonic()
        os.killpg(self._running[name].pid, signal.SIGTERM)
        code = self.ended(name)
        return code, time.monotonic() - began

    def ended(self, name: str) -> int:
        """Wait until a service has ended; return its exit code."""
        process = self._running.pop(name)
        try:
            self.output[name].append(process.communicate(timeout=_PATIENCE_S)[0])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{name} does not end: {process.communicate()[0]}") from None
        return process.returncode

    def all_end(self) -> None:
        """Wait until every service has ended, and check that each is content."""
        codes = {name: self.ended(name) for name in list(self._running)}
        assert set(codes.values()) == {0}, self.output

    def announced(self) -> Announced | None:
        """Return the run that is announced now."""
        with self.redis.client() as client:
            content = client.get(RUN_KEY)
        return decode_announced(content) if isinstance(content, bytes) else None

    def wait_for(self, is_so: Callable[[Announced], bool]) -> Announced:
        """Wait until the announcement says so."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            announced = self.announced()
            if announced is not None and is_so(announced):
                return announced
            for name, process in self._running.items():
                assert process.poll() is None, f"{name} has ended: {process.communicate()[0]}"
            time.sleep(0.02)
        raise AssertionError("it never came to that")

    @property
    def session(self) -> Path:
        """The folder of the only session."""
        (folder,) = (self.root / "var" / "state" / "sessions").iterdir()
        return folder

    def journal(self) -> bytes:
        """Return the session's journal."""
        return b"".join(path.read_bytes() for path in sorted((self.session / "journal").glob("*.ndjson")))

    def order_list_hash(self) -> str:
        """Return what the paper service said last."""
        (line,) = [line for line in self.output["paper"][-1].splitlines() if line.startswith("hash ")]
        return line.split()[-1]

    def backtest(self, *flags: str) -> dict[str, Any]:
        """Return the result of the backtest of the same words."""
        out = self.root / "backtest.json"
        done = self.njord("backtest", *self.said, *flags, "--poison", "off", "--json", str(out))
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(out.read_text())
        return result

    def check_journal(self) -> None:
        """Check that the session replays, byte for byte."""
        replayed = self.njord("replay", str(self.session))
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
        assert replayed.stdout.startswith("identical"), replayed.stdout

    def __enter__(self) -> Self:
        self.redis.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._running):
            self.kill(name)
        self.redis.__exit__(kind, error, trace)
