"""The few file operations that durability rests on, so that tests can hand in a disk that fails."""

import errno
import os
from pathlib import Path
from typing import Protocol


class DiskFile(Protocol):
    """An open, append-only file."""

    def write(self, data: bytes) -> None:
        """Append all of `data` or raise OSError."""

    def sync(self) -> None:
        """Return once everything written survives a power cut."""

    def truncate(self, size: int) -> None:
        """Cut the file back to `size` bytes."""

    def close(self) -> None:
        """Close the file."""


class Disk(Protocol):
    """Where segments are opened."""

    def open_append(self, path: Path) -> DiskFile:
        """Open `path` for appending, creating it."""

    def sync_folder(self, path: Path) -> None:
        """Return once the names of the files in `path` survive a power cut: syncing a file does not keep its name."""


class OsFile:
    """A real file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        """Append all of `data`; the system may take it in pieces."""
        view = memoryview(data)
        while view:
            n_taken = os.write(self._fd, view)
            if not n_taken:
                raise OSError(errno.EIO, "the device takes no more bytes and gives no reason")
            view = view[n_taken:]

    def sync(self) -> None:
        """Flush to the device. A failed fsync is never retried: what was dirty may be gone."""
        os.fsync(self._fd)

    def truncate(self, size: int) -> None:
        """Cut the file back to `size` bytes."""
        os.ftruncate(self._fd, size)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class OsDisk:
    """The machine's disk."""

    def open_append(self, path: Path) -> DiskFile:
        """Open `path` for appending, creating it."""
        return OsFile(path)

    def sync_folder(self, path: Path) -> None:
        """Flush the folder's entries to the device."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
