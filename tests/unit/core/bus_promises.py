"""What every bus promises, as checks that any transport runs: in one process here, over a real Redis in integration."""

from collections.abc import Callable
from typing import Protocol

from njord.core.bus import ATTEMPTS_MAX, Bus, Frame, Published, decode_frame

TOPIC = "fills.new"


class World(Protocol):
    """A bus, and how time passes around it."""

    @property
    def bus(self) -> Bus:
        """The bus under test."""

    def make_stale(self) -> None:
        """Let so much time pass that what nobody acknowledged may be taken over."""


def line(seq: int) -> bytes:
    """A journal's line."""
    return b'{"seq":%d,"message":{"kind":"FillEvent"}}' % seq


def frame(*seqs: int, previous: int | None = None, session: str = "s") -> Frame:
    """A frame of the messages `seqs`; the one before is the number before unless it is given."""
    before = seqs[0] - 1 if previous is None else previous
    return Frame(session, seqs[0], seqs[-1], before, tuple(map(line, seqs)))


def _seqs(world: World, group: str, name: str) -> list[int]:
    return [each.frame.first_seq for each in world.bus.consumer(TOPIC, group, name).read()]


def what_is_published_to_a_listener_arrives_unchanged_and_in_order(world: World) -> None:
    listener = world.bus.subscribe(["md.trades.BTC/USDT"])
    payloads = [b"", b"\x00\xff\n", b'{"a": 1}', b"x" * 100_000]
    world.bus.publish("md.trades.BTC/USDT", b"first")
    world.bus.publish("md.trades.ETH/USDT", b"of another topic")
    world.bus.publish_batch("md.trades.BTC/USDT", payloads)
    heard: list[Published] = []
    while len(heard) < 5:
        heard += listener.read(1_000)
    assert [each.payload for each in heard] == [b"first", *payloads]
    assert {each.topic for each in heard} == {"md.trades.BTC/USDT"}
    assert listener.n_dropped == 0


def who_listens_to_a_beginning_hears_all_topics_that_have_it_and_only_what_comes_later(world: World) -> None:
    world.bus.publish("md.trades.BTC/USDT", b"too early")
    listener = world.bus.subscribe(["md.trades.*", "exact"])
    for topic in ("md.trades.BTC/USDT", "md.book.BTC/USDT", "exact", "exactly", "md.trades.X/Y"):
        world.bus.publish(topic, topic.encode())
    heard: list[Published] = []
    while len(heard) < 3:
        heard += listener.read(1_000)
    assert [each.topic for each in heard] == ["md.trades.BTC/USDT", "exact", "md.trades.X/Y"]
    listener.close()


def every_group_gets_every_frame_from_the_oldest_in_order(world: World) -> None:
    for seq in range(1, 6):
        world.bus.append(TOPIC, frame(seq))
    for group in ("one", "other"):
        consumer = world.bus.consumer(TOPIC, group, "a")
        found = consumer.read()
        assert [(each.frame, each.attempt) for each in found] == [(frame(seq), 1) for seq in range(1, 6)]
        consumer.ack(found)
        assert consumer.read() == []
    world.bus.append(TOPIC, frame(6, 8, 9))
    assert [each.frame.payloads for each in world.bus.consumer(TOPIC, "one", "a").read()] == [
        (line(6), line(8), line(9))
    ]


def members_of_a_group_share_frames(world: World) -> None:
    first, second = (world.bus.consumer(TOPIC, "g", name) for name in ("a", "b"))
    world.bus.append(TOPIC, frame(1))
    assert [each.frame for each in first.read()] == [frame(1)]
    world.bus.append(TOPIC, frame(2))
    assert [each.frame for each in second.read()] == [frame(2)]
    assert first.read() == second.read() == []


def what_a_consumer_left_comes_again_when_its_name_starts_again(world: World) -> None:
    world.bus.append(TOPIC, frame(1))
    world.bus.append(TOPIC, frame(2))
    crashed = world.bus.consumer(TOPIC, "g", "a")
    found = crashed.read()
    crashed.ack(found[:1])
    world.bus.append(TOPIC, frame(3))
    again = world.bus.consumer(TOPIC, "g", "a")
    left = again.read()
    assert [(each.frame, each.attempt) for each in left] == [(frame(2), 2)]
    again.ack(left)
    assert [each.frame for each in again.read()] == [frame(3)]


def what_a_dead_consumer_left_goes_to_another_once_it_is_stale(world: World) -> None:
    world.bus.append(TOPIC, frame(1))
    assert _seqs(world, "g", "dead") == [1]
    assert _seqs(world, "g", "b") == []
    world.make_stale()
    heir = world.bus.consumer(TOPIC, "g", "b")
    found = heir.read()
    assert [(each.frame, each.attempt) for each in found] == [(frame(1), 2)]
    heir.ack(found)
    world.make_stale()
    assert _seqs(world, "g", "c") == []
    assert _seqs(world, "g", "dead") == []


def what_comes_again_and_again_is_put_aside_with_its_reason_and_origin(world: World) -> None:
    world.bus.append(TOPIC, frame(1))
    world.bus.append(TOPIC, frame(2))
    consumer = world.bus.consumer(TOPIC, "g", "a")
    first, second = consumer.read()
    consumer.ack([second])
    for _ in range(ATTEMPTS_MAX - 1):
        assert _seqs(world, "g", "a") == [1]
        assert world.bus.dead_letters(TOPIC) == []
    assert _seqs(world, "g", "a") == []
    (letter,) = world.bus.dead_letters(TOPIC)
    assert (letter.topic, letter.entry_id, letter.group) == (TOPIC, first.entry_id, "g")
    assert letter.reason == f"was delivered {ATTEMPTS_MAX} times and never acknowledged"
    assert decode_frame(letter.raw) == frame(1)
    world.make_stale()
    assert _seqs(world, "g", "a") == []


def what_a_consumer_can_not_digest_is_put_aside_and_does_not_come_again(world: World) -> None:
    world.bus.append(TOPIC, frame(7))
    consumer = world.bus.consumer(TOPIC, "g", "a")
    (found,) = consumer.read()
    consumer.dead_letter(found, "no such instrument")
    (letter,) = world.bus.dead_letters(TOPIC)
    assert (letter.reason, letter.group, letter.entry_id) == ("no such instrument", "g", found.entry_id)
    assert decode_frame(letter.raw) == frame(7)
    world.make_stale()
    assert _seqs(world, "g", "a") == []
    assert world.bus.dead_letters("strat.intent") == []


PROMISES: tuple[Callable[[World], None], ...] = (
    what_is_published_to_a_listener_arrives_unchanged_and_in_order,
    who_listens_to_a_beginning_hears_all_topics_that_have_it_and_only_what_comes_later,
    every_group_gets_every_frame_from_the_oldest_in_order,
    members_of_a_group_share_frames,
    what_a_consumer_left_comes_again_when_its_name_starts_again,
    what_a_dead_consumer_left_goes_to_another_once_it_is_stale,
    what_comes_again_and_again_is_put_aside_with_its_reason_and_origin,
    what_a_consumer_can_not_digest_is_put_aside_and_does_not_come_again,
)
