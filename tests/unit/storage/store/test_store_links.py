"""The store reads regular files inside it, and nothing that a link leads to."""

import os
from pathlib import Path

import pytest

from njord.core.errors import DataError
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from njord.storage.store.verify import verify_folder
from tests.unit.storage.store.store_samples import instrument, key, new_store, put, trades


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path)
    put(store, DataKind.TRADES, trades(3))
    return store


def behind_a_link(path: Path, outside: Path) -> None:
    path.rename(outside)
    path.symlink_to(outside)


@pytest.mark.parametrize("name", ["manifest.json", "part"])
def test_a_linked_file_is_refused_by_name(store: Store, tmp_path: Path, name: str) -> None:
    with store.open(key(DataKind.TRADES)) as dataset:
        path = dataset.folder / (dataset.manifest.parts[0].file if name == "part" else name)
    behind_a_link(path, tmp_path / "outside")
    with pytest.raises(DataError, match=f"{path.name} is a symbolic link, which the store never follows"):
        store.open(key(DataKind.TRADES)).read()
    assert "symbolic link" in verify_folder(store.root, key(DataKind.TRADES).path)[0].what
    if name == "manifest.json":
        assert "symbolic link" in str(store.datasets()[0][1])


@pytest.mark.parametrize("level", ["trades", "trades/binance", "trades/binance/BTC-USDT"])
def test_a_linked_folder_is_refused_by_name(store: Store, tmp_path: Path, level: str) -> None:
    behind_a_link(store.root / level, tmp_path / "outside")
    for act in (
        lambda: store.open(key(DataKind.TRADES)),
        lambda: store.begin(key(DataKind.TRADES), instrument=instrument()),
    ):
        with pytest.raises(DataError, match=f"{level} is a symbolic link, which the store never follows"):
            act()
    ((path, line),) = store.datasets()
    assert path == level and "symbolic link" in str(line)


def test_a_file_in_the_place_of_a_folder_is_refused(store: Store) -> None:
    (store.root / "bars").write_text("")
    with pytest.raises(DataError, match="bars is not a folder; remove it, or choose another store"):
        store.begin(key(DataKind.BARS), instrument=instrument())


def test_the_store_itself_may_be_reached_by_a_link(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)
    assert Store(tmp_path / "link").open(key(DataKind.TRADES)).n_rows == 3


def test_a_folder_that_is_no_store_is_refused_with_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no data store; create one with: njord data import FILE"):
        Store(tmp_path)
    (tmp_path / "holiday.jpg").write_text("")
    with pytest.raises(DataError, match="is no data store and not empty"):
        Store(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('{"schema":2}', "is a store of schema 2, this version reads 1; use the njord that wrote it"),
        ("{", "njord-store.json is damaged"),
        ("x" * 5000, "is larger than 4,096 bytes"),
    ],
)
def test_a_marker_of_another_kind_is_refused(tmp_path: Path, marker: str, message: str) -> None:
    (tmp_path / "njord-store.json").write_text(marker)
    with pytest.raises(DataError, match=message):
        Store(tmp_path, create=True)


def test_a_dataset_that_is_not_there_is_named_with_what_is_near(store: Store) -> None:
    with pytest.raises(
        DataError, match="no dataset trades/binance/BTC-USDC; did you mean trades/binance/BTC-USDT"
    ):
        store.open("trades/binance/BTC-USDC")
    with pytest.raises(DataError, match="names no dataset"):
        store.open("../../etc/passwd")


def test_a_dataset_moved_to_another_place_is_refused(store: Store) -> None:
    (store.root / "trades/okx").mkdir()
    os.rename(store.root / "trades/binance/BTC-USDT", store.root / "trades/okx/BTC-USDT")
    with pytest.raises(
        DataError, match="the manifest in trades/okx/BTC-USDT is that of trades/binance/BTC-USDT"
    ):
        store.open("trades/okx/BTC-USDT")


def test_unreadable_is_said_in_one_line(store: Store) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (store.root / "trades/binance/BTC-USDT/manifest.json").chmod(0)
    with pytest.raises(DataError, match=r"manifest\.json can not be read: Permission denied; check the path"):
        store.open(key(DataKind.TRADES))
