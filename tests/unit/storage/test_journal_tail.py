"""A journal cut at any byte: what was closed is read, what was torn is reported, and writing goes on behind a seam."""

import shutil
from pathlib import Path

import pytest

from njord.core.contracts import Message
from njord.storage.journal import JournalWriter, Seam
from njord.storage.journal_reader import scan
from tests.unit.storage.journal_disks import SimDisk
from tests.unit.storage.journal_samples import messages, segments, timer, write_small


def cuts(whole: Path) -> list[tuple[int, int]]:
    """Return (segment number, size) for every byte of the last two segments, and of the line that opens the first."""
    sizes = [path.stat().st_size for path in segments(whole)]
    n_opening = len(segments(whole)[0].read_bytes().splitlines(keepends=True)[0])
    wanted = [(1, size) for size in range(n_opening + 2)]
    for number in (len(sizes) - 1, len(sizes)):
        wanted += [(number, size) for size in range(sizes[number - 1] + 1)]
    return wanted


def make_cut(whole: Path, cut: Path, number: int, size: int) -> bytes:
    """Write to `cut` what a crash leaves: segments before `number` whole, that one `size` bytes long."""
    shutil.rmtree(cut, ignore_errors=True)
    cut.mkdir()
    kept = segments(whole)[:number]
    for path in kept[:-1]:
        shutil.copy(path, cut)
    data = kept[-1].read_bytes()[:size]
    (cut / kept[-1].name).write_bytes(data)
    return data


@pytest.mark.integration
def test_a_cut_at_every_byte_leaves_every_closed_block_readable_and_reports_the_rest(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    writer = write_small(whole)
    everything = messages(whole)
    seen = 0
    for number, size in cuts(whole):
        data = make_cut(whole, cut, number, size)
        state = scan(cut)
        assert state.last_seq >= seen
        seen = state.last_seq
        assert messages(cut) == {seq: each for seq, each in everything.items() if seq <= seen}
        assert state.torn_bytes == size - state.tail_offset
        closed = data[: state.tail_offset]
        assert closed.endswith(b"}}\n") or not closed
        assert state.is_complete is (state.head == writer.head)
    assert seen == 11


@pytest.mark.integration
def test_a_journal_cut_at_every_byte_is_sealed_resumed_and_verifies(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write_small(whole)
    everything = messages(whole)
    for number, size in cuts(whole):
        data = make_cut(whole, cut, number, size)
        before = scan(cut)
        writer, seam = JournalWriter.resume(cut, SimDisk(), segment_bytes=500)
        assert writer.n_messages == before.last_seq
        writer.append(timer(99))
        writer.close()
        after = scan(cut)
        assert after.is_complete
        assert after.last_seq == before.last_seq + 1
        expected: dict[int, Message] = {
            seq: each for seq, each in everything.items() if seq <= before.last_seq
        }
        assert messages(cut) == expected | {after.last_seq: timer(99)}
        name = f"{number:06d}.ndjson"
        if before.torn_bytes:
            assert seam == Seam(name, before.tail_offset, before.torn_bytes)
            assert after.seams == [seam]
            aside = cut / f"torn-{number:06d}-{before.tail_offset}.bin"
            assert aside.read_bytes() == data[before.tail_offset :]
        else:
            assert seam is None
            assert after.seams == []
            assert not list(cut.glob("torn-*"))


def test_what_was_synced_survives_a_power_cut_that_keeps_nothing_else(tmp_path: Path) -> None:
    for n_kept in (0, 1, 50, 10_000):
        directory, disk = tmp_path / f"kept-{n_kept}", SimDisk()
        writer = JournalWriter(directory, disk, segment_bytes=400)
        synced = 0
        for number in range(1, 12):
            writer.append(timer(number))
            writer.commit()
            if number % 3 == 0:
                writer.sync()
                synced = number
        disk.lose_power(n_kept)
        state = scan(directory)
        assert synced == 9
        assert state.last_seq >= synced, n_kept
        assert messages(directory) == {number: timer(number) for number in range(1, state.last_seq + 1)}


def test_an_unsynced_journal_may_vanish_and_a_synced_one_keeps_its_name(tmp_path: Path) -> None:
    disk = SimDisk()
    writer = JournalWriter(tmp_path / "a", disk)
    writer.append(timer(1))
    writer.commit()
    disk.lose_power()
    assert scan(tmp_path / "a").n_segments == 0
    second = SimDisk()
    writer = JournalWriter(tmp_path / "b", second)
    writer.append(timer(1))
    writer.sync()
    second.lose_power()
    assert messages(tmp_path / "b") == {1: timer(1)}


def test_a_power_cut_right_after_resuming_keeps_the_seam_and_the_torn_bytes(tmp_path: Path) -> None:
    write_small(tmp_path)
    last = segments(tmp_path)[-1]
    last.write_bytes(last.read_bytes()[:-3])
    disk = SimDisk()
    disk.synced[last] = last.stat().st_size
    _, seam = JournalWriter.resume(tmp_path, disk)
    disk.lose_power()
    assert seam is not None
    assert scan(tmp_path).seams == [seam]
    assert len((tmp_path / f"torn-000003-{seam.offset}.bin").read_bytes()) == seam.n_bytes
