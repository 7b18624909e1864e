"""Whatever operation a commit dies at, the store is in the old state or the new one, and goes on.

Every way to die, from every state, is in tests/integration/test_store_crashes.py.
"""

import errno
import os
from pathlib import Path

import pytest

from njord.core.errors import DataError
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from tests.unit.storage.store.store_crashing import NEW, OLD, OPERATIONS, ROWS, crash_everywhere
from tests.unit.storage.store.store_samples import (
    SOURCE,
    FailingFiles,
    Killed,
    QuickFiles,
    instrument,
    key,
    piece,
    put,
)

pytestmark = pytest.mark.integration  # Together they take a second.


def test_a_commit_killed_at_any_operation_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    crash_everywhere(tmp_path, lambda at: FailingFiles(at, "killed"), starts=(True,))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "No space left on device; free some space there and import again"),
        (errno.EIO, "Input/output error; check the disk, then import again"),
        (errno.EACCES, "Permission denied; check the path and its permissions"),
    ],
)
def test_a_disk_that_refuses_says_why_in_one_line(tmp_path: Path, code: int, message: str) -> None:
    store = Store(tmp_path / "store", create=True)
    with pytest.raises(DataError, match=f"^[^\n]*can not be written: {message}$"):
        put(Store(store.root, files=FailingFiles(2, "refused", code)), DataKind.TRADES, NEW)
    with pytest.raises(DataError, match=f"other can not be written: {message}"):
        Store(tmp_path / "other", create=True, files=FailingFiles(1, "refused", code))


def test_a_new_state_that_may_not_last_is_said_to_be_in_place(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = Store(root, create=True, files=QuickFiles())
    put(store, DataKind.TRADES, OLD)
    for at in range(OPERATIONS):
        try:
            put(Store(root, files=FailingFiles(at, "refused", errno.EIO)), DataKind.TRADES, ROWS)
        except DataError as error:
            in_place = store.open(key(DataKind.TRADES)).n_rows == 60
            assert ("after the new state was in place" in str(error)) is in_place
            if in_place:
                return
    pytest.fail("no operation failed behind the rename of the manifest")


def test_parts_without_a_manifest_are_litter_of_a_crash_but_not_of_a_finished_import(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True, files=QuickFiles())
    dataset = put(store, DataKind.TRADES, OLD)
    (dataset.folder / "manifest.json").unlink()
    (path, line), *others = store.datasets()
    assert path == dataset.path and not others
    assert isinstance(line, str) and "has no manifest.json; restore it from a copy" in line
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        store.begin(key(DataKind.TRADES), instrument=instrument())
    assert len(list(dataset.folder.glob("*.parquet"))) == len(dataset.manifest.parts)


def test_a_commit_that_died_is_swept_by_the_next_writer_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True, files=QuickFiles())
    dataset = put(store, DataKind.TRADES, OLD)
    litter = [dataset.folder / ".tmp-7.parquet", dataset.folder / ".tmp-commit"]
    for path in litter:
        path.write_bytes(b"torn")
    (dataset.folder / "notes.txt").write_text("mine")
    store.open(dataset.path).close()
    assert all(path.exists() for path in litter)
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        assert not any(path.exists() for path in litter)
        commit.commit(source=SOURCE)
    assert (dataset.folder / "notes.txt").read_text() == "mine"


def test_sweeping_may_die_as_well(tmp_path: Path) -> None:
    n_died = 0
    for at in range(8):
        store = Store(tmp_path / str(at), create=True, files=QuickFiles())
        folder = store.root / key(DataKind.TRADES).path
        with pytest.raises(Killed):  # Behind the renames of the parts, before the manifest.
            put(Store(store.root, files=FailingFiles(10, "killed")), DataKind.TRADES, NEW)
        assert len(list(folder.glob("2022-*.parquet"))) == 2 and (folder / ".tmp-commit").exists()
        dying = Store(store.root, files=FailingFiles(at, "killed"))
        try:
            dying.begin(key(DataKind.TRADES), instrument=instrument()).close()
        except Killed:
            n_died += 1
        assert store.datasets() == []
        store.begin(key(DataKind.TRADES), instrument=instrument()).close()
        assert not folder.exists()
    assert n_died == 5


def test_what_is_written_waits_for_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}").rpartition("/")[2])
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    store = Store(tmp_path / "store", create=True)
    synced.clear()
    put(store, DataKind.TRADES, piece(NEW, 0, 3))
    folders = ["store", "trades", "binance"]  # Each got a new name.
    assert synced == [
        *folders, ".tmp-1.parquet", ".tmp-commit", "BTC-USDT", ".readers", "BTC-USDT",
        ".tmp-manifest.json", "BTC-USDT",
    ]  # fmt: skip
