"""How do rows become lines of JSON and come back? Blocks of rows in, bytes out, and the other way, exactly.

A row is a JSON array in the order of the kind's fields: times and whole numbers as integers, prices and quantities as
strings of decimals. The first line of a file is its header; a line `{"njord":"seam",…}` says that a writer died there
and how many bytes of its last line were cut off.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from types import GenericAlias
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_csv import ByteReader
from njord.storage.bars_text import one_line
from njord.storage.ingest.decimals import OffGrid, exact_steps, read_steps, step_texts
from njord.storage.ingest.frames_layout import FIELDS, Role
from njord.storage.store.kinds import DataKind

IntArray = NDArray[np.int64]

BLOCK_BYTES = 2**20
LINE_BYTES_MAX = 2**20
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Seam(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="njord", tag="seam"):
    """Where a writer died: how many bytes of a torn line were cut off."""

    torn_bytes: int


class Block(NamedTuple):
    """Rows that stand together in a file."""

    first_line: int  # Number of the first one's line, from 1.
    columns: list[IntArray]  # One per field of the kind.
    torn: tuple[
        tuple[int, int], ...
    ] = ()  # Where a writer was cut off: the line, and how many rows come before it.


def encode_rows(columns: Sequence[IntArray], kind: DataKind, instrument: Instrument) -> bytes:
    """Return rows, one array per field of `kind`, as lines of JSON."""
    if not len(columns[0]):
        return b""
    parts: list[pl.Expr] = []
    series = []
    for index, (field, values) in enumerate(zip(FIELDS[kind], columns, strict=True)):
        quote = '"' if field.role in (Role.PRICE, Role.QTY) else ""
        text = step_texts(values, *field.step(instrument)) if quote else pl.Series(values).cast(pl.String)
        series.append(text.rename(field.name))
        parts += [pl.lit(("," if index else "[") + quote), pl.col(field.name), pl.lit(quote)]
    lines = pl.DataFrame(series).select(pl.concat_str([*parts, pl.lit("]\n")]).alias("line"))
    return "".join(lines["line"].to_list()).encode()


class RowDecoder:
    """Turns blocks of lines into columns, exactly and strictly."""

    def __init__(self, kind: DataKind, instrument: Instrument, where: str) -> None:
        self._fields = FIELDS[kind]
        self._steps = [field.step(instrument) for field in self._fields]
        self._where = where
        types = tuple(str if self._is_decimal(index) else _Int64 for index in range(len(self._fields)))
        self._row: msgspec.json.Decoder[tuple[Any, ...]] = msgspec.json.Decoder(GenericAlias(tuple, types))

    def decode(self, block: bytes, first_line: int) -> Block:
        """Return the rows of `block`, whole lines without their header.

        Raises:
            DataError: A line is no row; names its number.
        """
        torn: tuple[tuple[int, int], ...] = ()
        try:
            rows = self._row.decode_lines(block)
        except _BROKEN:
            rows, torn = self._one_by_one(block, first_line)
        if not rows:
            return Block(first_line, [np.empty(0, dtype=np.int64) for _ in self._fields], torn)
        columns = []
        for index, values in enumerate(zip(*rows, strict=True)):
            columns.append(
                self._decimals(index, values, block, first_line)
                if self._is_decimal(index)
                else np.array(values, dtype=np.int64)
            )
        return Block(first_line, columns, torn)

    def _is_decimal(self, index: int) -> bool:
        return self._fields[index].role in (Role.PRICE, Role.QTY)

    def _one_by_one(
        self, block: bytes, first_line: int
    ) -> tuple[list[tuple[Any, ...]], tuple[tuple[int, int], ...]]:
        rows: list[tuple[Any, ...]] = []
        torn: list[tuple[int, int]] = []
        for number, line in enumerate(block.split(b"\n"), first_line):
            if not line.strip():
                continue
            try:
                rows.append(self._row.decode(line))
            except _BROKEN as error:
                if not _is_seam(line):
                    raise DataError(
                        f"{self._where} line {number} is no row ({one_line(error, 100)})",
                        "correct or remove the line",
                    ) from None
                torn.append((number, len(rows)))
        return rows, tuple(torn)

    def _decimals(self, index: int, values: Sequence[str], block: bytes, first_line: int) -> IntArray:
        texts = pl.Series(values, dtype=pl.String)
        found = read_steps(texts, *self._steps[index])
        if found is not None:
            return found
        try:
            return exact_steps(texts, *self._steps[index], self._fields[index].name)
        except OffGrid as error:
            line = _line_of(block, first_line, error.index)
            raise DataError(f"{self._where} line {line}: {error}", "correct or remove the line") from None


class Lines:
    """The lines of an NDJSON file in blocks, of bounded size however the file is made.

    Attributes:
        tail: A last line without its end, known once all blocks were read.
    """

    def __init__(self, stream: ByteReader, where: str) -> None:
        self._stream = stream
        self._where = where
        self._rest = b""
        self._n_lines = 0
        self.tail = b""

    def first(self) -> bytes:
        """Return the first line, without its end.

        Raises:
            DataError: It is longer than 1 MiB.
        """
        while b"\n" not in self._rest:
            data = self._read()
            if not data:
                break
        line, _, self._rest = self._rest.partition(b"\n")
        self._n_lines = 1
        return line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r")

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield (whole lines, number of the first one); a last line without its end is left in `tail`.

        Raises:
            DataError: A line is longer than 1 MiB.
        """
        while True:
            cut = self._rest.rfind(b"\n") + 1
            if cut:
                block, self._rest = self._rest[:cut], self._rest[cut:]
                first_line = self._n_lines + 1
                self._n_lines += block.count(b"\n")
                yield block, first_line
            if not self._read():
                self.tail = self._rest
                return

    @property
    def last_line(self) -> int:
        """Number of the last whole line that was given out."""
        return self._n_lines

    def _read(self) -> bytes:
        if len(self._rest) > LINE_BYTES_MAX:
            raise DataError(
                f"{self._where} line {self._n_lines + 1} is longer than 1 MiB",
                "give NDJSON with one row a line",
            )
        data = self._stream.read(BLOCK_BYTES)
        self._rest += data
        return data


# Number of the line that holds the block's row `index`; blank lines and seams hold none.
def _line_of(block: bytes, first_line: int, index: int) -> int:
    numbers = (
        number
        for number, line in enumerate(block.split(b"\n"), first_line)
        if line.strip() and not _is_seam(line)
    )
    return next(islice(numbers, index, None), first_line)


def _is_seam(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=Seam)
    except _BROKEN:
        return False
    return True
