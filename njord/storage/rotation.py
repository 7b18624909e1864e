"""What becomes of recordings? A folder in; full files turned over and old ones compressed, without losing a row.

A separate job, never the writer's: it renames a file after the day of its first row, and the writer goes on in a new
one. Only what nobody holds open is compressed, and an original goes only when its archive was read back bit for bit.
"""

import fcntl
import gzip
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import msgspec
import numpy as np

from njord.core.errors import DataError
from njord.core.units import NS_PER_DAY
from njord.storage.bars_csv import ByteReader
from njord.storage.bars_text import one_line
from njord.storage.disk import OsDisk
from njord.storage.recording_files import LAST_DAY, first_row_ns, is_at, recorded_files

ROTATE_BYTES = 64 * 2**20
COUNTER_MAX = 9_999
_PIECE_BYTES = 2**20
_PROCESSES = Path("/proc")

Packing = Literal["gz", "lz4"]


class RotationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `rotate` did.

    Attributes:
        scanned: Files that are still written.
        rotated: (old name, new name) of those turned over.
        kept: Files too young and too small, or without a row.
        errors: One line for every file that could not be read or renamed.
    """

    scanned: int
    rotated: tuple[tuple[str, str], ...]
    kept: int
    errors: tuple[str, ...]


class CompressionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `compress` did, or in a dry run would do.

    Attributes:
        scanned: Files that were turned over and are not compressed yet.
        compressed: Names of those that are now.
        n_young: Files changed too lately.
        n_open: Files that somebody holds open.
        bytes_before: Size of the compressed files before; of all that would be, in a dry run.
        bytes_after: And after; 0 in a dry run.
        errors: One line for every file that could not be compressed; it is as it was.
    """

    scanned: int
    compressed: tuple[str, ...]
    n_young: int
    n_open: int
    bytes_before: int
    bytes_after: int
    errors: tuple[str, ...]


def rotate(folder: Path, *, now_ns: int, size_bytes: int = ROTATE_BYTES) -> RotationReport:
    """Turn over every recording in `folder` that is full, or whose first row is of a day (UTC) before today.

    NAME.ndjson becomes NAME.YYYYMMDD.ndjson, by the day of its first row; the second of a day NAME.YYYYMMDD_0001.ndjson.

    Args:
        folder: Where recordings lie.
        now_ns: The time, for the date.
        size_bytes: A file is full from here on.

    Raises:
        DataError: The folder can not be read or locked.
    """
    rotated, errors = [], []
    with _one_job(folder):
        active = [file for file in recorded_files(folder) if file.day == LAST_DAY and not file.packed]
        for file in active:
            try:
                new = _turn_over(file.path, now_ns, size_bytes)
            except DataError as error:
                errors.append(str(error))
            except OSError as error:
                errors.append(f"{one_line(file.path.name, 80)}: {error.strerror}")
            else:
                if new is not None:
                    rotated.append((file.path.name, new))
        if rotated:
            OsDisk().sync_folder(folder)
    kept = len(active) - len(rotated) - len(errors)
    return RotationReport(scanned=len(active), rotated=tuple(rotated), kept=kept, errors=tuple(errors))


