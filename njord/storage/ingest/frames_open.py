"""What is this file? A path in; its form, told by content, and a stream of its decompressed bytes out.

Whatever is wrong with the file or its compression comes out of the stream as one `DataError`; nothing is decompressed
further than it is read.
"""

import difflib
import gzip
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import IO, NamedTuple

from njord.core.errors import DataError
from njord.storage.bars_csv import ByteReader
from njord.storage.bars_text import one_line

_GZIP, _LZ4, _PARQUET, _ARROW = b"\x1f\x8b", b"\x04\x22\x4d\x18", b"PAR1", b"ARROW1"
_REFUSED = (
    (b"PK\x03\x04", "a zip archive", "unzip it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "decompress it first, or use gzip"),
    (b"FEA1", "Feather version 1", "write it as Feather version 2 or Parquet"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
)
_TABLES = (
    (_PARQUET, "Parquet", (".parquet", ".pq")),
    (_ARROW, "Feather", (".feather", ".arrow", ".ipc")),
)
_SNIFFED_BYTES = 64


class Form(Enum):
    """How rows lie in a file."""

    CSV = "CSV"
    NDJSON = "NDJSON"
    PARQUET = "Parquet"
    FEATHER = "Feather"


class Opened(NamedTuple):
    """A file whose form is known.

    Attributes:
        form: How its rows lie in it.
        stream: Its decompressed bytes from the start.
        start: The first of them, up to 64; empty for a columnar file.
    """

    form: Form
    stream: ByteReader
    start: bytes = b""


def open_file(path: Path, where: str, opened: ExitStack) -> Opened:
    """Open `path` and tell its form by content; `opened` closes it.

    Args:
        path: A regular file: CSV or NDJSON, plain, gzipped or in lz4 frames; Parquet; Feather version 2.
        where: The file's name, for messages.
        opened: Takes the open files.

    Raises:
        DataError: The file is missing, empty, damaged, or of a form that is not read.
    """
    file = open_regular(path, where)
    opened.callback(file.close)
    magic = file.read(8)
    file.seek(0)
    if not magic:
        raise DataError(f"{where} is empty", "give a file with rows")
    for start, what, remedy in _REFUSED:
        if magic.startswith(start):
            raise DataError(f"{where} is {what}, not a file of rows", remedy)
    suffix = path.suffix.lower()
    for start, kind, suffixes in _TABLES:
        if magic.startswith(start):
            return Opened(Form(kind), file)
        if suffix in suffixes:
            raise DataError(
                f"{where} is named like {kind} but does not hold it",
                "download or write it again, or name it by its content",
            )
    stream = decompressed(file, magic, path, where, opened)
    start = stream.peek(_SNIFFED_BYTES)
    is_json = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    return Opened(Form.NDJSON if is_json else Form.CSV, stream, start)


def decompressed(file: IO[bytes], magic: bytes, path: Path, where: str, opened: ExitStack) -> "Stream":
    """Return what the open `file` holds, decompressed as its first bytes, `magic`, say."""
    for start, suffix, name in ((_GZIP, ".gz", "gzip"), (_LZ4, ".lz4", "lz4")):
        if magic.startswith(start):
            if name == "gzip":
                return Stream(opened.enter_context(gzip.open(file)).read, where, name)
            import lz4.frame

            return Stream(opened.enter_context(lz4.frame.open(file)).read, where, name)
        if path.suffix.lower() == suffix:
            raise DataError(
                f"{where} is named {suffix} but is not {name}",
                f"download it again, or drop the {suffix} from its name",
            )
    return Stream(file.read, where, "")


class Stream:
    """Decompressed bytes, whose errors are `DataError`s."""

    def __init__(self, read: Callable[[int], bytes], where: str, packed: str) -> None:
        self._read = read
        self._where = where
        self._packed = packed
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        """Return the first bytes, up to `size`, without taking them; only before the first `read`."""
        self._ahead = self.read(size)
        return self._ahead

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        if self._ahead:
            ahead, self._ahead = self._ahead[:size], self._ahead[size:]
            return ahead
        try:
            return self._read(size)
        except EOFError:
            raise DataError(
                f"{self._where} is cut off: its {self._packed} stream has no end",
                "download or compress it again",
            ) from None
        except (gzip.BadGzipFile, zlib.error, RuntimeError):
            raise DataError(
                f"{self._where} is not a sound {self._packed} file", "download or compress it again"
            ) from None
        except OSError as error:
            raise DataError(
                f"{self._where} can not be read: {error.strerror or error}",
                "check the disk and the file's permissions",
            ) from None


def open_regular(path: Path, where: str) -> IO[bytes]:
    """Open a regular file for reading.

    Raises:
        DataError: There is none, it is something else, or it may not be read.
    """
    try:
        if path.is_dir():
            raise DataError(f"{one_line(path, 1_000)} is a folder", "name one file in it")
        if path.exists() and not path.is_file():
            raise DataError(f"{one_line(path, 1_000)} is not a regular file", "give a file of rows")
        return path.open("rb")
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"{where} can not be opened: {reason}", "check the path and its permissions"
        ) from None


def _missing(path: Path) -> DataError:
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return DataError(f"there is no folder {one_line(path.parent, 200)}", "check the path")
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    shown = " or ".join(one_line(name, 80) for name in close)
    return DataError(
        f"there is no file {one_line(path, 200)}", f"did you mean {shown}?" if close else "check the path"
    )
