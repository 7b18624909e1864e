"""How is a CSV file of any columns read in bounded memory? Blocks of whole lines in, frames of text columns out."""

import csv
from collections.abc import Callable

from njord.core.errors import DataError
from njord.storage.bars_columns import ColumnMap, looks_headerless
from njord.storage.bars_csv import SEPARATORS, ByteReader, TextBars, line_blocks
from njord.storage.bars_text import one_line


class TextRows(TextBars):
    """A text file whose columns the caller knows how to tell; reading it is the same as for bars."""

    def __init__(
        self,
        file: ByteReader,
        where: str,
        recognise: Callable[[list[str]], ColumnMap],
        headerless: Callable[[int], ColumnMap] | None = None,
    ) -> None:
        """Read the first line.

        Args:
            file: Decompressed bytes.
            where: The file's name, for messages.
            recognise: Column names -> which of them are ours.
            headerless: Number of columns -> which are ours, for a first line that holds numbers already.
        """
        self._where = where
        self._blocks = line_blocks(file, where)
        self._first = next(self._blocks, b"").removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")
        header = self._take_header()
        self._separator = max(SEPARATORS, key=header.count)
        try:
            fields = next(csv.reader([header], delimiter=self._separator), [])
        except csv.Error as error:
            raise DataError(
                f"the first line of {where} is not CSV ({one_line(error)})",
                "write it without stray quotes and line breaks",
            ) from None
        self._width = len(fields)
        self.has_header = headerless is None or not looks_headerless([*fields[:1], *_numeric(fields[1:])])
        if headerless is not None and not self.has_header:
            self.columns = headerless(self._width)
        else:
            self._first = self._first.partition(b"\n")[2]
            self.columns = recognise([name.strip() for name in fields])


# Venues' dumps of trades hold true and false beside their numbers.
def _numeric(fields: list[str]) -> list[str]:
    return ["1" if field.strip().lower() in ("true", "false") else field for field in fields]
