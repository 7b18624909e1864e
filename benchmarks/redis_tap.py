"""How fast does the tap publish a session's journal to a real Redis, beside a running engine?

A session of synthetic bars is journaled once. Then its journal is published from the start, again and again into an
emptied server on a unix socket, while another process runs backtests without a pause. Counted are messages of stream
topics; the journal's own messages, market rows included, are shown beside. `python -m benchmarks.redis_tap`; options:
--runs N (default 5), --bars N (default 1,000,000).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, peak_rss_kib
from benchmarks.ordered_engine import TRADING, data_file
from tests.redis_server import RedisServer

HISTORY = Path(__file__).parent / "history" / "redis_tap.jsonl"
WANTED_PER_S = 100_000
_ENGINE_BARS = 100_000


def backtest(data: Path, folder: Path) -> None:
    """Run one backtest, its journal included, into `folder`."""
    from njord.adapters.config_loader import load_config
    from njord.backtest.session import BacktestRequest, prepare, run_backtest

    fast, slow = TRADING
    request = BacktestRequest(
        strategy="sma_cross", data=data, params=(f"fast={fast}", f"slow={slow}"), qty=Decimal(1)
    )
    config = load_config(Path("/nonexistent"), {"backtest.capital": "100000000"}, {}).config
    prepared = prepare(request, config, {})
    with prepared.market:
        run_backtest(prepared, folder.parent, folder=folder)


def engine(data: Path) -> None:
    """Run backtests until somebody ends this process; say when the first one has begun."""
    with tempfile.TemporaryDirectory() as folder:
        print("running", flush=True)
        number = 0
        while True:
            number += 1
            backtest(data, Path(folder) / str(number))


def tap(folder: Path) -> dict[str, Any]:
    """Publish the session in `folder` from its start; return figures."""
    from njord.adapters.redis_bus import RedisBus
    from njord.adapters.redis_session import SessionStream
    from njord.apps.tap import give_way
    from njord.apps.tap_journal import Tap, session_id

    give_way()
    bus = RedisBus(os.environ["NJORD_REDIS__URL"])
    session = session_id(folder)
    publisher = Tap(folder, SessionStream(bus, session, 100_000), session)
    begun, cpu = time.perf_counter(), time.process_time()
    while not publisher.has_ended:
        publisher.step()
    took_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    counts = publisher.counts
    return {
        "messages": counts.n_messages,
        "entries": counts.n_entries,
        "journal_messages": counts.n_read,
        "took_s": round(took_s, 3),
        "messages_per_s": round(counts.n_messages / took_s),
        "messages_per_cpu_s": round(counts.n_messages / cpu_s),
        "entries_per_s": round(counts.n_entries / took_s),
        "journal_messages_per_s": round(counts.n_read / took_s),
        "peak_rss_mib": round(peak_rss_kib() / 1024),
    }


@contextmanager
def running_engine(data: Path) -> Iterator[None]:
    """Keep an engine busy meanwhile."""
    command = [sys.executable, "-m", "benchmarks.redis_tap", "engine", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
            assert process.poll() is None, "the engine ended"
        finally:
            process.kill()


def published(server: RedisServer, folder: Path) -> dict[str, Any]:
    """Empty the server and publish into it, in a process of its own."""
    server.flush()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.redis_tap", "tap", str(folder)],
        env=os.environ | {"NJORD_REDIS__URL": server.url},
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Run the benchmark and append its line to the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bars", type=int, default=1_000_000)
    options = parser.parse_args()
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    with tempfile.TemporaryDirectory() as temporary, RedisServer() as server:
        folder = Path(temporary) / "session"
        backtest(data_file(options.bars), folder)
        with running_engine(data_file(_ENGINE_BARS)):
            runs = [published(server, folder) for _ in range(options.runs)]
    rates = sorted(run["messages_per_s"] for run in runs)
    median = statistics.median(rates)
    first = runs[0]
    mean_frame = first["messages"] / first["entries"]
    entries_per_s = statistics.median(run["entries_per_s"] for run in runs)
    journal_per_s = statistics.median(run["journal_messages_per_s"] for run in runs)
    print(f"{first['messages']:,} messages of {first['journal_messages']:,} in the journal, beside an engine")
    print(f"tap         {median:>10,.0f} messages/s (median of {len(rates)}, {rates[0]:,}-{rates[-1]:,})")
    per_cpu_s = statistics.median(run["messages_per_cpu_s"] for run in runs)
    print(f"            {per_cpu_s:>10,.0f} messages per second of the tap's own processor time")
    print(f"entries     {entries_per_s:>10,.0f} /s, {mean_frame:.0f} messages each on average (256 at most)")
    print(f"journal     {journal_per_s:>10,.0f} messages/s, market rows included")
    print(f"peak memory {max(run['peak_rss_mib'] for run in runs):>10,} MiB")
    record = {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        **machine,
        "messages_per_s": {"median": median, "lowest": rates[0], "highest": rates[-1], "n": len(rates)},
        "messages_per_cpu_s": per_cpu_s,
        "entries_per_s": entries_per_s,
        "mean_frame": round(mean_frame, 1),
        "journal_messages_per_s": journal_per_s,
    }
    HISTORY.parent.mkdir(exist_ok=True)
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    if median < WANTED_PER_S:
        raise SystemExit(f"below {WANTED_PER_S:,} messages/s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["engine"]:
        engine(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["tap"]:
        print(json.dumps(tap(Path(sys.argv[2]))))
    else:
        main()
