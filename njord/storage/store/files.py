"""The few file operations that a commit consists of, so that tests can hand in a disk that fails; and the only door
through which the store opens a file: regular, inside, and no link.
"""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Protocol

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.disk import OsDisk

TEMP_PREFIX = ".tmp-"
READERS_FILE = ".readers"  # Whoever reads the dataset holds a shared lock on it.


class StoreFiles(Protocol):
    """What a commit does to the disk; every method is done when it returns, or raises OSError."""

    def make_folder(self, path: Path) -> None:
        """Create `path` and its parents; its name survives a power cut."""

    def write_new(self, path: Path, data: bytes) -> None:
        """Create `path` with `data`, which survives a power cut as soon as the name does."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its final name at once, in the place of another if need be."""

    def sync_folder(self, path: Path) -> None:
        """Return once the names in `path` survive a power cut."""

    def remove(self, path: Path) -> None:
        """Remove a file."""


class OsStoreFiles:
    """The machine's disk."""

    def make_folder(self, path: Path) -> None:
        """Create `path` and its parents; their names are synced from the top down."""
        missing = []
        while not path.exists():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self.sync_folder(folder.parent)

    def write_new(self, path: Path, data: bytes) -> None:
        """Create `path` with `data` and flush it to the device."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                n_taken = os.write(fd, view)
                if not n_taken:
                    raise OSError(errno.EIO, "the device takes no more bytes and gives no reason")
                view = view[n_taken:]
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Rename within one folder."""
        os.replace(old, new)

    def sync_folder(self, path: Path) -> None:
        """Flush the folder's entries to the device."""
        OsDisk().sync_folder(path)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone already is none to remove."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def open_regular(path: Path, where: str) -> int:
    """Open a file of the store for reading and return its descriptor.

    Raises:
        DataError: It is a link, a device or anything else but a regular file, or can not be read.
        FileNotFoundError: It is not there.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise DataError(
                f"{where} is a symbolic link, which the store never follows",
                "put the file itself in its place",
            ) from None
        raise cannot("read", where, error) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise DataError(f"{where} is not a regular file", "remove it and import the dataset again")
    return fd


def read_regular(path: Path, where: str, n_bytes_max: int) -> bytes:
    """Return the bytes of a file of the store.

    Raises:
        DataError: It is no regular file, larger than `n_bytes_max`, or can not be read.
        FileNotFoundError: It is not there.
    """
    with open(open_regular(path, where), "rb") as file:
        try:
            data = file.read(n_bytes_max + 1)
        except OSError as error:
            raise cannot("read", where, error) from None
    if len(data) > n_bytes_max:
        raise DataError(
            f"{where} is larger than {n_bytes_max:,} bytes", "remove it and import the dataset again"
        )
    return data


def real_folder(root: Path, relative: str) -> Path:
    """Return the folder of a dataset below `root`; it need not exist.

    Raises:
        DataError: A folder on the way is a symbolic link or no folder.
    """
    folder = root
    for segment in relative.split("/"):
        folder = folder / segment
        try:
            mode = folder.lstat().st_mode
        except FileNotFoundError:
            break
        except OSError as error:
            raise cannot("read", one_line(folder, 200), error) from None
        if stat.S_ISLNK(mode):
            raise DataError(
                f"{one_line(folder, 200)} is a symbolic link, which the store never follows",
                "move the dataset's folder into the store itself",
            )
        if not stat.S_ISDIR(mode):
            raise DataError(f"{one_line(folder, 200)} is not a folder", "remove it, or choose another store")
    return root / relative


def lock_folder(folder: Path) -> int | None:
    """Return a descriptor that holds the only writer's lock on an existing folder; None if another one holds it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_ino == os.stat(folder).st_ino:  # Else it was removed and made anew meanwhile.
            return fd
    except BlockingIOError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def lock_readers(folder: Path, *, exclusive: bool) -> int | None:
    """Return a descriptor that holds the readers' lock; None where it can not be had.

    A reader's lock is shared, and a dataset without the file (a copy) is read without. The exclusive one is taken at
    once or not at all, and only while files are removed.
    """
    try:
        fd = os.open(folder / READERS_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError:
        os.close(fd)
        return None
    return fd


def cannot(be_what: str, where: str, error: OSError) -> DataError:
    """Return the one-line error for a disk that refuses: `where` can not be read, or written."""
    reason = error.strerror or str(error)
    remedy = "check the path and its permissions"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "free some space there and import again"
    elif error.errno == errno.EIO:
        remedy = "check the disk, then import again"
    return DataError(f"{where} can not be {be_what}: {reason}", remedy)
