"""The recorder appends whole rows, follows its path, and mends what a crash tore; the reader finds each row once."""

import fcntl
import os
import resource
from pathlib import Path

import lz4.frame
import numpy as np
import pytest

from njord.core.errors import DataError
from njord.storage.ingest.trades_file import TradeOptions, open_trades
from njord.storage.recording import Recorder, read_recording
from njord.storage.recording_files import recorded_files
from njord.storage.store.kinds import Columns, DataKind
from tests.unit.storage.rows_samples import (
    MINUTE_NS,
    PERP,
    SPOT,
    START_NS,
    interval_of,
    joined,
    rows_of,
    same_rows,
)

NAME = "md.trades.ATOMUSDT"


def recorder(
    folder: Path, name: str = NAME, flush_bytes: int = 0, kind: DataKind = DataKind.TRADES
) -> Recorder:
    return Recorder(
        folder / f"{name}.ndjson", kind, SPOT, interval_of(kind), key=name, flush_bytes=flush_bytes
    )


def record(folder: Path, file: str, rows: Columns, kind: DataKind = DataKind.TRADES) -> Path:
    """Write rows as if they had been recorded and turned over to `file`."""
    with recorder(folder, "fresh", kind=kind) as writer:
        writer.append(rows)
    data = (folder / "fresh.ndjson").read_bytes()
    (folder / "fresh.ndjson").unlink()
    path = folder / file
    path.write_bytes(lz4.frame.compress(data) if file.endswith(".lz4") else data)
    return path


def read(folder: Path, start_ns: int | None = None, end_ns: int | None = None, name: str = NAME) -> Columns:
    with read_recording(folder, name, start_ns, end_ns) as source:
        return joined(list(source.rows(5)), source.kind)


def numbers(rows: Columns) -> list[int]:
    return [int(number) for number in rows["trade_id"]]


@pytest.mark.parametrize("kind", DataKind)
def test_what_is_recorded_is_read_back(kind: DataKind, tmp_path: Path) -> None:
    with recorder(tmp_path, kind=kind) as writer:
        writer.append(rows_of(kind, 4))
        writer.append(rows_of(kind, 3, first=4))
    with read_recording(tmp_path, NAME) as source:
        assert (source.kind, source.instrument, source.key) == (kind, SPOT, NAME)
        assert source.interval_ns == interval_of(kind)
        assert same_rows(joined(list(source.rows()), kind), rows_of(kind, 7))


def test_rows_wait_until_there_are_enough_or_they_are_asked_for(tmp_path: Path) -> None:
    with recorder(tmp_path, flush_bytes=1_000) as writer:
        writer.append(rows_of(DataKind.TRADES, 3))
        assert len(read(tmp_path)["ts_ns"]) == 0
        writer.flush()
        assert len(read(tmp_path)["ts_ns"]) == 3
        writer.append(rows_of(DataKind.TRADES, 30, first=3))
        assert len(read(tmp_path)["ts_ns"]) == 33


def test_a_recorder_goes_on_where_it_stopped(tmp_path: Path) -> None:
    for first in (0, 5):
        with recorder(tmp_path) as writer:
            writer.append(rows_of(DataKind.TRADES, 5, first=first))
    assert same_rows(read(tmp_path), rows_of(DataKind.TRADES, 10))
    assert (tmp_path / f"{NAME}.ndjson").read_bytes().count(b'"njord"') == 1


def test_a_recorder_follows_its_path_when_the_file_is_turned_over(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.ndjson"
    with recorder(tmp_path) as writer:
        writer.append(rows_of(DataKind.TRADES, 5))
        path.rename(tmp_path / f"{NAME}.20231114.ndjson")
        writer.append(rows_of(DataKind.TRADES, 5, first=5))
        assert path.exists()
        path.rename(tmp_path / f"{NAME}.20231114_0001.ndjson")
        path.write_bytes(b"")  # Somebody created an empty file in its place.
        writer.append(rows_of(DataKind.TRADES, 5, first=10))
    assert same_rows(read(tmp_path), rows_of(DataKind.TRADES, 15))


def test_the_file_is_locked_while_it_is_open(tmp_path: Path) -> None:
    with recorder(tmp_path) as writer, (tmp_path / f"{NAME}.ndjson").open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        writer.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_file_that_somebody_locked_for_himself_is_not_recorded_to(tmp_path: Path) -> None:
    recorder(tmp_path).close()
    with (tmp_path / f"{NAME}.ndjson").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="is locked by another process"):
            recorder(tmp_path)


