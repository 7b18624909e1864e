"""How do polars, Arrow and pandas see a dataset? Part files in, lazy frames and tables for research out.

The only module that knows pyarrow and pandas; floats made here are for looking at, never for money.
"""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import polars as pl

from njord.core.errors import DataError, UserError
from njord.core.instrument import Instrument
from njord.storage.store.files import open_regular
from njord.storage.store.kinds import COLUMNS, DataKind, IntArray
from njord.storage.store.manifest import Part
from njord.storage.store.parts import damaged, read_bytes

if TYPE_CHECKING:
    import pandas
    import pyarrow

_BAR_PRICES = ("open", "high", "low", "close")


def lazy(kind: DataKind, files: Sequence[Path]) -> pl.LazyFrame:
    """Return the rows of all `files` in this order as int64 columns, whatever width each file has."""
    schema = dict.fromkeys(COLUMNS[kind], pl.Int64())
    if not files:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(
        list(files),
        schema=schema,
        cast_options=pl.ScanCastOptions(integer_cast="upcast"),
        glob=False,
        hive_partitioning=False,
    )


def decoded(frame: pl.LazyFrame, kind: DataKind, instrument: Instrument) -> pl.LazyFrame:
    """Add the columns that people read, computed lazily.

    `ts_ns` gives `ts` (UTC), `price_ticks` gives `price`, `qty_lots` gives `qty`, `bid_lots` gives `bid_qty`; a bar's
    `open` gives `open_price` and `volume_lots` gives `volume`. A float is the one nearest to the exact amount while
    ticks or lots times their step stay below 2**53.
    """
    added = []
    for name in COLUMNS[kind]:
        column = pl.col(name)
        if name.endswith("_ns"):
            added.append(pl.from_epoch(column, "ns").dt.replace_time_zone("UTC").alias(name[:-3]))
        elif name in _BAR_PRICES:
            added.append(_scaled(column, instrument.tick_multiple, instrument.tick_scale, f"{name}_price"))
        elif name.endswith("_ticks"):
            added.append(_scaled(column, instrument.tick_multiple, instrument.tick_scale, name[:-6]))
        elif name.endswith("_lots"):
            amount = f"{name[:-5]}_qty" if name in ("bid_lots", "ask_lots") else name[:-5]
            added.append(_scaled(column, instrument.lot_multiple, instrument.lot_scale, amount))
    return frame.with_columns(added)


def _scaled(column: pl.Expr, multiple: int, decimals: int, name: str) -> pl.Expr:
    whole = column.cast(pl.Float64) * float(multiple) if multiple != 1 else column.cast(pl.Float64)
    return (whole / 10.0**decimals).alias(name)


def check_part(path: Path, part: Part, where: str, *, hashed: bool) -> None:
    """Check a file that polars will open by itself.

    Raises:
        DataError: It is missing, no regular file, of another size, or (with `hashed`) of other bytes.
    """
    if hashed:
        read_bytes(path, part, where)
        return
    name = f"{where}/{part.file}"
    try:
        fd = open_regular(path, name)
    except FileNotFoundError:
        raise DataError(
            f"{name} is missing", f"import {where} again, or restore the file from a copy"
        ) from None
    size = os.fstat(fd).st_size
    os.close(fd)
    if size != part.n_bytes:
        raise damaged(name, f"it has {size:,} bytes, not {part.n_bytes:,}")


def to_arrow(columns: Mapping[str, IntArray]) -> "pyarrow.Table":
    """Return the arrays as one table, without copying them.

    Raises:
        UserError: pyarrow is not installed.
    """
    return _research("pyarrow").table(dict(columns))


def to_pandas(columns: Mapping[str, IntArray]) -> "pandas.DataFrame":
    """Return the arrays as one frame.

    Raises:
        UserError: pandas is not installed.
    """
    frame: pandas.DataFrame = _research("pandas").DataFrame(dict(columns))
    return frame


def _research(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"{name} is not installed", "pip install 'njord-quant[research]'") from None
