"""Where do a run's data come from? A file of bars, or the folder of a stored dataset: bars, trades or a book."""

from collections.abc import Mapping
from pathlib import Path

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_file import open_bars
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import one_line
from njord.storage.dataset import BarDataset
from njord.storage.store.bars import open_stored_bars
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import MARKER, Store
from njord.storage.store.stored import MANIFEST_FILE, StoredDataset

TICKS = (DataKind.TRADES, DataKind.BOOK)
_DEFAULTS = BarOptions()


def open_data(
    path: Path, options: BarOptions, instruments: Mapping[str, Instrument]
) -> BarDataset | StoredDataset:
    """Open data for a run: bars as a `BarDataset`, trades and books as they are stored; the caller closes them.

    Args:
        path: A file of bars, or the folder of a dataset in a store.
        options: What the user said about a file; a stored dataset knows all of it, and takes none.
        instruments: Configured instruments by symbol, for a file.

    Raises:
        DataError: The data can not be used; one line says why, and what to do.
    """
    if not path.is_dir() or not (path / MANIFEST_FILE).exists():
        return open_bars(path, options, instruments)
    folder = path.resolve()
    root = next((parent for parent in folder.parents if (parent / MARKER).exists()), None)
    if root is None:
        raise DataError(
            f"{one_line(path, 200)} looks like a dataset, but is in no data store",
            "give a dataset of a store, as `njord data list` shows it, or a file",
        )
    if options != _DEFAULTS:
        raise DataError(
            f"{one_line(path, 200)} is a stored dataset, which knows its symbol, grid and times",
            "leave out --symbol, --tick, --lot, --min-notional, --timeframe, --column, --repair and what concerns times",
        )
    stored = Store(root).open(folder.relative_to(root).as_posix())
    return stored if stored.key.kind in TICKS else open_stored_bars(stored)
