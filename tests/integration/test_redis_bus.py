"""The bus over a real Redis: every promise that the bus in memory keeps, and what only a server can do to it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from njord.adapters.redis_bus import RedisBus
from njord.adapters.redis_session import PositionMoved, PublishedTo, SessionStream
from njord.core.bus import Bus, BusError, BusUnavailable, Frame
from njord.core.bus_reader import IdempotentReader
from njord.core.units import NS_PER_MS
from tests.redis_server import CANARY, RedisServer
from tests.unit.core.bus_promises import PROMISES, TOPIC, World, frame, line

pytestmark = pytest.mark.integration

STALE_MS = 100


class RedisWorld:
    """A bus over a server; what is stale is so after a moment."""

    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus

    @property
    def bus(self) -> Bus:
        """The bus."""
        return self._bus

    def make_stale(self) -> None:
        """Let the moment pass, on the server's clock."""
        time.sleep(2 * STALE_MS / 1_000)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(password=CANARY) as running:
        yield running


@pytest.fixture
def bus(server: RedisServer) -> Iterator[RedisBus]:
    server.flush()
    made = RedisBus(server.url, stale_ns=STALE_MS * NS_PER_MS, stream_max_len=1_000)
    yield made
    made.close()


def insist(call: Callable[[], Any]) -> Any:
    """Ask again until a lost connection is made anew."""
    for _ in range(4):
        try:
            return call()
        except BusUnavailable:
            continue
    return call()


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_redis_bus_keeps_the_promise(promise: Callable[[World], None], bus: RedisBus) -> None:
    promise(RedisWorld(bus))


def test_the_promises_hold_over_tcp() -> None:
    with RedisServer(over_tcp=True) as own:
        bus = RedisBus(own.url, stale_ns=STALE_MS * NS_PER_MS)
        PROMISES[0](RedisWorld(bus))
        PROMISES[4](RedisWorld(bus))
        bus.close()


def test_a_reader_that_waits_is_woken_and_one_that_waits_in_vain_comes_back(bus: RedisBus) -> None:
    consumer = bus.consumer(TOPIC, "g", "a")
    begun = time.monotonic()
    assert consumer.read(60) == []
    assert time.monotonic() - begun >= 0.05
    sender = threading.Timer(0.05, lambda: bus.append(TOPIC, frame(1)))
    sender.start()
    assert [each.frame for each in consumer.read(10_000)] == [frame(1)]
    sender.join()


def test_a_wait_longer_than_any_socket_timeout_is_no_error(bus: RedisBus) -> None:
    """redis-py 8 gives up after 5 s by default, however long a read may block."""
    begun = time.monotonic()
    assert bus.consumer(TOPIC, "g", "a").read(6_500) == []
    assert time.monotonic() - begun >= 6.4


def test_entries_that_are_no_frames_are_put_aside_and_those_behind_them_come(
    bus: RedisBus, server: RedisServer
) -> None:
    bus.append(TOPIC, frame(1))
    with server.client() as foreign:
        foreign.xadd(TOPIC, {"frame": b"\x00 not a frame"})
        foreign.xadd(TOPIC, {"other": "field"})
        foreign.xadd(TOPIC, {"frame": msgspec.msgpack.encode([2, "s", 2, 2, 1, [b"x"]])})
    bus.append(TOPIC, frame(2))
    consumer = bus.consumer(TOPIC, "g", "a")
    assert [each.frame for each in consumer.read()] == [frame(1), frame(2)]
    letters = bus.dead_letters(TOPIC)
    assert [letter.raw[:5] for letter in letters] == [b"\x00 not", b"", b"\x96\x02\xa1s\x02"]
    assert all(letter.reason.startswith("not a frame") for letter in letters)
    assert {letter.group for letter in letters} == {"g"}


def test_a_consumer_restarts_behind_a_corrupt_message_and_has_each_of_the_others_once(
    bus: RedisBus, server: RedisServer
) -> None:
    bus.append(TOPIC, frame(1))
    first = IdempotentReader(bus.consumer(TOPIC, "g", "a"))
    assert [each.seq for each in first.read()] == [1]  # Applied, kept, and never acknowledged: it crashed.
    with server.client() as foreign:
        foreign.xadd(TOPIC, {"frame": b"junk"})
    bus.append(TOPIC, frame(2))
    second = IdempotentReader(bus.consumer(TOPIC, "g", "a"), first.positions)
    read = [
        each.payload for _ in range(10) for each in second.read()
    ]  # On a slow day what is stale comes first.
    assert read == [line(2)]
    assert second.n_duplicates == 1
    assert len(bus.dead_letters(TOPIC)) == 1


