"""A real session, a real server, and everything that can happen to a server while the session trades.

The session runs in a process of its own with its tap; readers apply what they get once. Whatever was done to Redis, in
the end they have exactly what the journal says, the orders are those of a run without Redis, and the engine's thread
has never touched a socket.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.adapters.redis_bus import RedisBus
from njord.apps.journal_heal import JournalHealer
from njord.apps.synthetic import write_synthetic_csv
from njord.apps.tap_journal import session_id
from njord.core.bus import BusUnavailable
from njord.core.bus_reader import Heal, IdempotentReader, Received
from njord.core.topics import STREAMS
from njord.storage.journal_reader import read_blocks
from tests.redis_server import CANARY, RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
N_BARS, SPEED = 20_000, "50000x"  # 24 seconds of 830 bars.
P999_MAX = 1.2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "SYNTH_USDT-1m.csv"
    write_synthetic_csv(path, N_BARS, 42)
    return path


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(password=CANARY, keeps_data=True) as running:
        yield running


class Child:
    """A session in a process of its own."""

    def __init__(self, root: Path, data: Path, speed: str, *arguments: str, url: str = "") -> None:
        root.mkdir(exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NJORD_")}
        if url:
            environment["NJORD_REDIS__URL"] = url
        command = [sys.executable, "-m", "tests.integration.paper_child", str(root), str(data), speed]
        self._process = subprocess.Popen(
            [*command, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.folder = Path(self._process.stdout.readline().decode().strip())
        self.pid = self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def figures(self) -> dict[str, Any]:
        """Wait for its end and return what it measured."""
        out, err = self._process.communicate(timeout=400)
        assert self._process.returncode == 0, err.decode()
        assert CANARY not in (out + err).decode()
        figures: dict[str, Any] = json.loads(out.splitlines()[-1])
        return figures

    def close(self) -> None:
        """End it, whatever became of the test."""
        self._process.kill()
        self._process.communicate()


class Readers:
    """One idempotent reader a topic, and everything that each has applied."""

    def __init__(self, url: str, heal: Heal | None = None) -> None:
        self._bus = RedisBus(url)
        self._readers = {
            topic: IdempotentReader(self._bus.consumer(topic, "test", "reader"), heal=heal)
            for topic in STREAMS.values()
        }
        self.applied: dict[str, list[Received]] = {topic: [] for topic in STREAMS.values()}

    def read(self) -> int:
        """Read what is there, of every topic; return how many messages were new."""
        n_new = 0
        try:
            for topic, reader in self._readers.items():
                while received := reader.read():
                    self.applied[topic] += received
                    n_new += len(received)
                reader.done()
        except BusUnavailable:
            time.sleep(0.02)
        return n_new

    def read_until(self, until_s: float) -> None:
        """Read on and on until a time of the monotonic clock."""
        while time.monotonic() < until_s:
            self.read()
            time.sleep(0.01)

    def n_dead(self) -> int:
        """Return how many deliveries were put aside."""
        return sum(len(self._bus.dead_letters(topic)) for topic in self._readers)

    def n(self, name: str) -> int:
        """Return a counter's sum over all topics."""
        return sum(getattr(reader, name) for reader in self._readers.values())

    def close(self) -> None:
        """Close the connections."""
        self._bus.close()


class _Kind(msgspec.Struct):
    kind: str
    client_order_id: str = ""


