"""How is a Parquet or Feather file of any columns read in bounded memory? A path in, frames of chosen columns out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from njord.core.errors import DataError
from njord.storage.bars_columns import ColumnMap
from njord.storage.bars_tables import BATCH_ROWS
from njord.storage.bars_text import one_line
from njord.storage.ingest.frames_header import METADATA_KEY, DataHeader, decode_header
from njord.storage.ingest.frames_open import Form

_BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


class TableRows:
    """One columnar file, whose columns the caller knows how to tell."""

    def __init__(
        self, path: Path, form: Form, where: str, recognise: Callable[[list[str]], ColumnMap]
    ) -> None:
        self._where = where
        self._form = form
        try:
            self._table = (
                pl.scan_parquet(path, glob=False, hive_partitioning=False, low_memory=True)
                if form is Form.PARQUET
                else pl.scan_ipc(path, glob=False, hive_partitioning=False)
            )
            self._names = self._table.collect_schema().names()
        except _BROKEN as error:
            raise _damaged(where, form, error) from None
        self.columns = recognise(self._names)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows with columns named as ours, in file order, typed as the file types them."""
        chosen = [pl.col(self._names[index]).alias(name) for name, index in self.columns.positions.items()]
        try:
            n_rows = self._table.select(pl.len()).collect().item()
            for start in range(0, n_rows, BATCH_ROWS):
                yield self._table.select(chosen).slice(start, BATCH_ROWS).collect()
        except _BROKEN as error:
            raise _damaged(self._where, self._form, error) from None


def parquet_header(path: Path, where: str) -> DataHeader | None:
    """Return the header in the metadata of a Parquet file; None if it has none.

    Raises:
        DataError: The file is damaged, or its header can not be read.
    """
    try:
        text = pl.read_parquet_metadata(path).get(METADATA_KEY)
    except _BROKEN as error:
        raise _damaged(where, Form.PARQUET, error) from None
    return decode_header(text.encode(), where) if text is not None else None


def _damaged(where: str, form: Form, error: BaseException) -> DataError:
    reason = str(error).partition("\n")[0]
    return DataError(
        f"{where} is not a sound {form.value} file ({one_line(reason, 100)})", "download or write it again"
    )
