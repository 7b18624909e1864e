"""Where does processor time go? Profile the ordered engine, or any njord command, into var/profiling/NAME-cpu.folded.

    python -m scripts.profile_cpu                                   the ordered engine on 200,000 bars
    python -m scripts.profile_cpu --tool pyinstrument --bars 50000
    python -m scripts.profile_cpu --name poison -- poison sma_cross --data BTC_USDT-1m.csv

The tool is py-spy (it looks from outside, about 1 %), else pyinstrument, else cProfile, which makes short functions look
dearer than they are and knows no stacks: a line says so. Read the result with `python -m scripts.analyze_profiles`.
Exit codes: 0 profiled, 1 what was profiled failed, 2 wrong words.
"""

import importlib.util
import pstats
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.profile_stacks import FOLDER, Stacks, of_pstats, of_py_spy, of_pyinstrument, write_folded
from scripts.profile_target import add_target, target_of
from scripts.words import Words

SAMPLES_PER_S = 200


class Failed(Exception):
    """A profiler that got no profile; the message is the last line that it said."""


def by_py_spy(target: list[str], out: Path) -> Stacks:
    """Look at the process from outside, many times a second; it must be allowed to read another process's memory."""
    tool = str(Path(sys.executable).with_name("py-spy"))
    words = [
        "record",
        "--full-filenames",
        "--format",
        "raw",
        "--rate",
        str(SAMPLES_PER_S),
        "--output",
        str(out),
    ]
    _run([tool, *words, "--", sys.executable], target, out)
    return of_py_spy(out.read_text(encoding="utf-8"))


def by_pyinstrument(target: list[str], out: Path) -> Stacks:
    """Look from inside, a thousand times a second."""
    _run([sys.executable, "-m", "pyinstrument", "-r", "json", "-o", str(out)], target, out)
    return of_pyinstrument(out.read_text(encoding="utf-8"))


def by_cprofile(target: list[str], out: Path) -> Stacks:
    """Count every call: there in every Python."""
    _run([sys.executable, "-m", "cProfile", "-o", str(out)], target, out)
    entries: dict[tuple[str, int, str], Any] = pstats.Stats(str(out)).stats  # type: ignore[attr-defined]
    return of_pstats(entries)


# Profilers keep the exit code of what they run to themselves: the target leaves it in a file.
def _run(profiler: list[str], target: list[str], out: Path) -> None:
    code = out.with_name("code")
    command = [*profiler, "-m", "scripts.profile_target", str(code), *target]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    ended = code.read_text(encoding="utf-8") if code.exists() else "nothing"
    if ended != "0" or not out.exists():
        said = done.stderr.strip().splitlines() or [""]
        raise Failed(f"it ended with {ended}: {said[-1]}")


TOOLS: dict[str, Callable[[list[str], Path], Stacks]] = {
    "py-spy": by_py_spy,
    "pyinstrument": by_pyinstrument,
    "cprofile": by_cprofile,
}
UNITS = {"py-spy": f"samples at {SAMPLES_PER_S} a second", "pyinstrument": "us", "cprofile": "us"}


def available(tool: str) -> bool:
    """Say whether a tool is installed."""
    if tool == "py-spy":
        return Path(sys.executable).with_name("py-spy").exists()
    return tool == "cprofile" or importlib.util.find_spec(tool) is not None


def main(arguments: list[str] | None = None) -> int:
    """Profile and say where the file is."""
    words = Words("python -m scripts.profile_cpu", __doc__)
    words.add_argument(
        "--tool", choices=("auto", *TOOLS), default="auto", help="auto: the first that works here"
    )
    add_target(words)
    options = words.parse_args(arguments)
    target = target_of(options)
    tried = [tool for tool in TOOLS if available(tool)] if options.tool == "auto" else [options.tool]
    for tool in tried:
        with tempfile.TemporaryDirectory() as folder:
            try:
                stacks = TOOLS[tool](target, Path(folder) / "profile")
            except (Failed, OSError) as error:
                print(f"profile_cpu: {tool} got no profile: {error}", file=sys.stderr)
                continue
        if tool == "cprofile":
            print(
                "profile_cpu: warning: cProfile knows no stacks and slows short functions most",
                file=sys.stderr,
            )
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{options.name}-cpu.folded"
        path.write_text(write_folded(stacks), encoding="utf-8")
        print(f"{path}: {stacks.total():,} {UNITS[tool]} by {tool}")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
