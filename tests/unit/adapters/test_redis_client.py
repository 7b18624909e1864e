"""Redis without a server: what is said when it is not there, what is never said, how long is waited."""

import random
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from njord.adapters.redis_bus import RedisBus
from njord.adapters.redis_client import Backoff, asking, connect
from njord.core.bus import BusUnavailable, Frame
from njord.core.errors import ConfigError
from tests.redis_server import CANARY


def test_a_server_that_is_not_there_is_said_by_every_call_without_the_url(tmp_path: Path) -> None:
    bus = RedisBus(f"unix://:{CANARY}@{tmp_path / 'redis.sock'}")
    calls: list[Callable[[], object]] = [
        lambda: bus.publish("t", b"x"),
        lambda: bus.publish_batch("t", [b"x"]),
        lambda: bus.append("t", Frame("s", 1, 1, 0, (b"x",))),
        lambda: bus.consumer("t", "g", "a").read(),
        lambda: bus.subscribe(["t"]),
        lambda: bus.dead_letters("t"),
    ]
    for call in calls:
        with pytest.raises(BusUnavailable) as caught:
            call()
        assert str(caught.value) == "Redis does not work: no connection"
        assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in repr(bus)


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{CANARY}@host",
        f"redis://:{CANARY}/0@host:6379",
        f"redis://:{CANARY}@host:port",
        f"redis://:x@host:{CANARY}",
        f"redis://host?socket_timeout={CANARY}",
    ],
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"redis\.url can not be understood") as caught:
        connect(url)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_no_wait_of_any_client_is_without_limit() -> None:
    for is_blocking in (False, True):
        kwargs = connect(
            "redis://127.0.0.1:6379/0", is_blocking=is_blocking
        ).connection_pool.connection_kwargs
        assert 0 < kwargs["socket_timeout"] <= 3
        assert 0 < kwargs["socket_connect_timeout"] <= 2


def test_what_a_library_says_of_a_command_is_not_repeated() -> None:
    import redis

    with (
        pytest.raises(
            BusUnavailable, match=r"^Redis does not work: it takes no writes \(too few replicas\)$"
        ),
        asking(),
    ):
        raise redis.ResponseError(
            f"Command # 1 (XADD t {CANARY}) of pipeline caused error: NOREPLICAS Not enough"
        )


def test_waits_double_to_a_limit_and_half_of_each_is_chance() -> None:
    backoff = Backoff(1.0, 8.0, random.Random(1))
    waits = [backoff.next_s() for _ in range(40)]
    for wait, limit in zip(waits, [1, 2, 4, *[8] * 37], strict=True):
        assert limit / 2 <= wait <= limit
    assert len(set(waits)) == 40
    backoff.reset()
    assert backoff.next_s() <= 1.0
