"""A Redis of a module's own, emptied before each test, and a bus over it; a module may have others by these names."""

from collections.abc import Iterator

import pytest

from njord.adapters.redis_bus import RedisBus
from tests.redis_server import CANARY, RedisServer


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with RedisServer(password=CANARY, keeps_data=True) as running:
        yield running


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    shared_server.flush()
    return shared_server


@pytest.fixture
def bus(server: RedisServer) -> Iterator[RedisBus]:
    made = RedisBus(server.url)
    yield made
    made.close()