def journaled(folder: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Return what the journal says, by topic: numbers and lines."""
    kinds = {kind.__name__: topic for kind, topic in STREAMS.items()}
    found: dict[str, list[tuple[int, bytes]]] = {topic: [] for topic in STREAMS.values()}
    for block in read_blocks(folder / "journal"):
        for line in block.lines:
            kind = msgspec.json.decode(line.message, type=_Kind).kind
            if kind in kinds:
                text = b'{"seq":%d,"message":%b}' % (line.seq, line.message)
                found[kinds[kind]].append((line.seq, text))
    return found


def check_everything_arrived_once(readers: Readers, folder: Path) -> int:
    """Hold what was applied against the journal; return how many messages that were."""
    expected, session = journaled(folder), session_id(folder)
    for topic, received in readers.applied.items():
        assert {each.session for each in received} <= {session}
        assert sorted((each.seq, each.payload) for each in received) == expected[topic], topic
    orders = [
        msgspec.json.decode(
            msgspec.json.decode(each.payload, type=dict[str, msgspec.Raw])["message"], type=_Kind
        )
        for each in readers.applied["orders.accepted"]
    ]
    assert len(orders) == len({order.client_order_id for order in orders}) > 100
    return sum(map(len, expected.values()))


def kill(server: RedisServer) -> Callable[[], object]:
    server.kill()
    return server.start


def flush(server: RedisServer) -> Callable[[], object]:
    server.flush()
    return lambda: None


def flush_and_kill(server: RedisServer) -> Callable[[], object]:
    server.flush()
    return kill(server)


def pause(server: RedisServer) -> Callable[[], object]:
    server.pause()
    return server.resume


def read_only(server: RedisServer) -> Callable[[], object]:
    server.read_only(True)
    return lambda: server.read_only(False)


def full(server: RedisServer) -> Callable[[], object]:
    server.out_of_memory(True)
    return lambda: server.out_of_memory(False)


def kill_clients(server: RedisServer) -> Callable[[], object]:
    server.kill_clients()
    return server.kill_clients


def drop_a_stream(server: RedisServer) -> Callable[[], object]:
    with server.client() as client:
        client.delete("fills.new")
    return lambda: None


CHAOS = (
    kill,
    flush,
    pause,
    read_only,
    kill_clients,
    full,
    drop_a_stream,
    flush_and_kill,
    kill_clients,
    flush,
)


@pytest.mark.long
def test_whatever_happens_to_redis_readers_have_each_message_once_and_orders_are_the_same(
    data: Path, server: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = Child(tmp_path / "chaos", data, SPEED, "file", url=server.url)
    readers, done = Readers(server.url), []
    try:
        for trouble in CHAOS:
            assert child.is_running, f"the session ended before {trouble.__name__}: let it run longer"
            cure = trouble(server)
            readers.read_until(time.monotonic() + 0.6)
            cure()
            readers.read_until(time.monotonic() + 0.5)
            done.append(trouble.__name__)
        while child.is_running:
            readers.read()
        figures = child.figures()
        until = time.monotonic() + 100
        while readers.read() and time.monotonic() < until:
            continue
        n_messages = check_everything_arrived_once(readers, child.folder)
        assert readers.n_dead() == 0
    finally:
        readers.close()
        child.close()
    calm = Child(tmp_path / "calm", data, "max")
    assert calm.figures()["order_list_hash"] == figures["order_list_hash"]
    calm.close()
    assert figures["sockets_of_engine"] == []
    assert figures["published_to"] == figures["n_journal"]
    with capsys.disabled():
        print(
            f"\nchaos: {len(done)} troubles, {n_messages:,} messages applied once, {readers.n('n_duplicates'):,} "
            f"duplicates dropped, p99.9 of a step {figures['p999_us']:.0f} us"
        )


@pytest.mark.timing
def test_the_engine_never_waits_for_redis(
    data: Path, server: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kill switch and tap on; measured in turns with runs without Redis, the best of each compared."""
    with server.client() as client:
        client.set("njord:kill_switch", "0")
    best: dict[str, float] = {}
    hashes = set()
    for turn in range(4):
        for name, url in (("without", ""), ("with", server.url)):
            child = Child(tmp_path / f"{name}-{turn}", data, "200000x", url=url)
            figures = child.figures()
            child.close()
            hashes.add(figures["order_list_hash"])
            assert figures["sockets_of_engine"] == []
            assert (figures["n_sockets_of_others"] > 0) is (name == "with")  # The trace does hear them.
            best[name] = min(best.get(name, float("inf")), figures["p999_us"])
            with capsys.disabled():
                print(
                    f"\n{name} Redis: {figures['n_steps']:,} steps, p50 {figures['p50_us']:.1f} us, "
                    f"p99 {figures['p99_us']:.0f} us, p99.9 {figures['p999_us']:.0f} us"
                )
        if best["with"] <= P999_MAX * best["without"]:
            break
    assert len(hashes) == 1
    assert best["with"] <= P999_MAX * best["without"], best


def test_a_stream_too_short_for_its_session_is_healed_from_the_journal(
    data: Path, server: RedisServer, tmp_path: Path
) -> None:
    child = Child(tmp_path / "s", data, "max", "file", url=server.url)
    assert child.figures()["tap_error"] == ""
    with server.client() as client:
        for topic in STREAMS.values():
            client.xtrim(topic, maxlen=1, approximate=False)
    readers = Readers(server.url, JournalHealer(child.folder.parent).heal)
    while readers.read():
        continue
    # Of what follows the last frame nobody can know; here nothing does.
    check_everything_arrived_once(readers, child.folder)
    assert readers.n("n_healed") > 1_000
    readers.close()
    child.close()
