"""Ten million stored trades to one-minute bars, end to end, against polars, duckdb and pandas on the same data.

The data: seeded trades, written once below var/bench as a dataset of the store, and as the plain float Parquet file that
a user of polars would have. Each contender is a process of its own (its peak memory is its own) that warms up once and is
timed three times; rounds follow each other, so that all meet the same machine. All bars have one hash, or this fails.

Run: `python -m benchmarks.stored_trades`. Options: --runs N (rounds, default 5), --trades N (default 10,000,000),
--small (200,000 trades, one round, no line in the history), --json (print the line too). duckdb joins where
.cache/oracles has it, which `make integration` sets up from locks/oracles.txt.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, peak_rss_kib

HISTORY = Path(__file__).parent / "history" / "stored_trades.jsonl"
DATA = Path("var") / "bench"
ORACLES = Path(".cache") / "oracles" / "venv" / "bin" / "python"
SEED = 42
TRADES, SMALL_TRADES = 10_000_000, 200_000
FIRST_NS = 1_722_470_400_000_000_000  # 2024-08-01
BLOCK_ROWS = 1_000_000
TICKS_PER_UNIT, LOTS_PER_UNIT = 100, 100_000
MINUTE_NS = 60_000_000_000
SYMBOL, VENUE = "BTC/USDT", "synthetic"
DATASET = "trades/synthetic/BTC-USDT"
TIMED_RUNS = 3
_BARS = ("ts", "open", "high", "low", "close", "volume")

Timed = Callable[[], Any]
Work = tuple[Timed, Callable[[Any], Any]]  # What is timed, and its result as (6, n) whole ticks and lots.


# --- the data -----------------------------------------------------------------------------------------------------


def stored(n_trades: int) -> Path:
    """Return the root of a store with `n_trades` trades."""
    return DATA / f"trades-{n_trades}"


def plain(n_trades: int) -> Path:
    """Return the same trades as a user's Parquet file: float prices and quantities."""
    return DATA / f"trades-{n_trades}.parquet"


