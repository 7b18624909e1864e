"""A year of minute bars of twenty symbols out of the store, through the whole ordered engine, journaled: how much memory?

10,512,000 bars, one `sma_cross` on all symbols, one unit a trade; the store is that of `store_stream`, written first in a
process of its own. The engine runs in another, so that its peak memory is its own. Orders and fills are kept until the
report, so memory depends on how often the strategy trades, and both are printed.

    python -m benchmarks.year_of_twenty                      windows of an hour and a day, minutes to run
    python -m benchmarks.year_of_twenty --windows 10:30      far more orders
    python -m benchmarks.year_of_twenty --small              3 symbols, 5 days

Exit codes: 0 the peak is under 500 MB, 1 it is not, 2 wrong words.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, peak_rss_kib
from benchmarks.store_stream import N_BARS, N_SYMBOLS, SMALL, write

HISTORY = Path(__file__).parent / "history" / "year_of_twenty.jsonl"
LIMIT_MB = 500
WINDOWS = "60:1440"
CAPITAL = "100000000"


def run(store: Path, fast: int, slow: int) -> dict[str, Any]:
    """Run the engine over the store in this process and return its figures."""
    started = time.perf_counter()
    from njord.adapters.config_loader import load_config
    from njord.backtest.session import BacktestRequest, prepare, run_backtest
    from njord.storage.store.store import Store

    request = BacktestRequest(
        strategy="sma_cross",
        data=tuple(store / path for path in dict(Store(store).datasets())),
        params=(f"fast={fast}", f"slow={slow}"),
        qty=Decimal(1),
    )
    config = load_config(Path("/nonexistent"), {"backtest.capital": CAPITAL}, {}).config
    prepared = prepare(request, config, {})
    opened, opened_kib = time.perf_counter(), peak_rss_kib()
    cpu = time.process_time()
    engine_kib: list[int] = []
    with prepared.market, tempfile.TemporaryDirectory() as folder:
        finished = run_backtest(prepared, Path(folder), lambda _done, _all: engine_kib.append(peak_rss_kib()))
    wall_s = time.perf_counter() - opened
    return {
        "bars": prepared.market.n_events,
        "symbols": len(request.paths),
        "windows": [fast, slow],
        "fills": len(finished.result.fills),
        "messages": finished.result.journal["n_messages"],
        "order_list_hash": finished.result.order_list_hash,
        "open_s": round(opened - started, 2),
        "wall_s": round(wall_s, 2),
        "bars_per_s": round(finished.events_per_s),
        "cpu_per_wall": round((time.process_time() - cpu) / wall_s, 2),
        "opened_mb": _mb(opened_kib),
        "engine_mb": _mb(engine_kib[-1] if engine_kib else opened_kib),
        "peak_rss_mb": _mb(peak_rss_kib()),
    }


def _mb(kib: int) -> float:
    return round(kib * 1024 / 1e6, 1)


def main(arguments: list[str] | None = None) -> int:
    """Write the store if it is not there, run in a new process, print, and append one line to the history."""
    options = _options(arguments)
    if options.child == "write":
        write(options.folder, *(SMALL if options.small else (N_SYMBOLS, N_BARS)))
        return 0
    if options.child == "run":
        print(json.dumps(run(options.folder, *options.windows)))
        return 0
    if options.folder is not None:
        return _measure(options, options.folder)
    with tempfile.TemporaryDirectory() as folder:
        return _measure(options, Path(folder) / "store")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.year_of_twenty",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--small", action="store_true", help="3 symbols, 5 days, no line in the history")
    parser.add_argument("--folder", type=Path, help="where the store lies; it is made there and kept")
    parser.add_argument(
        "--windows", type=_windows, default=_windows(WINDOWS), help=f"FAST:SLOW in bars, {WINDOWS}"
    )
    parser.add_argument("--child", choices=("write", "run"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _windows(text: str) -> tuple[int, int]:
    fast, _, slow = text.partition(":")
    if not (fast.isdecimal() and slow.isdecimal() and 0 < int(fast) < int(slow)):
        raise argparse.ArgumentTypeError(
            f"must be FAST:SLOW with 0 < FAST < SLOW, was {text!r}; for example 10:30"
        )
    return int(fast), int(slow)


def _measure(options: argparse.Namespace, folder: Path) -> int:
    fast, slow = options.windows
    words = ["--folder", str(folder), "--windows", f"{fast}:{slow}", *["--small"] * options.small]
    command = [sys.executable, "-m", "benchmarks.year_of_twenty", *words]
    if not folder.exists():
        started = time.perf_counter()
        subprocess.run([*command, "--child", "write"], check=True)
        print(f"store written in {time.perf_counter() - started:.1f} s", flush=True)
    done = subprocess.run([*command, "--child", "run"], check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout)
    n_symbols, n_bars = SMALL if options.small else (N_SYMBOLS, N_BARS)
    if (figures["symbols"], figures["bars"]) != (n_symbols, n_symbols * n_bars):
        raise SystemExit(f"{folder} does not hold {n_symbols} symbols of {n_bars} bars")
    fits = figures["peak_rss_mb"] < LIMIT_MB
    print(
        f"{figures['bars']:,} bars of {n_symbols} symbols, {figures['fills']:,} fills, {figures['messages']:,} messages:"
        f" {figures['bars_per_s']:,} bars/s, cpu/wall {figures['cpu_per_wall']}"
    )
    print(
        f"peak memory {figures['peak_rss_mb']} MB, {'under' if fits else 'NOT UNDER'} {LIMIT_MB} MB:"
        f" {figures['opened_mb']} when the data were open, {figures['engine_mb']} at the engine's end, then the report"
    )
    if not options.small:
        HISTORY.parent.mkdir(exist_ok=True)
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"day": time.strftime("%Y-%m-%d", time.gmtime()), **describe(), **figures}) + "\n"
            )
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
