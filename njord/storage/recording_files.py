"""Which files make up a recording? A folder and a name in; its files in the order of their times out.

A recording is `NAME.ndjson`, still written, and `NAME.YYYYMMDD.ndjson`, `NAME.YYYYMMDD_0001.ndjson` ... for what was
turned over, perhaps with `.gz` or `.lz4` behind it: the names sort as the times do.
"""

import fcntl
import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.ingest.frames_header import DataHeader, decode_header
from njord.storage.ingest.frames_open import decompressed
from njord.storage.ingest.ndjson import Lines, RowDecoder

LAST_DAY = "~"  # Sorts behind every date: the file that is still written.


class RecordedFile(NamedTuple):
    """One file of a recording; sorts by time."""

    day: str  # Of its first row, as 20250930; "~" for the file that is still written.
    counter: int  # Several of one day.
    packed: str  # "", ".gz" or ".lz4".
    path: Path


def recorded_files(folder: Path, name: str | None = None) -> list[RecordedFile]:
    """Return the files of the recording `name` in `folder`, or of all recordings, in the order of their times.

    A name is matched as a whole: md.trades.ATOMUSDT has no file of md.trades.ATOMUSDTX. Where a file lies there packed
    and unpacked, as a crash while compressing leaves it, the unpacked one counts.

    Raises:
        DataError: The folder can not be read.
    """
    stem = ".+?" if name is None else re.escape(name)
    pattern = re.compile(rf"({stem})(?:\.(\d{{8}})(?:[._](\d{{1,4}}))?)?\.ndjson(\.gz|\.lz4)?", re.ASCII)
    found: dict[tuple[str, str, int, str], RecordedFile] = {}
    try:
        entries = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    except OSError as error:
        raise DataError(
            f"{one_line(folder, 200)} can not be read: {error.strerror}", "name the folder of the recording"
        ) from None
    for entry in entries:
        match = pattern.fullmatch(entry)
        if match is None:
            continue
        file = RecordedFile(match[2] or LAST_DAY, int(match[3] or 0), match[4] or "", folder / entry)
        found.setdefault((match[1], file.day, file.counter, entry.removesuffix(file.packed)), file)
    return [found[key] for key in sorted(found)]


def first_row_ns(path: Path, file: BinaryIO) -> tuple[DataHeader, int | None]:
    """Return the header of a recorded file and the time of its first row; None if it has no row yet.

    Raises:
        DataError: The file is no recording, or damaged at its start.
    """
    where = one_line(path.name, 80)
    with ExitStack() as opened:
        lines = lines_of(path, file, where, opened)
        header = decode_header(lines.first(), where)
        decoder = RowDecoder(header.kind, header.instrument, where)
        for block, first_line in lines.blocks():
            for line in block.split(b"\n"):
                columns = decoder.decode(line, first_line).columns
                if len(columns[0]):
                    return header, int(columns[0][0])
    return header, None


def lines_of(path: Path, file: BinaryIO, where: str, opened: ExitStack) -> Lines:
    """Return the lines of an open file from its start, decompressed as its first bytes say."""
    magic = file.read(8)
    file.seek(0)
    return Lines(decompressed(file, magic, path, where, opened), where)


def lock_shared(fd: int) -> bool:
    """Lock an open file against being compressed or removed; return whether nobody has it for himself."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(fd: int, path: Path) -> bool:
    """Return whether `path` still names the open file `fd`."""
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))