def make(n_trades: int) -> dict[str, float]:
    """Write the store and the plain file, each once; return what it took if it was done now."""
    import numpy as np
    import polars as pl

    took: dict[str, float] = {}
    columns = None if stored(n_trades).exists() and plain(n_trades).exists() else _trades(n_trades)
    if columns is not None and not stored(n_trades).exists():
        started = time.perf_counter()
        write_store(stored(n_trades), columns)
        took["store_write_s"] = round(time.perf_counter() - started, 2)
    if columns is not None and not plain(n_trades).exists():
        frame = pl.DataFrame(
            {
                "ts": (columns["ts_ns"] // 1000).view("datetime64[us]"),
                "price": columns["price_ticks"] / TICKS_PER_UNIT,
                "qty": columns["qty_lots"] / LOTS_PER_UNIT,
                "is_buyer_maker": columns["side"] < np.int64(0),
            }
        )
        partial = plain(n_trades).with_suffix(".partial")
        frame.write_parquet(partial, compression="zstd")
        partial.replace(plain(n_trades))
    return took


def _trades(n_trades: int) -> dict[str, Any]:
    import numpy as np

    generator = np.random.default_rng(SEED)
    gaps_us = generator.exponential(80_000, n_trades).astype(np.int64) + 1
    ts_ns = FIRST_NS + np.cumsum(gaps_us) * 1000
    return {
        "ts_ns": ts_ns,
        "ts_venue_ns": ts_ns,
        "trade_id": np.arange(1, n_trades + 1),
        "side": generator.integers(0, 2, n_trades) * 2 - 1,
        "price_ticks": 6_000_000 + np.cumsum(generator.integers(-3, 4, n_trades)),
        "qty_lots": generator.lognormal(6, 2, n_trades).astype(np.int64) + 1,
    }


def write_store(root: Path, columns: dict[str, Any]) -> None:
    """Write trades as a dataset of a new store, the way an import does; whole or not at all."""
    from njord.storage.store.key import DatasetKey
    from njord.storage.store.kinds import DataKind
    from njord.storage.store.store import Store

    partial = root.with_suffix(f".{time.time_ns()}")
    key = DatasetKey(kind=DataKind.TRADES, venue=VENUE, symbol=SYMBOL)
    with Store(partial, create=True).begin(key, instrument=_instrument()) as commit:
        for first in range(0, len(columns["ts_ns"]), BLOCK_ROWS):
            commit.append({name: column[first : first + BLOCK_ROWS] for name, column in columns.items()})
        commit.commit().close()
    partial.rename(root)


def _instrument() -> Any:
    from decimal import Decimal

    from njord.core.instrument import Instrument

    return Instrument(
        symbol=SYMBOL,
        venue=VENUE,
        base="BTC",
        quote="USDT",
        tick_size=1 / Decimal(TICKS_PER_UNIT),
        lot_size=1 / Decimal(LOTS_PER_UNIT),
    )


# --- the contenders -----------------------------------------------------------------------------------------------


def njord_stored(n_trades: int) -> Work:
    """Stored parts to bars: open the dataset, read what bars need part by part, resample."""
    from njord.apps.resample import resample
    from njord.apps.stored_rows import stored_rows
    from njord.storage.store.store import Store

    def run() -> list[Any]:
        with Store(stored(n_trades)).open(DATASET) as dataset:
            return list(resample(stored_rows(dataset), dataset.instrument, timeframe="1m"))

    return run, _of_blocks


def njord_alone(n_trades: int) -> Work:
    """Resampling alone, from int64 arrays in memory."""
    from njord.apps.resample import resample

    columns, instrument = _trades(n_trades), _instrument()
    return lambda: list(resample([columns], instrument, timeframe="1m")), _of_blocks


def _of_blocks(blocks: list[Any]) -> Any:
    import numpy as np

    return np.concatenate([np.stack(list(block.values())) for block in blocks], axis=1)


def polars_stored(n_trades: int) -> Work:
    """polars lazy over the same stored parts, in the manifest's order."""
    import polars as pl

    from njord.storage.store.store import Store

    with Store(stored(n_trades)).open(DATASET) as dataset:
        parts = [dataset.folder / part.file for part in dataset.manifest.parts]
    schema = dict.fromkeys(pl.read_parquet_schema(parts[0]), pl.Int64)
    casts = pl.ScanCastOptions(integer_cast="upcast")
    ts = pl.from_epoch("ts_venue_ns", "ns").set_sorted().alias("ts")
    named = [pl.col("price_ticks").alias("price"), pl.col("qty_lots").alias("qty")]

    def run() -> Any:
        rows = pl.scan_parquet(parts, schema=schema, cast_options=casts)
        return _by_polars(rows.select(ts, *named)).collect()

    return run, _of_frame


def polars_plain(n_trades: int) -> Work:
    """polars lazy over the plain float file."""
    import polars as pl

    def run() -> Any:
        rows = pl.scan_parquet(plain(n_trades)).select(pl.col("ts").set_sorted(), "price", "qty")
        return _by_polars(rows).collect()

    return run, _of_float_frame


def _by_polars(rows: Any) -> Any:
    import polars as pl

    price = pl.col("price")
    return rows.group_by_dynamic("ts", every="1m").agg(
        open=price.first(), high=price.max(), low=price.min(), close=price.last(), volume=pl.col("qty").sum()
    )


def pandas_alone(n_trades: int) -> Work:
    """pandas' resampling alone, from a frame of floats in memory."""
    import pandas as pd

    frame = pd.read_parquet(plain(n_trades)).set_index("ts")

    def run() -> pd.DataFrame:
        grouped = frame.resample("1min")
        bars = grouped["price"].ohlc()
        return bars.assign(volume=grouped["qty"].sum())

    return run, lambda bars: _of_float_frame(bars.dropna().reset_index())


def duckdb_stored(n_trades: int) -> Work:
    """duckdb over the same stored parts."""
    files = str(stored(n_trades) / "trades" / "*" / "*" / "*.parquet")
    return _by_duckdb(files, "ts_venue_ns", "price_ticks", "qty_lots", MINUTE_NS), _of_arrays


def duckdb_plain(n_trades: int) -> Work:
    """duckdb over the plain float file."""
    return _by_duckdb(
        str(plain(n_trades)), "epoch_us(ts)", "price", "qty", MINUTE_NS // 1000
    ), _of_float_arrays


def _by_duckdb(files: str, ts: str, price: str, qty: str, width: int) -> Timed:
    import duckdb

    query = (
        f"select {ts} // {width} * {width} as ts, arg_min({price}, {ts}) as open, max({price}) as high, "
        f"min({price}) as low, arg_max({price}, {ts}) as close, sum({qty}) as volume "
        f"from '{files}' group by 1 order by 1"
    )
    return lambda: duckdb.sql(query).fetchnumpy()


def _of_frame(frame: Any) -> Any:
    return _of_arrays({name: frame[name].to_numpy() for name in _BARS})


def _of_float_frame(frame: Any) -> Any:
    return _of_float_arrays({name: frame[name].to_numpy() for name in _BARS})


def _of_arrays(arrays: dict[str, Any]) -> Any:
    import numpy as np

    return np.stack([np.asarray(arrays[name]).astype(np.int64) for name in _BARS])


def _of_float_arrays(arrays: dict[str, Any]) -> Any:
    import numpy as np

    ts, *prices, volume = (np.asarray(arrays[name]) for name in _BARS)
    amounts = [*(price * TICKS_PER_UNIT for price in prices), volume * LOTS_PER_UNIT]
    return np.stack([ts.astype(np.int64) * 1000, *(np.rint(amount).astype(np.int64) for amount in amounts)])


CONTENDERS: dict[str, Callable[[int], Work]] = {
    work.__name__: work
    for work in (
        njord_stored,
        polars_stored,
        polars_plain,
        duckdb_stored,
        duckdb_plain,
        njord_alone,
        pandas_alone,
    )
}


# --- measuring ----------------------------------------------------------------------------------------------------


def child(name: str, n_trades: int) -> dict[str, Any]:
    """Run one contender in this process; return its figures and the hash of its bars."""
    work, as_integers = CONTENDERS[name](n_trades)
    bars = as_integers(work())
    walls, cpus = [], []
    for _ in range(TIMED_RUNS):
        cpu, started = time.process_time(), time.perf_counter()
        work()
        walls.append(time.perf_counter() - started)
        cpus.append(time.process_time() - cpu)
    return {
        "wall_s": statistics.median(walls),
        "cpu_per_wall": round(sum(cpus) / sum(walls), 2),
        "peak_rss_mib": round(peak_rss_kib() / 1024),
        "bars": int(bars.shape[1]),
        "hash": hashlib.sha256(bars.tobytes()).hexdigest(),
    }


def in_process(name: str, n_trades: int) -> dict[str, Any] | None:
    """Return a child's figures; None where duckdb is not installed."""
    python = str(ORACLES) if name.startswith("duckdb") else sys.executable
    if (
        name.startswith("duckdb")
        and subprocess.run([python, "-c", "import duckdb"], capture_output=True, check=False).returncode
    ):
        return None
    command = [python, "-m", "benchmarks.stored_trades", "child", name, str(n_trades)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(n_trades: int, n_rounds: int) -> dict[str, dict[str, Any]]:
    """Return each contender's median figures.

    Raises:
        SystemExit: Two contenders made different bars.
    """
    runs: dict[str, list[dict[str, Any]]] = {}
    for _ in range(n_rounds):
        for name in CONTENDERS:
            figures = in_process(name, n_trades)
            if figures is not None:
                runs.setdefault(name, []).append(figures)
    hashes = {name: {run["hash"] for run in found} for name, found in runs.items()}
    if len(set().union(*hashes.values())) != 1:
        raise SystemExit(f"the contenders made different bars: {hashes}")
    return {name: _median(found, n_trades) for name, found in runs.items()}


def _median(runs: list[dict[str, Any]], n_trades: int) -> dict[str, Any]:
    walls = sorted(run["wall_s"] for run in runs)
    return {
        "wall_ms": round(statistics.median(walls) * 1000, 1),
        "lowest_ms": round(walls[0] * 1000, 1),
        "highest_ms": round(walls[-1] * 1000, 1),
        "m_rows_per_s": round(n_trades / statistics.median(walls) / 1e6, 1),
        "cpu_per_wall": statistics.median(run["cpu_per_wall"] for run in runs),
        "peak_rss_mib": max(run["peak_rss_mib"] for run in runs),
        "bars": runs[0]["bars"],
    }


RATIOS = (
    ("end to end, against polars on the stored parts", "njord_stored", "polars_stored", 1.2),
    ("end to end, against polars on plain floats", "njord_stored", "polars_plain", 1.2),
    ("end to end, against duckdb on the stored parts", "njord_stored", "duckdb_stored", None),
    ("end to end, against duckdb on plain floats", "njord_stored", "duckdb_plain", None),
    ("resampling alone, against pandas", "njord_alone", "pandas_alone", 5.0),
)


def main() -> None:
    """Run the benchmark and append its line to the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--trades", type=int, default=TRADES)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    n_trades, n_rounds = (SMALL_TRADES, 1) if options.small else (options.trades, options.runs)
    machine = describe()
    took = make(n_trades)
    found = measure(n_trades, n_rounds)
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    print(f"{n_trades:,} trades, {found['njord_stored']['bars']:,} bars, all contenders equal")
    for name, figures in found.items():
        print(
            f"{name:<14} {figures['m_rows_per_s']:>8,.1f} M trades/s   {figures['wall_ms']:>7,.1f} ms"
            f" ({figures['lowest_ms']:,.1f}-{figures['highest_ms']:,.1f})   cpu/wall {figures['cpu_per_wall']:.2f}"
            f"   peak {figures['peak_rss_mib']:,} MiB"
        )
    ratios = {}
    for said, ours, theirs, wanted in RATIOS:
        if theirs not in found:
            print(f"{said}: not measured, duckdb is not in {ORACLES.parents[2]}; next: make integration")
            continue
        ratios[theirs] = round(found[theirs]["wall_ms"] / found[ours]["wall_ms"], 2)
        print(f"{said}: {ratios[theirs]:.2f}x" + (f" (wanted: {wanted}x)" if wanted else ""))
    record = {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        **machine,
        "trades": n_trades,
        "rounds": n_rounds,
        **took,
        "contenders": found,
        "times_as_fast_as": ratios,
    }
    if options.json:
        print(json.dumps(record))
    if not options.small:
        HISTORY.parent.mkdir(exist_ok=True)
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(sys.argv[2], int(sys.argv[3]))))
    else:
        main()
