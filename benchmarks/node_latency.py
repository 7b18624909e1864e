"""How long is an order on its way in the paper node: from a message of the market to the order that it causes?

A session of synthetic bars runs in the node at full speed, in a process of its own, with its journal on this disk. The
clock starts when the node hands a message to the host and stops when the order's journal is durable and it leaves for
the venue. Four ways: as it is (journal, fsync before every order), the same with a tap that publishes to a real Redis,
without fsync, which is what the engine and the journal take by themselves, and as four services in step over a real
Redis. `python -m benchmarks.node_latency`; options: --bars N (default 100,000; a tenth of it for the services).
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.machine import describe
from benchmarks.ordered_engine import data_file
from njord.core.contracts import Message
from njord.storage.disk import DiskFile, OsDisk
from tests.redis_server import RedisServer

HISTORY = Path(__file__).parent / "history" / "node_latency.jsonl"
WAYS = ("fsync", "fsync and tap", "no fsync", "services")
_PARAMS = ("fast=3", "slow=8")  # An order every few bars.
_SETTINGS = {"paper.capital": "100000000", "paper.risk_profile": "research"}


class TimedFile:
    """A file that knows when it was last durable."""

    def __init__(self, file: DiskFile, disk: "TimedDisk") -> None:
        self._file = file
        self._disk = disk

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        self._file.write(data)

    def sync(self) -> None:
        """Return once it is durable, if this disk is to be that."""
        if self._disk.is_durable:
            self._file.sync()
        self._disk.synced_ns = time.perf_counter_ns()

    def truncate(self, size: int) -> None:
        """Cut the file back."""
        self._file.truncate(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TimedDisk(OsDisk):
    """The machine's disk, with the time of the last sync."""

    def __init__(self, is_durable: bool) -> None:
        self.is_durable = is_durable
        self.synced_ns = 0

    def open_append(self, path: Path) -> DiskFile:
        """Open `path` for appending."""
        return TimedFile(super().open_append(path), self)


class Latencies:
    """Measures every host of this process: from the message that it accepts to the last sync that the message causes."""

    def __init__(self, is_durable: bool) -> None:
        from njord.backtest.host import SimulatedHost

        self.disk = TimedDisk(is_durable)
        self.took_ns: list[int] = []
        self.n_messages = 0
        self._accept = SimulatedHost.accept
        patch.object(SimulatedHost, "accept", lambda host, message: self.accept(host, message)).start()

    def accept(self, host: Any, message: Message) -> None:
        """Let the host accept, and note how long its order took if there was one."""
        begun = time.perf_counter_ns()
        self._accept(host, message)
        self.n_messages += 1
        if self.disk.synced_ns > begun:
            self.took_ns.append(self.disk.synced_ns - begun)

    def figures(self, way: str, took_s: float) -> dict[str, Any]:
        """Return percentiles in microseconds."""
        ordered = sorted(self.took_ns)
        at = {name: ordered[int(share * (len(ordered) - 1))] / 1_000 for name, share in _SHARES.items()}
        return {
            "way": way,
            "orders": len(ordered),
            "messages_per_s": round(self.n_messages / took_s),
            **at,
        }


def node(data: Path, root: Path, way: str, latencies: Latencies) -> None:
    """Run one session in one process."""
    from njord.adapters.config_loader import load_config
    from njord.adapters.kill_switch_watch import KillSwitchWatch
    from njord.apps.node import NodeOptions, PaperNode
    from njord.apps.paced_feed import PacedFeed
    from njord.apps.session import Session
    from njord.apps.tap_process import TapProcess
    from njord.backtest.session import BacktestRequest, prepare
    from njord.core.config_shapes import paper_config

    config = paper_config(load_config(root, _SETTINGS).config)
    request = BacktestRequest(strategy="sma_cross", data=data, params=_PARAMS, qty=Decimal(1))
    prepared = prepare(request, config, {})
    with prepared.market as market:
        session = Session.open(prepared, root / config.paths.state, disk=latencies.disk)
        tap = TapProcess(session.folder, root) if "tap" in way else None
        if tap is not None:
            tap.start()

        def on_second() -> None:
            if tap is not None:
                tap.poll()

        watch = KillSwitchWatch(root / config.risk.kill_switch_file, None, "", 1_000)
        watch.start()
        running = PaperNode(session, PacedFeed(market, None), watch, NodeOptions(), on_second=on_second)
        asyncio.run(running.run())
        watch.stop()
        if tap is not None:
            tap.stop(30.0)


def services(data: Path, root: Path, latencies: Latencies) -> None:
    """Run one session as four services; the paper service, which hosts and journals, in this process."""
    from njord.cli.request import Flags
    from njord.cli.run import run

    settings = [word for key, text in _SETTINGS.items() for word in ("--set", f"{key}={text}")]
    params = [word for param in _PARAMS for word in ("--param", param)]
    said = ["sma_cross", "--data", str(data), "--qty", "1", "--replay", "max", *settings, *params]
    command = str(Path(sys.executable).with_name("njord"))
    others = [
        subprocess.Popen(
            [command, "run", name, *said], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for name in ("md", "strat", "risk")
    ]
    try:
        os.chdir(root)
        flags = Flags(settings=_SETTINGS, params=_PARAMS, qty="1")
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            patch("njord.apps.session.OsDisk", lambda: latencies.disk),
        ):
            run("paper", ("sma_cross",), (data,), flags, Path(), True)
    finally:
        for other in others:
            other.terminate()
        for other in others:
            other.wait()


def child(data: Path, root: Path, way: str) -> dict[str, Any]:
    """Run one session and return its figures."""
    latencies = Latencies(is_durable=way != "no fsync")
    begun = time.perf_counter()
    if way == "services":
        services(data, root, latencies)
    else:
        node(data, root, way, latencies)
    return latencies.figures(way, time.perf_counter() - begun)


_SHARES = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}


def main() -> None:
    """Run the benchmark and append its line to the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=100_000)
    options = parser.parse_args()
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    runs = []
    for way in WAYS:
        data = data_file(options.bars // 10 if way == "services" else options.bars).resolve()
        with tempfile.TemporaryDirectory(dir="var") as folder, RedisServer() as server:
            root = str(Path(folder).resolve())
            with server.client() as client:
                client.set("njord:kill_switch", "0")
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.node_latency", "child", str(data), root, way],
                env=os.environ | {"NJORD_REDIS__URL": server.url},
                capture_output=True,
                text=True,
                check=True,
            )
        run = json.loads(done.stdout)
        runs.append(run)
        print(
            f"{way:<14} {run['orders']:>6,} orders, event in to order out p50 {run['p50_us']:,.0f} us, "
            f"p99 {run['p99_us']:,.0f} us, p99.9 {run['p999_us']:,.0f} us"
        )
    HISTORY.parent.mkdir(exist_ok=True)
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(
            json.dumps({"day": time.strftime("%Y-%m-%d", time.gmtime()), **machine, "runs": runs}) + "\n"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])))
    else:
        main()
