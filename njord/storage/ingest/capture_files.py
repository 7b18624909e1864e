"""How do the files of one capture become whole lines? Paths in; a buffer of lines at a time, and loose ends, out.

The files are one stream. A line that breaks off at the end of a file goes on in the next one, unless that begins with
a line of its own: then it is torn, as at the very end. Bytes are plain, gzipped or in lz4 frames and decompressed no
further than the buffer, so that memory is bounded whatever they decompress to.
"""

import re
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from njord.kernels.capture_text import PADDING, ByteArray, WordArray, words_of
from njord.storage.bars_csv import ByteReader
from njord.storage.bars_text import one_line
from njord.storage.ingest.capture_lines import is_cut_off
from njord.storage.ingest.frames_open import decompressed, open_regular

LINE_BYTES_MAX = 16 * 2**20
_LINE_BEGINS = re.compile(rb"[0-9]{19}[ \t]+[{\[]")
_SHOWN_BYTES = 60


class FileBegins(NamedTuple):
    """What follows comes from this file."""

    where: str


class Lines(NamedTuple):
    """Whole lines in a buffer, from its start to byte `end`; valid until the next are asked for.

    `data` and `words` are the same memory as `text`.
    """

    text: bytearray
    data: ByteArray
    words: WordArray
    end: int


class Fault(Enum):
    """What is wrong with a loose end."""

    NONE = "only its newline is missing"
    TORN = "it breaks off"
    TOO_LONG = "it goes on for too long"


class LooseEnd(NamedTuple):
    """A line without newline: the last one of a file, or the start of one that is too long."""

    line: bytes
    fault: Fault


Piece = FileBegins | Lines | LooseEnd


class CaptureFiles:
    """The files of one capture.

    Args:
        paths: In the order of recording.
        block_bytes: Size of the buffer; a longer line makes it grow, up to LINE_BYTES_MAX and once beyond.
    """

    def __init__(self, paths: Sequence[Path], block_bytes: int) -> None:
        self._paths = paths
        self._set_buffer(block_bytes)
        self.n_bytes = 0  # Decompressed so far.

    def pieces(self) -> Generator[Piece, None, None]:
        """Yield what the files hold, in order.

        Raises:
            DataError: A file can not be opened, read or decompressed.
        """
        tail = b""
        for path in self._paths:
            where = one_line(path.name, 80)
            with ExitStack() as opened:
                file = open_regular(path, where)
                opened.callback(file.close)
                magic = file.read(8)
                file.seek(0)
                stream = decompressed(file, magic, path, where, opened)
                if tail and (fault := _fault_at_border(tail, stream.peek(_SHOWN_BYTES))) is not None:
                    yield LooseEnd(tail, fault)
                    tail = b""
                yield FileBegins(where)
                tail = yield from self._lines(stream, tail)
        if tail:
            yield LooseEnd(tail, Fault.TORN if is_cut_off(tail) else Fault.NONE)

    # Yields the lines of one file, `before` in front of the first; returns what is behind the last newline.
    def _lines(self, stream: ByteReader, before: bytes) -> Generator[Piece, None, bytes]:
        held = len(before)
        self._grow(held)
        self._data[:held] = np.frombuffer(before, np.uint8)
        while True:
            room = len(self._data) - PADDING - held
            if not room:
                if held >= LINE_BYTES_MAX:
                    yield LooseEnd(self._data[:_SHOWN_BYTES].tobytes(), Fault.TOO_LONG)
                self._grow(2 * held)
                continue
            chunk = stream.read(room)
            if not chunk:
                return self._data[:held].tobytes()
            self.n_bytes += len(chunk)
            filled = held + len(chunk)
            self._data[held:filled] = np.frombuffer(chunk, np.uint8)
            newline = chunk.rfind(b"\n")
            if newline < 0:
                held = filled
                continue
            end = held + newline + 1
            yield Lines(self._text, self._data, self._words, end)
            held = filled - end
            self._data[:held] = self._data[end:filled].copy()

    def _grow(self, size: int) -> None:
        if size + PADDING > len(self._data):
            held = self._data[:-PADDING]
            self._set_buffer(size)
            self._data[: len(held)] = held

    def _set_buffer(self, size: int) -> None:
        self._text = bytearray(size + PADDING)
        self._data: ByteArray = np.frombuffer(self._text, np.uint8)
        self._words = words_of(self._data)


# What is wrong with the end of a file, given how the next one begins; None if the line goes on there.
def _fault_at_border(tail: bytes, start: bytes) -> Fault | None:
    behind = start.lstrip(b"\r ")
    if not behind or behind.startswith(b"\n"):
        return None  # The line was complete but for what ends it.
    if not is_cut_off(tail):
        return Fault.NONE
    return Fault.TORN if _LINE_BEGINS.match(start) else None
