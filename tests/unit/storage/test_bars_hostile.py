"""A file that is no good is refused in one line that names the value and the fix, and leaves nothing behind."""

import gzip
import tempfile
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from njord.core.errors import DataError
from njord.storage.bars_csv import BLOCK_BYTES
from njord.storage.bars_file import BarOptions, open_bars

pytestmark = pytest.mark.integration  # Together they take a second.

HEADER = "timestamp,open,high,low,close,volume\n"
GOOD = "2022-01-01 00:00:00,10,12,9,11,5\n2022-01-01 00:01:00,11,13,10,12,6\n"


def refused(path: Path, options: BarOptions | None = None) -> str:
    """Open `path`, expecting a refusal, and return its one line."""
    with pytest.raises(DataError) as caught:
        open_bars(path, options or BarOptions()).close()
    message = str(caught.value)
    assert "\n" not in message and message.isprintable()
    assert len(message) < 400
    assert caught.value.remedy
    return message


def refused_text(folder: Path, content: str | bytes, options: BarOptions | None = None) -> str:
    path = folder / "BTCUSDT-1m.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return refused(path, options)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("2022-01-01 00:02:00,10,nan,9,11,5", "row 3: high is nan"),
        ("2022-01-01 00:02:00,10,,9,11,5", "row 3: high is empty"),
        ("2022-01-01 00:02:00,10,12,-9,11,5", "row 3: low is -9"),
        ("2022-01-01 00:02:00,0,12,9,11,5", "row 3: open is 0"),
        ("2022-01-01 00:02:00,10,inf,9,11,5", "row 3: high is inf"),
        ("2022-01-01 00:02:00,10,12,9,abc,5", "row 3: close is abc"),
        ("2022-01-01 00:02:00,10,12,9,11,-5", "row 3: volume is -5"),
        ("2022-01-01 00:02:00,10,12,9,11,", "row 3: volume is empty"),
        ('2022-01-01 00:02:00,10,"1,234.5",9,11,5', "without thousands separators: 1234.5"),
        ("2022-01-01 00:02:00,10,1,234.5,9,11,5", "row 3 has 7 values where the first line has 6"),
        ("2022-01-01 00:02:00,10,12,9", "row 3 has 4 values"),
        ("2022-01-01 00:02:00,10,12,9\n2022-01-01 00:03:00,10,12,9,1,1,1,1", "row 3 has 4 values"),
        ('2022-01-01 00:02:00,10,"12"x,9,11,5', "not CSV"),
        ('2022-01-01 00:02:00,10,"12,9,11,5', "row 3"),
        (",10,12,9,11,5", "row 3 has no timestamp"),
        ("yesterday,10,12,9,11,5", "row 3: the timestamp 'yesterday' is not a timestamp (ISO 8601"),
        ("2022-02-30 00:02:00,10,12,9,11,5", "row 3: the timestamp '2022-02-30 00:02:00' is not a moment between 1970 and 2262"),
        ("2022-01-01 25:02:00,10,12,9,11,5", "is not a moment"),
        ("0001-01-01 00:00:00,10,12,9,11,5", "'0001-01-01 00:00:00' is not a moment between 1970 and 2262"),
        ("1969-12-31 23:59:59,10,12,9,11,5", "is not a moment between 1970 and 2262"),
        ("9999-12-31 23:59:59,10,12,9,11,5", "is not a moment between 1970 and 2262"),
        ("2022-01-01 00:02:00Z,10,12,9,11,5", "mixed timezones, row 3 is with an offset"),
        ("2022-01-01 00:02:00+05:30,10,12,9,11,5", "mixed timezones, row 3"),
        ("2022-01-01 00:01:00,11,13,10,12,6", "1 row repeating the timestamp before, first at row 3; add --repair"),
        ("2021-12-31 00:01:00,11,13,10,12,6\n2021-12-30 00:01:00,11,13,10,12,6", "2 rows out of order, first at row 3; add --repair"),
        ("2022-01-01 00:01:30,11,13,10,12,6\n2022-01-01 00:02:30,11,13,10,12,6", "opens 30s after the one before"),
    ],
)  # fmt: skip
def test_a_bad_third_row_is_named_with_its_number_and_value(tmp_path: Path, rows: str, expected: str) -> None:
    assert expected in refused_text(tmp_path, HEADER + GOOD + rows + "\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\n\n\n", "is empty"),
        (HEADER.encode(), "has a header but no rows"),
        (HEADER.strip().encode(), "has a header but no rows"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"name,age\nbob,3\n", "no column known as time; it has name, age; name it with --column time=NAME"),
        (b"timestamp,open,high,low\n1,2,3,4\n", "no column known as close"),
        (b"timestamp,open,high,low,close,Close\n1,2,3,4,5,6\n", "columns close, Close could each be close; choose with --column close=NAME"),
        (b"date,timestamp,open,high,low,close\n1,2,3,4,5,6\n", "columns date, timestamp could each be time"),
        (b"times\rtamp,open\n1,2\n", "is not CSV"),
        (b'timestamp,"' + b"x" * 200_000 + b'"\n1,2\n', "is not CSV"),
        (b"1,2,3,4,5,6\n", "has no header line and 6 columns"),
        (bytes(range(256)) * 20, "it holds binary data"),
        (b"a\x00b\n" * 9, "it holds binary data"),
        (b"\x89PNG\r\n\x1a\n" + b"\xd0" * 99, "it holds binary data"),
        (HEADER.encode() + b"2022-01-01 00:00:00,10,12,9,\xff\xfe,5\n", "row 1 is not UTF-8 text"),
        (b"PK\x03\x04" + b"x" * 99, "is a zip archive"),
        (b'{"open": 1}', "is JSON"),
        ("﻿timestamp,open".encode("utf-16-le"), "UTF-16"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_bars_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    assert expected in refused_text(tmp_path, content)


def test_a_missing_file_is_answered_with_close_names(tmp_path: Path) -> None:
    (tmp_path / "ETH_BTC-5m-2018.csv.gz").touch()
    message = refused(tmp_path / "ETH_BTC-5m-2019.csv.gz")
    assert message.endswith("did you mean ETH_BTC-5m-2018.csv.gz?")
    assert "there is no folder" in refused(tmp_path / "nowhere" / "x.csv")
    assert "can not be opened" in refused(Path("x" * 5000))
    assert "can not be opened" in refused(Path("a\0b.csv"))


def test_a_folder_is_no_file_of_bars(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path)


def test_a_line_of_a_hundred_megabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(HEADER.encode() + GOOD.encode())
        for _ in range(100):
            file.write(b"7" * 2**20)
    assert "line 4 is longer than 1 MiB" in refused(path)


def test_a_long_line_inside_a_block_is_refused_too(tmp_path: Path) -> None:
    long = b"2022-01-01 00:02:00,10,12,9,11," + b"7" * (2**20 + 1) + b"\n"
    assert "line 4 is longer than 1 MiB" in refused_text(
        tmp_path, HEADER.encode() + GOOD.encode() + long + GOOD.encode()
    )
    assert len(long) < BLOCK_BYTES


def test_a_cut_or_false_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.csv.gz"
    whole = gzip.compress((HEADER + GOOD * 500).encode())
    for end in (5, 12, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:end])
        assert "cut off" in refused(path)
    path.write_bytes(whole[:30] + bytes(40) + whole[70:])
    assert "not a sound gzip file" in refused(path)
    path.write_text(HEADER + GOOD)
    assert "named .gz but is not gzip" in refused(path)


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.parquet"
    path.write_text(HEADER + GOOD)
    assert "named like Parquet but does not hold it" in refused(path)
    path.write_bytes(b"PAR1" + b"junk" * 50)
    assert "not a sound Parquet file" in refused(path)
    feather = tmp_path / "BTCUSDT-1m.feather"
    feather.write_bytes(b"ARROW1\0\0" + b"junk" * 50)
    assert "not a sound Feather file" in refused(feather)
    pl.DataFrame({"name": ["a"]}).write_parquet(path)
    assert "no column known as time" in refused(path)


