"""Rows go in once, in order, by one writer, and come out as they went in."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.dataset import BarHash
from njord.storage.store.kinds import COLUMNS, DataKind
from njord.storage.store.rules import InstrumentRules
from njord.storage.store.store import Store
from njord.storage.store.verify import verify
from tests.unit.storage.store.store_samples import (
    DAY_NS,
    MINUTE_NS,
    SOURCE,
    START_NS,
    Rows,
    bars,
    empty,
    instrument,
    key,
    new_store,
    piece,
    put,
    same,
    trades,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path)


def test_rows_come_back_as_they_went_in_one_part_a_day(store: Store) -> None:
    rows = trades(100)
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        for first in range(0, 100, 7):
            commit.append(piece(rows, first, first + 7))
        commit.append(empty(DataKind.TRADES))
        dataset = commit.commit(source=SOURCE, assumptions=("one",))
    assert [part.period for part in dataset.manifest.parts] == ["2022-01-01", "2022-01-02", "2022-01-03"]
    assert dataset.manifest.parts[1].first_ns == START_NS + DAY_NS
    assert same(dataset.read(), rows)
    assert dataset.n_rows == 100
    assert dataset.manifest.sources == (msgspec.structs.replace(SOURCE, n_rows=100, n_added=100),)
    with store.open("trades/binance/BTC-USDT") as again:
        assert again.manifest == dataset.manifest
    assert verify(dataset) == []


def test_bars_lie_in_months_and_hash_as_a_file_does(store: Store) -> None:
    rows = bars(45_000)
    dataset = put(store, DataKind.BARS, rows)
    assert [(part.period, part.n_rows) for part in dataset.manifest.parts] == [
        ("2022-01", 44_640),
        ("2022-02", 360),
    ]
    digest = BarHash(instrument(), MINUTE_NS)
    digest.add(list(rows.values()))
    assert dataset.hash == digest.text()
    assert (dataset.interval_ns, dataset.manifest.key.timeframe) == (MINUTE_NS, "1m")


@pytest.mark.parametrize("kind", list(DataKind))
def test_every_kind_round_trips_the_whole_range_of_its_integers(store: Store, kind: DataKind) -> None:
    big = np.array([-(2**63), -(2**31) - 1, -(2**31), 0, 2**31 - 1, 2**31, 2**63 - 1])
    rows = {name: np.roll(big, shift) for shift, name in enumerate(COLUMNS[kind])}
    rows[COLUMNS[kind][0]] = START_NS + np.arange(7) * MINUTE_NS
    assert same(put(store, kind, rows).read(), rows)


def test_an_import_repeated_adds_nothing_and_writes_nothing(store: Store) -> None:
    first = put(store, DataKind.TRADES, trades(100))
    state = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        commit.append(trades(100))
        assert (commit.hash_after_merge, commit.n_added, commit.n_known) == (first.hash, 0, 100)
        second = commit.commit(source=SOURCE)
    assert second.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == state


def test_overlapping_imports_add_only_what_is_new(store: Store) -> None:
    rows = trades(120)
    put(store, DataKind.TRADES, piece(rows, 30, 80))
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        commit.append(rows)
        merged = [chunk["trade_id"] for chunk in commit.rows_after_merge()]
        assert (commit.n_added, commit.n_known) == (70, 50)
        dataset = commit.commit(source=SOURCE)
    assert np.array_equal(np.concatenate(merged), rows["trade_id"])
    assert same(dataset.read(), rows)
    assert dataset.manifest.sources[1].n_known == 50
    assert dataset.manifest.retired  # The parts that were rewritten, for whoever reads them still.
    assert verify(dataset) == []


def test_trades_without_an_id_count_as_often_as_they_happen(store: Store) -> None:
    rows = trades(4)
    rows["trade_id"] = np.zeros(4, dtype=np.int64)
    for name in rows:
        rows[name][:] = rows[name][0]
    put(store, DataKind.TRADES, piece(rows, 0, 2))
    assert put(store, DataKind.TRADES, piece(rows, 0, 2)).n_rows == 2
    assert put(store, DataKind.TRADES, rows).n_rows == 4


def test_rows_of_one_time_stay_in_the_order_of_their_ids_whichever_import_came_first(store: Store) -> None:
    rows = trades(6)
    rows["ts_ns"][:] = START_NS
    put(store, DataKind.TRADES, {name: values[[1, 3, 5]] for name, values in rows.items()})
    assert same(put(store, DataKind.TRADES, piece(rows, 0, 5)).read(), rows)


def test_where_ids_say_nothing_stored_rows_come_first(store: Store) -> None:
    rows = trades(6)
    rows["ts_ns"][:] = START_NS
    rows["trade_id"] = np.array([5, 2, 9, 1, 7, 3])
    put(store, DataKind.TRADES, piece(rows, 0, 3))
    assert same(put(store, DataKind.TRADES, piece(rows, 2, 6)).read(), rows)


def test_the_hash_of_trades_is_over_the_instrument_and_the_rows_in_little_endian(store: Store) -> None:
    rows = trades(3)
    head = "njord-trades-1\nBTC/USDT\nbinance\nBTC\nUSDT\nspot\n0.01\n0.001\n0\n0\n0\n8\n0\n\n"
    body = b"".join(
        int(values[row]).to_bytes(8, "little", signed=True) for row in range(3) for values in rows.values()
    )
    digest = hashlib.sha256(head.encode() + body).hexdigest()
    assert put(store, DataKind.TRADES, rows).hash == f"sha256:{digest}"


@pytest.mark.parametrize("kind", [DataKind.BARS, DataKind.TRADES])
def test_another_content_is_a_conflict_that_names_the_time(store: Store, kind: DataKind) -> None:
    rows = bars(10) if kind is DataKind.BARS else trades(10, per_day=2)
    first = put(store, kind, rows)
    other = {name: values.copy() for name, values in rows.items()}
    other["close" if kind is DataKind.BARS else "price_ticks"][4] += 1
    when = "2022-01-01T00:04:00Z" if kind is DataKind.BARS else "2022-01-03T00:00:00Z"
    with pytest.raises(DataError, match=f"has another .* than the file at {when}; .* --replace"):
        put(store, kind, other)
    assert store.open(key(kind)).manifest == first.manifest
    with store.begin(key(kind), instrument=instrument(), replace=True) as commit:
        commit.append(other)
        dataset = commit.commit(source=SOURCE)
        assert (commit.n_replaced, commit.n_added, commit.n_known) == (1, 0, 9)
    assert same(dataset.read(), other)
    assert verify(dataset) == []


def test_a_trade_that_moved_in_time_is_a_conflict_too(store: Store) -> None:
    rows = trades(40)
    put(store, DataKind.TRADES, rows)
    moved = piece(rows, 30, 31)
    moved["ts_ns"] = moved["ts_ns"] - 1
    with pytest.raises(
        DataError, match=r"has another trade than the file at 2022-01-01T17:59:59\.999999999Z"
    ):
        put(store, DataKind.TRADES, moved)
    dataset = put(store, DataKind.TRADES, moved, replace=True)
    assert dataset.n_rows == 40
    assert np.count_nonzero(dataset.read()["trade_id"] == 31) == 1


def test_bars_that_overlap_across_two_imports_are_refused(store: Store) -> None:
    put(store, DataKind.BARS, bars(3))
    late = bars(1, first=3)
    late["ts_open_ns"] -= MINUTE_NS // 2
    with pytest.raises(DataError, match="the bar at 2022-01-01T00:02:30Z opens 30s after the one before"):
        put(store, DataKind.BARS, late)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ts_ns": np.array([START_NS + 1, START_NS])}, "the row at 2022-01-01T00:00:00Z comes after one that is later"),
        ({"ts_ns": np.array([-1, START_NS])}, "the time 1969-12-31T23:59:59.999999999Z can not be stored"),
        ({"ts_ns": np.array([START_NS, 2**63 - 1])}, "the time 2262-04-11.* can not be stored; use times from 1970"),
        ({"qty_lots": np.array([1, 2**63], dtype=np.uint64)}, r"qty_lots 9223372036854775808 is beyond 2\^63 - 1"),
    ],
)  # fmt: skip
def test_rows_that_can_not_be_stored_are_refused_in_one_line(
    store: Store, change: Rows, message: str
) -> None:
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        with pytest.raises(DataError, match=message) as refused:
            commit.append(trades(2) | change)
        assert "\n" not in str(refused.value)
    assert store.datasets() == []


def test_rows_of_the_wrong_shape_are_a_mistake_of_the_caller(store: Store) -> None:
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        wrong: list[Any] = [
            {"ts_ns": np.zeros(1, dtype=np.int64)},
            trades(2) | {"side": np.zeros(3, dtype=np.int64)},
            trades(2) | {"side": np.zeros(2)},
        ]
        for rows in wrong:
            with pytest.raises(ValueError, match=r"columns|whole numbers"):
                commit.append(rows)
        commit.append(trades(2))
        assert commit.hash_after_merge
        with pytest.raises(ValueError, match="after the merged rows had been asked for"):
            commit.append(trades(2, first=2))


def test_a_bar_of_the_same_time_twice_in_one_import_is_refused(store: Store) -> None:
    with store.begin(key(DataKind.BARS), instrument=instrument()) as commit:
        commit.append(bars(3))
        with pytest.raises(
            DataError, match="comes after one that is not earlier; put the rows in time order"
        ):
            commit.append(bars(1, first=2))


def test_a_dataset_without_rows_does_not_come_into_being(store: Store) -> None:
    with (
        store.begin(key(DataKind.TRADES), instrument=instrument()) as commit,
        pytest.raises(DataError, match="would have no rows"),
    ):
        commit.commit(source=SOURCE)
    assert [path.name for path in store.root.iterdir()] == ["njord-store.json"]


def test_leaving_without_commit_leaves_the_old_state_and_no_files(store: Store) -> None:
    first = put(store, DataKind.TRADES, trades(50))
    names = sorted(path.name for path in first.folder.iterdir())
    with (
        pytest.raises(ZeroDivisionError),
        store.begin(key(DataKind.TRADES), instrument=instrument()) as commit,
    ):
        commit.append(trades(100, first=50))
        assert commit.hash_after_merge != first.hash
        raise ZeroDivisionError
    assert sorted(path.name for path in first.folder.iterdir()) == names
    assert store.open(first.path).manifest == first.manifest


def test_a_second_writer_is_sent_away_at_once(store: Store) -> None:
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        with pytest.raises(DataError, match="another command is writing trades/binance/BTC-USDT; wait until"):
            store.begin(key(DataKind.TRADES), instrument=instrument())
        with store.begin(key(DataKind.BARS), instrument=instrument()):
            pass
        commit.append(trades(3))
        commit.commit()
    with store.begin(key(DataKind.TRADES), instrument=instrument()):
        pass


def test_a_reader_stays_at_its_state_while_a_writer_commits(store: Store) -> None:
    rows = trades(100)
    put(store, DataKind.TRADES, piece(rows, 0, 50))
    with store.open(key(DataKind.TRADES)) as before:
        chunks = before.chunks(size=7)
        seen = [next(chunks)]
        put(store, DataKind.TRADES, piece(rows, 45, 100))
        seen += chunks
        assert sum(len(chunk["ts_ns"]) for chunk in seen) == 50
        assert same(before.read(), piece(rows, 0, 50))
    with store.open(key(DataKind.TRADES)) as after:
        assert same(after.read(), rows)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (instrument(tick="0.1"), "stored with tick_size 0.01, the import has 0.1; import with --tick 0.01"),
        (instrument("ETH/USDT"), "the instrument is ETH/USDT@binance, the dataset trades/binance/BTC-USDT"),
    ],
)
def test_another_grid_or_symbol_is_refused(store: Store, given: Instrument, message: str) -> None:
    put(store, DataKind.TRADES, trades(3))
    with pytest.raises(DataError, match=message):
        store.begin(key(DataKind.TRADES), instrument=given)


def test_two_symbols_of_one_folder_are_refused(store: Store) -> None:
    put(store, DataKind.TRADES, trades(3))
    clash = key(DataKind.TRADES, "BTC:USDT")
    with pytest.raises(DataError, match="holds BTC/USDT, not BTC:USDT: both would share a folder"):
        store.begin(clash, instrument=instrument("BTC:USDT"))
    with pytest.raises(DataError, match="holds BTC/USDT, not BTC:USDT; open it as BTC/USDT"):
        store.open(clash)


def test_bars_of_another_interval_than_the_folder_says_are_refused(store: Store) -> None:
    with pytest.raises(DataError, match="bars of 5m do not belong in bars/binance/BTC-USDT/1m"):
        store.begin(key(DataKind.BARS), instrument=instrument(), interval_ns=5 * MINUTE_NS)


def test_a_certificate_lasts_as_long_as_the_rows_it_is_for(store: Store) -> None:
    rows = trades(20)
    rules = (InstrumentRules(9, instrument(tick="1")), InstrumentRules(5, instrument()))
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        commit.append(piece(rows, 0, 10))
        first = commit.commit(certificate=b' {"grade": "A"}\n', assumptions=("a",), rules=rules)
    assert first.certificate == b'{"grade": "A"}'
    assert [rule.from_ns for rule in first.manifest.rules] == [5, 9]
    with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
        same_rows = commit.commit(assumptions=("a", "b"))
    assert same_rows.certificate == first.certificate
    assert same_rows.manifest.assumptions == ("a", "b")
    more = put(store, DataKind.TRADES, piece(rows, 10, 20))
    assert more.certificate is None
    assert more.manifest.rules == first.manifest.rules
    with (
        store.begin(key(DataKind.TRADES), instrument=instrument()) as commit,
        pytest.raises(msgspec.MsgspecError),
    ):
        commit.commit(certificate=b"[1]")


def test_a_period_of_many_rows_is_cut_into_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("njord.storage.store.periods.PART_ROWS", 16)
    rows = trades(100, per_day=200)
    dataset = put(store, DataKind.TRADES, piece(rows, 0, 50))
    assert [part.n_rows for part in dataset.manifest.parts] == [16, 16, 16, 2]
    kept = {part.file for part in dataset.manifest.parts[:3]}
    dataset = put(store, DataKind.TRADES, piece(rows, 50, 100))
    assert kept < {part.file for part in dataset.manifest.parts}  # Appending leaves the full parts alone.
    assert same(dataset.read(), rows)
    middle = put(store, DataKind.TRADES, {name: values[20:30] for name, values in rows.items()})
    assert middle.manifest.parts == dataset.manifest.parts
    late = piece(rows, 90, 91)
    late["trade_id"][0] = 3  # A trade of the first part, said to have been in the last one.
    moved = put(store, DataKind.TRADES, late, replace=True)
    ids = moved.read()["trade_id"].tolist()
    assert (len(ids), ids.count(3), ids.index(3) > 85) == (100, 1, True)


def test_appending_a_few_rows_at_a_time_leaves_one_part(store: Store) -> None:
    rows = trades(40)
    for first in range(0, 40, 10):
        dataset = put(store, DataKind.TRADES, piece(rows, first, first + 10))
    assert [part.n_rows for part in dataset.manifest.parts] == [40]


def test_who_was_killed_while_making_a_store_leaves_nothing_that_stays(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir()
    (root / ".tmp-1").write_text("half a mar")
    Store(root, create=True)
    assert [path.name for path in root.iterdir()] == ["njord-store.json"]
