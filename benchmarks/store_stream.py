"""A year of minute bars of twenty symbols out of the store, through the engine's reader, in the engine's order.

The store is written first, in a process of its own; the reader runs in another one, so that its peak memory is its own.
Limit: 300 MB. Run: `python -m benchmarks.store_stream`. Options: --small (3 symbols, 5 days, for tests), --folder DIR
(where the store lies; it is kept).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, peak_rss_kib

N_SYMBOLS, N_BARS = 20, 365 * 1_440
SMALL = (3, 5 * 1_440)
START_NS = 1_640_995_200_000_000_000
MINUTE_NS = 60_000_000_000
LIMIT_MB = 300


def write(root: Path, n_symbols: int, n_bars: int) -> None:
    """Write one dataset per symbol: a random walk without gaps."""
    from njord.core.instrument import Instrument
    from njord.storage.certificate.bars import BarChecks
    from njord.storage.certificate.certificate import encode_certificate
    from njord.storage.store.key import DatasetKey
    from njord.storage.store.kinds import DataKind
    from njord.storage.store.store import Store

    store = Store(root, create=True)
    for index in range(n_symbols):
        chance = np.random.default_rng(index)
        close = 1_000_000 + np.cumsum(chance.integers(-20, 21, n_bars))
        open_ = np.concatenate((close[:1], close[:-1]))
        instrument = Instrument(
            symbol=f"S{index:02d}/USDT",
            venue="synthetic",
            base=f"S{index:02d}",
            quote="USDT",
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.001"),
        )
        key = DatasetKey(DataKind.BARS, "synthetic", instrument.symbol, "1m")
        with store.begin(key, instrument=instrument) as commit:
            commit.append(
                {
                    "ts_open_ns": START_NS + np.arange(n_bars) * MINUTE_NS,
                    "open": open_,
                    "high": np.maximum(open_, close) + chance.integers(0, 10, n_bars),
                    "low": np.minimum(open_, close) - chance.integers(0, 10, n_bars),
                    "close": close,
                    "volume_lots": chance.integers(0, 50_000, n_bars),
                }
            )
            checks = BarChecks(instrument, MINUTE_NS)
            for rows in commit.rows_after_merge():
                checks.add(rows)
            commit.commit(certificate=encode_certificate(checks.finish(commit.hash_after_merge))).close()


def read(root: Path) -> dict[str, float | int]:
    """Stream all bars of the store as a run is told of them, and return the figures of this process."""
    from njord.backtest.market_open import MarketRequest, open_market
    from njord.core.contracts import Bar
    from njord.storage.store.store import Store

    started, cpu = time.perf_counter(), time.process_time()
    paths = tuple(root / path for path in dict(Store(root).datasets()))
    n_bars = last_ns = last_instrument = 0
    with open_market(MarketRequest(data=paths), {}) as market:
        opened = time.perf_counter()
        for block in market.blocks():
            for bar in block.messages:
                assert isinstance(bar, Bar)
                if bar.ts_ns < last_ns or (bar.ts_ns == last_ns and bar.instrument <= last_instrument):
                    raise SystemExit(f"bar {n_bars} is out of order")
                last_ns, last_instrument = bar.ts_ns, bar.instrument
                n_bars += 1
    wall_s = time.perf_counter() - started
    return {
        "bars": n_bars,
        "symbols": len(paths),
        "open_s": round(opened - started, 3),
        "wall_s": round(wall_s, 3),
        "cpu_per_wall": round((time.process_time() - cpu) / wall_s, 2),
        "bars_per_s": round(n_bars / wall_s),
        "peak_rss_mb": round(peak_rss_kib() / 1024, 1),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the store if it is not there, read it in a new process, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", choices=("write", "read"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    n_symbols, n_bars = SMALL if options.small else (N_SYMBOLS, N_BARS)
    if options.child == "write":
        write(options.folder, n_symbols, n_bars)
        return 0
    if options.child == "read":
        print(json.dumps(read(options.folder)))
        return 0
    if options.folder is not None:
        return _measure(options.folder, options.small, print)
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder) / "store", options.small, print)


def _measure(folder: Path, small: bool, say: Callable[[str], object]) -> int:
    command = [sys.executable, "-m", "benchmarks.store_stream", "--folder", str(folder)]
    if not folder.exists():
        started = time.perf_counter()
        subprocess.run([*command, "--child", "write", *["--small"] * small], check=True)
        say(f"written in {time.perf_counter() - started:.1f} s")
    done = subprocess.run([*command, "--child", "read"], check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    say(json.dumps({**figures, **describe()}))
    expected = SMALL if small else (N_SYMBOLS, N_BARS)
    if (figures["symbols"], figures["bars"]) != (expected[0], expected[0] * expected[1]):
        raise SystemExit(f"{folder} does not hold {expected[0]} symbols of {expected[1]} bars")
    fits = figures["peak_rss_mb"] < LIMIT_MB
    say(
        f"peak memory {figures['peak_rss_mb']} MB, {'under' if fits else 'NOT UNDER'} {LIMIT_MB} MB;"
        f" {figures['bars_per_s']:,} bars/s"
    )
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
