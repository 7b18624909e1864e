"""Following a journal that is being written: every block once, torn tails not yet, seams, damage said."""

import shutil
from pathlib import Path

import pytest

from njord.core.errors import JournalCorrupt
from njord.storage import journal_follow
from njord.storage.journal import JournalWriter
from njord.storage.journal_follow import ClosedBlock, JournalFollower, journal_end
from njord.storage.journal_reader import read_blocks
from tests.unit.storage.journal_samples import segments, timer, write_small


def numbered(blocks: list[ClosedBlock]) -> list[bytes]:
    return [line for block in blocks for line in block.lines if line.startswith(b'{"seq"')]


def expected(directory: Path) -> list[bytes]:
    return [
        b'{"seq":%d,"message":%b}' % (line.seq, line.message)
        for block in read_blocks(directory)
        for line in block.lines
    ]


def test_a_finished_journal_comes_whole_with_its_hashes_and_its_end_mark(tmp_path: Path) -> None:
    writer = write_small(tmp_path)
    follower = JournalFollower(tmp_path)
    blocks = list(follower.poll())
    assert numbered(blocks) == expected(tmp_path)
    assert [(block.first, block.last, block.hash) for block in blocks] == [
        (block.first, block.last, block.hash) for block in read_blocks(tmp_path)
    ]
    assert (blocks[-1].hash, follower.last_seq, follower.has_end_mark) == (writer.head, 11, True)
    assert list(follower.poll()) == []
    assert journal_end(tmp_path) == 11


def test_at_every_byte_of_its_growth_the_closed_blocks_come_once_and_nothing_else(tmp_path: Path) -> None:
    write_small(tmp_path / "whole")
    growing = tmp_path / "growing"
    growing.mkdir()
    follower = JournalFollower(growing)
    found: list[ClosedBlock] = []
    for path in segments(tmp_path / "whole"):
        data = path.read_bytes()
        for size in range(len(data) + 1):
            with (growing / path.name).open("ab") as file:
                file.write(data[size - 1 : size] if size else b"")
            found += follower.poll()
            assert follower.last_seq == journal_end(growing)
    assert found == list(JournalFollower(tmp_path / "whole").poll())
    assert follower.has_end_mark


def test_before_there_is_a_journal_there_is_nothing(tmp_path: Path) -> None:
    follower = JournalFollower(tmp_path / "later")
    assert (list(follower.poll()), journal_end(tmp_path / "later")) == ([], 0)
    write_small(tmp_path / "later")
    assert follower.poll() is not None
    assert list(follower.poll())[-1].last == 11


def test_a_torn_tail_is_left_out_and_what_is_written_in_its_place_is_taken(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(timer(1))
    writer.commit()
    follower = JournalFollower(tmp_path)
    assert len(numbered(list(follower.poll()))) == 1
    with segments(tmp_path)[0].open("ab") as file:
        file.write(b'{"seq":2,"message":{"kind":"TimerFired","ts_ns":77}}\n{"seq":3,"mess')
    assert list(follower.poll()) == []
    resumed, seam = JournalWriter.resume(tmp_path)
    assert seam is not None
    resumed.append(timer(2))
    resumed.close()
    assert numbered(list(follower.poll())) == expected(tmp_path)[1:]
    assert follower.has_end_mark
    again, _ = JournalWriter.resume(tmp_path)
    again.append(timer(3))
    again.commit()
    assert numbered(list(follower.poll())) == expected(tmp_path)[2:]
    assert not follower.has_end_mark


def test_a_follower_that_stops_in_the_middle_goes_on_with_the_next_block(tmp_path: Path) -> None:
    write_small(tmp_path)
    follower = JournalFollower(tmp_path)
    first = next(iter(follower.poll()))
    assert first.last == 2
    assert [block.first for block in follower.poll()] == [
        block.first for block in read_blocks(tmp_path) if block.first > 2
    ]


def test_a_changed_byte_of_a_closed_block_is_said_at_the_second_look(tmp_path: Path) -> None:
    write_small(tmp_path)
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[data.index(b'"due_ns":1') + 9] = ord("7")
    path.write_bytes(data)
    follower = JournalFollower(tmp_path)
    with pytest.raises(JournalCorrupt, match=r"000001\.ndjson"):
        for _ in range(2):
            list(follower.poll())


def test_a_changed_byte_of_a_block_larger_than_one_read_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_follow, "_READ_BYTES", 100)
    writer = JournalWriter(tmp_path)
    for number in range(5):
        writer.append(timer(number))
    writer.close()
    assert numbered(list(JournalFollower(tmp_path).poll())) == expected(tmp_path)
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(b'"due_ns":1') + 9] = ord("7")
    path.write_bytes(data)
    follower = JournalFollower(tmp_path)
    assert list(follower.poll()) == []
    with pytest.raises(JournalCorrupt, match=r"does not match its hash"):
        list(follower.poll())


def test_a_journal_that_got_shorter_or_lost_a_segments_end_is_said(tmp_path: Path) -> None:
    write_small(tmp_path / "a")
    follower = JournalFollower(tmp_path / "a")
    list(follower.poll())
    last = segments(tmp_path / "a")[-1]
    last.write_bytes(last.read_bytes()[:-10])
    with pytest.raises(JournalCorrupt, match="shorter than it was"):
        list(follower.poll())

    write_small(tmp_path / "b")
    first = segments(tmp_path / "b")[0]
    first.write_bytes(first.read_bytes()[:-10])
    with pytest.raises(JournalCorrupt, match="is cut off"):
        list(JournalFollower(tmp_path / "b").poll())


def test_segments_of_two_journals_do_not_make_one(tmp_path: Path) -> None:
    write_small(tmp_path / "a")
    other = JournalWriter(tmp_path / "b", segment_bytes=100)
    for number in range(30):
        other.append(timer(number))
        other.commit()
    shutil.copy(segments(tmp_path / "b")[1], tmp_path / "a" / "000002.ndjson")
    with pytest.raises(JournalCorrupt, match="does not continue"):
        list(JournalFollower(tmp_path / "a").poll())
