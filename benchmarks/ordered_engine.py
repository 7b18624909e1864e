"""One million minute bars through the ordered engine with SMA crosses, everything journaled.

`sma_cross` as it is shipped, and beside it `examples/sma_cross_python.py`: a Python strategy in the fast lane, whose
indicators are computed a block at a time and which is called only where they cross. Both send the same orders.

Each run is a process of its own, so that peak memory and the time to the first result are those of a user. Run all:
`make bench`. The child form prints one JSON line: `python -m benchmarks.ordered_engine child DATA FAST SLOW
[STRATEGY]`.
Options: --runs N (default 5), --bars N (default 1,000,000), --quick (one run, no memory series).
"""

import argparse
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, peak_rss_kib
from benchmarks.yardstick import bare_loop_ns

HISTORY = Path(__file__).parent / "history" / "ordered_engine.jsonl"
DATA = Path("var") / "bench"
SEED = 42
BARS = 1_000_000
TRADING = (10, 30)  # About 39,000 orders per million bars.
QUIET = (1_000, 5_000)  # Few orders: what is left is the cost of bars.
SHIPPED = "sma_cross"
FAST_LANE = str(Path(__file__).parents[1] / "examples" / "sma_cross_python.py")


def data_file(n_bars: int) -> Path:
    """Return a file of `n_bars` synthetic bars, made once."""
    from njord.apps.synthetic import write_synthetic_csv

    path = DATA / f"SYNTH_USDT-1m-{n_bars}.csv"
    if not path.exists():
        write_synthetic_csv(path, n_bars, SEED)
    return path


def child(data: Path, fast: int, slow: int, strategy: str = SHIPPED) -> dict[str, Any]:
    """Run one backtest in this process and return its figures."""
    started = time.perf_counter()
    from njord.backtest.session import run_backtest

    with tempfile.TemporaryDirectory() as folder, _prepared(data, fast, slow, strategy) as prepared:
        opened = time.perf_counter()
        cpu = time.process_time()
        finished = run_backtest(prepared, Path(folder))
        done = time.perf_counter()
    return {
        "bars": prepared.market.n_events,
        "fills": len(finished.result.fills),
        "messages": finished.result.journal["n_messages"],
        "order_list_hash": finished.result.order_list_hash,
        "bars_per_s": round(finished.events_per_s),
        "cpu_per_wall": round((time.process_time() - cpu) / (done - opened), 2),
        "open_s": round(opened - started, 3),
        "result_s": round(done - opened, 3),
        "first_result_s": round(done - started, 3),
        "peak_rss_mib": round(peak_rss_kib() / 1024),
    }


class _prepared:  # Reads as a function where it is used.
    def __init__(self, data: Path, fast: int, slow: int, strategy: str = SHIPPED) -> None:
        from njord.adapters.config_loader import load_config
        from njord.backtest.session import BacktestRequest, prepare

        request = BacktestRequest(
            strategy=strategy, data=data, params=(f"fast={fast}", f"slow={slow}"), qty=Decimal(1)
        )
        config = load_config(Path("/nonexistent"), {"backtest.capital": "100000000"}, {}).config
        self._run = prepare(request, config, {})

    def __enter__(self) -> Any:
        return self._run

    def __exit__(self, *_: object) -> None:
        self._run.market.close()


def in_process(data: Path, windows: tuple[int, int], strategy: str = SHIPPED) -> dict[str, Any]:
    """Return a child's figures."""
    command = [sys.executable, "-m", "benchmarks.ordered_engine", "child", str(data), *map(str, windows)]
    command.append(strategy)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def profile(data: Path) -> Iterator[tuple[str, float]]:
    """Yield the costliest functions of a run and their share of the profiled time, itself excluded from callees."""
    from njord.backtest.session import run_backtest

    with tempfile.TemporaryDirectory() as folder, _prepared(data, *TRADING) as prepared:
        profiler = cProfile.Profile()
        profiler.runcall(run_backtest, prepared, Path(folder))
    stats = pstats.Stats(profiler)
    entries: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    total = sum(entry[2] for entry in entries.values())
    own: dict[str, float] = {}
    for (file, _, function), entry in entries.items():
        place = file.rpartition("/njord/")[2] if "/njord/" in file else "the interpreter and libraries"
        name = f"{place}:{function}" if "/njord/" in file else place
        own[name] = own.get(name, 0.0) + entry[2]
    own.pop("the interpreter and libraries", None)
    for name, seconds in sorted(own.items(), key=lambda item: -item[1])[:3]:
        yield name, seconds / total


