"""Who holds memory when it is at its peak? Profile the ordered engine, or any njord command, into NAME-memory.folded.

    python -m scripts.profile_memory                                the ordered engine on 200,000 bars
    python -m scripts.profile_memory --name demo -- demo            any words of njord

memray counts every allocation, those of numpy and polars too, and keeps the stacks of the moment at which most was held.
Where it is not installed tracemalloc counts Python's own at the end of the ordered engine's run: a line says so. Counts
are bytes; the file lies below var/profiling, read it with `python -m scripts.analyze_profiles`.
Exit codes: 0 profiled, 1 what was profiled failed, 2 wrong words.
"""

import importlib
import importlib.util
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

from scripts.profile_stacks import FOLDER, Stacks, frame, write_folded
from scripts.profile_target import add_target, target_of
from scripts.words import Words

FRAMES = 6  # tracemalloc pays for each of them at every allocation.


def by_memray(target: list[str], folder: Path) -> Stacks:
    """Run the target below memray and return what was held at the peak.

    Raises:
        RuntimeError: The target failed; its last line is named.
    """
    import memray

    out = folder / "memory.bin"
    command = [sys.executable, "-m", "memray", "run", "-q", "-o", str(out), *target]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode or not out.exists():
        raise RuntimeError((done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1])
    stacks: Stacks = Counter()
    with memray.FileReader(out) as reader:
        for record in reader.get_high_watermark_allocation_records(merge_threads=True):
            calls = tuple(frame(file, function) for function, file, _ in reversed(record.stack_trace()))
            stacks[calls or ("outside of Python",)] += record.size
    return stacks


def by_tracemalloc(target: list[str]) -> Stacks:
    """Run the ordered engine in this process and return what Python holds where its result is finished.

    Raises:
        RuntimeError: The target is a command: it would have to run in this process.
    """
    if target[0] != "-m":
        raise RuntimeError("without memray only the ordered engine can be profiled; next: make venv")
    from benchmarks.ordered_engine import child

    for module in ("njord.backtest.session", "njord.adapters.config_loader"):
        importlib.import_module(module)  # What modules hold is there before, and would take long to trace.
    data, fast, slow = target[-3:]
    tracemalloc.start(FRAMES)
    child(Path(data), int(fast), int(slow))
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    stacks: Stacks = Counter()
    for held in snapshot.statistics("traceback"):
        stacks[tuple(frame(call.filename, f"line {call.lineno}") for call in held.traceback)] += held.size
    return stacks


def main(arguments: list[str] | None = None) -> int:
    """Profile and say where the file is."""
    words = Words("python -m scripts.profile_memory", __doc__)
    add_target(words)
    words.add_argument(
        "--tool",
        choices=("auto", "memray", "tracemalloc"),
        default="auto",
        help="auto: memray if it is there",
    )
    options = words.parse_args(arguments)
    has_memray = importlib.util.find_spec("memray") is not None
    tool = options.tool if options.tool != "auto" else "memray" if has_memray else "tracemalloc"
    if tool == "tracemalloc":
        print(
            "profile_memory: warning: tracemalloc sees Python's own memory alone, at the end", file=sys.stderr
        )
    try:
        with tempfile.TemporaryDirectory() as folder:
            target = target_of(options)
            stacks = by_memray(target, Path(folder)) if tool == "memray" else by_tracemalloc(target)
    except RuntimeError as error:
        print(f"profile_memory: {error}", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{options.name}-memory.folded"
    path.write_text(write_folded(stacks), encoding="utf-8")
    print(f"{path}: {stacks.total():,} bytes by {tool}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
