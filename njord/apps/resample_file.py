"""How are tick, volume and dollar bars written? Blocks of them in, one CSV or Parquet file of exact numbers out.

They are no dataset of the store: two of them can open at the same time, and nothing says when the next one ends.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_text import one_line
from njord.storage.export import write_whole
from njord.storage.ingest.decimals import step_decimals
from njord.storage.store.kinds import Columns

_TIMES = ("ts_open_ns", "ts_close_ns")
_PRICES = ("open", "high", "low", "close")


def write_activity_bars(blocks: Iterable[Columns], instrument: Instrument, path: Path, force: bool) -> int:
    """Write bars with the time of their first and last trade, prices and volume as exact decimals.

    Args:
        blocks: The columns of bars and `ts_close_ns`.
        instrument: Whose ticks and lots they are in.
        path: A .csv or .parquet file; its folder exists.
        force: Replace a file of that name.

    Returns:
        How many there were.

    Raises:
        DataError: The name ends otherwise, there is such a file already, or the disk refuses.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise DataError(
            f"bars by activity can not be written to {one_line(path.name, 80)}",
            "end its name with .csv or .parquet",
        )
    frames = [_frame(block, instrument) for block in blocks]
    if not frames:
        raise DataError("not one bar was filled", "ask for fewer trades, or less volume or value, a bar")
    table = pl.concat(frames)

    def write(temp: Path) -> None:
        if suffix == ".csv":
            table.write_csv(temp)
        else:
            table.write_parquet(temp, compression="zstd")

    write_whole(path, write, force=force)
    return table.height


def _frame(block: Columns, instrument: Instrument) -> pl.DataFrame:
    price = (instrument.tick_scale, instrument.tick_multiple)
    quantity = (instrument.lot_scale, instrument.lot_multiple)
    columns = [pl.Series(name, np.asarray(block[name])) for name in _TIMES]
    columns += [step_decimals(block[name], *price).rename(name) for name in _PRICES]
    columns.append(step_decimals(block["volume_lots"], *quantity).rename("volume"))
    return pl.DataFrame(columns)
