"""First aid: what is missing on this machine, for what, and the exact command that mends it.

Comes in: the folder njord runs in. Goes out: one `Check` per thing looked at; `njord doctor` prints them. Nothing is
written that stays, and nothing but this machine is asked.
"""

import importlib
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_sources import read_kill_file
from njord.adapters.logging import iso_utc
from njord.core.clock import Clock
from njord.core.config import Config
from njord.core.errors import ConfigError
from njord.core.types import TradingState

PYTHON_MIN = (3, 11)
FREE_BYTES_MIN = 1 << 30
FILES_MIN = 256
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
YEARS = range(2024, 2100)
# Where the module is not called as its package is.
_MODULES = {"pyyaml": "yaml"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)")
_BOUND = re.compile(r"(>=|<)\s*([0-9]+(?:\.[0-9]+)*)")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What it is.
        ok: True = fine, False = needed and missing, None = optional and missing.
        detail: What was found.
        needed_for: What does not work without it.
        fix: The next thing to type; empty if ok.
    """

    name: str
    ok: bool | None
    detail: str
    needed_for: str
    fix: str = ""


def checks(root: Path, clock: Clock | None = None) -> list[Check]:
    """Return everything worth knowing about this machine and the folder `root`, the most basic first."""
    config_check, config = check_config(root)
    var = root / config.paths.var
    return [
        check_python(sys.version_info[:3]),
        *check_dependencies(),
        config_check,
        check_writable(var),
        check_disk(var),
        check_kill_switch(root, config.risk.kill_switch_file),
        check_clock(clock or WallClock()),
        check_open_files(),
        check_terminal(sys.stdout.encoding),
        check_program("git", ("git",), "noting the code's version beside a run", "apt install git"),
        check_program("redis-server", ("redis-server",), "make integration", "apt install redis-server"),
        check_program(
            "chromium", CHROMIUM_NAMES, "report pictures in make integration", "apt install chromium"
        ),
    ]


def check_python(version: tuple[int, ...]) -> Check:
    """Look at the interpreter's version."""
    ok = version >= PYTHON_MIN
    fix = "" if ok else "apt install python3.11 python3.11-venv; make venv PYTHON=python3.11"
    return Check("python", ok, ".".join(map(str, version)), "everything", fix)


def check_dependencies(distribution: str = "njord-quant") -> Iterator[Check]:
    """Import each base dependency of the installed package and compare its version with what was declared."""
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        yield Check(distribution, False, "not installed", "everything", "make venv")
        return
    for requirement in requirements:
        if "extra ==" not in requirement:
            yield check_dependency(requirement.partition(";")[0].strip())


def check_dependency(requirement: str) -> Check:
    """Import what `requirement` (such as msgspec<1,>=0.20) names and compare its version."""
    named = _REQUIREMENT.match(requirement)
    name = named[1].lower() if named else requirement
    try:
        version = metadata.version(name)
        importlib.import_module(_MODULES.get(name, name.replace("-", "_")))
    except ImportError as error:  # A package that is not there, or one whose compiled part does not load.
        return Check(name, False, f"can not be imported: {error}", "everything", "make venv")
    ok = satisfies(version, requirement)
    detail = version if ok else f"{version}, needed is {requirement}"
    return Check(name, ok, detail, "everything", "" if ok else "rm venv/.ready; make venv")


def satisfies(version: str, requirement: str) -> bool:
    """Say whether `version` lies within the >= and < bounds of `requirement`."""
    have = _numbers(version)
    return all(
        have >= _numbers(bound) if sign == ">=" else have < _numbers(bound)
        for sign, bound in _BOUND.findall(requirement)
    )


def _numbers(version: str) -> tuple[int, ...]:
    # 0.20 and 0.20.0 are one version; what follows the numbers (rc1, .post1) does not matter here.
    leading = re.match(r"[0-9]+(\.[0-9]+)*", version)
    numbers = [int(part) for part in leading[0].split(".")] if leading else [0]
    return tuple(numbers + [0] * (4 - len(numbers)))


def check_config(root: Path) -> tuple[Check, Config]:
    """Load the configuration; the built-in one is returned where that fails."""
    try:
        loaded = load_config(root)
    except ConfigError as error:
        return Check("configuration", False, error.problem, "everything", error.remedy), Config()
    changed = sum(origin != "default" for origin in loaded.origins.values())
    detail = f"env {loaded.config.app.env}, {changed} of {len(loaded.origins)} values given"
    return Check("configuration", True, detail, "everything"), loaded.config


def check_writable(var: Path) -> Check:
    """Write a file into `var`, or where it would be made, and take it away again."""
    folder = _existing(var)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        fix = f"chown -R $(id -un) {folder}; or set NJORD_PATHS__VAR to a folder you may write to"
        return Check("write access", False, f"{folder}: {error.strerror}", "reports, journals, logs", fix)
    return Check("write access", True, str(folder), "reports, journals, logs")


def check_disk(var: Path) -> Check:
    """Look at the space left for journals and reports."""
    free = shutil.disk_usage(_existing(var)).free
    ok = free >= FREE_BYTES_MIN
    fix = (
        "" if ok else f"free {FREE_BYTES_MIN >> 30} GiB, or set NJORD_PATHS__VAR to a folder on a larger disk"
    )
    return Check("free disk", ok, f"{free / (1 << 30):.1f} GiB", "reports, journals, logs", fix)


def check_kill_switch(root: Path, file: str) -> Check:
    """Read the kill switch file; what can not be read, or says anything but active, halts."""
    reading = read_kill_file(root / file)
    ok = reading.state is TradingState.ACTIVE
    fix = "" if ok else 'njord kill clear --reason "..." once you know why it was tripped'
    return Check(
        "kill switch", ok or None, f"{reading.state}: {reading.detail}", "paper and live trading", fix
    )


def check_clock(clock: Clock) -> Check:
    """See whether the wall clock can be right."""
    now = iso_utc(clock.now_ns())
    ok = int(now[:4]) in YEARS
    fix = "" if ok else "timedatectl set-ntp true"
    return Check("clock", ok, now, "live data, signed requests", fix)


def check_open_files() -> Check:
    """Look at how many files and sockets a process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = soft == resource.RLIM_INFINITY or soft >= FILES_MIN
    return Check("open files", ok, str(soft), "sweeps, live feeds", "" if ok else "ulimit -n 4096")


def check_terminal(encoding: str | None) -> Check:
    """See whether the terminal shows more than ASCII."""
    ok = (encoding or "").lower().replace("-", "") == "utf8"
    fix = "" if ok else "export PYTHONUTF8=1"
    return Check("terminal", ok or None, encoding or "unknown", "lines and signs in tables", fix)


def check_program(name: str, candidates: tuple[str, ...], needed_for: str, fix: str) -> Check:
    """Look for an optional program on PATH under any of its names."""
    found = next(filter(None, map(shutil.which, candidates)), None)
    if found is None:
        return Check(name, None, "not on PATH", needed_for, fix)
    return Check(name, True, found, needed_for)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