@pytest.mark.parametrize("n_torn", range(1, 61, 9))
def test_a_torn_line_is_cut_off_behind_a_seam(n_torn: int, tmp_path: Path) -> None:
    with recorder(tmp_path) as writer:
        writer.append(rows_of(DataKind.TRADES, 3))
    path = tmp_path / f"{NAME}.ndjson"
    last_line = path.read_bytes().splitlines(keepends=True)[-1]
    os.truncate(path, path.stat().st_size - len(last_line) + n_torn)
    with recorder(tmp_path) as writer:
        writer.append(rows_of(DataKind.TRADES, 2, first=10))
    with read_recording(tmp_path, NAME) as source:
        assert numbers(joined(list(source.rows()), source.kind)) == [1, 2, 11, 12]
        assert source.facts.torn_lines.n == 1
    assert f'{{"njord":"seam","torn_bytes":{n_torn}}}'.encode() in path.read_bytes()


def test_a_line_that_only_lost_its_end_is_completed(tmp_path: Path) -> None:
    with recorder(tmp_path) as writer:
        writer.append(rows_of(DataKind.TRADES, 3))
    path = tmp_path / f"{NAME}.ndjson"
    os.truncate(path, path.stat().st_size - 1)
    with recorder(tmp_path) as writer:
        writer.append(rows_of(DataKind.TRADES, 1, first=3))
    with read_recording(tmp_path, NAME) as source:
        assert (source.n_rows, source.facts.torn_lines.n) == (4, 0)


@pytest.mark.parametrize("n_bytes", [0, 1, 40, 200])
def test_a_torn_header_is_written_again(n_bytes: int, tmp_path: Path) -> None:
    recorder(tmp_path).close()
    os.truncate(tmp_path / f"{NAME}.ndjson", n_bytes)
    with recorder(tmp_path) as writer:
        writer.append(rows_of(DataKind.TRADES, 2))
    assert same_rows(read(tmp_path), rows_of(DataKind.TRADES, 2))


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.ndjson"
    for text in ("hello", "hello\n", '{"njord":"data","schema":9}\n'):
        path.write_text(text)
        with pytest.raises(DataError):
            recorder(tmp_path)
        assert path.read_text() == text


def test_a_file_of_another_instrument_is_not_gone_on_with(tmp_path: Path) -> None:
    recorder(tmp_path).close()
    with pytest.raises(DataError, match="records other rows"):
        Recorder(tmp_path / f"{NAME}.ndjson", DataKind.TRADES, PERP, key=NAME)


