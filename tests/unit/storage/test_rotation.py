"""Files are turned over by their data's date, and compressed only when nobody has them and nothing can be lost."""

import fcntl
import gzip
import os
from pathlib import Path
from typing import BinaryIO

import lz4.frame
import pytest

from njord.core.errors import DataError
from njord.storage import rotation
from njord.storage.recording import Recorder, read_recording
from njord.storage.rotation import Packing, compress, rotate
from njord.storage.store.kinds import DataKind
from tests.unit.storage.rows_samples import MINUTE_NS, SPOT, START_NS, interval_of, joined, rows_of, same_rows

NAME = "md.book.ATOMUSDT"
DAY_NS = 24 * 60 * MINUTE_NS
LATER_NS = 4_000_000_000 * 10**9  # Of the clock: every file is old.
PACKED = f"{NAME}.20231114.ndjson"


def record(folder: Path, n_rows: int, first: int = 0) -> None:
    with Recorder(folder / f"{NAME}.ndjson", DataKind.BOOK, SPOT, flush_bytes=0) as writer:
        if n_rows:
            writer.append(rows_of(DataKind.BOOK, n_rows, first))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check_rows(folder: Path, n_rows: int) -> None:
    with read_recording(folder, NAME) as source:
        assert same_rows(joined(list(source.rows()), DataKind.BOOK), rows_of(DataKind.BOOK, n_rows))


def test_a_file_is_named_by_the_day_of_its_first_row(tmp_path: Path) -> None:
    record(tmp_path, 3)  # 2023-11-14 22:14, whatever the clock says now.
    report = rotate(tmp_path, now_ns=START_NS + DAY_NS)
    assert report.rotated == ((f"{NAME}.ndjson", PACKED),)
    assert (report.scanned, report.kept, report.errors) == (1, 0, ())
    assert names(tmp_path) == [PACKED]


def test_a_file_of_today_stays_until_it_is_full(tmp_path: Path) -> None:
    record(tmp_path, 3)
    today_ns = START_NS + 60 * MINUTE_NS
    assert rotate(tmp_path, now_ns=today_ns).kept == 1
    size = (tmp_path / f"{NAME}.ndjson").stat().st_size
    assert rotate(tmp_path, now_ns=today_ns, size_bytes=size + 1).kept == 1
    assert len(rotate(tmp_path, now_ns=today_ns, size_bytes=size).rotated) == 1


def test_several_files_of_one_day_sort_as_their_times_do(tmp_path: Path) -> None:
    for index in range(3):
        record(tmp_path, 2, first=2 * index)
        rotate(tmp_path, now_ns=LATER_NS)
        if index == 1:
            compress(tmp_path, now_ns=LATER_NS, packing="lz4")
            (tmp_path / f"{NAME}.20231114_0001.ndjson.lz4").rename(
                tmp_path / f"{NAME}.20231114_0009.ndjson.lz4"
            )
    stems = [name.removesuffix(".lz4") for name in names(tmp_path)]
    assert stems == [PACKED, f"{NAME}.20231114_0009.ndjson", f"{NAME}.20231114_0010.ndjson"]
    check_rows(tmp_path, 6)


def test_a_file_without_a_row_is_kept(tmp_path: Path) -> None:
    record(tmp_path, 0)
    assert rotate(tmp_path, now_ns=LATER_NS).kept == 1


def test_an_export_is_not_turned_over(tmp_path: Path) -> None:
    from njord.storage.export import ExportFormat, export

    export([rows_of(DataKind.BOOK, 3)], DataKind.BOOK, SPOT, 0, tmp_path / "x.ndjson", ExportFormat.NDJSON)
    assert rotate(tmp_path, now_ns=LATER_NS).kept == 1


def test_what_is_no_recording_is_reported_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_text('{"event":"hello"}\n')
    report = rotate(tmp_path, now_ns=LATER_NS)
    assert len(report.errors) == 1
    assert "log.ndjson" in report.errors[0]
    assert names(tmp_path) == ["log.ndjson"]


