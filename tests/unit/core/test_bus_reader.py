"""Each message once: duplicates, late frames, gaps healed and gaps that stay, poison, restarts."""

import random
from collections.abc import Sequence

import pytest

from njord.core.bus import Frame, MemoryBus
from njord.core.bus_reader import Gap, IdempotentReader, Position, Received
from njord.core.clock import ManualClock
from tests.unit.core.bus_promises import TOPIC, frame, line


class Bench:
    """A bus, and a journal that knows every message."""

    def __init__(self) -> None:
        self.bus = MemoryBus(ManualClock(), stream_max_len=1_000)
        self.journal: dict[int, Received] = {}
        self.asked: list[tuple[str, str, int, int]] = []

    def heal(self, session: str, topic: str, after: int, until: int) -> Sequence[Received]:
        self.asked.append((session, topic, after, until))
        return [self.journal[seq] for seq in sorted(self.journal) if after < seq <= until]

    def send(self, *frames: Frame) -> None:
        for each in frames:
            self.bus.append(TOPIC, each)

    def reader(self, positions: "dict[str, Position] | None" = None, heals: bool = False) -> IdempotentReader:
        return IdempotentReader(self.bus.consumer(TOPIC, "g", "a"), positions, self.heal if heals else None)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def seqs(received: Sequence[Received]) -> list[int]:
    return [each.seq for each in received]


def test_what_comes_twice_is_applied_once(bench: Bench) -> None:
    bench.send(frame(2, 5), frame(7, previous=5), frame(2, 5), frame(5, 7, previous=2), frame(9, previous=7))
    reader = bench.reader()
    assert seqs(reader.read()) == [2, 5, 7, 9]
    assert reader.n_duplicates == 4
    assert reader.positions == {"s": Position(9, (Gap(0, 1),))}


def test_sessions_count_for_themselves(bench: Bench) -> None:
    bench.send(frame(1, session="a"), frame(1, session="b"), frame(1, session="a"))
    received = bench.reader().read()
    assert [(each.session, each.seq, each.payload) for each in received] == [
        ("a", 1, line(1)),
        ("b", 1, line(1)),
    ]


def test_a_gap_is_healed_from_the_journal_before_what_follows_it(bench: Bench) -> None:
    bench.journal = {seq: Received("s", seq, line(seq)) for seq in (3, 5, 8, 11)}
    bench.send(frame(3, previous=0), frame(11, previous=8))
    reader = bench.reader(heals=True)
    assert seqs(reader.read()) == [3, 5, 8, 11]
    assert bench.asked == [("s", TOPIC, 3, 8)]
    assert (reader.n_healed, reader.positions) == (2, {"s": Position(11)})


def test_a_gap_that_nobody_can_heal_is_said_and_what_belongs_into_it_is_taken_late(bench: Bench) -> None:
    reader = bench.reader()
    bench.send(frame(1), frame(10, previous=8))
    assert seqs(reader.read()) == [1, 10]
    assert reader.positions["s"].missing == (Gap(1, 8),)
    bench.send(frame(4, 5, previous=1), frame(10, previous=8))
    assert seqs(reader.read()) == [4, 5]
    assert reader.positions["s"] == Position(10, (Gap(5, 8),))
    bench.send(frame(8, previous=5), frame(8, previous=5))
    assert seqs(reader.read()) == [8]
    assert reader.positions["s"] == Position(10)


def test_a_reader_goes_on_where_its_positions_say_whatever_is_delivered_again(bench: Bench) -> None:
    bench.send(frame(1), frame(2), frame(3))
    crashed = bench.reader()
    assert seqs(crashed.read()) == [1, 2, 3]
    kept = crashed.positions  # Its effects were kept, the acknowledgement never went out.
    bench.send(frame(4))
    again = bench.reader(kept)
    assert seqs(again.read() + again.read()) == [4]
    again.done()
    assert bench.reader(again.positions).read() == []


def test_nothing_is_acknowledged_before_it_is_done(bench: Bench) -> None:
    bench.send(frame(1))
    assert seqs(bench.reader().read()) == [1]
    unsaved = bench.reader()
    assert seqs(unsaved.read()) == [1]
    unsaved.done()
    assert bench.reader().read() == []


@pytest.mark.parametrize(
    "poison",
    [
        Frame("s", 2, 2, 1, (b"no json",)),
        Frame("s", 2, 2, 1, (b'{"seq":"2"}',)),
        Frame("s", 2, 2, 1, (line(3),)),
        Frame("s", 2, 4, 1, (line(2), line(2), line(4))),
        Frame("s", 2, 4, 1, (line(2), line(3))),
        Frame("s", 2, 2, 1, (b"\xff\xfe",)),
    ],
)
def test_poison_is_put_aside_and_its_messages_are_healed_as_a_gap(bench: Bench, poison: Frame) -> None:
    bench.journal = {seq: Received("s", seq, line(seq)) for seq in range(1, 6)}
    bench.send(frame(1), poison, frame(poison.last_seq + 1))
    reader = bench.reader(heals=True)
    assert seqs(reader.read()) == list(range(1, poison.last_seq + 2))
    (letter,) = bench.bus.dead_letters(TOPIC)
    assert letter.reason.startswith(("a payload is no line of a journal", "the payloads' numbers are not"))
    assert (letter.topic, letter.entry_id, letter.group) == (TOPIC, "2", "g")


def test_any_order_with_any_repetition_gives_each_message_once() -> None:
    """Frames of one session cut anew, repeated and shuffled: without a journal nothing is lost or doubled."""
    for seed in range(200):
        chance = random.Random(seed)
        numbers = sorted(chance.sample(range(1, 60), 20))
        frames = []
        for _ in range(3):
            begin = 0
            while begin < len(numbers):
                end = begin + chance.randint(1, 5)
                part = numbers[begin:end]
                frames.append(frame(*part, previous=numbers[begin - 1] if begin else 0))
                begin = end
        chance.shuffle(frames)
        bench = Bench()
        reader, found = bench.reader(), list[int]()
        for each in frames:
            bench.send(each)
            found += seqs(reader.read())
            if chance.random() < 0.2:
                reader = bench.reader(reader.positions)
        assert sorted(found) == numbers, seed
        assert reader.positions["s"] == Position(numbers[-1]), seed
