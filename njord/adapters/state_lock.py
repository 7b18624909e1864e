"""Who owns the state folder? One process at a time, and one that lost it writes nothing more.

`node.lock` is held with `flock` as long as the process lives, whatever ends it; it names the holder. A lock file that
was removed, or a file system without locks, could still let a second one in: so every start writes a new number into
`node.fence`, durably, and whoever finds another number there than its own has been replaced.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

import msgspec

from njord.core.errors import ConfigError, InvariantError

LOCK_NAME = "node.lock"
FENCE_NAME = "node.fence"


class Holder(msgspec.Struct, frozen=True):
    """Who holds the folder, and the how-manieth start it was."""

    token: int
    pid: int


class StateLock:
    """The right to write in a state folder; `acquire` makes one.

    Args:
        state: The folder.
        descriptor: Of the locked file.
        holder: Ourselves.
    """

    def __init__(self, state: Path, descriptor: int, holder: Holder) -> None:
        self._state = state
        self._descriptor = descriptor
        self._fence = state / FENCE_NAME
        self._own = msgspec.json.encode(holder)
        self.token = holder.token

    @classmethod
    def acquire(cls, state: Path) -> Self:
        """Lock the folder, creating it, and raise its number.

        Raises:
            ConfigError: Another process holds it, or it can not be written.
        """
        try:
            state.mkdir(parents=True, exist_ok=True)
            descriptor = _locked(state)
        except OSError as error:
            raise _refused(state, error) from None
        try:
            holder = Holder(token=_token(state / FENCE_NAME) + 1, pid=os.getpid())
            record = msgspec.json.encode(holder)
            write_durably(state / FENCE_NAME, record)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, record, 0)
        except OSError as error:
            os.close(descriptor)
            raise _refused(state, error) from None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(state, descriptor, holder)

    def check(self) -> None:
        """Make sure that nobody has taken over.

        Raises:
            InvariantError: Somebody has, or nobody can tell: fenced.
        """
        try:
            found = self._fence.read_bytes()
        except OSError as error:
            raise InvariantError(f"fenced: {self._fence} can not be read: {error.strerror}") from None
        if found != self._own:
            raise InvariantError(
                f"fenced: another instance has taken over {self._state}, this one was start number {self.token}"
            )

    def release(self) -> None:
        """Let go; the number stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def write_durably(path: Path, data: bytes) -> None:
    """Put `data` in the place of `path` so that after a power cut either the old or the new content is there."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)  # A full disk needs its room.
        raise
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return once the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# The file must still be the one that the name stands for when it is locked: it may have been removed meanwhile.
def _locked(state: Path) -> int:
    path = state / LOCK_NAME
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except BlockingIOError:
            holder = _holder(path)
            os.close(descriptor)
            raise ConfigError(
                f"another njord{f' (process {holder.pid})' if holder else ''} is running on {state}",
                "stop it first, or set paths.state to a folder of its own",
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _holder(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def _token(fence: Path) -> int:
    if not fence.exists():
        return 0
    holder = _holder(fence) if fence.is_file() else None  # Reading a pipe would wait.
    if holder is None:
        raise ConfigError(
            f"{fence} holds no number of starts", f"make sure that no njord runs there, then: rm -r {fence}"
        )
    return holder.token


def _refused(state: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{state / LOCK_NAME} can not be locked: {error.strerror or error}",
        "check who may write there, or set paths.state",
    )