def test_a_table_with_nulls_is_refused_by_row(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.parquet"
    times = [1_640_995_200_000, 1_640_995_260_000]
    pl.DataFrame({"ts": times, "o": [1.0, None], "h": [1.0, 2], "l": [1.0, 1], "c": [1.0, 1]}).write_parquet(
        path
    )
    assert "row 2: open is empty" in refused(path)
    pl.DataFrame({"ts": [times[0], None], "o": [1, 1], "h": [1, 1], "l": [1, 1], "c": [1, 1]}).write_parquet(
        path
    )
    assert "row 2 has no timestamp" in refused(path)
    pl.DataFrame({"ts": times, "o": [[1], [1]], "h": [1, 1], "l": [1, 1], "c": [1, 1]}).write_parquet(path)
    assert "the column open holds List" in refused(path)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (BarOptions(symbol="../../etc/passwd"), "symbol '../../etc/passwd' is not BASE/QUOTE"),
        (BarOptions(symbol="BTC/USDT/x"), "is not BASE/QUOTE"),
        (BarOptions(symbol="A" * 999), "is not BASE/QUOTE"),
        (BarOptions(symbol="BTC\n/USDT"), "is not BASE/QUOTE"),
        (BarOptions(tick=Decimal(0)), "--tick must be > 0"),
        (BarOptions(lot=Decimal("NaN")), "--lot must be > 0"),
        (BarOptions(min_notional=Decimal(-1)), "--min-notional must be >= 0"),
        (BarOptions(tick=Decimal("1e400")), "--tick must be > 0 and at most"),
        (BarOptions(tick=Decimal(100)), "less than half a tick"),
        (BarOptions(tick=Decimal("1e-16")), "too large for a tick"),
        (BarOptions(lot=Decimal("1e-18")), "too large for a lot"),
        (BarOptions(timeframe="1M"), "--timeframe 1M is not a timeframe"),
        (BarOptions(timeframe="0m"), "--timeframe 0m is not a timeframe"),
        (BarOptions(timeframe="5m"), "opens 1m after the one before, within its interval of 5m"),
        (BarOptions(columns=(("price", "open"),)), "use one of time, open, high, low, close, volume"),
        (BarOptions(columns=(("open", "Open"),)), "no column Open; it has timestamp, open"),
        (BarOptions(columns=(("open", "close"),)), "one column is asked to be two things"),
        (BarOptions(time_unit="minutes"), "--time-unit minutes is unknown"),
        (BarOptions(time_unit="ms"), "is not a number"),
        (BarOptions(timezone="../../etc/localtime"), "is not a known zone"),
        (BarOptions(timezone="Mars/Olympus"), "is not a known zone"),
    ],
)
def test_a_wrong_flag_is_refused(tmp_path: Path, options: BarOptions, expected: str) -> None:
    content = HEADER + GOOD.replace(",6\n", ",60\n")
    assert expected in refused_text(tmp_path, content, options)


