"""The process of one contender: it gets ready, says so, then runs its work once for each line that it is asked by.

This module runs in the interpreters of other environments: standard library only. A line of JSON goes out for each line
in; what a library prints on stdout goes to stderr.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.machine import peak_rss_kib

Work = Callable[[], dict[str, Any]]


def serve(version: str, prepare: Callable[[], tuple[Work, dict[str, Any]]]) -> None:
    """Answer stdin.

    Args:
        version: The contender and its version.
        prepare: Returns the work (timed; returns what it came to) and what is to be said of it once.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    work, said = prepare()
    started = time.perf_counter()
    work()  # Compiles, fills caches.
    first_s = time.perf_counter() - started
    print(json.dumps({"version": version, "first_s": round(first_s, 3), **said}), file=answers, flush=True)
    for _ in sys.stdin:
        started, cpu = time.perf_counter(), time.process_time()
        came_to = work()
        wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        figures = {"wall_s": wall_s, "cpu_s": cpu_s, "peak_rss_mib": round(peak_rss_kib() / 1024)}
        print(json.dumps({**figures, "came_to": came_to}), file=answers, flush=True)
