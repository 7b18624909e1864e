"""How is a Parquet or Feather file of bars read in bounded memory? A path in, frames of our columns out."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from njord.core.errors import DataError
from njord.storage.bars_columns import ColumnMap, recognise
from njord.storage.bars_text import one_line

BATCH_ROWS = 200_000


class TableBars:
    """One columnar file of bars."""

    def __init__(
        self, path: Path, kind: str, where: str, asked: tuple[tuple[str, str], ...], volume_asset: str | None
    ) -> None:
        self._where = where
        self._kind = kind
        try:
            self._table = (
                pl.scan_parquet(path, glob=False, hive_partitioning=False, low_memory=True)
                if kind == "Parquet"
                else pl.scan_ipc(path, glob=False, hive_partitioning=False)
            )
            self._names = self._table.collect_schema().names()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise self._damaged(error) from None
        self.columns: ColumnMap = recognise(self._names, asked, where, volume_asset)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows with columns named as ours, in file order, typed as the file types them."""
        chosen = [pl.col(self._names[index]).alias(name) for name, index in self.columns.positions.items()]
        try:
            # Slices, not collect_batches: the streaming engine reads ahead and keeps two to three times the memory.
            n_rows = self._table.select(pl.len()).collect().item()
            for start in range(0, n_rows, BATCH_ROWS):
                yield self._table.select(chosen).slice(start, BATCH_ROWS).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: BaseException) -> DataError:
        reason = str(error).partition("\n")[0]
        return DataError(
            f"{self._where} is not a sound {self._kind} file ({one_line(reason, 100)})",
            "download or write it again",
        )
