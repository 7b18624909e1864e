"""How is NDJSON of somebody else's trades read? Lines with one object each in; frames of text columns out.

Numbers are taken as the text they are written in, so that 0.1 stays 0.1. The columns are those of the first object;
what is nested in an object is left out.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import polars as pl

from njord.core.errors import DataError
from njord.storage.bars_columns import ColumnMap
from njord.storage.bars_csv import ByteReader
from njord.storage.bars_text import one_line
from njord.storage.ingest.ndjson import Lines

_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class ObjectRows:
    """One NDJSON file of objects."""

    def __init__(self, stream: ByteReader, where: str, recognise: Callable[[list[str]], ColumnMap]) -> None:
        self._where = where
        self._lines = Lines(stream, where)
        self._decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(
            dict[str, Any], float_hook=str
        )
        first = self._lines.first()
        self._first = self._one(first, 1)
        self._names = [name for name, value in self._first.items() if not isinstance(value, dict | list)]
        self.columns = recognise(self._names)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows as text columns named as ours, in file order; a last line without its end is a row, too."""
        yield self._frame([self._first])
        for block, first_line in self._lines.blocks():
            try:
                rows = self._decoder.decode_lines(block)
            except _BROKEN:
                lines = enumerate(block.split(b"\n"), first_line)
                rows = [self._one(line, number) for number, line in lines if line.strip()]
            yield self._frame(rows)
        if self._lines.tail.strip():
            yield self._frame([self._one(self._lines.tail, self._lines.last_line + 1)])

    def _one(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            return self._decoder.decode(line)
        except _BROKEN as error:
            raise DataError(
                f"{self._where} line {number} is no JSON object ({one_line(error, 100)})",
                "correct or remove the line",
            ) from None

    def _frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        columns = {}
        for ours, position in self.columns.positions.items():
            theirs = self._names[position]
            columns[ours] = pl.Series(ours, [_text(row.get(theirs)) for row in rows], dtype=pl.String)
        return pl.DataFrame(columns)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
