"""Which machine measured, and on which commit: a figure without them says nothing."""

import os
import platform
import subprocess
from pathlib import Path


def cpu_name() -> str:
    """Return the processor's model name, as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def peak_rss_kib() -> int:
    """Return this process's own peak memory; unlike getrusage it does not begin with the parent's."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def commit() -> str:
    """Return the short hash of the commit, with `+` if the tree differs from it."""
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    dirty = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=False)
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def describe() -> dict[str, str | int]:
    """Return the machine and the commit as one record."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "system": platform.system(),
        "commit": commit(),
    }
