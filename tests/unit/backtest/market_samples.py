"""Small recorded markets for the tests of this folder: files of bars, stored trades and books."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from njord.core.instrument import Instrument
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import (
    BOOK_ASK,
    BOOK_BID,
    BOOK_EVENT_END,
    BOOK_SNAPSHOT,
    COLUMNS,
    DataKind,
)
from njord.storage.store.store import Store
from tests.unit.storage.store.store_samples import QuickFiles

START_NS = 1_704_067_200_000_000_000  # 2024-01-01
MS = 1_000_000
Level = tuple[str, int, int]  # bid or ask, price, lots.
Change = tuple[
    int, int, int, int, bool, Sequence[Level]
]  # Known, happened (ms), first and last id, snapshot, levels.


def instrument(symbol: str = "ETH/USDT") -> Instrument:
    base, _, quote = symbol.partition("/")
    return Instrument(
        symbol=symbol,
        venue="sim",
        base=base,
        quote=quote,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
    )


def write_bars(folder: Path, symbol: str, closes: Sequence[int], *, minutes: int = 1, first: int = 0) -> Path:
    """Write bars whose prices are all their close; the first one opens `first` minutes after the start."""
    path = folder / f"{symbol.replace('/', '_')}-{minutes}m.csv"
    rows = [
        f"{START_NS // 10**9 + 60 * (first + minutes * i)},{c},{c},{c},{c},5\n" for i, c in enumerate(closes)
    ]
    path.write_text("timestamp,open,high,low,close,volume\n" + "".join(rows))
    return path


def store_trades(
    root: Path, rows: Sequence[tuple[int, int, int, int, int]], symbol: str = "ETH/USDT"
) -> Path:
    """Store trades (known ms, happened ms, side, price ticks, lots); return the dataset's folder."""
    known, happened, side, price, lots = (
        np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)
    )
    ids = np.arange(1, len(rows) + 1)
    columns = (START_NS + known * MS, START_NS + happened * MS, ids, side, price, lots)
    return _store(root, DataKind.TRADES, symbol, columns)


def store_book(root: Path, changes: Sequence[Change], symbol: str = "ETH/USDT") -> Path:
    """Store changes of a book; return the dataset's folder."""
    rows = []
    for known, happened, first_id, last_id, is_snapshot, levels in changes:
        head = (START_NS + known * MS, START_NS + happened * MS, first_id, last_id)
        common = BOOK_SNAPSHOT if is_snapshot else 0
        own = [
            [*head, common | (BOOK_BID if side == "bid" else BOOK_ASK), price, lots]
            for side, price, lots in levels
        ] or [[*head, common, 0, 0]]
        own[-1][4] |= BOOK_EVENT_END
        rows += own
    return _store(root, DataKind.BOOK, symbol, tuple(np.array(rows, dtype=np.int64).T))


def _store(root: Path, kind: DataKind, symbol: str, columns: Sequence[np.ndarray]) -> Path:
    store = Store(root, create=True, files=QuickFiles())
    key = DatasetKey(kind=kind, venue="sim", symbol=symbol)
    with store.begin(key, instrument=instrument(symbol)) as commit:
        commit.append(dict(zip(COLUMNS[kind], columns, strict=True)))
        commit.commit()
    return root / key.path
