"""Stored bars are to the engine what the file was: rows, times, hash."""

from pathlib import Path

import numpy as np
import pytest

from njord.core.errors import DataError
from njord.storage.bars_file import open_bars
from njord.storage.dataset import BarDataset
from njord.storage.store.bars import PartColumns, open_stored_bars
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import COLUMNS, DataKind
from njord.storage.store.store import Store
from tests.unit.storage.store.store_samples import (
    MINUTE_NS,
    START_NS,
    bars,
    new_store,
    put,
    trades,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path)


def small_groups(monkeypatch: pytest.MonkeyPatch, n_rows: int) -> None:
    """Parts of four row groups of `n_rows` each."""
    monkeypatch.setattr("njord.storage.store.periods.PART_ROWS", 4 * n_rows)
    for module in ("bars", "parts"):
        monkeypatch.setattr(f"njord.storage.store.{module}.BLOCK_ROWS", n_rows)


def test_a_file_and_its_import_have_the_same_rows_and_the_same_hash(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT-1m.csv"
    lines = [f"2022-01-31 23:{50 + row}:00,{row}.5,{row}.9,{row}.1,{row}.3,{row}.25" for row in range(1, 10)]
    path.write_text("\n".join(["date,open,high,low,close,volume", *lines]))
    with open_bars(path) as file:
        names = COLUMNS[DataKind.BARS]
        dataset_key = DatasetKey(DataKind.BARS, file.instrument.venue or "file", file.instrument.symbol, "1m")
        with store.begin(dataset_key, instrument=file.instrument, interval_ns=file.interval_ns) as commit:
            for chunk in file.chunks():
                commit.append({name: getattr(chunk, name) for name in names})
            stored = commit.commit()
        with open_stored_bars(stored) as again:
            assert (again.hash, again.interval_ns, again.n_rows) == (file.hash, file.interval_ns, 9)
            assert (again.first_ts_open_ns, again.last_ts_open_ns) == (
                file.first_ts_open_ns,
                file.last_ts_open_ns,
            )
            assert again.instrument == file.instrument
            assert again.certificate.dataset_hash == file.hash
            assert again.certificate.grade == file.certificate.grade
            for ours, theirs in zip(again.chunks(size=4), file.chunks(size=4), strict=True):
                for name in ("first_row", *names):
                    assert np.array_equal(getattr(ours, name), getattr(theirs, name))


@pytest.mark.parametrize("size", [1, 3, 10, 25, 200])
def test_a_pass_in_order_decodes_nothing_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    small_groups(monkeypatch, 10)
    rows = bars(95)
    dataset = put(store, DataKind.BARS, rows)
    assert len(dataset.manifest.parts) == 3
    columns = PartColumns(dataset)
    read = BarDataset(
        name=dataset.path,
        instrument=dataset.instrument,
        interval_ns=MINUTE_NS,
        stage=columns,
        digest=dataset.hash,
        certificate=open_stored_bars(dataset).certificate,
        assumptions=(),
    )
    assert columns.n_decoded == 0
    closes = np.concatenate([chunk.close for chunk in read.chunks(size=size)])
    assert np.array_equal(closes, rows["close"])
    assert columns.n_decoded == 10
    back = [columns.read(3, row, row + 1)[0] for row in range(94, -1, -1)]
    assert back == rows["low"][::-1].tolist()
    assert columns.read(3, 5, 15).tolist() == rows["low"][5:15].tolist()
    assert columns.read(3, 2, 15).tolist() == rows["low"][2:15].tolist()
    assert columns.read(3, 0, 3).tolist() == rows["low"][:3].tolist()


def test_rows_are_found_by_time_as_in_a_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    small_groups(monkeypatch, 8)
    with open_stored_bars(put(store, DataKind.BARS, bars(50))) as dataset:
        for first in range(0, 50, 7):
            for shift in (-1, 0, 1):
                start = START_NS + first * MINUTE_NS + shift
                expected = first + (shift > 0)
                assert dataset.rows_between(start, None) == (expected, 50)
                assert dataset.rows_between(None, start) == (0, expected)
    with pytest.raises(DataError, match="trades/binance/BTC-USDT holds trades, not bars"):
        open_stored_bars(put(store, DataKind.TRADES, trades(3)))


def test_a_pass_begun_again_after_one_that_stopped_anywhere_has_the_same_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_groups(monkeypatch, 10)
    rows = bars(95)
    columns = PartColumns(put(store, DataKind.BARS, rows))
    for stop in range(0, 95, 5):
        columns.read(0, stop, min(95, stop + 12))
        for first, end in ((0, 12), (0, 25), (3, 60)):
            assert columns.read(3, first, end).tolist() == rows["low"][first:end].tolist(), (stop, first, end)
            columns.read(0, stop, min(95, stop + 12))
