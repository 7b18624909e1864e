"""The way between sequencer and services over a real Redis that is emptied, killed, cut off and written by others."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast

import pytest

from njord.apps.lockstep import LockStepEngine
from njord.apps.services_door import Door
from njord.apps.services_redis import SequencerLine, ServiceLine
from njord.apps.services_run import RUN_KEY, Announced, decode_announced
from njord.apps.services_stages import StageService
from njord.apps.services_words import RISK, STRAT
from njord.core.codec import decode, encode
from njord.core.contracts import RunStarted
from njord.core.errors import InvariantError
from tests.property.strategies import BarHost
from tests.redis_server import RedisServer
from tests.unit.apps.lockstep_world import KEY, RUN, TRADED_ONE, bars, follower_host, one_process, written

pytestmark = pytest.mark.integration


def announced() -> Announced:
    started = RunStarted(
        ts_ns=1,
        run_id="run",
        config_hash="",
        code_hash="",
        seed=0,
        account_id="main",
        report_asset="USDT",
        capital=Decimal(1),
        instruments=TRADED_ONE,
        strategies=(),
        risk_profile="research",
    )
    return Announced(epoch="1", started=started, data=(), folder="/nowhere", last_seq=1, next_row=0, proof="")


def split_over(server: RedisServer) -> tuple[BarHost, LockStepEngine]:
    """Return a host whose engine asks services over the server."""
    host = follower_host()
    engine = LockStepEngine(
        host.system.stages,
        host.journal,
        SequencerLine(server.url, announced(), 100_000),
        Door(KEY, RUN),
        last_seq=1,
        now_s=time.monotonic,
    )
    cast(Any, host.system).engine = engine
    return host, engine


@contextmanager
def serving(server: RedisServer) -> Iterator[None]:
    """Answer as both services, in threads."""
    is_over = threading.Event()

    def serve(name: str) -> None:
        service = StageService(name, follower_host().system, RUN, KEY if name == RISK else None)
        service.apply(1, follower_host().journal.messages[0])
        line, answers = ServiceLine(server.url, RUN), list[bytes]()
        line.go_on_after(1)
        while not is_over.is_set():
            entries = line.exchange(answers, 0.02)
            answers = []
            for entry in entries:
                answer = None if entry.again else service.apply(entry.seq, decode(entry.message))
                answers += service.again(entry.again) if entry.again else [answer] if answer else []
        line.close()

    threads = [threading.Thread(target=serve, args=(name,)) for name in (RISK, STRAT)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def restart(server: RedisServer) -> None:
    server.kill()
    server.start()


TROUBLES: dict[str, Callable[[RedisServer], object]] = {
    "emptied": RedisServer.flush,
    "killed and started empty": restart,
    "cut off": RedisServer.kill_clients,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_redis_that_loses_everything_costs_time_and_no_message(trouble: str) -> None:
    market = bars(40)
    with RedisServer() as server:
        host, engine = split_over(server)
        with serving(server):
            for number, bar in enumerate(market):
                if number % 13 == 12:
                    TROUBLES[trouble](server)
                host.feed(bar)
            host.deliver(host.venue.expire_all(market[-1].ts_ns), market[-1].ts_ns)
    assert written(host.journal.messages) == one_process(market)
    assert engine.n_refused == 0


def test_an_emptied_redis_gets_back_what_nobody_has_read() -> None:
    with RedisServer() as server:
        host, _ = split_over(server)
        step = threading.Thread(target=lambda: host.feed(bars(1)[0]), daemon=True)
        step.start()
        with server.client() as client:
            while not client.xlen(f"engine.in.{RUN}"):
                time.sleep(0.005)
            client.flushall()
        with serving(server):
            step.join(100)
        assert not step.is_alive()
    assert written(host.journal.messages) == one_process(bars(1))[: len(host.journal.messages)]


def test_whoever_writes_the_next_message_stops_the_engine() -> None:
    with RedisServer() as server:
        host, _ = split_over(server)
        with server.client() as client:
            client.xadd(f"engine.in.{RUN}", {"m": encode(bars(2)[1])}, id="2-0")
        with pytest.raises(InvariantError, match=r"somebody else writes engine\.in\.run\.1: entry 2-0"):
            host.feed(bars(1)[0])


def test_an_announcement_lives_as_long_as_its_sequencer() -> None:
    with RedisServer() as server, server.client() as client:
        line = SequencerLine(server.url, announced(), 100, lambda: 17)
        line.exchange([], 0)
        content = client.get(RUN_KEY)
        assert isinstance(content, bytes)
        assert decode_announced(content).next_row == 17
        assert 8 <= int(cast(int, client.ttl(RUN_KEY))) <= 10
        line.end("end of data")
        content = client.get(RUN_KEY)
        assert isinstance(content, bytes)
        assert decode_announced(content).ended == "end of data"
