"""The environment of another simulator, made once from its lock and again when that changes; never ours."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.differential.peers import ROOT, lock

HOME = ROOT / ".cache" / "peers"


def peer_python(peer: str) -> Path:
    """Return the python of `peer`'s environment, which is there afterwards."""
    HOME.mkdir(parents=True, exist_ok=True)
    folder, uv, pinned = HOME / f"venv-{peer}", Path(sys.executable).with_name("uv"), lock(peer).read_text()
    ready = folder / "ready"
    with (HOME / f"lock-{peer}").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # Another test process may be making it now.
        if not ready.exists() or ready.read_text() != pinned:
            _run(folder, uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
            _run(folder, uv, "pip", "sync", "--quiet", "--require-hashes", lock(peer))
            ready.write_text(pinned)
    return folder / "bin" / "python"


def _run(folder: Path, *command: str | Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables = {**kept, "VIRTUAL_ENV": str(folder)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[1]} failed:\n{done.stderr}"