def test_a_single_row_asks_for_the_interval_and_is_content_with_it(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    path.write_text(HEADER + GOOD.splitlines()[0])
    assert "give it with --timeframe" in refused(path)
    with open_bars(path, BarOptions(timeframe="1m")) as bars:
        assert (bars.n_rows, bars.interval_ns) == (1, 60_000_000_000)


def test_prices_on_no_grid_ask_for_the_tick(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    rows = [
        f"{1_640_995_200 + 60 * i},{x},{x},{x},{x},1" for i, x in enumerate(1e5 / n for n in range(3, 900))
    ]
    path.write_text(HEADER + "\n".join(rows))
    assert "lie on no grid" in refused(path) and "--tick 0.01" in refused(path)
    with open_bars(path, BarOptions(tick=Decimal("0.01"))) as bars:
        assert bars.certificate.n_of("off_grid") > 3000


def test_a_failure_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    refused_text(tmp_path, HEADER + GOOD + GOOD)
    path = tmp_path / "BTCUSDT-1m.csv"
    path.write_text(HEADER + GOOD)
    with open_bars(path):
        assert list(folder.iterdir()) == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["BTCUSDT-1m.csv", "temporary"]


def test_an_unusable_temporary_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert "set TMPDIR" in refused_text(tmp_path, HEADER + GOOD)


def test_mixed_timezones_are_seen_between_texts_of_one_length(tmp_path: Path) -> None:
    rows = "2022-01-01 00:00:00.10,10,12,9,11,5\n2022-01-01 00:01:00.1Z,10,12,9,11,5\n"
    assert "mixed timezones, row 2 is with an offset" in refused_text(tmp_path, HEADER + rows)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("-5", "'-5' is not a moment between 1970 and 2262"),
        ("9223372036854775807", "is not a moment"),
        ("99999999999999999999", "is not a whole number"),
        ("1640995200.5", "is not a whole number"),
        ("nan", "is not a timestamp"),
        ("01/02/2022", "is not a timestamp"),
    ],
)
def test_an_impossible_first_epoch_is_refused(tmp_path: Path, stamp: str, expected: str) -> None:
    assert expected in refused_text(tmp_path, HEADER + f"{stamp},10,12,9,11,5\n" * 2)


def test_impossible_epochs_of_a_table_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.parquet"
    bars = pl.DataFrame({"ts": [0, 1], "o": [1, 1], "h": [1, 1], "l": [1, 1], "c": [1, 1]})
    stamps = [
        pl.Series([float("nan"), 1.0]), pl.Series([2**64 - 1, 1], dtype=pl.UInt64), pl.Series([-(2**63), 1]),
        pl.Series([Decimal("-1.0"), Decimal(1)]), pl.Series([10**300, 1], dtype=pl.Float64),
    ]  # fmt: skip
    for stamp in stamps:
        bars.with_columns(ts=stamp).write_parquet(path)
        assert "row 1: the timestamp" in refused(path)
    for far in (2**62, -(2**62)):
        bars.with_columns(ts=pl.Series([far, 1]).cast(pl.Datetime("us"))).write_parquet(path)
        assert "row 1: the timestamp" in refused(path)
    bars.with_columns(ts=pl.Series([True, False])).write_parquet(path)
    assert "the time column holds Boolean" in refused(path)