def test_a_stream_is_bounded(bus: RedisBus, server: RedisServer) -> None:
    for seq in range(1, 3_001):
        bus.append(TOPIC, frame(seq))
    with server.client() as client:
        assert 1_000 <= int(client.xlen(TOPIC)) < 1_300


def test_an_emptied_server_loses_the_group_and_the_consumer_makes_it_again(
    bus: RedisBus, server: RedisServer
) -> None:
    bus.append(TOPIC, frame(1))
    consumer = bus.consumer(TOPIC, "g", "a")
    consumer.ack(consumer.read())
    server.flush()
    assert consumer.read() == []
    bus.append(TOPIC, frame(1))
    bus.append(TOPIC, frame(2))
    assert [each.frame for each in consumer.read()] == [frame(1), frame(2)]


@pytest.mark.parametrize(
    ("trouble", "cure", "said"),
    [
        (lambda s: s.read_only(True), lambda s: s.read_only(False), "it takes no writes (it is read-only)"),
        (lambda s: s.out_of_memory(True), lambda s: s.out_of_memory(False), "its memory is used up"),
        (lambda s: s.kill(), lambda s: s.start(), "no connection"),
        (lambda s: s.pause(), lambda s: s.resume(), "no answer within 2 s"),
    ],
)
def test_trouble_is_said_by_its_kind_and_passes(
    trouble: Callable[[RedisServer], None], cure: Callable[[RedisServer], None], said: str
) -> None:
    with RedisServer(password=CANARY, keeps_data=True) as own:
        bus = RedisBus(own.url)
        bus.append(TOPIC, frame(1))
        trouble(own)
        with pytest.raises(BusUnavailable) as caught:
            bus.append(TOPIC, frame(2))
        assert str(caught.value) == f"Redis does not work: {said}"
        cure(own)
        bus.append(TOPIC, frame(2))
        found = [each.frame for each in bus.consumer(TOPIC, "g", "a").read()]
        assert (found[0], found[-1]) == (frame(1), frame(2))
        bus.close()


def test_a_subscription_that_the_server_does_not_confirm_is_none(bus: RedisBus, server: RedisServer) -> None:
    server.pause()
    try:
        with pytest.raises(BusUnavailable, match="no answer"):
            bus.subscribe(["md.*"])
    finally:
        server.resume()


def test_a_payload_that_comes_in_parts_costs_nothing(bus: RedisBus, server: RedisServer) -> None:
    """A read that does not wait finds half of a payload: the library takes that for a lost connection."""
    listener, payloads = bus.subscribe(["md.x"]), [bytes([number]) * 1_000_000 for number in range(40)]
    sender = threading.Thread(target=lambda: bus.publish_batch("md.x", payloads))
    sender.start()
    heard: list[bytes] = []
    while len(heard) < 40 and not listener.n_reconnects:
        heard += [each.payload for each in listener.read()]
    sender.join()
    assert heard == payloads
    listener.close()


def test_lost_connections_are_made_again_by_consumers_and_listeners(
    bus: RedisBus, server: RedisServer
) -> None:
    consumer, listener = bus.consumer(TOPIC, "g", "a"), bus.subscribe(["md.*"])
    bus.append(TOPIC, frame(1))
    consumer.ack(consumer.read())
    assert server.kill_clients() >= 2
    with pytest.raises(BusUnavailable):
        listener.read(1_000)
    assert listener.read() == []
    assert listener.n_reconnects == 1
    insist(lambda: bus.append(TOPIC, frame(2)))
    insist(lambda: bus.publish("md.x", b"again"))
    assert [each.frame for each in insist(lambda: consumer.read(1_000))] == [frame(2)]
    assert [each.payload for each in listener.read(1_000)] == [b"again"]
    listener.close()


