"""What is no capture, or a broken one, is refused in one line that names file and line; a torn end is counted."""

import gzip
from pathlib import Path

import lz4.frame
import pytest

from njord.core.errors import DataError
from njord.storage.certificate.facts import Place
from njord.storage.ingest import capture_files
from njord.storage.ingest.capture import CaptureOptions, open_capture
from njord.storage.ingest.capture_reader import SYMBOLS_MAX, CaptureReader
from tests.unit.storage.ingest.capture_samples import (
    E0,
    MS,
    T0,
    agg_trade,
    depth,
    levels,
    raw,
    session,
    snapshot,
    stream,
    ticker,
    trade,
    write,
)

GOOD = session()


def refusal(*paths: Path, options: CaptureOptions | None = None) -> str:
    with pytest.raises(DataError) as refused:
        open_capture(paths, options).close()
    text = str(refused.value)
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 700
    return text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "does not begin with a receive time in ns"),
        ("x", "does not begin with a receive time in ns"),
        ("{}", "does not begin with a receive time in ns"),
        (f"-{T0} {{}}", "does not begin with a receive time in ns"),
        ("-62135596800000000000 {}", "does not begin with a receive time in ns"),  # Year 1.
        ("253370764800000000000 {}", "is not in ns of the years 2001 to 2261"),  # Year 9999.
        (f"{T0 // 1000} {{}}", "is not in ns of the years 2001 to 2261"),
        (f"{T0} {{", "truncated"),
        (f"{T0} {{}} {{}}", "malformed"),
        (f"{T0} {{\0}}", "malformed"),
        (f'{T0} {{"a":"\0"}}', "malformed"),
        (f"{T0} {'[' * 100_000}", "nested too deeply"),
        (raw(trade(price="-1")), "price must be a decimal >= 0 in plain digits, was '-1'"),
        (raw(trade(price="1e5")), "price must be a decimal >= 0 in plain digits"),
        (raw(trade(price="NaN")), "price must be a decimal >= 0 in plain digits"),
        (raw(trade(price="1.000000001")), "price must have 8 decimals at most"),
        (raw(trade(qty=str(2**63))), "quantity must be below 2**63 x 1e-8"),
        (raw(trade(qty="92233720368.54775808")), "quantity must be below 2**63 x 1e-8"),
        (raw(trade(2**63)), "trade id must be from 0 to 2**63-1"),
        (raw(trade(2**70)), "trade id must be from 0 to 2**63-1"),
        (raw(trade(-1)), "trade id must be from 0 to 2**63-1"),
        (raw(trade(at=0)), "E must be a time in ms or us of the years 2001 to 2261, was 0"),
        (raw(trade(at=E0 * 10**6)), "E must be a time in ms or us"),
        (raw(trade(maker="1")), "Expected `bool`"),
        (raw(trade()).replace('"2683.80000000"', "2683.8"), "Expected `str`"),
        (raw(trade()).replace('"p"', '"P"'), "missing required field `p`"),
        (raw(depth(5, 4)), "first update id 5 must be at most the last, 4"),
        (raw(depth(4, 5, levels(("0", "1")))), "price of a level must be > 0"),
        (raw(depth(4, 5, '[["1","1","1"]]')), "Expected `array` of length 2"),
        (raw(depth(4, 5, '{"1":"1"}')), "Expected `array`"),
        (raw(snapshot(4, levels(("1", "x")))), "quantity must be a decimal"),
        (raw(trade(), T0 + 8 * MS - 120 * 10**9), "was received 2m before the line ahead of it"),
    ],
)
def test_a_broken_line_is_named_with_its_number(tmp_path: Path, line: str, said: str) -> None:
    path = write(tmp_path / "a\tb.jsonl", [*GOOD, line, *GOOD[-1:]])
    text = refusal(path)
    assert text.startswith(f"a\\tb.jsonl line {len(GOOD) + 1} ")
    assert said in text


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80"])
def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path, bad: bytes) -> None:
    line = raw('{"e":"kline","x":"?"}').encode().replace(b"?", bad)
    path = write(tmp_path / "c.jsonl", GOOD[0].encode() + b"\n" + line + b"\n")
    assert "c.jsonl line 2 is not UTF-8 at byte 39" in refusal(path)