def main() -> None:
    """Run the benchmark and append its line to the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bars", type=int, default=BARS)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    data = data_file(options.bars)
    runs, lane, quiet = [], [], []
    for _ in range(1 if options.quick else options.runs):  # In turn, so that both meet the same machine.
        runs.append(in_process(data, TRADING))
        lane.append(in_process(data, TRADING, FAST_LANE))
        quiet.append(in_process(data, QUIET, FAST_LANE))
    rates = sorted(run["bars_per_s"] for run in runs)
    if len({run["order_list_hash"] for run in (*runs, *lane)}) != 1:
        raise SystemExit("the runs disagree: their order lists have different hashes")
    typical = runs[0]
    print(f"{typical['bars']:,} bars, {typical['fills']:,} fills, {typical['messages']:,} messages journaled")
    print(
        f"engine      {statistics.median(rates):>10,.0f} bars/s (median of {len(rates)}, {rates[0]:,}-{rates[-1]:,})"
    )
    lane_rates, quiet_rates = (sorted(run["bars_per_s"] for run in each) for each in (lane, quiet))
    print(
        f"fast lane   {statistics.median(lane_rates):>10,.0f} bars/s, a Python strategy that sleeps "
        f"({lane_rates[0]:,}-{lane_rates[-1]:,})"
    )
    print(
        f"  if quiet  {statistics.median(quiet_rates):>10,.0f} bars/s with {quiet[0]['fills']} fills "
        f"({quiet_rates[0]:,}-{quiet_rates[-1]:,})"
    )
    yardstick = bare_loop_ns(data, *TRADING)
    times = 1e9 / statistics.median(rates) / yardstick
    print(
        f"yardstick   {yardstick:>10,.0f} ns/bar for a bare Python loop here and now; the engine takes {times:.1f}x that"
    )
    first = statistics.median(run["first_result_s"] for run in runs)
    print(f"first result {first:>9.2f} s from process start, file read and result written included")
    print(f"peak memory {max(run['peak_rss_mib'] for run in runs):>10,} MiB")
    print(f"cpu/wall    {statistics.median(run['cpu_per_wall'] for run in runs):>10}")
    print(f"order list  {typical['order_list_hash']}")
    memory = [] if options.quick else _memory_series(options.bars)
    costs = [] if options.quick else list(profile(data))
    for name, share in costs:
        print(f"next cost   {share:>9.1%}  {name}")
    _remember(machine, runs, (rates, lane_rates, quiet_rates), yardstick, first, memory, costs)


def _memory_series(n_bars: int) -> list[dict[str, Any]]:
    series = [in_process(data_file(n), QUIET) for n in (n_bars // 4, n_bars, n_bars * 4)]
    for run in series:
        print(
            f"memory      {run['peak_rss_mib']:>10,} MiB at {run['bars']:,} bars and {run['fills']:,} fills"
        )
    return series


def _remember(
    machine: dict[str, str | int],
    runs: list[dict[str, Any]],
    all_rates: tuple[list[int], list[int], list[int]],
    yardstick: float,
    first: float,
    memory: list[dict[str, Any]],
    costs: list[tuple[str, float]],
) -> None:
    rates = [
        {"median": statistics.median(each), "lowest": each[0], "highest": each[-1], "n": len(each)}
        for each in all_rates
    ]
    record = {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        **machine,
        "bars": runs[0]["bars"],
        "fills": runs[0]["fills"],
        **dict(zip(("bars_per_s", "fast_lane_bars_per_s", "quiet_bars_per_s"), rates, strict=True)),
        "yardstick_ns_per_bar": round(yardstick, 1),
        "first_result_s": first,
        "peak_rss_mib": max(run["peak_rss_mib"] for run in runs),
        "order_list_hash": runs[0]["order_list_hash"],
        "memory": [{key: run[key] for key in ("bars", "fills", "peak_rss_mib")} for run in memory],
        "next_costs": [[name, round(share, 3)] for name, share in costs],
    }
    HISTORY.parent.mkdir(exist_ok=True)
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:6])))
    else:
        main()
