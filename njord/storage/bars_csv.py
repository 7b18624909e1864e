"""How is a text file of bars read in bounded memory? Blocks of whole lines in, frames of text columns out.

CSV with comma, semicolon, tab or bar, plain or gzipped. A block is a few MiB however long the file is; a line over
1 MiB is refused before it can fill memory. Values stay text here: `bars_rows` turns them into numbers, so that an
error can show what the file says.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import polars as pl

from njord.core.errors import DataError
from njord.storage.bars_columns import ColumnMap, kline_columns, looks_headerless, recognise
from njord.storage.bars_text import one_line

BLOCK_BYTES = 8 * 2**20
LINE_BYTES_MAX = 2**20
SEPARATORS = ",;\t|"


class ByteReader(Protocol):
    """What is read from: a file, or a gzip stream over one."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        ...


class TextBars:
    """One text file of bars, opened at its first row."""

    def __init__(
        self, file: ByteReader, where: str, asked: tuple[tuple[str, str], ...], volume_asset: str | None
    ) -> None:
        self._where = where
        self._blocks = line_blocks(file, where)
        self._first = next(self._blocks, b"").removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")
        if not self._first.strip():
            raise DataError(f"{where} is empty", "give a file with a header line and one row per bar")
        header = self._take_header()
        self._separator = max(SEPARATORS, key=header.count)
        try:
            fields = next(csv.reader([header], delimiter=self._separator))
        except csv.Error as error:
            raise DataError(
                f"the first line of {where} is not CSV ({one_line(error)})",
                "write it without stray quotes and line breaks",
            ) from None
        self._width = len(fields)
        self.has_header = not looks_headerless(fields)
        self.columns: ColumnMap
        if self.has_header:
            self._first = self._first.partition(b"\n")[2]
            self.columns = recognise([name.strip() for name in fields], asked, where, volume_asset)
        else:
            self.columns = kline_columns(self._width, where)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows as text columns named as ours, in file order."""
        first_row = 1
        block: bytes | None = self._first
        while block is not None:
            if block:
                frame = self._frame(block, first_row)
                first_row += frame.height
                yield frame
            block = next(self._blocks, None)

    def _take_header(self) -> str:
        # CryptoDataDownload puts its address above the header.
        if re.match(rb"\"?https?://[^\n,]*\n", self._first):
            self._first = self._first.partition(b"\n")[2]
        line = self._first.partition(b"\n")[0]
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            raise _not_text(self._where) from None

    def _frame(self, block: bytes, first_row: int) -> pl.DataFrame:
        self._check_widths(block, first_row)
        positions = self.columns.positions
        try:
            frame = pl.read_csv(
                block,
                has_header=False,
                separator=self._separator,
                schema={f"c{index}": pl.String for index in range(self._width)},
                columns=sorted(positions.values()),
                infer_schema=False,
            )
        except pl.exceptions.PolarsError as error:
            raise self._unreadable(block, first_row, error) from None
        return frame.select(pl.col(f"c{index}").alias(name) for name, index in positions.items())

    def _check_widths(self, block: bytes, first_row: int) -> None:
        separator = self._separator.encode()
        n_lines = block.count(b"\n") + (not block.endswith(b"\n"))
        if b'"' not in block and block.count(separator) == n_lines * (self._width - 1):
            # Equal sums could hide one short and one long row; polars itself refuses the long one.
            return
        text = block.decode("utf-8", errors="replace").rstrip("\n").split("\n")
        row = first_row - 1
        try:
            for row, fields in enumerate(csv.reader(text, delimiter=self._separator), first_row):
                if len(fields) != self._width:
                    raise self._wrong_width(row, len(fields))
        except csv.Error as error:
            raise DataError(
                f"{self._where} row {row + 1} is not CSV ({one_line(error)})", "correct or remove the row"
            ) from None

    def _unreadable(self, block: bytes, first_row: int, error: Exception) -> DataError:
        for row, line in enumerate(block.split(b"\n"), first_row):
            try:
                width = line.decode("utf-8").count(self._separator) + 1
            except UnicodeDecodeError:
                return DataError(f"{self._where} row {row} is not UTF-8 text", "save the file as UTF-8")
            if line and b'"' not in line and width != self._width:
                return self._wrong_width(row, width)
        reason = str(error).partition("\n")[0]
        return DataError(
            f"{self._where}: rows from {first_row} on are not CSV ({one_line(reason, 100)})",
            "write them without stray quotes",
        )

    def _wrong_width(self, row: int, width: int) -> DataError:
        return DataError(
            f"{self._where} row {row} has {width} values where the first line has {self._width}",
            "make every row as wide as the first line (no thousands separators: 1234.5, not 1,234.5)",
        )


def line_blocks(file: ByteReader, where: str) -> Iterator[bytes]:
    """Yield blocks of whole lines, ended by \\n, without blank ones; what follows the last line end waits.

    Raises:
        DataError: A line is too long, or the text is binary or cut off.
    """
    rest = b""
    n_lines = 0
    while True:
        data = _read(file, where)
        if b"\0" in data:
            raise _not_text(where)
        block = rest + data
        if data:
            cut = block.rfind(b"\n") + 1
            block, rest = block[:cut], block[cut:]
        else:
            rest = b""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if b"\n\n" in block:
            block = re.sub(rb"\n{2,}", b"\n", block)
        if n_lines:
            block = block.lstrip(b"\n")
        _check_line_lengths(block, rest, n_lines, where)
        n_lines += block.count(b"\n")
        if block:
            yield block
        if not data:
            return


def _check_line_lengths(block: bytes, rest: bytes, n_lines: int, where: str) -> None:
    lengths = np.diff(np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 10), prepend=-1)
    tail = len(rest) if rest else len(block) - (block.rfind(b"\n") + 1)
    too_long = lengths > LINE_BYTES_MAX
    if too_long.any() or tail > LINE_BYTES_MAX:
        line = n_lines + (int(too_long.argmax()) if too_long.any() else len(lengths)) + 1
        raise DataError(f"{where} line {line} is longer than 1 MiB", "give a text file with one bar a line")


def _read(file: ByteReader, where: str) -> bytes:
    try:
        return file.read(BLOCK_BYTES)
    except EOFError:
        raise DataError(
            f"{where} is cut off: its gzip stream has no end", "download or compress it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise DataError(f"{where} is not a sound gzip file", "download or compress it again") from None
    except OSError as error:
        raise DataError(
            f"{where} can not be read: {error.strerror or error}", "check the disk and the file's permissions"
        ) from None


def _not_text(where: str) -> DataError:
    return DataError(
        f"{where} is not a file of bars: it holds binary data",
        "give UTF-8 CSV (also .gz), Parquet or Feather",
    )
