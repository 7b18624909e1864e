"""Disks for the journal's tests, over real files: one that fails the k-th operation, one that loses power."""

import errno
import os
from pathlib import Path

from njord.storage.disk import DiskFile, OsDisk, OsFile


class FailingDisk:
    """Fails the `fail_at`-th operation (from 1) with `code`; a failing write takes `n_taken` bytes.

    `kinds` says which operations count: open, write, sync, truncate, close, folder. `recovers` = all later ones work.
    """

    def __init__(
        self,
        fail_at: int,
        code: int = errno.ENOSPC,
        n_taken: int = 0,
        kinds: tuple[str, ...] = ("open", "write", "sync", "folder"),
        recovers: bool = False,
    ) -> None:
        self.fail_at = fail_at
        self.code = code
        self.n_taken = n_taken
        self.kinds = kinds
        self.recovers = recovers
        self.done: list[str] = []

    @property
    def has_failed(self) -> bool:
        return len(self.done) >= self.fail_at

    def count(self, kind: str) -> bool:
        """Note one operation; say whether it must fail."""
        if kind in self.kinds:
            self.done.append(kind)
            return len(self.done) == self.fail_at or (self.has_failed and not self.recovers)
        return False

    def refuse(self, kind: str) -> None:
        if self.count(kind):
            raise OSError(self.code, os.strerror(self.code))

    def open_append(self, path: Path) -> DiskFile:
        self.refuse("open")
        return _FailingFile(path, self)

    def sync_folder(self, path: Path) -> None:
        self.refuse("folder")
        OsDisk().sync_folder(path)


class _FailingFile(OsFile):
    def __init__(self, path: Path, disk: FailingDisk) -> None:
        super().__init__(path)
        self._disk = disk

    def write(self, data: bytes) -> None:
        if self._disk.count("write"):
            super().write(data[: self._disk.n_taken])
            raise OSError(self._disk.code, os.strerror(self._disk.code))
        super().write(data)

    def sync(self) -> None:
        self._disk.refuse("sync")
        super().sync()

    def truncate(self, size: int) -> None:
        self._disk.refuse("truncate")
        super().truncate(size)

    def close(self) -> None:
        super().close()
        self._disk.refuse("close")


class SimDisk:
    """A disk that keeps, when the power goes, only what was synced: bytes by `sync`, names by `sync_folder`."""

    def __init__(self) -> None:
        self.synced: dict[Path, int] = {}
        self.written: dict[Path, int] = {}
        self.named: set[Path] = set()

    def open_append(self, path: Path) -> DiskFile:
        file = _SimFile(path, self)
        self.written[path] = path.stat().st_size
        self.synced.setdefault(path, self.written[path])  # What was there before this disk is durable.
        return file

    def sync_folder(self, path: Path) -> None:
        self.named |= {file for file in self.written if file.parent == path}

    def lose_power(self, n_kept: int = 0) -> None:
        """Cut every file back to what was synced plus at most `n_kept` bytes; drop files without a durable name."""
        for path, n_written in self.written.items():
            if path not in self.named:
                path.unlink()
                continue
            os.truncate(path, min(n_written, self.synced[path] + n_kept))


class _SimFile(OsFile):
    def __init__(self, path: Path, disk: SimDisk) -> None:
        super().__init__(path)
        self._path = path
        self._disk = disk

    def write(self, data: bytes) -> None:
        super().write(data)
        self._disk.written[self._path] += len(data)

    def sync(self) -> None:
        self._disk.synced[self._path] = self._disk.written[self._path]

    def truncate(self, size: int) -> None:
        super().truncate(size)
        self._disk.written[self._path] = size
        self._disk.synced[self._path] = min(size, self._disk.synced[self._path])
