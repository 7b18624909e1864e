"""Research sees the same rows as the engine, and reads no more of them than it asks for."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from njord.core.errors import DataError, UserError
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import StoredDataset
from tests.unit.storage.store.store_samples import DAY_NS, START_NS, bars, key, new_store, put, same, trades

ROWS = trades(200)
ROWS["qty_lots"][150] = 2**40  # The fourth day's part needs int64 where the others have int32.


@pytest.fixture
def dataset(tmp_path: Path) -> StoredDataset:
    return put(new_store(tmp_path), DataKind.TRADES, ROWS)


def test_a_scan_holds_every_row_as_int64_whatever_width_a_part_has(dataset: StoredDataset) -> None:
    schemas = [pl.read_parquet_schema(dataset.folder / part.file) for part in dataset.manifest.parts]
    assert {schema["qty_lots"] for schema in schemas} == {pl.Int32(), pl.Int64()}
    frame = dataset.scan().collect()
    assert set(frame.dtypes) == {pl.Int64()}
    assert same({name: frame[name].to_numpy() for name in frame.columns}, ROWS)


def test_a_filter_reaches_the_parts_and_reads_only_those_it_must(dataset: StoredDataset) -> None:
    wanted = dataset.scan().filter(pl.col("ts_ns") >= START_NS + 4 * DAY_NS).select("trade_id")
    plan = wanted.explain()
    assert 'SELECTION: col("ts_ns") >= ' in plan and "PROJECT 2/6 COLUMNS" in plan
    # A part whose footer says that it has no such row is not decoded: its pages may even be gone.
    for part in dataset.manifest.parts[:4]:
        path = dataset.folder / part.file
        data = path.read_bytes()
        footer = int.from_bytes(data[-8:-4], "little") + 8
        path.write_bytes(b"PAR1" + bytes(len(data) - footer - 4) + data[-footer:])
    assert wanted.collect()["trade_id"].to_list() == list(range(161, 201))
    with pytest.raises(pl.exceptions.PolarsError):
        pl.scan_parquet([dataset.folder / dataset.manifest.parts[0].file]).collect()


def test_a_range_names_only_the_parts_that_touch_it(dataset: StoredDataset) -> None:
    (dataset.folder / dataset.manifest.parts[0].file).unlink()
    assert dataset.scan(start_ns=START_NS + DAY_NS).select(pl.len()).collect().item() == 160
    assert dataset.scan(START_NS + DAY_NS, START_NS + 2 * DAY_NS).select(pl.len()).collect().item() == 40
    assert dataset.scan(end_ns=START_NS).collect().shape == (0, 6)
    with pytest.raises(DataError, match="is missing"):
        dataset.scan()


def test_decoded_columns_are_the_nearest_floats_and_utc_times(dataset: StoredDataset, tmp_path: Path) -> None:
    row = dataset.scan(decode=True).collect().row(7, named=True)
    one = dataset.instrument
    assert row["price"] == one.price_float(int(ROWS["price_ticks"][7]))
    assert row["qty"] == one.qty_float(int(ROWS["qty_lots"][7]))
    assert row["ts"] == datetime(2022, 1, 1, 3, 36, tzinfo=UTC)
    frame = dataset.scan(decode=True).collect()
    assert frame.schema["ts"] == pl.Datetime("ns", "UTC") == frame.schema["ts_venue"]
    of_bars = put(new_store(tmp_path / "other"), DataKind.BARS, bars(3)).scan(decode=True).collect()
    assert of_bars["open_price"].to_list() == [40000.0, 40000.13, 40000.26]
    assert of_bars["volume"].to_list() == [0.0, 0.001, 0.002]


def test_decoding_does_not_stop_a_filter(dataset: StoredDataset) -> None:
    plan = dataset.scan(decode=True).filter(pl.col("ts_ns") > START_NS).select("price").explain()
    assert "SELECTION" in plan and "PROJECT 2/6 COLUMNS" in plan


@pytest.mark.parametrize("name", ["pyarrow", "pandas"])
def test_without_the_extra_one_line_says_how_to_get_it(
    dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"^{name} is not installed; pip install 'njord-quant\[research\]'$"):
        (dataset.to_arrow if name == "pyarrow" else dataset.to_pandas)()


def test_an_unchecked_scan_looks_at_sizes_only(dataset: StoredDataset) -> None:
    path = dataset.folder / dataset.manifest.parts[0].file
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    dataset.scan(check=False)
    with pytest.raises(DataError, match="its SHA-256 is another"):
        dataset.scan()
    path.write_bytes(data[:-1])
    with pytest.raises(DataError, match="bytes, not"):
        dataset.scan(check=False)


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
@pytest.mark.parametrize("ahead", [0, 2])
def test_chunks_are_the_rows_in_order_whatever_their_size(
    dataset: StoredDataset, size: int, ahead: int
) -> None:
    chunks = list(dataset.chunks(size=size, ahead=ahead))
    assert same({name: np.concatenate([chunk[name] for chunk in chunks]) for name in ROWS}, ROWS)
    assert {len(chunk["ts_ns"]) for chunk in chunks[:-1]} <= {size}


def test_a_range_is_half_open_to_the_row(dataset: StoredDataset) -> None:
    for first, end in ((0, 200), (38, 44), (40, 80), (3, 3), (199, 200)):
        times = [*ROWS["ts_ns"].tolist(), 2**62]
        start_ns, end_ns = times[first], times[end]
        rows = np.flatnonzero((ROWS["ts_ns"] >= start_ns) & (ROWS["ts_ns"] < end_ns))
        expected = {name: values[rows] for name, values in ROWS.items()}
        assert same(dataset.read(start_ns, end_ns), expected)
        one = dataset.read(start_ns, end_ns, ["side", "trade_id"])
        assert list(one) == ["side", "trade_id"] and np.array_equal(one["side"], expected["side"])
        seen = [chunk["trade_id"] for chunk in dataset.chunks(start_ns, end_ns, ["trade_id"], 9)]
        assert np.array_equal(np.concatenate([np.empty(0, np.int64), *seen]), expected["trade_id"])


def test_a_column_that_is_none_is_named(dataset: StoredDataset) -> None:
    with pytest.raises(ValueError, match=r"has the columns ts_ns, .*, not \['price'\]"):
        dataset.read(columns=["price"])
    assert dataset.key == key(DataKind.TRADES)
