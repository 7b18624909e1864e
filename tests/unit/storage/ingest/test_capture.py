"""A capture opens as its symbols' trades, books and quotes, in whole ticks and lots."""

import gzip
import tempfile
from decimal import Decimal
from pathlib import Path

import lz4.frame
import msgspec
import pytest

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.ingest import capture_stage
from njord.storage.ingest.capture import Capture, CaptureOptions, looks_like_capture, open_capture
from njord.storage.ingest.capture_lines import read_line
from njord.storage.store.kinds import BOOK_SNAPSHOT, COLUMNS, DataKind
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
    ticker,
    trade,
    write,
)

ETH = "ETH/USDT"


def rows(capture: Capture, kind: DataKind, symbol: str = ETH) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for block in capture.rows(symbol, kind):
        assert tuple(block) == COLUMNS[kind]
        found += zip(*(column.tolist() for column in block.values()), strict=True)
    assert len(found) == capture.n_rows(symbol, kind)
    return found


def test_a_capture_opens_as_trades_book_and_quotes_in_ticks_and_lots(tmp_path: Path) -> None:
    with open_capture([write(tmp_path / "c.jsonl", session())]) as capture:
        assert capture.symbols == (ETH,)
        instrument = capture.instrument(ETH)
        assert (instrument.venue, instrument.tick_size, instrument.lot_size) == ("binance", Decimal("0.01"), Decimal("0.00001"))  # fmt: skip
        venue = E0 * MS
        assert rows(capture, DataKind.TRADES) == [
            (T0 + 4 * MS, venue, 1, 1, 268380, 200),
            (T0 + 5 * MS, venue, 2, -1, 268390, 200),
        ]
        assert rows(capture, DataKind.QUOTES) == [
            (T0, 99, 268380, 302920, 268381, 3143950),
            (T0 + 8 * MS, 105, 268380, 302920, 268381, 3143950),
        ]
        assert rows(capture, DataKind.BOOK) == [
            (T0 + MS, venue, 98, 100, 9, 268380, 100000),
            (T0 + 2 * MS, T0 + 2 * MS, 100, 100, 5, 268380, 100000),
            (T0 + 2 * MS, T0 + 2 * MS, 100, 100, 5, 268370, 250000),
            (T0 + 2 * MS, T0 + 2 * MS, 100, 100, 14, 268381, 300000),
            (T0 + 3 * MS, venue, 101, 104, 2, 268381, 0),
            (T0 + 3 * MS, venue, 101, 104, 10, 268390, 400001),
            (T0 + 7 * MS, venue, 105, 105, 8, 0, 0),
        ]
        facts = capture.facts
        assert facts.lines == {"depthUpdate": 3, "snapshot": 1, "trade": 2, "bookTicker": 2}
        assert [(each.name, each.n) for each in facts.skipped] == [("kline", 1), ("no event", 1)]
        assert (facts.n_lines, facts.first_ns, facts.last_ns) == (10, T0, T0 + 8 * MS)
        assert "1 lines of kline are left out: no market data that is stored." in capture.assumptions
        assert any(said.startswith("Tick 0.01 is inferred") for said in capture.assumptions)
        assert any(said.startswith("Lot 0.00001 of ETH/USDT is inferred") for said in capture.assumptions)


