"""Rows become lines of JSON and come back, and a line that is no row is named."""

from decimal import Decimal
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from njord.core.errors import DataError
from njord.storage.ingest.frames import open_rows
from njord.storage.ingest.frames_header import DataHeader, encode_header
from njord.storage.ingest.ndjson import BLOCK_BYTES, Lines, RowDecoder, encode_rows
from njord.storage.store.kinds import COLUMNS, DataKind
from tests.unit.storage.rows_samples import SPOT, extremes_of, interval_of, rows_of


def lines_of(kind: DataKind, n_rows: int = 3) -> bytes:
    return encode_rows(list(rows_of(kind, n_rows).values()), kind, SPOT)


def written(path: Path, body: bytes, kind: DataKind = DataKind.TRADES) -> Path:
    header = DataHeader(kind=kind, instrument=SPOT, interval_ns=interval_of(kind))
    path.write_bytes(encode_header(header) + b"\n" + body)
    return path


def test_a_row_is_an_array_with_decimals_as_strings() -> None:
    assert lines_of(DataKind.TRADES, 1) == (
        b'[1700000040000000000,1700000039999999993,1,-1,"9.00","0.00900"]\n'
    )


@pytest.mark.parametrize("kind", DataKind)
def test_every_kind_comes_back_from_its_lines(kind: DataKind) -> None:
    columns = [extremes_of(kind)[name] for name in COLUMNS[kind]]
    block = RowDecoder(kind, SPOT, "x").decode(encode_rows(columns, kind, SPOT), 1)
    assert all(np.array_equal(one, other) for one, other in zip(block.columns, columns, strict=True))


@pytest.mark.parametrize(
    "line",
    [
        b"[1,2,3,4]", b"[1,2,3,1,9.00,9.00]", b'[1,2,3,1,"9.00","0.00900",7]', b'["1",2,3,1,"9.00","0.00900"]',
        b'[1.5,2,3,1,"9.00","0.00900"]', b'[9223372036854775808,2,3,1,"9.00","0.00900"]', b"null", b'{"a":1}',
        b'[1,2,3,1,"9.00","0.00', b"\xff", b'[1,2,3,1,"9.00","0.00900"] x', b'{"njord":"seem","torn_bytes":3}',
        b'[1,2,3,1,"nine","0.00900"]', b'[1,2,3,1,"9.001","0.00900"]', b'[1,2,3,1,"92233720368547758070","1"]',
        b'[1,2,3,1,"","1"]', b"[" * 2_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("n_before", [0, 2])
def test_a_line_that_is_no_row_is_named(line: bytes, n_before: int, tmp_path: Path) -> None:
    body = b"\n" + lines_of(DataKind.TRADES, n_before) + line + b"\n" + lines_of(DataKind.TRADES, 1)
    with pytest.raises(DataError) as raised:
        open_rows(written(tmp_path / "x.ndjson", body))
    assert f"x.ndjson line {3 + n_before}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_torn_last_line_is_dropped_counted_and_placed(tmp_path: Path) -> None:
    body = lines_of(DataKind.TRADES)
    with open_rows(written(tmp_path / "x.ndjson", body[:-12])) as source:
        assert source.n_rows == 2
        torn = source.facts.torn_lines
        assert (torn.n, torn.places[0].row) == (1, 4)
        assert torn.places[0].ts_ns == int(rows_of(DataKind.TRADES, 3)["ts_ns"][1])


def test_a_last_line_that_only_lacks_its_end_is_a_row(tmp_path: Path) -> None:
    with open_rows(written(tmp_path / "x.ndjson", lines_of(DataKind.TRADES)[:-1])) as source:
        assert (source.n_rows, source.facts.torn_lines.n) == (3, 0)


def test_a_seam_is_counted_and_placed(tmp_path: Path) -> None:
    body = (
        lines_of(DataKind.TRADES, 2)
        + b'{"njord":"seam","torn_bytes":9}\n'
        + lines_of(DataKind.TRADES).splitlines(keepends=True)[2]
    )
    with open_rows(written(tmp_path / "x.ndjson", body)) as source:
        assert source.n_rows == 3
        torn = source.facts.torn_lines
        assert (torn.n, torn.places[0].row) == (1, 4)
        assert torn.places[0].ts_ns == int(rows_of(DataKind.TRADES, 2)["ts_ns"][1])


def test_rows_that_run_backwards_are_refused_where_nothing_may_be_sorted(tmp_path: Path) -> None:
    lines = lines_of(DataKind.BOOK).splitlines(keepends=True)
    with pytest.raises(
        DataError, match=r"x\.ndjson row 3: 2023-11-14T22:15:00Z is earlier than a row before it"
    ):
        open_rows(written(tmp_path / "x.ndjson", lines[0] + lines[2] + lines[1], DataKind.BOOK))


def test_other_spellings_of_a_number_are_exact_too() -> None:
    line = b'[1,2,3,1,"9","9e-3"]\n[1,2,3,1,"9.0000","0.009"]\n'
    block = RowDecoder(DataKind.TRADES, SPOT, "x").decode(line, 1)
    assert [column.tolist() for column in block.columns[4:]] == [[900, 900], [900, 900]]


def test_lines_come_in_whole_whatever_the_size_of_what_is_read() -> None:
    text = b"".join(b"%d" % number * (number % 7) + b"\n" for number in range(5_000))

    class Dribble(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(997)

    for stream in (BytesIO(text), Dribble(text), BytesIO(text * 200)):
        lines = Lines(stream, "x")
        first = lines.first()
        blocks = list(lines.blocks())
        assert all(block.endswith(b"\n") and len(block) <= 2 * BLOCK_BYTES for block, _ in blocks)
        together = first + b"\n" + b"".join(block for block, _ in blocks)
        assert together == stream.getvalue()
        assert lines.tail == b""
        starts = [1 + together[: len(first) + 1 + sum(len(block) for block, _ in blocks[:index])].count(b"\n")
                  for index in range(len(blocks))]  # fmt: skip
        assert [number for _, number in blocks] == starts


def test_a_step_that_is_no_power_of_ten_refuses_what_lies_between(tmp_path: Path) -> None:
    decoder = RowDecoder(DataKind.TRADES, SPOT.__class__(
        symbol="A/B", venue="v", base="A", quote="B", tick_size=Decimal("0.05"), lot_size=Decimal(1)), "x")  # fmt: skip
    assert decoder.decode(b'[1,1,1,1,"0.15","1"]\n', 1).columns[4].tolist() == [3]
    with pytest.raises(DataError, match=r"x line 8: price 0\.16 is not a whole number of steps of 0\.05"):
        decoder.decode(b'[1,1,1,1,"0.15","1"]\n[1,1,1,1,"0.16","1"]\n', 7)
