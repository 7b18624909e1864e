"""A disk that refuses, at every single operation: the journal halts by name, and what was closed stays."""

import errno
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from njord.core.errors import JournalHalted
from njord.storage.disk import DiskFile, OsFile
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import scan
from tests.unit.storage.journal_disks import FailingDisk
from tests.unit.storage.journal_samples import messages, segments, timer, write_small

REASONS = {
    errno.ENOSPC: "DISK_FULL: no space left for the journal",
    errno.EDQUOT: "DISK_FULL: the disk quota is used up",
    errno.EFBIG: "DISK_FULL: the file may not grow further",
    errno.EIO: "DISK_BROKEN: the device failed a write",
    errno.EROFS: "DISK_ERROR: Read-only file system",
}


class _Task(Future[Any]):
    # Done when somebody wants to know how it ended.
    def __init__(self, task: Callable[[], Any]) -> None:
        super().__init__()
        self._task = task

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if not self.done():
            try:
                self.set_result(self._task())
            except JournalHalted as error:
                self.set_exception(error)
        return super().exception(timeout)


class Behind(Executor):
    """A worker that writes a block at once, or as late as it may: what a thread does is between the two."""

    def __init__(self, is_late: bool) -> None:
        self._is_late = is_late

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        task = _Task(partial(fn, *args, **kwargs))
        if not self._is_late:
            task.exception()
        return task


class Session:
    """Writes a fixed session and remembers up to which message it was told that all is well."""

    def __init__(self, directory: Path, disk: FailingDisk, behind: Executor | None = None) -> None:
        self.n_kept = 0
        self.writer: JournalWriter | None = None
        self._directory = directory
        self._disk = disk
        self._behind = behind

    def run(self) -> None:
        writer = self.writer = JournalWriter(
            self._directory, self._disk, segment_bytes=250, behind=self._behind
        )
        for number in range(1, 9):
            writer.append(timer(number))
            if number % 4 == 0:
                writer.sync()
                self.n_kept = number
            elif number % 2 == 0:
                writer.commit()
                self.n_kept = number if self._behind is None else self.n_kept
        writer.close()


def n_operations(directory: Path) -> int:
    disk = FailingDisk(fail_at=10**9)
    Session(directory, disk).run()
    return len(disk.done)


def check_what_stayed(directory: Path, session: Session) -> None:
    state = scan(directory)
    assert state.last_seq >= session.n_kept
    if state.n_segments:
        assert messages(directory) == {number: timer(number) for number in range(1, state.last_seq + 1)}
    writer, _ = JournalWriter.resume(directory)
    writer.append(timer(99))
    writer.close()
    assert scan(directory).is_complete
    assert scan(directory).last_seq == state.last_seq + 1


@pytest.mark.integration
@pytest.mark.parametrize("recovers", [False, True])
@pytest.mark.parametrize("code", REASONS)
def test_every_operation_refused_halts_by_name_and_keeps_every_closed_block(
    tmp_path: Path, code: int, recovers: bool
) -> None:
    n = n_operations(tmp_path / "whole")
    assert n > 20
    for fail_at in range(1, n + 1):
        for n_taken in (0, 60, 10**6):
            directory = tmp_path / f"{fail_at}-{n_taken}"
            session = Session(directory, FailingDisk(fail_at, code, n_taken, recovers=recovers))
            with pytest.raises(JournalHalted) as halted:
                session.run()
            assert str(halted.value) == REASONS[code]
            if session.writer is not None:
                with pytest.raises(JournalHalted, match=REASONS[code]):
                    session.writer.append(timer(1))
                with pytest.raises(JournalHalted, match=REASONS[code]):
                    session.writer.sync()
                session.writer.close()
            check_what_stayed(directory, session)


@pytest.mark.parametrize("is_late", [False, True])
def test_what_a_block_behind_the_run_meets_halts_the_journal_by_name(tmp_path: Path, is_late: bool) -> None:
    n = n_operations(tmp_path / "whole")
    written = [path.read_bytes() for path in segments(tmp_path / "whole")]
    Session(tmp_path / "behind", FailingDisk(fail_at=10**9), Behind(is_late)).run()
    assert [path.read_bytes() for path in segments(tmp_path / "behind")] == written
    for fail_at in range(1, n + 1):
        directory = tmp_path / f"{fail_at}"
        session = Session(directory, FailingDisk(fail_at, errno.ENOSPC, 60), Behind(is_late))
        with pytest.raises(JournalHalted, match="DISK_FULL"):
            session.run()
        if session.writer is not None:
            with pytest.raises(JournalHalted, match="DISK_FULL"):
                session.writer.append(timer(1))
            session.writer.close()
        check_what_stayed(directory, session)