def compress(
    folder: Path,
    *,
    now_ns: int,
    older_than_ns: int = NS_PER_DAY,
    packing: Packing = "gz",
    dry_run: bool = False,
) -> CompressionReport:
    """Compress every file in `folder` that was turned over, is old enough, and that nobody holds open.

    A file counts as held if it is locked, or on Linux if any process that we may look into has it open. An archive
    that is there already is never written over: if it holds the same, the original goes; if not, that is an error.

    Args:
        folder: Where recordings lie.
        now_ns: The time, for the age.
        older_than_ns: How long ago a file must have been changed last.
        packing: How to compress.
        dry_run: Change nothing, only count.

    Raises:
        DataError: The folder can not be read or locked.
    """
    compressed, errors = [], []
    n_young = n_open = bytes_before = bytes_after = 0
    with _one_job(folder):
        files = [file for file in recorded_files(folder) if file.day != LAST_DAY and not file.packed]
        for file in files:
            try:
                with _held_alone(file.path) as original:
                    if original is None:
                        n_open += 1
                        continue
                    facts = os.fstat(original.fileno())
                    if now_ns - facts.st_mtime_ns < older_than_ns:
                        n_young += 1
                        continue
                    if not dry_run:
                        bytes_after += _replace_by_archive(file.path, original, packing)
                    bytes_before += facts.st_size
                    compressed.append(file.path.name)
            except (OSError, EOFError, RuntimeError, DataError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                errors.append(f"{one_line(file.path.name, 80)}: {one_line(reason, 200)}")
    return CompressionReport(
        scanned=len(files),
        compressed=tuple(compressed),
        n_young=n_young,
        n_open=n_open,
        bytes_before=bytes_before,
        bytes_after=bytes_after,
        errors=tuple(errors),
    )


# --- turning over ---


def _turn_over(path: Path, now_ns: int, size_bytes: int) -> str | None:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return None  # A writer has only just created it.
        header, first_ns = first_row_ns(path, file)
    # A hash stands in exports: they are finished, and nobody writes them on.
    if (
        first_ns is None
        or header.hash
        or not (size >= size_bytes or first_ns // NS_PER_DAY < now_ns // NS_PER_DAY)
    ):
        return None
    day = str(np.datetime64(first_ns // NS_PER_DAY, "D")).replace("-", "")
    stem = path.name.removesuffix(".ndjson")
    counters = [file.counter for file in recorded_files(path.parent, stem) if file.day == day]
    counter = max(counters, default=-1) + 1
    if counter > COUNTER_MAX:
        raise DataError(f"{one_line(stem, 80)} has {counter} files of {day} already", "give a larger size")
    new = path.with_name(f"{stem}.{day}{f'_{counter:04d}' if counter else ''}.ndjson")
    path.rename(new)  # Nobody else makes such names while the folder is ours.
    return new.name


@contextmanager
def _one_job(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: one job at a time turns over or compresses."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(
            f"{one_line(folder, 200)} can not be read: {error.strerror}", "name the folder of the recordings"
        ) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DataError(
            f"another job works on {one_line(folder, 200)}", "wait for it, then try again"
        ) from None
    finally:
        os.close(fd)


# --- compressing ---


@contextmanager
def _held_alone(path: Path) -> Iterator[BinaryIO | None]:
    """Open a file and lock it for ourselves; None if anybody else has it open."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield None if _is_open_elsewhere(file.fileno()) else file


# A writer without a lock is seen here. Processes of other users stay dark: only their locks tell.
def _is_open_elsewhere(own_fd: int) -> bool:
    ours = os.fstat(own_fd)
    own = str(_PROCESSES / str(os.getpid()) / "fd" / str(own_fd))
    for process in _entries(_PROCESSES):
        if not process.name.isdigit():
            continue
        for each in _entries(Path(process.path) / "fd"):
            with suppress(OSError):
                if each.path != own and os.path.samestat(os.stat(each.path), ours):
                    return True
    return False


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


class _Packer(Protocol):
    def write(self, data: bytes, /) -> int: ...


def _replace_by_archive(path: Path, original: BinaryIO, packing: Packing) -> int:
    archive = path.with_name(f"{path.name}.{packing}")
    other = path.with_name(f"{path.name}.{'lz4' if packing == 'gz' else 'gz'}")
    if other.exists():
        raise DataError(f"{one_line(other.name, 80)} is there already", "remove one of the two")
    before = os.fstat(original.fileno())
    is_new = not archive.exists()
    if is_new:
        _write_archive(original, archive, packing)
    else:
        # A crash between the two steps below leaves both.
        _check_same(original, archive, packing)
    after = os.fstat(original.fileno())
    is_changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    if is_changed or _is_open_elsewhere(original.fileno()) or not is_at(original.fileno(), path):
        if is_new:
            archive.unlink()
        raise DataError("somebody opened it meanwhile", "compress it later")
    path.unlink()
    OsDisk().sync_folder(path.parent)
    return archive.stat().st_size


def _write_archive(original: BinaryIO, archive: Path, packing: Packing) -> None:
    temp = archive.with_name(f".{archive.name}.tmp")
    try:
        _pack(original, temp, packing)
        _check_same(original, temp, packing)
        temp.rename(archive)  # Nobody else makes such names while the folder is ours.
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)
    OsDisk().sync_folder(archive.parent)


def _pack(original: BinaryIO, temp: Path, packing: Packing) -> None:
    original.seek(0)
    with temp.open("wb") as file:
        with ExitStack() as opened:
            packer: _Packer
            if packing == "gz":
                packer = opened.enter_context(gzip.GzipFile("", "wb", 6, file, mtime=0))
            else:
                import lz4.frame

                packer = opened.enter_context(lz4.frame.open(file, mode="wb"))
            while data := original.read(_PIECE_BYTES):
                packer.write(data)
        file.flush()
        os.fsync(file.fileno())


def _check_same(original: BinaryIO, archive: Path, packing: Packing) -> None:
    original.seek(0)
    with ExitStack() as opened:
        if packing == "gz":
            packed: ByteReader = opened.enter_context(gzip.open(archive))
        else:
            import lz4.frame

            packed = opened.enter_context(lz4.frame.open(archive))
        while True:
            data = original.read(_PIECE_BYTES)
            if _exactly(packed, len(data) or 1) != data:
                raise DataError(
                    f"{one_line(archive.name, 80)} holds something else", "look at both, and remove one"
                )
            if not data:
                return


def _exactly(packed: ByteReader, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := packed.read(size - len(data))):
        data += more
    return data
