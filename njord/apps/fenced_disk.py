"""The disk of a session: nothing reaches a file any more once another instance has taken over, and no file stays open.

What was removed under a running session is gone, though it can still be written: that is said at the next sync.
"""

import errno
from pathlib import Path

from njord.adapters.state_lock import StateLock
from njord.storage.disk import Disk, DiskFile


class FencedDisk:
    """A disk that asks the lock before every operation.

    Args:
        disk: Where the files are.
        lock: The right to write them.
    """

    def __init__(self, disk: Disk, lock: StateLock) -> None:
        self._disk = disk
        self.lock = lock
        self.open_files: list[DiskFile] = []

    def open_append(self, path: Path) -> DiskFile:
        """Open `path` for appending, creating it."""
        self.lock.check()
        file = _FencedFile(self._disk.open_append(path), self, path)
        self.open_files.append(file)
        return file

    def sync_folder(self, path: Path) -> None:
        """Return once the names of the files in `path` survive a power cut."""
        self.lock.check()
        self._disk.sync_folder(path)

    def close(self) -> None:
        """Close what is still open, as it is."""
        for file in list(self.open_files):
            file.close()


class _FencedFile:
    def __init__(self, file: DiskFile, disk: FencedDisk, path: Path) -> None:
        self._file = file
        self._disk = disk
        self._path = path

    def write(self, data: bytes) -> None:
        self._disk.lock.check()
        self._file.write(data)

    def sync(self) -> None:
        self._disk.lock.check()
        self._file.sync()
        if not self._path.exists():
            raise OSError(errno.ENOENT, f"{self._path} was removed")

    def truncate(self, size: int) -> None:
        self._disk.lock.check()
        self._file.truncate(size)

    def close(self) -> None:
        self._disk.open_files.remove(self)
        self._file.close()
