"""A bootstrap of 10,000 trades, 10,000 paths: equity and maximum drawdown, beside numpy in the same run.

numpy draws the same number of trades, makes every path's equity and drawdown, and takes the percentiles of both; in chunks
of 500 paths, which is faster than all at once. Ours does that work and more: the longest time under water, ruin, the fan of
64 moments and all intervals. The streams of chance differ, so that percentiles agree to sampling error, which is checked.
Rounds: each contender runs once in each, so that all meet the same machine; medians are reported. What counts is the ratio
of wall time of two threads to numpy's one; where other work shares the machine (cpu/wall is below the threads), the ratio
of processor time says what is left of it.

Run: `python -m benchmarks.montecarlo`. Options: --runs N (rounds, default 5), --small (500 paths, one round, no line in the
history), --json (print the line too).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe, peak_rss_kib
from njord.performance.returns import FloatArray
from njord.research.montecarlo_bins import PERCENTILES
from njord.research.montecarlo_bootstrap import Plan, bootstrap

HISTORY = Path(__file__).parent / "history" / "montecarlo.jsonl"
PATHS, SMALL_PATHS, TRADES = 10_000, 500, 10_000
CHUNK = 500
WANTED = 40.0  # Times as fast as numpy.
FACTORS = 1.0 + np.random.default_rng(42).normal(0.0002, 0.01, TRADES)

Percentiles = tuple[FloatArray, FloatArray]  # Of final equity and of maximum drawdown.


def by_numpy(n_paths: int) -> Percentiles:
    """Return the percentiles as one writes it in numpy."""
    random = np.random.default_rng(42)
    final, drawdown = np.empty(n_paths), np.empty(n_paths)
    for first in range(0, n_paths, CHUNK):
        chunk = slice(first, min(n_paths, first + CHUNK))
        rows = random.integers(0, FACTORS.size, (chunk.stop - first, TRADES))
        equity = np.cumprod(FACTORS[rows], axis=1)
        peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
        final[chunk] = equity[:, -1]
        drawdown[chunk] = (1 - equity / peak).max(axis=1)
    return np.percentile(final, PERCENTILES), np.percentile(drawdown, PERCENTILES)


def by_njord(n_paths: int, n_threads: int) -> Percentiles:
    """Return the percentiles as `njord montecarlo` has them, with everything that it makes beside them."""
    plan = Plan(n_paths=n_paths, n_steps=TRADES, seed=42)
    figures = bootstrap(FACTORS, plan, n_threads).figures(1.0)
    final, drawdown = (
        np.array([each.value for each in distribution.percentiles])
        for distribution in (figures.final_equity, figures.max_drawdown)
    )
    return final, drawdown


def measure(n_paths: int, n_rounds: int) -> dict[str, Any]:
    """Return each contender's figures.

    Raises:
        SystemExit: Two contenders do not agree.
    """
    contenders: dict[str, Callable[[], Percentiles]] = {
        "numpy": lambda: by_numpy(n_paths),
        "njord, 1 thread": lambda: by_njord(n_paths, 1),
        "njord, 2 threads": lambda: by_njord(n_paths, 2),
    }
    by_njord(64, 2)  # Compiles, or loads what is compiled.
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    ends: dict[str, Percentiles] = {}
    for _ in range(n_rounds):
        for name, work in contenders.items():
            started, cpu = time.perf_counter(), time.process_time()
            ends[name] = work()
            runs[name].append((time.perf_counter() - started, time.process_time() - cpu))
    _check(ends, n_paths)
    return {name: _summary(found, n_paths) for name, found in runs.items()}


# The inner percentiles of n paths: five standard errors of a quantile are far less than this.
def _check(ends: dict[str, Percentiles], n_paths: int) -> None:
    if not all(map(np.array_equal, ends["njord, 1 thread"], ends["njord, 2 threads"])):
        raise SystemExit("one thread and two do not give the same percentiles")
    reach = 5.0 / np.sqrt(n_paths)
    for theirs, ours in zip(ends["numpy"], ends["njord, 1 thread"], strict=True):
        apart = np.abs(np.log(ours[1:-1] / theirs[1:-1])).max()
        if apart > 2 * reach:
            raise SystemExit(f"the percentiles do not agree: {theirs} and {ours}")


def _summary(runs: list[tuple[float, float]], n_paths: int) -> dict[str, float]:
    walls = sorted(wall for wall, _ in runs)
    return {
        "paths_per_s": round(n_paths / statistics.median(walls)),
        "lowest": round(n_paths / walls[-1]),
        "highest": round(n_paths / walls[0]),
        "cpu_us_per_path": round(statistics.median(cpu for _, cpu in runs) / n_paths * 1e6, 2),
        "cpu_per_wall": round(sum(cpu for _, cpu in runs) / sum(wall for wall, _ in runs), 2),
    }


def show(found: dict[str, Any]) -> dict[str, float]:
    """Print the figures; return how many times as fast as numpy ours are."""
    for name, each in found.items():
        print(
            f"  {name:<18} {each['paths_per_s']:>9,} paths/s ({each['lowest']:,}-{each['highest']:,})"
            f"   {each['cpu_us_per_path']:>7.2f} us of processor a path   cpu/wall {each['cpu_per_wall']:.2f}"
        )
    theirs, two = found["numpy"], found["njord, 2 threads"]
    ratios = {
        "wall, 2 threads": round(two["paths_per_s"] / theirs["paths_per_s"], 1),
        "wall, 1 thread": round(found["njord, 1 thread"]["paths_per_s"] / theirs["paths_per_s"], 1),
        "processor": round(theirs["cpu_us_per_path"] / found["njord, 1 thread"]["cpu_us_per_path"], 1),
    }
    print(
        f"  two threads are {ratios['wall, 2 threads']}x numpy (wanted: {WANTED:.0f}x), one is "
        f"{ratios['wall, 1 thread']}x; by processor time one is {ratios['processor']}x"
    )
    return ratios


def main() -> None:
    """Run the benchmark and append its line to the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    n_paths = SMALL_PATHS if options.small else PATHS
    print(f"{n_paths:,} paths of {TRADES:,} trades")
    found = measure(n_paths, 1 if options.small else options.runs)
    record: dict[str, Any] = {"day": time.strftime("%Y-%m-%d", time.gmtime()), **machine, "paths": n_paths}
    record |= {
        "contenders": found,
        "times_as_fast": show(found),
        "peak_rss_mib": round(peak_rss_kib() / 1024),
    }
    if options.json:
        print(json.dumps(record))
    if not options.small:
        HISTORY.parent.mkdir(exist_ok=True)
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
