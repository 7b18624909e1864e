"""Whatever a file of trades holds, it opens exactly or is refused in one line that names the place."""

import gzip
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest

from njord.core.errors import DataError
from njord.storage.ingest.trades_file import TradeOptions, open_trades

pytestmark = pytest.mark.integration  # Together they take a second.

HEADER = b"time,id,side,price,qty\n"
GOOD = b"1570752011620,1,buy,1.5,2\n"


def refusal(path: Path, data: bytes, options: TradeOptions | None = None) -> str:
    path.write_bytes(data)
    with pytest.raises(DataError) as raised:
        open_trades(path, options or TradeOptions()).close()
    text = str(raised.value)
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 400
    assert raised.value.remedy
    return text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1570752011621,2,buy,0,2", "row 2: price is 0, expected a number > 0"),
        (b"1570752011621,2,buy,-1,2", "row 2: price is -1"),
        (b"1570752011621,2,buy,1.5,-2", "row 2: qty is -2, expected a number >= 0"),
        (b"1570752011621,2,buy,nan,2", "row 2: price is nan"),
        (b"1570752011621,2,buy,inf,2", "row 2: price is inf"),
        (b"1570752011621,2,buy,1.5,9223372036854775808", "row 2: qty is 9223372036854775808"),
        (b"1570752011621,2,buy,1.5,9223372036854775807.5", "row 2: qty is 9223372036854775807.5"),
        (b"1570752011621,2,buy,,2", "row 2: price is empty"),
        (b"1570752011621,2,buy,1.5,", "row 2: qty is empty"),
        (b"1570752011621,2,up,1.5,2", "row 2: side is up, expected buy or sell"),
        (b"1570752011621,x,buy,1.5,2", "row 2: id is x, expected a whole number"),
        (b"1570752011621,-3,buy,1.5,2", "row 2: id is -3"),
        (b"1570752011621,9223372036854775808,buy,1.5,2", "row 2: id is 9223372036854775808"),
        (b",2,buy,1.5,2", "row 2"),
        (b"-5,2,buy,1.5,2", "row 2: the timestamp"),
        (b"0001-01-01T00:00:00Z,2,buy,1.5,2", "row 2: the timestamp"),
        (b"9" * 30 + b",2,buy,1.5,2", "row 2: the timestamp"),
        (b"1570752011621,2,buy,1.5", "row 2 has 4 values where the first line has 5"),
        (b"1570752011621,2,buy,1.5,2,9", "row 2 has 6 values"),
        (b"1570752011621,2,buy,\xff,2", "row 2 is not UTF-8"),
        (b"1570752011621,2,buy,\x1b[31m,2", "row 2: price is \\x1b[31m"),
        (b"1570752011621,2,buy,1.5,2\0", "binary"),
    ],
)
def test_a_bad_value_is_refused_with_its_row(line: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(tmp_path / "t.csv", HEADER + GOOD + line + b"\n")


@pytest.mark.parametrize("year", ["0001", "1969", "2262", "9999"])
def test_times_outside_1970_to_2262_are_refused(year: str, tmp_path: Path) -> None:
    text = refusal(tmp_path / "t.csv", HEADER + f"{year}-01-01T00:00:00Z,1,buy,1,2\n".encode())
    assert "row 1" in text
    assert "1970 and 2262" in text


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", HEADER, "holds no trades"),
        ("t.csv", HEADER + b"1570752011620,1,buy,0,0\n", "holds no trades"),
        ("t.csv", b"\n\n\n", "no column known as time"),
        ("t.csv", b"open,close\n1,2\n", "no column known as time"),
        ("t.csv", b"1,2,3,4,5,6\n", "no header line and 6 columns"),
        ("t.zip", b"PK\x03\x04abc", "a zip archive"),
        ("t.csv.zst", b"\x28\xb5\x2f\xfdabc", "zstd"),
        ("t.csv", b"\xff\xfea\0b\0", "UTF-16"),
        ("t.csv.gz", GOOD, "named .gz but is not gzip"),
        ("t.ndjson.lz4", GOOD, "named .lz4 but is not lz4"),
        ("t.parquet", GOOD, "named like Parquet"),
        ("t.parquet", b"PAR1" + b"x" * 500 + b"PAR1", "not a sound Parquet file"),
        ("t.feather", b"ARROW1\0\0" + b"x" * 500, "not a sound Feather file"),
        ("t.csv.gz", gzip.compress(HEADER + GOOD * 50, mtime=0)[:-20], "cut off"),
        ("t.csv.gz", gzip.compress(HEADER + GOOD, mtime=0)[:-8] + b"12345678", "not a sound gzip file"),
        ("t.csv.lz4", lz4.frame.compress(HEADER + GOOD * 50)[:-9], "cut off"),
        ("t.csv.lz4", b"\x04\x22\x4d\x18" + b"junk" * 9, "not a sound lz4 file"),
        ("t.csv", HEADER + b"1" * (2**20 + 2), "longer than 1 MiB"),
        ("t.ndjson", b'{"time":1570752011620,"price":1,"qty":2}\n{"time":\n', "line 2 is no JSON object"),
        ("t.ndjson", b'{"time":1570752011620,"price":1,"qty":2}\n{"time":157', "line 2 is no JSON object"),
        ("t.ndjson", b'{"time":1570752011620,"price":1,"qty":2}\n\xff\n', "line 2 is no JSON object"),
        ("t.ndjson", b"[" * 9_999 + b"\n", "line 1 is no JSON object"),
        ("t.ndjson", b'{"a":"' + b"x" * (3 * 2**20), "line 1 is longer than 1 MiB"),
        ("t.ndjson", b'{"time":1570752011620,"price":{"a":1},"qty":2}\n', "no column known as price"),
        ("t.ndjson", b'{"njord":"data","schema":99}\n', "is of schema 99, this njord reads up to 1"),
        ("t.ndjson", b'{"njord":"seam","schema":1}\n', "starts with a seam line"),
        ("t.ndjson", b'{"njord":"data","schema":1}\n', "no sound njord header"),
    ],
)
def test_a_file_that_is_something_else_is_refused_by_what_it_is(
    name: str, data: bytes, message: str, tmp_path: Path
) -> None:
    assert message in refusal(tmp_path / name, data)


