"""Real processes, real devices: kill -9 at any moment, a file that may not grow, a device that is full."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from njord.core.errors import JournalHalted
from njord.storage.disk import DiskFile, OsDisk, OsFile
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import scan
from tests.integration.journal_child import message
from tests.unit.storage.journal_samples import messages

pytestmark = pytest.mark.integration

CHILD = [sys.executable, "-m", "tests.integration.journal_child"]
ROOT = Path(__file__).resolve().parents[2]
N_KILLS = 50


def test_fifty_writers_killed_at_any_moment_leave_one_journal_with_every_synced_message(
    tmp_path: Path,
) -> None:
    chance = random.Random(11)
    directory = tmp_path / "journal"
    n_seams = 0
    for _ in range(N_KILLS):
        with subprocess.Popen([*CHILD, "write", str(directory)], cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(chance.randint(1, 12)):
                synced = int(child.stdout.readline())
            child.kill()
            rest = child.stdout.read().splitlines()
        synced = max([synced, *map(int, rest)])
        state = scan(directory)
        assert state.last_seq >= synced
        assert messages(directory) == {number: message(number) for number in range(1, state.last_seq + 1)}
        assert not state.is_complete
        n_seams += bool(state.torn_bytes)
    writer, _ = JournalWriter.resume(directory)
    writer.close()
    state = scan(directory)
    assert state.is_complete
    assert len(state.seams) <= n_seams
    assert len(list(directory.glob("torn-*"))) >= len(state.seams)
    assert state.n_segments > 5


@pytest.mark.parametrize("n_bytes", [40, 1_000, 1_001, 1_234, 5_000, 65_536])
def test_a_file_that_may_not_grow_halts_the_journal_and_keeps_every_block(
    tmp_path: Path, n_bytes: int
) -> None:
    directory = tmp_path / "journal"
    child = subprocess.run(
        [*CHILD, "full", str(directory), str(n_bytes)], cwd=ROOT, capture_output=True, text=True
    )
    if n_bytes == 40:  # Not even the line that opens the segment fits.
        assert "JournalHalted: DISK_FULL: the file may not grow further" in child.stderr
        assert scan(directory).last_seq == 0
        return
    committed, reason = child.stdout.splitlines()
    assert reason == "DISK_FULL: the file may not grow further"
    state = scan(directory)
    assert (state.last_seq, state.torn_bytes) == (int(committed), 0)
    assert messages(directory) == {number: message(number) for number in range(1, state.last_seq + 1)}


class _FullAfter(OsDisk):
    """The first `n_files` files are real, the next is /dev/full."""

    def __init__(self, n_files: int) -> None:
        self.n_files = n_files

    def open_append(self, path: Path) -> DiskFile:
        self.n_files -= 1
        return OsFile(path if self.n_files >= 0 else Path("/dev/full"))


def test_a_full_device_halts_the_journal_by_name(tmp_path: Path) -> None:
    with pytest.raises(JournalHalted, match="DISK_FULL: no space left for the journal"):
        JournalWriter(tmp_path / "a", _FullAfter(0))
    writer = JournalWriter(tmp_path / "b", _FullAfter(1), segment_bytes=500)
    with pytest.raises(JournalHalted, match="DISK_FULL: no space left for the journal"):
        for number in range(1, 100):
            writer.append(message(number))
            writer.commit()
    n_messages = writer.n_messages
    with pytest.raises(JournalHalted, match="DISK_FULL"):
        writer.append(message(100))
    writer.close()
    assert 1 < scan(tmp_path / "b").last_seq == n_messages - 1
