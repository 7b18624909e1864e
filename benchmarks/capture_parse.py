"""A raw Binance capture of a million lines, from bytes to exact ticks on one core; and the book that it moves.

The recording beside the project, repeated with its times moved on. In the same run, over the same lines: gunzip alone,
msgspec alone (typed decoding, prices left as text), and msgspec with exact numbers, which is our strict reading. Rates
are per second of processor time: everything is one thread. Options: --lines N (default 1,000,000), --runs N (default 5),
--small (one copy, one run, no line of history). Run: `python -m benchmarks.capture_parse`.
"""

import argparse
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.machine import describe, peak_rss_kib
from njord.data.book import Book
from njord.kernels.book_events import LAST_ID, RUN_SIZE, TOP_ROWS, apply_events
from njord.storage.ingest.capture import CAPTURE_KINDS, open_capture
from njord.storage.ingest.capture_lines import read_line
from njord.storage.ingest.capture_reader import CaptureReader
from njord.storage.store.kinds import BOOK_SNAPSHOT, COLUMNS, DataKind

RECORDING = (
    Path(__file__).resolve().parents[2]
    / "shared" / "data" / "capture" / "ETHUSDT-binance-spot-20240808.jsonl.gz"
)  # fmt: skip
HISTORY = Path(__file__).parent / "history" / "capture_parse.jsonl"
SPAN_NS = 350_000_000_000  # The recording takes 346 s.
BLOCK = 4 * 2**20


class _Data(msgspec.Struct):
    """Any payload, typed: what a parser built on msgspec would decode."""

    e: str = ""
    s: str = ""
    E: int = 0
    T: int = 0
    t: int = 0
    u: int = 0
    U: int = 0
    p: str = ""
    q: str = ""
    m: bool = False
    b: str | list[tuple[str, str]] = ""
    a: str | list[tuple[str, str]] = ""
    B: str = ""
    A: str = ""


class _Line(msgspec.Struct):
    stream: str = ""
    data: _Data | None = None


def repeated(lines: list[bytes], n_lines: int, path: Path) -> int:
    """Write the recording over and over, each time later; return how many lines there are."""
    n = max(1, n_lines // len(lines))
    with path.open("wb") as file:
        for turn in range(n):
            moved = turn * SPAN_NS
            file.writelines(b"%d%s\n" % (int(line[:19]) + moved, line[19:]) for line in lines)
    return n * len(lines)


def seconds(work: Callable[[], object], n_runs: int) -> float:
    """Return the median of the processor time that `work` takes: all of it is one thread, and machines are shared."""
    taken = []
    for _ in range(n_runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def read_all(path: Path) -> None:
    """Parse a capture into units of 1e-8, in blocks that are dropped."""
    for _ in CaptureReader([path]):
        pass


def to_ticks(path: Path) -> None:
    """Parse a capture into ticks and lots, staging and inference of the grid included."""
    with open_capture([path]) as capture:
        for symbol in capture.symbols:
            for kind in CAPTURE_KINDS:
                for _ in capture.rows(symbol, kind):
                    pass


def gunzip(path: Path) -> None:
    """Decompress and drop."""
    with gzip.open(path) as file:
        while file.read(BLOCK):
            pass


def decode_all(lines: list[bytes]) -> None:
    """Decode each line with msgspec, typed; nothing is done with it."""
    decode = msgspec.json.Decoder(_Line).decode
    for line in lines:
        decode(line[20:])


def read_strictly(lines: list[bytes]) -> None:
    """Read each line to exact rows without the compiled parser: msgspec, and Python's own numbers."""
    for line in lines:
        read_line(line)


def book_ns(n_runs: int) -> tuple[float, float]:
    """Return nanoseconds per changed level and per event of applying the recording's book to its snapshot."""
    with open_capture([RECORDING]) as capture:
        blocks = list(capture.rows("ETH/USDT", DataKind.BOOK))
    ts_ns, _, *columns = (
        np.concatenate([block[name] for block in blocks]) for name in COLUMNS[DataKind.BOOK]
    )
    first_ids, last_ids, flags, prices, lots = columns
    snapshot = np.flatnonzero(flags & BOOK_SNAPSHOT)
    begin, end = int(snapshot[0]), int(snapshot[-1]) + 1
    start = Book()
    start.apply_rows(flags[begin:end], prices[begin:end], lots[begin:end])
    tops = np.empty((TOP_ROWS, 0), dtype=np.int64)
    taken = []
    for _ in range(10 * n_runs):
        book, run = start.copy(), np.zeros(RUN_SIZE, dtype=np.int64)
        run[LAST_ID] = last_ids[begin]
        began = time.process_time_ns()
        apply_events(
            book.state, run, ts_ns, ts_ns, first_ids, last_ids, flags, prices, lots, end, 2**63 - 1, tops
        )
        taken.append(time.process_time_ns() - began)
    typical = statistics.median(taken)
    return typical / (len(flags) - end), typical / int((last_ids[end:] != np.roll(last_ids[end:], 1)).sum())


def measure(n_lines: int, n_runs: int) -> dict[str, Any]:
    """Return the figures."""
    lines = gzip.decompress(RECORDING.read_bytes()).splitlines()
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "capture.jsonl", Path(folder) / "capture.jsonl.gz"
        n = repeated(lines, n_lines, plain)
        with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
            while block := source.read(BLOCK):
                target.write(block)
        read_all(plain)  # Compiles, or loads what was compiled.
        to_ticks(plain)
        cpu, wall = time.process_time(), time.perf_counter()
        rates = {
            "msgspec_alone": len(lines) / seconds(lambda: decode_all(lines), n_runs),
            "msgspec_to_exact": len(lines) / seconds(lambda: read_strictly(lines), n_runs),
            "bytes_to_exact": n / seconds(lambda: read_all(plain), n_runs),
            "bytes_to_ticks": n / seconds(lambda: to_ticks(plain), n_runs),
            "gunzip_alone": n / seconds(lambda: gunzip(packed), n_runs),
            "gzip_to_ticks": n / seconds(lambda: to_ticks(packed), n_runs),
        }
        cpu_per_wall = (time.process_time() - cpu) / (time.perf_counter() - wall)
        size = plain.stat().st_size
    level_ns, event_ns = book_ns(n_runs)
    return {
        "lines": n,
        "bytes": size,
        "lines_per_cpu_s": {name: round(rate) for name, rate in rates.items()},
        "cpu_per_wall": round(cpu_per_wall, 2),
        "book_ns_per_level": round(level_ns, 1),
        "book_ns_per_event": round(event_ns),
        "peak_rss_mib": round(peak_rss_kib() / 1024),
    }


def main() -> None:
    """Run the benchmark and append its line to the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    figures = measure(1, 1) if options.small else measure(options.lines, options.runs)
    print(f"{figures['lines']:,} lines, {figures['bytes'] / 1e6:,.0f} MB")
    alone = figures["lines_per_cpu_s"]["msgspec_alone"]
    for name, rate in figures["lines_per_cpu_s"].items():
        print(
            f"{name.replace('_', ' '):<18}{rate:>12,} lines per CPU second  {rate / alone:5.1f}x msgspec alone"
        )
    print(
        f"book              {figures['book_ns_per_level']:>12} ns/level, {figures['book_ns_per_event']:,} ns/event"
    )
    print(f"peak memory       {figures['peak_rss_mib']:>12,} MiB, cpu/wall {figures['cpu_per_wall']}")
    if not options.small:
        record = {"day": time.strftime("%Y-%m-%d", time.gmtime()), **machine, "runs": options.runs, **figures}
        HISTORY.parent.mkdir(exist_ok=True)
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