def test_a_wrong_password_is_said_without_it(server: RedisServer) -> None:
    wrong = RedisBus(server.url.replace(CANARY, "wr0ng-9876543210"))
    with pytest.raises(BusUnavailable, match="refuses the name or the password") as caught:
        wrong.dead_letters(TOPIC)
    assert "wr0ng" not in str(caught.value) + repr(wrong)
    wrong.close()


# --- a session's position -------------------------------------------------------------------------------------------


def published(seq: int, **topics: int) -> PublishedTo:
    return PublishedTo(seq, f"hash-{seq}", {name.replace("_", "."): at for name, at in topics.items()})


@pytest.fixture
def stream(bus: RedisBus) -> SessionStream:
    return SessionStream(bus, "s@1", 1_000)


def test_frames_and_position_are_written_together_and_read_back(stream: SessionStream, bus: RedisBus) -> None:
    assert stream.position() == PublishedTo()
    first, second = published(5, fills_new=4), published(9, fills_new=8, strat_intent=9)
    stream.publish([(TOPIC, frame(1, 4))], PublishedTo(), first, b"started")
    stream.publish([(TOPIC, frame(8, previous=4)), ("strat.intent", frame(9))], first, second, b"later")
    assert stream.position() == second
    assert [each.frame.first_seq for each in bus.consumer(TOPIC, "g", "a").read()] == [1, 8]
    assert bus.client.hget("njord:tap:s@1", "started") == b"started"


def test_who_finds_another_position_than_it_left_writes_nothing(
    stream: SessionStream, bus: RedisBus, server: RedisServer
) -> None:
    first = published(5, fills_new=4)
    stream.publish([(TOPIC, frame(1, 4))], PublishedTo(), first)
    with pytest.raises(PositionMoved):
        stream.publish([(TOPIC, frame(1, 4))], PublishedTo(), first)
    with server.client() as client:
        assert client.xlen(TOPIC) == 1
    server.flush()
    with pytest.raises(PositionMoved):
        stream.publish([(TOPIC, frame(8, previous=4))], first, published(9, fills_new=8))
    assert stream.position() == PublishedTo()
    with server.client() as client:
        assert client.xlen(TOPIC) == 0


def test_a_server_that_is_emptied_between_the_look_and_the_writing_takes_nothing(
    stream: SessionStream, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, is_at = published(5, fills_new=4), stream._is_at
    stream.publish([(TOPIC, frame(1, 4))], PublishedTo(), first)

    def emptied_after(*arguments: Any) -> bool:
        answer = is_at(*arguments)
        server.flush()
        return answer

    monkeypatch.setattr(stream, "_is_at", emptied_after)
    with pytest.raises(PositionMoved):
        stream.publish([(TOPIC, frame(8, previous=4))], first, published(9, fills_new=8))
    with server.client() as client:
        assert client.dbsize() == 0


def test_a_stream_that_was_deleted_means_everything_again(stream: SessionStream, server: RedisServer) -> None:
    first = published(5, fills_new=4, strat_intent=5)
    stream.publish([(TOPIC, frame(4)), ("strat.intent", frame(5))], PublishedTo(), first)
    with server.client() as client:
        client.delete(TOPIC)
    with pytest.raises(PositionMoved):
        stream.publish(
            [("strat.intent", frame(9, previous=5))], first, published(9, fills_new=4, strat_intent=9)
        )
    assert stream.position() == PublishedTo()
    stream.publish([(TOPIC, frame(4)), ("strat.intent", frame(5))], PublishedTo(), first)
    assert stream.position() == first


def test_something_else_under_a_topic_or_a_position_is_said_by_its_key(
    stream: SessionStream, server: RedisServer
) -> None:
    with server.client() as client:
        client.set("fills.new", "mine")
    with pytest.raises(BusError, match=r"something else than a stream under fills\.new"):
        stream.position()
    server.flush()
    with server.client() as client:
        client.hset("njord:tap:s@1", "position", "{}junk")
    with pytest.raises(BusError, match="something else than a position under njord:tap:s@1"):
        stream.position()


def test_frames_of_bad_numbers_never_come_into_being() -> None:
    with pytest.raises(ValueError, match="numbers must rise"):
        Frame("s", 2, 1, 0, (b"x",))
