"""Stored bars are to the engine what the file was: rows, times, hash."""

from pathlib import Path

import numpy as np
import pytest

from njord.core.contracts import Bar
from njord.core.errors import DataError
from njord.core.ordering import inbound_key
from njord.storage.bars_file import open_bars
from njord.storage.dataset import BarDataset
from njord.storage.store.bars import PartColumns, open_stored_bars
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import COLUMNS, DataKind
from njord.storage.store.merge import merge_bar_blocks, merge_bars
from njord.storage.store.store import Store
from tests.unit.storage.store.store_samples import (
    MINUTE_NS,
    START_NS,
    bars,
    instrument,
    key,
    new_store,
    piece,
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


@pytest.fixture
def markets(store: Store) -> list[BarDataset]:
    """Three symbols with gaps, one of them ending early."""
    chance = np.random.default_rng(5)
    datasets = []
    for symbol, n_rows in (("A/USDT", 40), ("B/USDT", 25), ("C/USDT", 40)):
        rows = bars(n_rows)
        keep = chance.random(n_rows) < 0.8
        with store.begin(key(DataKind.BARS, symbol), instrument=instrument(symbol)) as commit:
            commit.append({name: values[keep] for name, values in rows.items()})
            datasets.append(open_stored_bars(commit.commit()))
    return datasets


def test_bars_of_many_symbols_come_in_the_engines_total_order(markets: list[BarDataset]) -> None:
    expected = []
    for index, dataset in enumerate(markets):
        for chunk in dataset.chunks():
            columns = (chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume_lots)
            for row, (ts, *values) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
                names = ("open", "high", "low", "close", "volume_lots")
                fields = dict(zip(names, values, strict=True))
                bar = Bar(ts_ns=ts + MINUTE_NS, instrument=index, ts_open_ns=ts, **fields)
                expected.append((inbound_key(bar, row), bar))
    expected.sort(key=lambda item: item[0])
    for size in (1, 4, 1_000):
        assert list(merge_bars(markets, size=size)) == [bar for _, bar in expected]
        blocks = list(merge_bar_blocks(markets, size=size))
        rows = np.concatenate([block.row for block in blocks]).tolist()
        assert rows == [sequence for (*_, sequence), _ in expected]
        assert max(len(block.row) for block in blocks) <= size * len(markets)


def test_a_range_of_the_stream_is_cut_by_the_opens(markets: list[BarDataset]) -> None:
    start, end = START_NS + 10 * MINUTE_NS, START_NS + 30 * MINUTE_NS
    whole = [bar for bar in merge_bars(markets) if start <= bar.ts_open_ns < end]
    assert list(merge_bars(markets, start, end, size=3)) == whole
    assert list(merge_bars([])) == []
    with pytest.raises(DataError, match="the same dataset is named twice"):
        next(merge_bars([markets[0], markets[0]]))


def test_bars_of_two_timeframes_meet_at_their_closes(store: Store) -> None:
    minutes = open_stored_bars(put(store, DataKind.BARS, piece(bars(10), 0, 10)))
    slow = bars(2)
    slow["ts_open_ns"] = START_NS + np.arange(2) * 5 * MINUTE_NS
    five = DatasetKey(DataKind.BARS, "binance", "BTC/USDT", "5m")
    with store.begin(five, instrument=instrument()) as commit:
        commit.append(slow)
        fives = open_stored_bars(commit.commit())
    order = [(bar.ts_ns - START_NS) // MINUTE_NS for bar in merge_bars([fives, minutes])]
    assert order == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    instruments = [bar.instrument for bar in merge_bars([fives, minutes], size=2)]
    assert instruments == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1]