def test_a_line_beyond_the_limit_is_refused_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_files, "LINE_BYTES_MAX", 2**16)
    long = raw(snapshot(1, levels(*[("1.0", "1.0")] * 3_000)))
    inside = CaptureReader([write(tmp_path / "in.jsonl", [*GOOD, long])], block_bytes=4096)
    assert sum(len(block.columns["ts_ns"]) for block in inside if not block.symbol) == 3_003
    bomb = gzip.compress(b"1" * 2**20)
    path = write(tmp_path / "bomb.gz", GOOD[0].encode() + b"\n")
    path.write_bytes(gzip.compress(GOOD[0].encode() + b"\n") + bomb)
    reader = CaptureReader([path], block_bytes=4096)
    with pytest.raises(DataError, match=r"^bomb.gz line 2 is longer than"):
        list(reader)
    assert reader.facts.n_bytes <= 2**16 + 4096


@pytest.mark.parametrize("cut", [1, 15, 20, 40, 150])
def test_a_torn_last_line_is_counted_and_left_out(tmp_path: Path, cut: int) -> None:
    text = "\n".join(GOOD).encode()
    with open_capture([write(tmp_path / "c.jsonl", text + b"\n" + GOOD[-1].encode()[:cut])]) as capture:
        facts = capture.facts
    assert (facts.n_lines, facts.n_torn) == (len(GOOD), 1)
    place = Place(facts.last_ns, len(GOOD), f"c.jsonl line {len(GOOD)}: {cut} bytes of a line")
    assert facts.source.torn_lines.places == (place,)


def test_zeros_that_a_crash_left_at_the_end_are_torn(tmp_path: Path) -> None:
    text = "\n".join(GOOD).encode() + b"\n" + b"\0" * 5000
    with open_capture([write(tmp_path / "c.jsonl", text)]) as capture:
        assert (capture.facts.n_lines, capture.facts.n_torn) == (len(GOOD), 1)


def test_a_last_line_that_only_lacks_its_newline_is_read_or_refused_like_any_other(tmp_path: Path) -> None:
    with open_capture([write(tmp_path / "c.jsonl", "\n".join(GOOD).encode())]) as capture:
        assert (capture.facts.n_lines, capture.facts.n_torn) == (len(GOOD), 0)
    bad = raw(trade(price="-1")).encode()
    assert "c.jsonl line 1 price must be" in refusal(write(tmp_path / "c.jsonl", bad))


def test_a_line_torn_by_a_restart_is_counted_where_the_next_file_begins_anew(tmp_path: Path) -> None:
    first = write(tmp_path / "1", "\n".join(GOOD[:5]).encode() + b"\n" + GOOD[5].encode()[:60])
    second = write(tmp_path / "2", GOOD[6:])
    with open_capture([first, second]) as capture:
        assert (capture.facts.n_lines, capture.facts.n_torn) == (len(GOOD) - 1, 1)
        assert capture.facts.source.torn_lines.places[0].detail == "1 line 5: 60 bytes of a line"