def test_one_job_at_a_time(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another job works on"):
            rotate(tmp_path, now_ns=LATER_NS)
        with pytest.raises(DataError, match="another job works on"):
            compress(tmp_path, now_ns=LATER_NS)
    finally:
        os.close(fd)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can not be read"):
        rotate(tmp_path / "no", now_ns=LATER_NS)


@pytest.mark.parametrize("packing", ["gz", "lz4"])
def test_a_compressed_file_is_the_same_bit_for_bit(packing: Packing, tmp_path: Path) -> None:
    record(tmp_path, 50)
    rotate(tmp_path, now_ns=LATER_NS)
    original = (tmp_path / PACKED).read_bytes()
    report = compress(tmp_path, now_ns=LATER_NS, packing=packing)
    assert (report.scanned, report.compressed, report.n_open, report.n_young, report.errors) == (
        1,
        (PACKED,),
        0,
        0,
        (),
    )
    assert names(tmp_path) == [f"{PACKED}.{packing}"]
    packed = (tmp_path / f"{PACKED}.{packing}").read_bytes()
    assert (gzip.decompress(packed) if packing == "gz" else lz4.frame.decompress(packed)) == original
    assert (report.bytes_before, report.bytes_after) == (len(original), len(packed))
    check_rows(tmp_path, 50)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    record(tmp_path, 5)
    rotate(tmp_path, now_ns=LATER_NS)
    report = compress(tmp_path, now_ns=LATER_NS, dry_run=True)
    assert report.compressed == (PACKED,)
    assert names(tmp_path) == [PACKED]


def test_what_is_still_written_and_what_is_young_is_not_compressed(tmp_path: Path) -> None:
    record(tmp_path, 5)
    assert compress(tmp_path, now_ns=LATER_NS).scanned == 0
    rotate(tmp_path, now_ns=LATER_NS)
    changed_ns = (tmp_path / PACKED).stat().st_mtime_ns
    assert compress(tmp_path, now_ns=changed_ns + 99, older_than_ns=100).n_young == 1
    assert compress(tmp_path, now_ns=changed_ns + 100, older_than_ns=100).n_young == 0


def test_a_file_that_somebody_has_open_is_skipped(tmp_path: Path) -> None:
    record(tmp_path, 5)
    rotate(tmp_path, now_ns=LATER_NS)
    with (tmp_path / PACKED).open("ab"):  # Without any lock: seen among the open files of the processes.
        report = compress(tmp_path, now_ns=LATER_NS)
        assert (report.n_open, report.compressed) == (1, ())
        assert names(tmp_path) == [PACKED]
    assert compress(tmp_path, now_ns=LATER_NS).compressed == (PACKED,)


def test_a_recorder_that_was_not_told_keeps_its_old_file_from_being_compressed(tmp_path: Path) -> None:
    with Recorder(
        tmp_path / f"{NAME}.ndjson", DataKind.BOOK, SPOT, interval_of(DataKind.BOOK), flush_bytes=0
    ) as writer:
        writer.append(rows_of(DataKind.BOOK, 5))
        rotate(tmp_path, now_ns=LATER_NS)
        assert compress(tmp_path, now_ns=LATER_NS).n_open == 1
        writer.append(rows_of(DataKind.BOOK, 5, first=5))
        assert compress(tmp_path, now_ns=LATER_NS).compressed == (PACKED,)
    check_rows(tmp_path, 10)


def test_an_archive_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    record(tmp_path, 5)
    rotate(tmp_path, now_ns=LATER_NS)
    archive = tmp_path / f"{PACKED}.gz"
    for other in (
        gzip.compress(b"older"),
        gzip.compress((tmp_path / PACKED).read_bytes() + b"more"),
        b"junk",
        b"",
    ):
        archive.write_bytes(other)
        report = compress(tmp_path, now_ns=LATER_NS)
        assert (len(report.errors), report.compressed) == (1, ())
        assert archive.read_bytes() == other
        assert (tmp_path / PACKED).exists()
    archive.rename(tmp_path / f"{PACKED}.lz4")
    assert "is there already" in compress(tmp_path, now_ns=LATER_NS).errors[0]


def test_an_archive_that_reads_back_otherwise_costs_no_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_disk(original: BinaryIO, temp: Path, packing: Packing) -> None:
        temp.write_bytes(gzip.compress(original.read()[:-1]))

    record(tmp_path, 5)
    rotate(tmp_path, now_ns=LATER_NS)
    monkeypatch.setattr(rotation, "_pack", broken_disk)
    assert "holds something else" in compress(tmp_path, now_ns=LATER_NS).errors[0]
    assert names(tmp_path) == [PACKED]


def test_a_crash_between_archive_and_original_is_completed(tmp_path: Path) -> None:
    record(tmp_path, 5)
    rotate(tmp_path, now_ns=LATER_NS)
    (tmp_path / f"{PACKED}.gz").write_bytes(gzip.compress((tmp_path / PACKED).read_bytes()))
    check_rows(tmp_path, 5)
    assert compress(tmp_path, now_ns=LATER_NS).compressed == (PACKED,)
    assert names(tmp_path) == [f"{PACKED}.gz"]
    check_rows(tmp_path, 5)


def test_the_litter_of_a_crash_while_compressing_is_no_obstacle(tmp_path: Path) -> None:
    record(tmp_path, 5)
    rotate(tmp_path, now_ns=LATER_NS)
    (tmp_path / f".{PACKED}.gz.tmp").write_bytes(b"half")
    assert compress(tmp_path, now_ns=LATER_NS).compressed == (PACKED,)
    assert names(tmp_path) == [f"{PACKED}.gz"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    record(elsewhere, 5)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / PACKED).symlink_to(elsewhere / f"{NAME}.ndjson")
    assert compress(folder, now_ns=LATER_NS).scanned == 0