@pytest.mark.parametrize("compress", [gzip.compress, lz4.frame.compress])
def test_a_bomb_is_refused_where_its_line_gets_too_long(
    compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    assert "longer than 1 MiB" in refusal(tmp_path / "t.csv", compress(HEADER + b"0" * (12 * 2**20)))


def test_a_missing_file_is_missed_with_its_neighbors(tmp_path: Path) -> None:
    (tmp_path / "trades.csv").write_bytes(HEADER)
    with pytest.raises(DataError, match=r"there is no file .*trade\.csv; did you mean trades\.csv\?"):
        open_trades(tmp_path / "trade.csv")
    with pytest.raises(DataError, match="is a folder"):
        open_trades(tmp_path)


def test_more_ticks_than_an_int64_holds_are_refused_with_their_row(tmp_path: Path) -> None:
    text = refusal(
        tmp_path / "t.csv", HEADER + b"1570752011620,1,buy,0.0000000001,2\n1570752011621,2,buy,9000000000,2\n"
    )
    assert "row 2: price 9000000000 is too large for a step of 0.0000000001" in text


def test_what_rounds_to_nothing_is_refused_with_the_flag_that_helps(tmp_path: Path) -> None:
    from decimal import Decimal

    text = refusal(
        tmp_path / "t.csv", HEADER + GOOD + b"1570752011621,2,buy,1.5,0.4\n", TradeOptions(lot=Decimal(1))
    )
    assert "row 2: qty 0.4 is less than half a step of 1; give a finer one with --lot" in text