def test_an_error_in_the_second_file_names_it_and_its_own_line(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1", GOOD), write(tmp_path / "2", [GOOD[-1], "x"])
    assert refusal(first, second).startswith("2 line 2 ")


def test_files_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    late = write(tmp_path / "late", [raw(trade(), T0 + 3600 * 10**9)])
    assert "in the order of recording" in refusal(late, write(tmp_path / "early", GOOD))


def test_a_clock_set_back_is_counted_and_time_never_runs_backwards(tmp_path: Path) -> None:
    times = [0, 50, 20, 30, 60]
    lines = [raw(trade(number), T0 + at * MS) for number, at in enumerate(times)]
    reader = CaptureReader([write(tmp_path / "c.jsonl", lines)])
    (block,) = reader
    assert [(ts - T0) // MS for ts in block.columns["ts_ns"].tolist()] == [0, 50, 50, 50, 60]
    assert block.columns["trade_id"].tolist() == [0, 1, 2, 3, 4]
    facts = reader.facts
    assert (facts.n_backwards, facts.largest_step_back_ns, facts.source.out_of_order.n) == (2, 30 * MS, 2)
    assert facts.source.out_of_order.places[0] == Place(
        T0 + 20 * MS, 3, f"c.jsonl line 3: {30 * MS} ns before the line ahead of it"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress("\n".join(GOOD).encode(), mtime=0)[:-20], "c is cut off: its gzip stream has no end"),
        (gzip.compress("\n".join(GOOD).encode(), mtime=0)[:40] + b"\0" * 40, "c is"),
        (lz4.frame.compress("\n".join(GOOD).encode())[:-20], "c is"),
        (b"", "the capture holds no trades, books or quotes in 0 lines"),
        (raw('{"e":"kline"}').encode(), "the capture holds no trades, books or quotes in 1 lines"),
        (b"time,price\n1,2\n", "c line 1 does not begin with a receive time in ns: 'time,price'"),
    ],
)
def test_a_file_that_is_no_sound_capture_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    assert refusal(write(tmp_path / "c", data)).startswith(said)


def test_a_missing_file_a_folder_and_no_file_are_refused(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "none")
    assert "is a folder" in refusal(tmp_path)
    with pytest.raises(DataError, match="no file of a capture"):
        open_capture([])


def test_skipped_lines_are_counted_by_name_with_a_reason_and_names_are_bounded(tmp_path: Path) -> None:
    lines = [raw(f'{{"e":"kind{number}"}}') for number in range(150)]
    lines += [
        raw('{"result":null,"id":1}'),
        raw("[1,2]"),
        stream("!miniTicker@arr", "[{}]"),
        stream("ethusdt@depth20@100ms", '{"lastUpdateId":1,"bids":[],"asks":[]}'),
        raw(trade(qty="0")),
        raw(agg_trade(price="0")),
        raw(trade(qty="0").replace('"e"', '"X":"NA","e"')),
        raw(trade(symbol="币安USDT")),
        stream("a@b\n".encode("unicode_escape").decode(), '{"e":"x\\u0007"}'),
        raw(ticker()),
    ]
    reader = CaptureReader([write(tmp_path / "c", lines)])
    assert [block.symbol for block in reader] == ["ETHUSDT"]
    skipped = reader.facts.skipped
    assert len(skipped) <= 110
    assert sum(each.n for each in skipped) == len(lines) - 1
    assert all(each.reason and each.name.isprintable() for each in skipped)
    first = reader.facts.source.skipped.places[0]
    assert (first.row, first.detail) == (1, "c line 1: kind0: no market data that is stored")


def test_every_reason_for_skipping_names_its_kind(tmp_path: Path) -> None:
    lines = [
        raw('{"result":null,"id":1}'),
        stream("!miniTicker@arr", "[{}]"),
        stream("ethusdt@depth20@100ms", '{"lastUpdateId":1,"bids":[],"asks":[]}'),
        raw(trade(qty="0")),
        raw(trade(qty="0").replace('"e"', '"X":"NA","e"')),
        raw(trade(symbol="币安USDT")),
    ]
    reader = CaptureReader([write(tmp_path / "c", lines)])
    assert list(reader) == []
    assert [(each.name, each.n) for each in reader.facts.skipped] == [
        ("no event", 1), ("arr", 1), ("partial depth", 1), ("trade of nothing", 1), ("trade NA", 1),
        ("trade of 币安USDT", 1),
    ]  # fmt: skip


def test_more_symbols_than_can_be_read_at_once_are_refused(tmp_path: Path) -> None:
    lines = [raw(ticker(symbol=f"S{number}USDT")) for number in range(SYMBOLS_MAX + 1)]
    with pytest.raises(DataError, match="symbol number 513"):
        list(CaptureReader([write(tmp_path / "c", lines)]))
