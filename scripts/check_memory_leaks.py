"""Does memory grow when the same work is done again and again? The ordered engine over the same bars, in one process.

    python -m scripts.check_memory_leaks                       one minute
    python -m scripts.check_memory_leaks --duration 3600       the hour before a release

The first quarter of the rounds fills caches and is not counted. What grows is the median of the last quarter's resident
memory over that of the second; a round is a whole backtest, journal and report written, on 10,000 bars.
Exit codes: 0 memory stays, 1 it grows by more than --limit-mb, 2 wrong words.
"""

import contextlib
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scripts.words import Words, positive

BARS = 10_000
DURATION_S, LIMIT_MB = 60, 5
ROUNDS_MIN = 8  # Two a quarter.


def resident_mb() -> float:
    """Return what of this process lies in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def repeat(work: Callable[[], object], duration_s: float) -> list[float]:
    """Run `work` until the time is over, at least eight times; return the resident memory after each round."""
    until = time.monotonic() + duration_s
    held: list[float] = []
    while len(held) < ROUNDS_MIN or time.monotonic() < until:
        work()
        gc.collect()
        held.append(resident_mb())
    return held


def growth_mb(held: list[float]) -> float:
    """Return by how much the last quarter's median is above the second quarter's."""
    quarter = len(held) // 4
    return statistics.median(held[-quarter:]) - statistics.median(held[quarter : 2 * quarter])


def _backtest() -> Callable[[], object]:
    from benchmarks.ordered_engine import TRADING, child, data_file

    data = data_file(BARS)
    return lambda: child(data, *TRADING)


def main(arguments: list[str] | None = None, work: Callable[[], Callable[[], object]] = _backtest) -> int:
    """Repeat, and say by how much memory grew."""
    words = Words("python -m scripts.check_memory_leaks", __doc__)
    words.add_argument(
        "--duration", type=positive, default=DURATION_S, help=f"seconds, {DURATION_S} if not given"
    )
    words.add_argument(
        "--limit-mb", type=positive, default=LIMIT_MB, help=f"what may come on top, {LIMIT_MB} if not given"
    )
    words.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    options = words.parse_args(arguments)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            held = repeat(work(), options.duration)
    except KeyboardInterrupt:
        print("check_memory_leaks: interrupted; nothing was decided", file=sys.stderr)
        return 130
    grown = growth_mb(held)
    grows = grown > options.limit_mb
    figures = {
        "rounds": len(held),
        "first_mb": round(held[0], 1),
        "last_mb": round(held[-1], 1),
        "growth_mb": round(grown, 2),
        "kb_per_round": round(grown * 1e3 / (len(held) / 2), 2),
        "grows": grows,
    }
    if options.json:
        print(json.dumps(figures))
    else:
        print(
            f"{len(held)} rounds, {held[0]:.1f} MB after the first, {held[-1]:.1f} MB after the last;"
            f" {grown:+.2f} MB from the second quarter to the last:"
            f" {'MEMORY GROWS' if grows else 'memory stays'} (limit {options.limit_mb} MB)"
        )
    return 1 if grows else 0


if __name__ == "__main__":
    sys.exit(main())
