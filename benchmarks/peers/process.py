"""The other end of a contender's pipe: start it, ask it, end it; and the benchmarks that bring their own peer."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks.peers.contenders import Contender

ROOT = Path(__file__).resolve().parents[2]
OWN = {"W3": "benchmarks.ticks", "W4": "benchmarks.montecarlo", "W5": "benchmarks.stored_trades"}
_KEPT_OUT = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")


class Missing(Exception):
    """A contender that can not take part; the message says why and what to do."""


@contextmanager
def asked(contender: Contender, peers: Path | None) -> Iterator["Asked"]:
    """Start a contender, yield it when it is ready, and end it.

    Raises:
        Missing: Its environment is not there, or it stopped before it was ready.
    """
    interpreter = _interpreter(contender, peers)
    command = [interpreter, "-m", f"benchmarks.peers.{contender.module}", *contender.words]
    kept = {name: value for name, value in os.environ.items() if name not in _KEPT_OUT}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        yield Asked(contender.name, process, errors)


class Asked:
    """A contender that is ready; `said` is what it says of itself once."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", errors: IO[bytes]) -> None:
        self._name, self._process, self._errors = name, process, errors
        self.said = self._read()

    def run(self) -> dict[str, Any]:
        """Run the work once and return its figures."""
        pipe = self._process.stdin
        if pipe is None:
            raise Missing(f"{self._name} has no pipe")
        print(file=pipe, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        pipe = self._process.stdout
        line = pipe.readline() if pipe is not None else ""
        if not line:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise Missing(said[-1].removeprefix("missing: "))
        answer: dict[str, Any] = json.loads(line)
        return answer


def _interpreter(contender: Contender, peers: Path | None) -> str:
    if not contender.venv:
        return sys.executable
    folder = peers if peers is not None else Path("..") / "peers"
    python = folder / f"venv-{contender.venv}" / "bin" / "python"
    if peers is None or not python.exists():
        raise Missing(f"no environment; next: scripts/make_peers.sh {folder} {contender.venv}")
    return str(python)


def others_own(name: str, peers: Path | None, n_rounds: int, is_small: bool) -> None:
    """Run the benchmark that measures W3, W4 or W5; it prints, and keeps a history of its own."""
    words = [OWN[name]]
    if name == "W3" and peers is not None:
        python = peers / "venv-hftbacktest" / "bin" / "python"
        if python.exists():
            words += ["--python", str(python)]
        else:
            print(f"  hftbacktest: no environment; next: scripts/make_peers.sh {peers} hftbacktest")
    words += ["--small"] if is_small else ["--runs", str(n_rounds)]
    subprocess.run([sys.executable, "-m", *words], check=False)
