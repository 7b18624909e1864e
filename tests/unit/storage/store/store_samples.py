"""Small datasets for the tests of the store, and disks that fail, die or lose power."""

import errno
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np

from njord.core.instrument import Instrument
from njord.storage.store.files import OsStoreFiles
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import COLUMNS, DataKind, IntArray
from njord.storage.store.manifest import SourceFile
from njord.storage.store.store import Store, StoredDataset

MINUTE_NS = 60_000_000_000
DAY_NS = 86_400_000_000_000
START_NS = 1_640_995_200_000_000_000  # 2022-01-01
SOURCE = SourceFile(name="file.csv", sha256="00" * 32)
Rows = dict[str, IntArray]


class QuickFiles(OsStoreFiles):
    """The machine's disk without waiting for the device: nobody pulls the plug in these tests."""

    def write_new(self, path: Path, data: bytes) -> None:
        with open(path, "xb") as file:
            file.write(data)

    def sync_folder(self, path: Path) -> None:
        os.stat(path)


class Killed(BaseException):
    """The process ends here."""


class FailingFiles(QuickFiles):
    """Lets `at` operations pass and then refuses one (`how` = refused), does it halfway or in vain (torn), or dies
    before or after it (killed, killed after)."""

    def __init__(self, at: int, how: str, code: int = errno.ENOSPC) -> None:
        self.left, self.how, self.code = at, how, code
        self.n_done = 0
        self.is_dead = False

    def _do(self, act: Callable[[], None], torn: Callable[[], None] | None = None) -> None:
        if self.is_dead:
            return
        self.n_done += 1
        self.left -= 1
        if self.left != -1:
            act()
            return
        if self.how in ("torn", "killed after"):
            (torn if torn is not None and self.how == "torn" else act)()
        if self.how.startswith("killed"):
            self.is_dead = True
            raise Killed
        raise OSError(self.code, os.strerror(self.code))

    def make_folder(self, path: Path) -> None:
        self._do(lambda: QuickFiles.make_folder(self, path))

    def write_new(self, path: Path, data: bytes) -> None:
        self._do(
            lambda: QuickFiles.write_new(self, path, data),
            lambda: QuickFiles.write_new(self, path, data[: len(data) // 2]),
        )

    def rename(self, old: Path, new: Path) -> None:
        self._do(lambda: QuickFiles.rename(self, old, new))

    def sync_folder(self, path: Path) -> None:
        self._do(lambda: QuickFiles.sync_folder(self, path))

    def remove(self, path: Path) -> None:
        self._do(lambda: QuickFiles.remove(self, path))


class PowerFiles(FailingFiles):
    """A disk that forgets, when the power goes, every name that was not synced; `lose_power` takes them back."""

    def __init__(self, at: int) -> None:
        super().__init__(at, "killed")
        self._undo: list[tuple[Path, Callable[[], object]]] = []

    def write_new(self, path: Path, data: bytes) -> None:
        super().write_new(path, data)
        self._undo.append((path.parent, lambda: path.unlink(missing_ok=True)))

    def rename(self, old: Path, new: Path) -> None:
        before = new.read_bytes() if new.exists() else None
        super().rename(old, new)

        def take_back() -> None:
            new.rename(old)
            if before is not None:
                new.write_bytes(before)

        self._undo.append((new.parent, take_back))

    def remove(self, path: Path) -> None:
        before = path.read_bytes() if path.exists() else None
        super().remove(path)
        if before is not None:
            self._undo.append((path.parent, lambda: path.write_bytes(before)))

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self._undo = [(folder, act) for folder, act in self._undo if folder != path]

    def lose_power(self, kept: slice) -> None:
        """Take back all changes of names since the last sync, but those `kept`: the first ones or the last ones."""
        survive = self._undo[kept]
        for change in reversed(self._undo):
            if change not in survive:
                change[1]()


def instrument(symbol: str = "BTC/USDT", tick: str = "0.01") -> Instrument:
    """An instrument at the venue binance."""
    base, _, quote = symbol.partition("/")
    return Instrument(
        symbol=symbol,
        venue="binance",
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        lot_size=Decimal("0.001"),
    )


def key(kind: DataKind, symbol: str = "BTC/USDT") -> DatasetKey:
    """The dataset of `symbol` at binance, bars of a minute."""
    return DatasetKey(kind, "binance", symbol, "1m" if kind is DataKind.BARS else "")


def trades(n_rows: int, first: int = 0, per_day: int = 40) -> Rows:
    """Trades `first` to first + n_rows of one endless recording: two at each time, `per_day` a day."""
    number = np.arange(first, first + n_rows, dtype=np.int64)
    ts_ns = START_NS + number // 2 * (2 * DAY_NS // per_day)
    return {
        "ts_ns": ts_ns,
        "ts_venue_ns": ts_ns - 5,
        "trade_id": number + 1,
        "side": np.where(number % 3 == 0, -1, 1),
        "price_ticks": 4_000_000 + number * 7 % 50,
        "qty_lots": 1 + number % 9,
    }


def bars(n_rows: int, first: int = 0) -> Rows:
    """Minute bars `first` to first + n_rows of one endless recording."""
    number = np.arange(first, first + n_rows, dtype=np.int64)
    open_ = 4_000_000 + number * 13 % 101
    return {
        "ts_open_ns": START_NS + number * MINUTE_NS,
        "open": open_,
        "high": open_ + 5,
        "low": open_ - 5,
        "close": open_ + 1,
        "volume_lots": number % 17,
    }


def piece(rows: Rows, first: int, end: int) -> Rows:
    """Rows [first, end)."""
    return {name: values[first:end] for name, values in rows.items()}


def put(store: Store, kind: DataKind, rows: Rows, *, replace: bool = False) -> StoredDataset:
    """Import `rows`, close the dataset for tests that only look at its facts."""
    with store.begin(key(kind), instrument=instrument(), replace=replace) as commit:
        commit.append(rows)
        dataset = commit.commit(source=SOURCE)
    dataset.close()
    return dataset


def new_store(folder: Path) -> Store:
    """An empty store."""
    return Store(folder / "store", create=True, files=QuickFiles())


def same(read: Rows, rows: Rows) -> bool:
    """Whether two sets of columns hold the same rows."""
    return list(read) == list(rows) and all(np.array_equal(read[name], rows[name]) for name in rows)


def empty(kind: DataKind) -> Rows:
    """No rows."""
    return {name: np.empty(0, dtype=np.int64) for name in COLUMNS[kind]}
