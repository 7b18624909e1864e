"""Compaction changes files, never rows, and takes nothing out of anybody's hands."""

import os
from pathlib import Path

import pytest

from njord.core.errors import DataError
from njord.storage.store.compact import compact, files_in_use
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from njord.storage.store.verify import verify
from tests.unit.storage.store.store_samples import (
    FailingFiles,
    Killed,
    bars,
    instrument,
    key,
    new_store,
    piece,
    put,
    same,
    trades,
)

pytestmark = pytest.mark.integration  # Together they take a second.

PATH = "trades/binance/BTC-USDT"
ROWS = trades(200, first=560, per_day=20)  # Ten days: four of January, six of February.


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path)
    put(store, DataKind.TRADES, piece(ROWS, 0, 150))
    return store


def files(store: Store) -> set[str]:
    return {path.name for path in (store.root / PATH).glob("*.parquet")}


def test_small_parts_become_one_with_the_same_rows_and_hash(store: Store) -> None:
    before = store.open(PATH).manifest
    assert len(before.parts) == 8
    done = compact(store, PATH)
    assert (done.n_merged, done.n_parts, done.n_removed, done.held) == (8, 1, 8, ())
    with store.open(PATH) as after:
        assert (after.hash, after.manifest.parts[0].period) == (before.hash, "2022")
        assert same(after.read(), piece(ROWS, 0, 150))
        assert verify(after) == []
        assert files(store) == {after.manifest.parts[0].file}
    again = compact(store, PATH)
    assert (again.n_merged, again.n_removed, again.n_parts) == (0, 0, 1)


def test_an_import_goes_on_in_what_compaction_made(store: Store) -> None:
    compact(store, PATH)
    dataset = put(store, DataKind.TRADES, piece(ROWS, 100, 200))
    assert [part.period for part in dataset.manifest.parts] == ["2022"]
    assert same(dataset.read(), ROWS)
    assert verify(dataset) == []


JANUARY = [f"2022-01-{day}" for day in (29, 30, 31)]
FEBRUARY = [f"2022-02-0{day}" for day in range(1, 6)]


@pytest.mark.parametrize(
    ("small", "periods"),
    [
        (150, ["2022"]),
        (149, ["2022-01", "2022-02"]),
        (90, ["2022-01", "2022-02"]),
        (89, ["2022-01", *FEBRUARY]),
        (59, [*JANUARY, *FEBRUARY]),
    ],
)
def test_what_is_large_together_stays_apart(
    store: Store, monkeypatch: pytest.MonkeyPatch, small: int, periods: list[str]
) -> None:
    before = store.open(PATH).manifest
    monkeypatch.setattr("njord.storage.store.compact.SMALL_ROWS", small)
    compact(store, PATH)
    after = store.open(PATH).manifest
    assert after.hash == before.hash
    assert [part.period for part in after.parts] == periods


def test_pieces_of_one_day_become_whole_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("njord.storage.store.periods.PART_ROWS", 8)
    many = new_store(store.root.parent / "many")
    before = put(many, DataKind.BARS, bars(40)).manifest
    assert len(before.parts) == 5
    monkeypatch.setattr("njord.storage.store.compact.PART_ROWS", 16)
    monkeypatch.setattr("njord.storage.store.compact.SMALL_ROWS", 4)
    compact(many, "bars/binance/BTC-USDT/1m")
    after = many.open(key(DataKind.BARS))
    assert [part.n_rows for part in after.manifest.parts] == [16, 16, 8]
    assert same(after.read(), bars(40))


def test_earlier_states_go_once_their_readers_have_gone(store: Store) -> None:
    reader = store.open(PATH)
    old = {part.file for part in reader.manifest.parts}
    done = compact(store, PATH)
    assert done.n_removed == 0 and set(done.held) == old <= files(store)
    assert same(reader.read(), piece(ROWS, 0, 150))
    reader.close()
    done = compact(store, PATH)
    assert (done.n_removed, done.held) == (8, ())
    assert store.open(PATH).manifest.retired == ()
    assert files(store) == {part.file for part in store.open(PATH).manifest.parts}


def test_a_file_that_another_program_holds_open_stays(store: Store) -> None:
    name = store.open(PATH).manifest.parts[3].file
    with open(store.root / PATH / name, "rb") as held:
        assert (os.fstat(held.fileno()).st_dev, os.fstat(held.fileno()).st_ino) in files_in_use()
        done = compact(store, PATH)
        assert (done.held, done.n_removed) == ((name,), 7)
        assert held.read(4) == b"PAR1"
    assert compact(store, PATH).n_removed == 1


def test_a_lazy_frame_keeps_the_parts_it_names(store: Store) -> None:
    frame = store.open(PATH).scan()
    compact(store, PATH)
    assert frame.collect().height == 150


def test_compaction_waits_for_no_writer(store: Store) -> None:
    with (
        store.begin(key(DataKind.TRADES), instrument=instrument()),
        pytest.raises(DataError, match="another command is writing"),
    ):
        compact(store, PATH)
    with pytest.raises(DataError, match="there is no dataset book/binance/BTC-USDT"):
        compact(store, "book/binance/BTC-USDT")


def test_compaction_that_dies_leaves_a_whole_dataset(store: Store) -> None:
    digest, n_died = store.open(PATH).hash, 0
    for at in (1, 2, 3, 6, 7, 8, 300):
        disk = FailingFiles(at, "killed")
        died = False
        try:
            compact(Store(store.root, files=disk), PATH)
        except Killed:
            died = True
        with store.open(PATH) as dataset:
            assert dataset.hash == digest
            assert verify(dataset) == []
            assert same(dataset.read(), piece(ROWS, 0, 150))
        n_died += died
    assert n_died == 6
    compact(store, PATH)
    assert len(files(store)) == 1
