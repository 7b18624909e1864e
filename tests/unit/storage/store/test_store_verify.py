"""Whatever byte of whatever file is lost or changed, verify names the file, and nobody reads the wrong rows."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from njord.core.errors import DataError
from njord.storage.store.kinds import DataKind
from njord.storage.store.manifest import Manifest, Part, decode, encode
from njord.storage.store.parts import part_of
from njord.storage.store.store import Store, StoredDataset
from njord.storage.store.verify import verify, verify_folder
from tests.unit.storage.store.store_samples import QuickFiles, key, new_store, piece, put, same, trades

ROWS = trades(100)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = new_store(tmp_path_factory.mktemp("original"))
    put(store, DataKind.TRADES, ROWS)
    return store.root


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> StoredDataset:
    shutil.copytree(original, tmp_path / "store")
    return Store(tmp_path / "store", files=QuickFiles()).open(key(DataKind.TRADES))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "first byte": lambda path: flip(path, 0),
    "middle": lambda path: flip(path, path.stat().st_size // 2),
    "last byte": lambda path: flip(path, path.stat().st_size - 1),
    "a folder": lambda path: replaced(path, Path.mkdir),
    "a pipe": lambda path: replaced(path, os.mkfifo),
}


@pytest.mark.parametrize("how", list(DAMAGES))
def test_every_damaged_file_is_named(dataset: StoredDataset, how: str) -> None:
    assert verify(dataset) == []
    names = [part.file for part in dataset.manifest.parts]
    for name in (*names, "manifest.json"):
        path = dataset.folder / name
        data = path.read_bytes()
        DAMAGES[how](path)
        problems = verify(dataset)
        assert [problem.file for problem in problems] == [f"trades/binance/BTC-USDT/{name}"]
        assert all(problem.what and "\n" not in problem.what for problem in problems)
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(data)
    assert verify(dataset) == []
    for name in names:
        DAMAGES[how](dataset.folder / name)
    assert [problem.file.rpartition("/")[2] for problem in verify(dataset)] == names


@pytest.mark.parametrize("how", ["cut", "middle", "deleted"])
def test_no_reader_is_given_damaged_rows(dataset: StoredDataset, how: str) -> None:
    assert same(dataset.read(), ROWS)  # The bytes were hashed once; these are others.
    name = dataset.manifest.parts[1].file
    DAMAGES[how](dataset.folder / name)
    for read in (dataset.read, dataset.scan, lambda: list(dataset.chunks())):
        with pytest.raises(DataError, match=f"^trades/binance/BTC-USDT/{name} is [^\n]*$"):
            read()
    assert len(dataset.read(end_ns=dataset.manifest.parts[1].first_ns)["ts_ns"]) == 40


def test_verify_believes_no_earlier_hash(dataset: StoredDataset) -> None:
    assert same(dataset.read(), ROWS)
    path = dataset.folder / dataset.manifest.parts[0].file
    state = path.stat()
    with open(path, "r+b") as file:
        file.seek(100)
        byte = file.read(1)[0]
        file.seek(100)
        file.write(bytes([byte ^ 1]))
    os.utime(
        path, ns=(state.st_atime_ns, state.st_mtime_ns)
    )  # As a failing disk changes it: without a trace.
    (problem,) = verify(dataset)
    assert problem.file.endswith(path.name) and "its SHA-256 is another" in problem.what


def test_a_file_too_many_is_named(dataset: StoredDataset) -> None:
    extra = dataset.folder / "2023-01-01-1672531200000000000-0123456789abcdef.parquet"
    shutil.copy(dataset.folder / dataset.manifest.parts[0].file, extra)
    (dataset.folder / "a\nb").write_text("")
    assert [problem.file.rpartition("/")[2] for problem in verify(dataset)] == [extra.name, "a\\nb"]
    (dataset.folder / "a\nb").unlink()
    (dataset.folder / ".tmp-commit").write_text("")  # A commit died here: its parts are litter.
    assert verify(dataset) == []


# A manifest with true checksums that says something else: by a writer's mistake, not by the disk's.
def rewrite(dataset: StoredDataset, change: Callable[[Manifest], Manifest]) -> None:
    path = dataset.folder / "manifest.json"
    manifest = msgspec.structs.replace(change(decode(path.read_bytes(), "x")), checksum="")
    path.write_bytes(encode(manifest))


def swap_first(dataset: StoredDataset, part: Part) -> None:
    rewrite(dataset, lambda old: msgspec.structs.replace(old, parts=(part, *old.parts[1:])))


def test_rows_that_are_not_those_of_the_hash_are_found(dataset: StoredDataset) -> None:
    rewrite(dataset, lambda manifest: msgspec.structs.replace(manifest, hash="sha256:" + "00" * 32))
    (problem,) = verify(dataset)
    assert problem.file.endswith("manifest.json") and "it says sha256:0000" in problem.what


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (lambda frame: frame.drop("side"), "is damaged"),
        (lambda frame: frame.head(20), "it has 20 rows, not 40"),
        (
            lambda frame: frame.with_columns(pl.col("side").cast(pl.Float64)),
            "its columns are not whole numbers",
        ),
        (lambda frame: frame.reverse(), "its rows run backwards in time"),
        (
            lambda frame: frame.with_columns(pl.col("ts_ns") + 1),
            "its rows go from 2022-01-01T00:00:00.000000001Z",
        ),
    ],
)
def test_parts_that_do_not_hold_what_the_manifest_says_are_found(
    dataset: StoredDataset, frame: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    first = dataset.manifest.parts[0]
    path = dataset.folder / first.file
    frame(pl.read_parquet(path)).write_parquet(path)
    made = part_of(DataKind.TRADES, first.period, piece(ROWS, 0, 40), path.read_bytes())
    path.rename(dataset.folder / made.file)
    swap_first(dataset, made)
    (problem,) = verify(dataset)
    assert problem.file.endswith(made.file) and message in problem.what


def test_a_hostile_part_under_a_true_hash_is_refused_and_no_crash(dataset: StoredDataset) -> None:
    first = dataset.manifest.parts[0]
    data = (dataset.folder / first.file).read_bytes()
    chance = np.random.default_rng(3)
    n_found = 0
    for _ in range(20):
        broken = bytearray(data)
        for at in chance.integers(0, len(data), 3):
            broken[at] ^= 1 << int(chance.integers(8))
        made = part_of(DataKind.TRADES, first.period, piece(ROWS, 0, 40), bytes(broken))
        (dataset.folder / made.file).write_bytes(broken)
        swap_first(dataset, made)
        problems = [problem for problem in verify(dataset) if not problem.file.endswith(first.file)]
        assert all(problem.file.endswith((made.file, "manifest.json")) for problem in problems)
        n_found += bool(problems)
        (dataset.folder / made.file).unlink()
    assert n_found > 10  # Some flips change nothing that is read, such as the name of the writing program.


def test_a_dataset_that_can_not_be_opened_is_verified_by_its_folder(dataset: StoredDataset) -> None:
    flip(dataset.folder / "manifest.json", 40)
    (problem,) = verify_folder(dataset.root, dataset.path)
    assert problem.file == "trades/binance/BTC-USDT/manifest.json"