def test_a_thread_behind_the_run_writes_what_the_run_would_have_written(tmp_path: Path) -> None:
    heads = set()
    for n_workers in (0, 1):
        with ThreadPoolExecutor(1) as behind:
            writer = JournalWriter(
                tmp_path / f"{n_workers}", segment_bytes=250, behind=behind if n_workers else None
            )
            for number in range(1, 40):
                writer.append(timer(number))
                if number % 3 == 0:
                    writer.commit()
            writer.close()
        heads.add(writer.head)
    assert len(heads) == 1
    assert scan(tmp_path / "1").head in heads and scan(tmp_path / "1").is_complete


def test_a_half_written_block_that_can_not_be_cut_off_is_reported_and_then_resumed(tmp_path: Path) -> None:
    kinds = ("open", "write", "sync", "folder", "truncate")
    n_torn = 0
    for fail_at in range(1, n_operations(tmp_path / "whole") + 1):
        directory = tmp_path / f"{fail_at}"
        session = Session(directory, FailingDisk(fail_at, errno.ENOSPC, 40, kinds))
        with pytest.raises(JournalHalted, match="DISK_FULL") as halted:
            session.run()
        state = scan(directory)
        if "cutting off the half-written block failed too" in str(halted.value):
            n_torn += 1
            assert state.torn_bytes == 40
        check_what_stayed(directory, session)
    assert n_torn > 3


def test_a_failing_close_is_a_halt_and_not_a_stray_error(tmp_path: Path) -> None:
    for fail_at in (1, 2, 3):
        session = Session(tmp_path / f"{fail_at}", FailingDisk(fail_at, errno.EIO, kinds=("close",)))
        with pytest.raises(JournalHalted, match="DISK_BROKEN"):
            session.run()
        check_what_stayed(tmp_path / f"{fail_at}", session)


def test_every_operation_refused_while_resuming_loses_no_torn_byte(tmp_path: Path) -> None:
    kinds = ("open", "write", "sync", "folder", "truncate")
    for fail_at in range(1, 100):
        directory = tmp_path / f"{fail_at}"
        write_small(directory)
        last = segments(directory)[-1]
        data = last.read_bytes()[:-4]
        last.write_bytes(data)
        before = scan(directory)
        disk = FailingDisk(fail_at, errno.ENOSPC, 7, kinds)
        try:
            JournalWriter.resume(directory, disk)
        except JournalHalted as halted:
            assert str(halted).startswith("DISK_FULL")
        if not disk.has_failed:
            break
        torn = data[before.tail_offset :]
        kept = [path.read_bytes() for path in directory.glob("torn-*")]
        assert last.read_bytes().startswith(data) or torn in kept
        writer, _ = JournalWriter.resume(directory)
        writer.append(timer(12))
        writer.close()
        assert scan(directory).is_complete
        assert messages(directory)[12 if before.last_seq == 11 else 11] == timer(12)
    assert fail_at > 8


class _InterruptedDisk:
    """Lets a signal arrive in the middle of the `at`-th write."""

    def __init__(self, at: int, n_taken: int) -> None:
        self.at = at
        self.n_taken = n_taken

    def open_append(self, path: Path) -> DiskFile:
        return _InterruptedFile(path, self)

    def sync_folder(self, path: Path) -> None:
        pass


class _InterruptedFile(OsFile):
    def __init__(self, path: Path, disk: _InterruptedDisk) -> None:
        super().__init__(path)
        self._disk = disk

    def write(self, data: bytes) -> None:
        self._disk.at -= 1
        if self._disk.at == 0:
            super().write(data[: self._disk.n_taken])
            raise KeyboardInterrupt
        super().write(data)


@pytest.mark.parametrize("n_taken", [0, 30, 10**6])
def test_an_interrupt_in_the_middle_of_a_write_never_writes_a_block_twice(
    tmp_path: Path, n_taken: int
) -> None:
    writer = JournalWriter(tmp_path, _InterruptedDisk(3, n_taken))
    writer.append(timer(1))
    writer.commit()
    writer.append(timer(2))
    with pytest.raises(KeyboardInterrupt):
        writer.commit()
    with pytest.raises(JournalHalted, match="INTERRUPTED"):
        writer.append(timer(3))
    writer.close()
    assert messages(tmp_path) == {1: timer(1)}


def test_an_interrupt_right_after_a_write_never_writes_a_block_twice(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(timer(1))
    write = writer._write

    def write_and_be_interrupted(data: bytes) -> None:
        write(data)
        raise KeyboardInterrupt

    writer._write = write_and_be_interrupted  # type: ignore[method-assign]  # A signal comes between two lines.
    with pytest.raises(KeyboardInterrupt):
        writer.commit()
    writer._write = write  # type: ignore[method-assign]
    writer.close()
    assert messages(tmp_path) == {1: timer(1)}


def test_a_device_that_takes_no_bytes_and_gives_no_reason_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = OsFile(tmp_path / "f")
    monkeypatch.setattr("njord.storage.disk.os.write", lambda fd, data: 0)
    with pytest.raises(OSError, match="takes no more bytes"):
        file.write(b"x")
    monkeypatch.undo()
    file.close()