def test_given_steps_and_configured_instruments_win_over_inference(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", session())
    known = Instrument(symbol=ETH, venue="here", base="ETH", quote="USDT", tick_size=Decimal("0.0001"), lot_size=Decimal("1e-10"))  # fmt: skip
    with open_capture([path], None, {ETH: known}) as capture:
        assert capture.instrument(ETH) == known
        assert rows(capture, DataKind.TRADES)[0][4:] == (26_838_000, 20_000_000)
    options = CaptureOptions(tick=Decimal("0.005"), lot=Decimal("0.00001"), venue="v")
    with open_capture([path], options) as capture:
        assert capture.instrument(ETH).venue == "v"
        assert rows(capture, DataKind.TRADES)[0][4:] == (536_760, 200)


@pytest.mark.parametrize(
    ("flag", "size"), [("tick", "0.1"), ("tick", "0.03"), ("lot", "0.0001"), ("lot", "7")]
)
def test_amounts_off_a_given_grid_are_refused_at_once(tmp_path: Path, flag: str, size: str) -> None:
    path = write(tmp_path / "c.jsonl", session())
    options = msgspec.structs.replace(CaptureOptions(), **{flag: Decimal(size)})
    with pytest.raises(DataError, match=rf"of ETH/USDT at .*no.* whole number of {flag}s of {size}"):
        open_capture([path], options)


def test_round_prices_give_a_tick_of_one_at_most(tmp_path: Path) -> None:
    with open_capture([write(tmp_path / "c", [raw(trade(price="2700", qty="100"))])]) as capture:
        assert capture.instrument(ETH).tick_size == capture.instrument(ETH).lot_size == 1
        assert rows(capture, DataKind.TRADES)[0][4:] == (2700, 100)


def test_symbols_are_kept_apart_and_one_can_be_asked_for(tmp_path: Path) -> None:
    lines = [
        raw(trade(1)), raw(trade(1, "60000.1", symbol="BTCUSDT")), raw(depth(10, 12)), raw(trade(2)),
        raw(depth(9_000, 9_001, symbol="BTCUSDT")), raw(snapshot(9_005, levels(("60000.12", "1")))),
        raw(depth(9_002, 9_006, symbol="BTCUSDT")), raw(snapshot(12, levels(("5", "1")))),
    ]  # fmt: skip
    path = write(tmp_path / "c", lines)
    with open_capture([path]) as capture:
        assert capture.symbols == (ETH, "BTC/USDT")
        assert [row[2] for row in rows(capture, DataKind.TRADES)] == [1, 2]
        assert [row[2:4] for row in rows(capture, DataKind.BOOK)] == [(10, 12), (12, 12)]
        assert [row[2:4] for row in rows(capture, DataKind.BOOK, "BTC/USDT")] == [
            (9_000, 9_001), (9_005, 9_005), (9_002, 9_006),
        ]  # fmt: skip
        assert capture.instrument(ETH).tick_size == Decimal("0.1")
        assert capture.instrument("BTC/USDT").tick_size == Decimal("0.01")
    with open_capture([path], CaptureOptions(symbol="btc/usdt")) as capture:
        assert capture.symbols == ("BTC/USDT",)
        assert capture.n_rows("BTC/USDT", DataKind.BOOK) == 3
        assert "1 other symbols are left out, as --symbol asks." in capture.assumptions
    with pytest.raises(DataError, match=r"holds no SOL/USDT, it holds ETHUSDT, BTCUSDT"):
        open_capture([path], CaptureOptions(symbol="SOL/USDT"))


def test_a_snapshot_that_could_be_of_two_books_is_refused(tmp_path: Path) -> None:
    lines = [raw(depth(10, 12)), raw(depth(20, 22, symbol="BTCUSDT")), raw(snapshot(17))]
    with pytest.raises(DataError, match="lastUpdateId 17 could be of BTCUSDT or ETHUSDT"):
        open_capture([write(tmp_path / "c", lines)])


def test_rows_of_several_symbols_keep_their_order(tmp_path: Path) -> None:
    lines = [
        raw(ticker(number, symbol=("ETHUSDT", "BTCUSDT", "XRPUSDT")[number % 3])) for number in range(300)
    ]
    with open_capture([write(tmp_path / "c", lines)]) as capture:
        for number, symbol in enumerate(capture.symbols):
            ids = [row[1] for row in rows(capture, DataKind.QUOTES, symbol)]
            assert ids == list(range(number, 300, 3))


def test_snapshots_stand_between_the_changes_around_them_however_rows_are_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_stage, "_BLOCK_ROWS", 20)
    lines, expected = [], []
    for number in range(10, 40):
        lines.append(raw(depth(number, number, levels(("5", "1"), ("4", "1")))))
        expected += [number, number]
        if number % 7 == 0:
            lines.append(raw(snapshot(number, levels(("5", "1"), ("4", "1"), ("3", "1")))))
            expected += [number] * 3
    with open_capture([write(tmp_path / "c", lines)]) as capture:
        found = rows(capture, DataKind.BOOK)
    assert [row[3] for row in found] == expected
    assert sum(row[4] & BOOK_SNAPSHOT > 0 for row in found) == 3 * 4


def test_a_snapshot_ahead_of_all_changes_is_the_first_row_of_its_book(tmp_path: Path) -> None:
    lines = [raw(snapshot(9, levels(("5", "1")))), raw(depth(10, 12)), raw(snapshot(12))]
    with open_capture([write(tmp_path / "c", lines)]) as capture:
        assert [row[3] for row in rows(capture, DataKind.BOOK)] == [9, 12, 12]


def test_aggregate_trades_stand_in_only_where_there_are_no_others(tmp_path: Path) -> None:
    with open_capture([write(tmp_path / "c", [raw(agg_trade())])]) as capture:
        assert [row[2] for row in rows(capture, DataKind.TRADES)] == [9]
        assert any("Aggregate trades of ETH/USDT are taken" in said for said in capture.assumptions)
    with open_capture([write(tmp_path / "c", [raw(agg_trade()), raw(trade())])]) as capture:
        assert [row[2] for row in rows(capture, DataKind.TRADES)] == [7]
        assert any("its 1 aggregate trades left out" in said for said in capture.assumptions)


def test_a_quote_asset_that_nobody_knows_needs_a_symbol(tmp_path: Path) -> None:
    path = write(tmp_path / "c", [raw(trade(symbol="ABCXYZ"))])
    with pytest.raises(DataError, match="ABCXYZ, whose quote asset is not known"):
        open_capture([path])
    with open_capture([path], CaptureOptions(symbol="ABC/XYZ")) as capture:
        assert capture.n_rows("ABC/XYZ", DataKind.TRADES) == 1


def test_futures_changes_follow_the_update_before_them() -> None:
    line = raw(depth(40, 50)).replace('"U"', '"T":1,"pu":37,"U"')
    assert read_line(line.encode()).rows[0][1:3] == (38, 50)


def test_nothing_stays_on_disk_and_the_facts_outlive_the_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(staging))
    with open_capture([write(tmp_path / "c", session())]) as capture:
        assert not list(staging.iterdir())
    assert capture.facts.n_lines == 10
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="can not take the capture"):
        open_capture([tmp_path / "c"])


def test_a_capture_is_known_by_its_first_bytes() -> None:
    text = "\n".join(session()).encode()
    packed = gzip.compress(text), lz4.frame.compress(text)
    assert all(looks_like_capture(data) for data in (text, *packed, packed[0][:300], text[:22]))
    others = (
        b"",
        b"time,price\n",
        b'{"njord":"data"}',
        gzip.compress(b"a,b"),
        b"\x1f\x8b\x08",
        b"\x04\x22\x4d\x18x",
    )
    assert not any(looks_like_capture(data) for data in others)
