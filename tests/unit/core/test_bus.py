"""The bus in one process: every promise, and its limits; frames and their bytes."""

from collections.abc import Callable

import msgspec
import pytest

from njord.core.bus import Frame, MemoryBus, check_pattern, decode_frame, encode_frame
from njord.core.clock import ManualClock
from njord.core.errors import CodecError
from tests.unit.core.bus_promises import PROMISES, TOPIC, World, frame, line


class MemoryWorld:
    """A bus whose time the test moves."""

    def __init__(self) -> None:
        self._clock = ManualClock(1_000)
        self.bus = MemoryBus(self._clock, stale_ns=30)

    def make_stale(self) -> None:
        """Move the clock."""
        self._clock.advance_to(self._clock.now_ns() + 30)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_memory_bus_keeps_the_promise(promise: Callable[[World], None]) -> None:
    world: World = MemoryWorld()
    promise(world)


def test_a_slow_listener_loses_the_oldest_and_counts_it_and_nobody_else_does() -> None:
    bus = MemoryBus(ManualClock(), queue_max_len=3)
    slow, fast = bus.subscribe(["t"]), bus.subscribe(["t"])
    heard = []
    for number in range(10):
        bus.publish("t", b"%d" % number)
        heard += fast.read()
    assert [each.payload for each in slow.read()] == [b"7", b"8", b"9"]
    assert (slow.n_dropped, fast.n_dropped, len(heard)) == (7, 0, 10)


def test_a_listener_that_closed_hears_nothing_and_leaves_the_others_alone() -> None:
    bus = MemoryBus(ManualClock())
    one, other = bus.subscribe(["t"]), bus.subscribe(["t"])
    one.close()
    bus.publish("t", b"x")
    assert (one.read(), len(other.read())) == ([], 1)


def test_a_stream_keeps_its_length_and_a_late_group_begins_with_what_is_left() -> None:
    bus = MemoryBus(ManualClock(), stream_max_len=4)
    early = bus.consumer(TOPIC, "early", "a")
    for seq in range(1, 3):
        bus.append(TOPIC, frame(seq))
    assert len(early.read()) == 2
    for seq in range(3, 8):
        bus.append(TOPIC, frame(seq))
    late = bus.consumer(TOPIC, "late", "a")
    assert [each.frame.first_seq for each in late.read()] == [4, 5, 6, 7]
    # What was trimmed can not come again, though nobody acknowledged it.
    assert [each.frame.first_seq for each in bus.consumer(TOPIC, "early", "a").read()] == [4, 5, 6, 7]


def test_one_read_is_bounded_and_the_next_goes_on() -> None:
    bus = MemoryBus(ManualClock())
    for seq in range(1, 151):
        bus.append(TOPIC, frame(seq))
    consumer = bus.consumer(TOPIC, "g", "a")
    sizes = []
    while found := consumer.read():
        sizes.append(len(found))
    assert sizes == [64, 64, 22]
    again, sizes = bus.consumer(TOPIC, "g", "a"), []
    while found := again.read():
        sizes.append(len(found))
    assert sizes == [64, 64, 22]


def test_a_frame_survives_its_bytes() -> None:
    sent = Frame("s", 3, 9, 1, (line(3), b"\x00\xff", line(9)))
    assert decode_frame(encode_frame(sent)) == sent
    assert encode_frame(sent)[1] == 1  # The format's version stands first.


@pytest.mark.parametrize(
    ("session", "first", "last", "previous", "payloads"),
    [
        ("s", 5, 4, 1, [b"x"]),
        ("s", 5, 5, 5, [b"x"]),
        ("s", 5, 5, -1, [b"x"]),
        ("s", 5, 5, 4, []),
        ("s", 5, 5, 4, [b"x", b"y"]),
        (7, 5, 5, 4, [b"x"]),
    ],
)
def test_bytes_of_a_frame_that_can_not_be_are_refused(
    session: object, first: int, last: int, previous: int, payloads: list[bytes]
) -> None:
    data = msgspec.msgpack.encode([1, session, first, last, previous, payloads])
    with pytest.raises(CodecError, match="not a frame"):
        decode_frame(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xff", msgspec.msgpack.encode([2, "s", 1, 1, 0, [b"x"]])])
def test_bytes_that_are_no_frame_or_of_another_version_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError, match="not a frame"):
        decode_frame(data)


@pytest.mark.parametrize("topic", ["", "md.*.BTC", "md.?", "m[d", "*md", "md.**", "a\\*"])
def test_only_a_name_or_a_beginning_can_be_listened_to(topic: str) -> None:
    with pytest.raises(ValueError, match="beginning of topics"):
        check_pattern(topic)