def test_what_the_disk_refuses_goes_on_waiting_and_no_half_line_stays(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.ndjson"
    writer = recorder(tmp_path)
    writer.append(rows_of(DataKind.TRADES, 2))
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(DataError, match=r"can not be written: File too large"):
            writer.append(rows_of(DataKind.TRADES, 5, first=2))
        assert path.stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.close()
    assert same_rows(read(tmp_path), rows_of(DataKind.TRADES, 7))


def test_a_recording_is_a_file_of_trades_like_any_other(tmp_path: Path) -> None:
    path = record(tmp_path, f"{NAME}.ndjson", rows_of(DataKind.TRADES, 3))
    data = path.read_bytes()
    path.write_bytes(data + data.splitlines(keepends=True)[1])  # A row that a reconnect brought again.
    with open_trades(path) as source:
        assert same_rows(joined(list(source.rows()), source.kind), rows_of(DataKind.TRADES, 3))
        assert (source.facts.duplicates.n, source.facts.out_of_order.n) == (1, 1)
    with pytest.raises(DataError, match="1 trade out of order and 1 trade repeated"):
        open_trades(path, TradeOptions(repair=False))


# --- over several files ---


def test_a_name_is_matched_as_a_whole(tmp_path: Path) -> None:
    record(tmp_path, f"{NAME}.ndjson", rows_of(DataKind.TRADES, 3))
    record(tmp_path, f"{NAME}X.ndjson", rows_of(DataKind.TRADES, 3, first=50))
    record(tmp_path, f"{NAME}X.20231114.ndjson", rows_of(DataKind.TRADES, 3, first=40))
    record(tmp_path, f"x{NAME}.ndjson", rows_of(DataKind.TRADES, 3, first=60))
    record(tmp_path, "mdxtrades.ATOMUSDT.ndjson", rows_of(DataKind.TRADES, 3, first=70))
    assert numbers(read(tmp_path)) == [1, 2, 3]


def test_files_are_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    names = [f"{NAME}.20231114.ndjson.lz4", f"{NAME}.20231114_0001.ndjson", f"{NAME}.20231114_0002.ndjson.lz4",
             f"{NAME}.20231114_0010.ndjson", f"{NAME}.20231115.ndjson", f"{NAME}.ndjson"]  # fmt: skip
    for index, name in reversed(list(enumerate(names))):
        record(tmp_path, name, rows_of(DataKind.TRADES, 2, first=2 * index))
    assert [file.path.name for file in recorded_files(tmp_path, NAME)] == names
    stems = [name.removesuffix(".lz4") for name in names[:-1]]
    assert stems == sorted(stems)
    assert numbers(read(tmp_path)) == list(range(1, 13))


def test_the_range_includes_its_start_and_not_its_end(tmp_path: Path) -> None:
    record(tmp_path, f"{NAME}.20231114.ndjson", rows_of(DataKind.TRADES, 5))
    record(tmp_path, f"{NAME}.ndjson", rows_of(DataKind.TRADES, 5, first=5))
    start_ns, end_ns = START_NS + 2 * MINUTE_NS, START_NS + 7 * MINUTE_NS
    assert numbers(read(tmp_path, start_ns, end_ns)) == [3, 4, 5, 6, 7]
    assert numbers(read(tmp_path, start_ns + 1, end_ns + 1)) == [4, 5, 6, 7, 8]
    assert numbers(read(tmp_path, None, START_NS)) == []


def test_files_out_of_range_are_not_read(tmp_path: Path) -> None:
    for index in range(4):
        rows = rows_of(DataKind.TRADES, 200, first=index * 600)
        record(tmp_path, f"{NAME}.2023111{index}.ndjson", rows)
    with read_recording(tmp_path, NAME, START_NS + 1_300 * MINUTE_NS, START_NS + 1_310 * MINUTE_NS) as source:
        assert source.n_rows == 10
        assert source.assumptions == (f"Read from 1 of the 4 files of {NAME}.",)


def test_rows_repeated_over_a_border_come_once(tmp_path: Path) -> None:
    record(tmp_path, f"{NAME}.20231114.ndjson", rows_of(DataKind.TRADES, 10))
    record(tmp_path, f"{NAME}.ndjson", rows_of(DataKind.TRADES, 10, first=7))
    with read_recording(tmp_path, NAME) as source:
        assert numbers(joined(list(source.rows()), source.kind)) == list(range(1, 18))
        assert source.facts.duplicates.n == 3
        assert source.facts.out_of_order.n == 0


def test_twins_without_an_id_are_both_kept(tmp_path: Path) -> None:
    rows = dict(rows_of(DataKind.TRADES, 1), trade_id=np.array([0]))
    record(tmp_path, f"{NAME}.20231114.ndjson", rows)
    record(tmp_path, f"{NAME}.ndjson", rows)
    assert numbers(read(tmp_path)) == [0, 0]


def test_a_late_row_behind_a_border_is_sorted_in_and_counted(tmp_path: Path) -> None:
    record(tmp_path, f"{NAME}.20231114.ndjson", rows_of(DataKind.TRADES, 3, first=1, step_ns=2 * MINUTE_NS))
    record(tmp_path, f"{NAME}.ndjson", rows_of(DataKind.TRADES, 4, first=5))
    with read_recording(tmp_path, NAME) as source:
        rows = joined(list(source.rows()), source.kind)
        assert (np.diff(rows["ts_ns"]) >= 0).all()
        assert (source.n_rows, source.facts.out_of_order.n) == (7, 1)


def test_files_of_different_instruments_are_not_mixed(tmp_path: Path) -> None:
    record(tmp_path, f"{NAME}.20231114.ndjson", rows_of(DataKind.TRADES, 3))
    Recorder(tmp_path / f"{NAME}.ndjson", DataKind.TRADES, PERP).close()
    with pytest.raises(DataError, match="another kind or instrument"):
        read_recording(tmp_path, NAME)


def test_a_file_that_lies_there_packed_and_unpacked_is_read_once(tmp_path: Path) -> None:
    for name in (f"{NAME}.20231114.ndjson", f"{NAME}.20231114.ndjson.lz4"):
        record(tmp_path, name, rows_of(DataKind.BOOK, 3), DataKind.BOOK)
    with read_recording(tmp_path, NAME) as source:
        assert source.n_rows == 3


def test_a_recording_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no recording md\.trades\.NO"):
        read_recording(tmp_path, "md.trades.NO")
    with pytest.raises(DataError, match="can not be read"):
        read_recording(tmp_path / "no", NAME)
