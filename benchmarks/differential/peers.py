"""Who do we compare with, and how is it asked? An environment of its own, a process, JSON in and out.

The interpreter is that of --python, else $PEERS_ROOT/venv-NAME (PEERS_ROOT is .cache/peers unless it is set).
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from njord.core.errors import ConfigError, NjordError

ROOT = Path(__file__).resolve().parents[2]


class PeerError(NjordError):
    """The other simulator failed."""


def lock(peer: str) -> Path:
    """Return the file that pins what `peer` needs."""
    return ROOT / "locks" / f"peer-{peer}.txt"


def compared_version(peer: str) -> str:
    """Return the version of `peer` whose rules are written down here."""
    found = re.search(rf"^{peer}==(\S+)", lock(peer).read_text(encoding="utf-8"), re.M)
    if found is None:
        raise PeerError(f"{lock(peer)} does not pin {peer}")
    return found[1]


def interpreter(peer: str, given: Path | None) -> Path:
    """Return the python of `peer`'s environment.

    Raises:
        ConfigError: It is not there, or it does not hold that package.
    """
    home = Path(os.environ.get("PEERS_ROOT") or ROOT / ".cache" / "peers") / f"venv-{peer}"
    python = given or home / "bin" / "python"
    remedy = f"python3 -m venv {home} && {home}/bin/pip install --no-deps --require-hashes -r {lock(peer)}"
    if not python.is_file():
        raise ConfigError(f"{peer} needs an environment of its own, and {python} does not exist", remedy)
    probe = f"from importlib.metadata import version; print(version({peer!r}))"
    found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    if found.returncode:
        raise ConfigError(f"{python} has no package {peer}", remedy)
    return python


def ask(python: Path, peer: str, question: Any) -> Any:
    """Run the module of `peer` with `question` on its stdin and return what it answers; another version is told.

    Raises:
        PeerError: It failed; its last line is named.
    """
    module = f"benchmarks.differential.{peer}_peer"
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [python, "-m", module],
        cwd=ROOT,
        env={**variables, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise PeerError(f"{module} failed with exit code {done.returncode}: {last}")
    answer = json.loads(done.stdout.splitlines()[-1])  # A peer may have said something before.
    if answer["version"] != compared_version(peer):
        print(f"look: {peer} {answer['version']}; what is written here is true of {compared_version(peer)}")
    return answer
