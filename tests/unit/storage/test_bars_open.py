"""Bars come in from every usual form, and are the same bars whichever form that was."""

import gzip
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.storage import bars_csv, bars_order, bars_tables
from njord.storage.bars_file import BarOptions, open_bars
from njord.storage.bars_text import show_time
from njord.storage.certificate.facts import NO_FACTS
from njord.storage.dataset import BarDataset

HEADER = "timestamp,open,high,low,close,volume\n"
START_NS = 1_640_995_200_000_000_000
MINUTE_NS = 60_000_000_000


def frame(n_rows: int = 400) -> pl.DataFrame:
    """Bars on a grid of 0.1, one a minute from 2022-01-01."""
    close = 1000 + (np.arange(n_rows) * 7919) % 113
    opened = np.roll(close, 1)
    return pl.DataFrame(
        {
            "timestamp": pl.Series(START_NS + MINUTE_NS * np.arange(n_rows)).cast(pl.Datetime("ns", "UTC")),
            "open": opened / 10,
            "high": (np.maximum(opened, close) + 3) / 10,
            "low": (np.minimum(opened, close) - 2) / 10,
            "close": close / 10,
            "volume": np.arange(n_rows) / 4,
        }
    )


def write_csv(bars: pl.DataFrame, path: Path, time_format: str = "%Y-%m-%dT%H:%M:%SZ") -> None:
    text = bars.with_columns(pl.col("timestamp").dt.strftime(time_format)).write_csv()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def stamps(bars: BarDataset) -> list[int]:
    return [int(ts) for chunk in bars.chunks() for ts in chunk.ts_open_ns]


def open_text(
    folder: Path, text: str, options: BarOptions | None = None, name: str = "BTCUSDT.csv"
) -> BarDataset:
    (folder / name).write_text(text)
    return open_bars(folder / name, options or BarOptions())


def rows_at(times: list[str]) -> str:
    return HEADER + "".join(f"{time},10,12,9,11,5\n" for time in times)


def test_all_formats_of_the_same_bars_have_one_hash_and_it_holds_the_prices(tmp_path: Path) -> None:
    bars = frame()
    write_csv(bars, tmp_path / "BTCUSDT.csv")
    write_csv(bars, tmp_path / "BTCUSDT.csv.gz", "%Y-%m-%d %H:%M:%S%.6f+00:00")
    bars.write_parquet(tmp_path / "BTCUSDT.parquet")
    bars.write_ipc(tmp_path / "BTCUSDT.feather", compression="lz4")
    bars.with_columns(pl.col("timestamp").dt.epoch("ms")).write_ipc(tmp_path / "BTCUSDT.arrow")
    bars.with_columns(pl.col("timestamp").dt.replace_time_zone(None)).write_parquet(tmp_path / "BTCUSDT.pq")
    hashes = set()
    for path in tmp_path.iterdir():
        with open_bars(path) as opened:
            hashes.add(opened.hash)
            assert (opened.n_rows, opened.interval_ns) == (400, MINUTE_NS)
            assert opened.instrument.tick_size == Decimal("0.1")
            (chunk,) = opened.chunks()
            assert chunk.close.tolist() == np.rint(bars["close"].to_numpy() * 10).astype(int).tolist()
            assert chunk.volume_lots[3] == 75_000_000
    assert len(hashes) == 1
    assert hashes.pop().startswith("sha256:")


def test_the_hash_changes_with_any_value_and_with_the_instrument(tmp_path: Path) -> None:
    bars = frame(50)
    hashes = set()
    changes = [bars]
    for column in ("open", "high", "low", "close", "volume"):
        changes.append(
            bars.with_columns(
                pl.when(pl.int_range(50) == 30)
                .then(pl.col(column) + 0.5)
                .otherwise(pl.col(column))
                .alias(column)
            )
        )
    changes.append(bars.with_columns(pl.col("timestamp") + pl.duration(minutes=1)))
    changes.append(bars.head(49))
    for change in changes:
        change.write_parquet(tmp_path / "BTCUSDT.parquet")
        with open_bars(tmp_path / "BTCUSDT.parquet") as opened:
            hashes.add(opened.hash)
    bars.write_parquet(tmp_path / "BTCUSDT.parquet")
    for options in (
        BarOptions(symbol="ETH/USDT"), BarOptions(venue="binanceus"), BarOptions(tick=Decimal("0.01")),
        BarOptions(lot=Decimal("0.01")), BarOptions(min_notional=Decimal(10)), BarOptions(symbol="BTC/USDT:USDT"),
    ):  # fmt: skip
        with open_bars(tmp_path / "BTCUSDT.parquet", options) as opened:
            hashes.add(opened.hash)
    assert len(hashes) == len(changes) + 6


def test_equal_decimals_hash_alike_however_written(tmp_path: Path) -> None:
    frame(5).write_parquet(tmp_path / "BTCUSDT.parquet")
    hashes = set()
    for tick in ("0.1", "0.10", "1e-1"):
        with open_bars(tmp_path / "BTCUSDT.parquet", BarOptions(tick=Decimal(tick))) as opened:
            hashes.add(opened.hash)
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2022-01-01 00:00:00", "2022-01-01 00:01:00"),
        ("2022-01-01 00:00:00.000000", "2022-01-01 00:01:00.000000"),
        ("2022-01-01 00:00", "2022-01-01 00:01"),
        ("2022/01/01 00:00:00", "2022/01/01 00:01:00"),
        ("2022-01-01T00:00:00Z", "2022-01-01T00:01:00Z"),
        ("2022-01-01 00:00:00 UTC", "2022-01-01 00:01:00 UTC"),
        ("2022-01-01 00:00:00+00:00", "2022-01-01 00:01:00+00:00"),
        ("2022-01-01T05:30:00.000+0530", "2021-12-31T19:01:00.0-05"),
        ("1640995200", "1640995260"),
        ("1640995200.0", "1640995260.000"),
        ("1640995200000", "1640995260000"),
        ("1.6409952e12", "1.64099526e12"),
        ("1640995200000000", "1640995260000000"),
        ("1640995200000000000", "1640995260000000000"),
        ('"2022-01-01 00:00:00"', '"2022-01-01 00:01:00"'),
        (" 1640995200 ", " 1640995260"),
    ],
)
def test_a_timestamp_is_read_in_every_usual_form(tmp_path: Path, first: str, second: str) -> None:
    with open_text(tmp_path, rows_at([first, second])) as bars:
        assert stamps(bars) == [START_NS, START_NS + MINUTE_NS]


@pytest.mark.parametrize("days", [["20220101", "20220102"], ["2022-01-01", "2022-01-02"]])
def test_days_are_read_as_their_first_moment(tmp_path: Path, days: list[str]) -> None:
    with open_text(tmp_path, rows_at(days)) as bars:
        assert stamps(bars) == [START_NS, START_NS + 1440 * MINUTE_NS]
        assert bars.interval_ns == 1440 * MINUTE_NS


def test_times_with_and_without_a_clock_or_fraction_mix_in_one_file(tmp_path: Path) -> None:
    # pandas drops what is zero: midnight, and fractions of a second.
    times = ["2022-01-01", "2022-01-01 00:01:00", "2022-01-01 00:02:00.500", "2022-01-01 00:03:00"]
    with open_text(tmp_path, rows_at(times), BarOptions(timeframe="1s")) as bars:
        assert stamps(bars) == [
            START_NS,
            START_NS + MINUTE_NS,
            START_NS + 2 * MINUTE_NS + 500_000_000,
            START_NS + 3 * MINUTE_NS,
        ]


def test_the_time_unit_flag_wins_over_the_magnitude(tmp_path: Path) -> None:
    with open_text(tmp_path, rows_at(["1640995200", "1640995260"]), BarOptions(time_unit="ms")) as bars:
        assert show_time(bars.first_ts_open_ns) == "1970-01-19T23:49:55.200000000Z"


def test_epochs_of_two_magnitudes_are_refused_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another magnitude"):
        open_text(tmp_path, rows_at(["1640995200000", "1640995260000000"]))


def test_naive_times_are_utc_by_assumption_and_local_by_flag(tmp_path: Path) -> None:
    text = rows_at(["2022-01-01 01:00:00", "2022-01-01 01:01:00"])
    with open_text(tmp_path, text) as bars:
        assert any("no offset and are read as UTC" in said for said in bars.assumptions)
    with open_text(tmp_path, text, BarOptions(timezone="Europe/Berlin")) as bars:
        assert stamps(bars) == [START_NS, START_NS + MINUTE_NS]
        assert any("read as Europe/Berlin" in said for said in bars.assumptions)
    with open_text(tmp_path, rows_at(["2022-01-01 01:00:00Z", "2022-01-01 01:01:00Z"])) as bars:
        assert not any("UTC" in said for said in bars.assumptions)


def test_a_local_time_that_happens_twice_is_refused(tmp_path: Path) -> None:
    text = rows_at(["2021-10-31 01:30:00", "2021-10-31 02:30:00"])
    with pytest.raises(DataError, match="row 2: 2021-10-31T02:30:00 happens twice or never in Europe/Berlin"):
        open_text(tmp_path, text, BarOptions(timezone="Europe/Berlin"))


@pytest.mark.parametrize(
    "header",
    [
        "timestamp,open,high,low,close,volume", "Date,Open,High,Low,Close,Volume", "ts,o,h,l,c,v",
        "Open time,Open,High,Low,Close,Volume BTC", "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        "datetime, open, high, low, close, volume", '"time","open","high","low","close","volumefrom"',
        "time_period_start,price_open,price_high,price_low,price_close,volume_traded",
    ],
)  # fmt: skip
def test_columns_are_known_by_their_usual_names(tmp_path: Path, header: str) -> None:
    text = header + "\n" + rows_at(["1640995200", "1640995260"]).partition("\n")[2]
    with open_text(tmp_path, text) as bars:
        (chunk,) = bars.chunks()
    first = [int(column[0]) for column in (chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume_lots)]
    assert first == [10, 12, 9, 11, 500_000_000]


def test_columns_can_be_named_and_others_are_ignored(tmp_path: Path) -> None:
    text = "Close,note,when,first,top,bottom,last,close\n"
    text += "".join(f"x,some text,{time},10,12,9,11,y\n" for time in ("1640995200", "1640995260"))
    columns = (("time", "when"), ("open", "first"), ("high", "top"), ("low", "bottom"), ("close", "last"))
    with open_text(tmp_path, text, BarOptions(columns=columns)) as bars:
        (chunk,) = bars.chunks()
        assert chunk.close.tolist() == [11, 11]
        assert any("every volume is 0" in said for said in bars.assumptions)
        assert bars.certificate.n_of("zero_volume") == 2


def test_an_epoch_beside_a_date_is_the_time_and_the_base_volume_the_volume(tmp_path: Path) -> None:
    text = "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n"
    text += "".join(f"{ts},2022,BTC/USD,10,12,9,11,5,55\n" for ts in (1640995200000, 1640995260000))
    with open_text(tmp_path, text, name="Bitstamp_BTCUSD_minute.csv") as bars:
        (chunk,) = bars.chunks()
        assert (stamps(bars)[0], chunk.volume_lots[0]) == (START_NS, 500_000_000)
        assert bars.instrument.symbol == "BTC/USD"


def test_binance_klines_need_no_header(tmp_path: Path) -> None:
    text = "".join(f"{ts},10,12,9,11,5,{ts + 59_999},55,7,1,2,0\n" for ts in (1640995200000, 1640995260000))
    with open_text(tmp_path, text) as bars:
        assert stamps(bars) == [START_NS, START_NS + MINUTE_NS]


@pytest.mark.parametrize("end", ["1640995259999", "1640995260000", "1640995259999999"])
def test_a_close_time_is_turned_into_the_open(tmp_path: Path, end: str) -> None:
    step = 60_000 * 1000 ** (len(end) // 16)
    text = "close_time,open,high,low,close\n" + "".join(
        f"{int(end) + i * step},10,12,9,11\n" for i in range(3)
    )
    with open_text(tmp_path, text) as bars:
        assert stamps(bars)[0] == START_NS
        assert any("end of each bar" in said for said in bars.assumptions)
    with open_text(tmp_path, text.replace("close_time", "time"), BarOptions(time_is_close=True)) as bars:
        assert stamps(bars)[0] == START_NS


def test_other_separators_bom_crlf_and_blank_lines_are_no_trouble(tmp_path: Path) -> None:
    plain = rows_at(["2022-01-01 00:00:00", "2022-01-01 00:01:00"])
    with open_text(tmp_path, plain) as bars:
        expected = bars.hash
    lines = plain.strip().split("\n")
    for text in (
        plain.replace(",", ";"), plain.replace(",", "\t"), plain.replace("\n", "\r\n"), "\ufeff" + plain,
        plain + "\n\n\n", "\n" + plain.strip(), "\n\n".join(lines), "\r\n\r\n".join(lines), plain.replace("12", "1.2e1"),
        plain.replace(",10,", ",+10.0,"), plain.replace(",10,", ', "10" ,').replace(' "10" ', '"10"'),
    ):  # fmt: skip
        with open_text(tmp_path, text) as bars:
            assert bars.hash == expected


@pytest.mark.integration
def test_small_blocks_and_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = frame(300)
    write_csv(bars, tmp_path / "BTCUSDT.csv")
    bars.write_parquet(tmp_path / "BTCUSDT.parquet")
    with open_bars(tmp_path / "BTCUSDT.csv") as opened:
        expected = opened.hash
    monkeypatch.setattr(bars_tables, "BATCH_ROWS", 7)
    monkeypatch.setattr("njord.storage.canonical.CHUNK_ROWS", 11)
    for block_bytes in (1, 60, 333):
        monkeypatch.setattr(bars_csv, "BLOCK_BYTES", block_bytes)
        for name in ("BTCUSDT.csv", "BTCUSDT.parquet"):
            with open_bars(tmp_path / name) as opened:
                assert opened.hash == expected
                assert opened.certificate.n_of("missing_bars") == 0


def test_float32_and_decimal_prices_are_read_as_the_decimals_they_show(tmp_path: Path) -> None:
    bars = frame(20)
    prices = ["open", "high", "low", "close"]
    for kind in (pl.Float32, pl.Decimal(12, 3)):
        bars.with_columns(pl.col(prices).cast(kind)).write_parquet(tmp_path / "BTCUSDT.parquet")
        with open_bars(tmp_path / "BTCUSDT.parquet") as opened:
            assert opened.instrument.tick_size == Decimal("0.1")
            assert opened.certificate.facts == NO_FACTS


def test_dates_and_naive_datetimes_of_a_table_are_read(tmp_path: Path) -> None:
    for days in (
        [date(2022, 1, 1), date(2022, 1, 2)],
        [datetime(2022, 1, 1), datetime(2022, 1, 2)],
        [20220101, 20220102],
    ):
        pl.DataFrame({"date": days, "o": [1, 1], "h": [1, 1], "l": [1, 1], "c": [1, 1]}).write_ipc(
            tmp_path / "BTCUSDT.feather"
        )
        with open_bars(tmp_path / "BTCUSDT.feather") as bars:
            assert stamps(bars) == [START_NS, START_NS + 1440 * MINUTE_NS]
            assert any("read as UTC" in said for said in bars.assumptions)


def test_dirt_off_grid_inconsistent_and_still_bars_are_counted_and_kept(tmp_path: Path) -> None:
    rows = [f"{1640995200 + 60 * i},10.41,10.52,10.33,10.44,5" for i in range(2000)]
    rows[5] = "1640995500,10.410000000000002,10.52,10.33,10.440000000000001,5"
    rows[6] = "1640995560,10.411,10.524,10.333,10.444,0"
    rows[7] = "1640995620,10.41,10.33,10.52,10.44,5"
    rows[8] = "1640995680,10.41,10.42,10.41,10.43,5"
    with open_text(tmp_path, HEADER + "\n".join(rows)) as bars:
        assert bars.instrument.tick_size == Decimal("0.01")
        (chunk,) = bars.chunks()
        assert (chunk.open[5], chunk.close[5], chunk.low[6]) == (1041, 1044, 1033)
    facts, n_of = bars.certificate.facts, bars.certificate.n_of
    assert (facts.snapped.n, facts.off_grid.n) == (2, 4)
    assert [(place.ts_ns, place.row) for place in facts.off_grid.places] == [(START_NS + 6 * MINUTE_NS, 7)]
    assert (n_of("contradictions"), n_of("zero_volume"), n_of("off_grid"), n_of("float_dirt")) == (2, 1, 4, 2)


@pytest.mark.parametrize("chunk_rows", [65_536, 1, 3])
def test_gaps_are_counted_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr("njord.storage.canonical.CHUNK_ROWS", chunk_rows)
    minutes = [0, 1, 2, 5, 6, 7, 20, 21]
    with open_text(tmp_path, rows_at([str(1640995200 + 60 * minute) for minute in minutes])) as bars:
        missing = bars.certificate.finding("missing_bars")
    assert (missing.n, missing.of) == (14, 22)
    assert [place.ts_ns for place in missing.places] == [START_NS + 3 * MINUTE_NS, START_NS + 8 * MINUTE_NS]
    assert missing.worst == missing.places[1]
    assert missing.worst.detail == "12 bars, until 2022-01-01T00:20:00Z"


def test_bars_that_restart_off_the_grid_after_a_gap_are_said(tmp_path: Path) -> None:
    seconds = [0, 60, 120, 210, 270, 330]
    with open_text(tmp_path, rows_at([str(1640995200 + second) for second in seconds])) as bars:
        assert (bars.certificate.n_of("off_schedule"), bars.certificate.n_of("missing_bars")) == (3, 0)
        assert bars.certificate.bad_ranges == ((START_NS + 180 * 10**9, START_NS + 210 * 10**9),)
        assert any("3 bars open off the 1m grid" in said for said in bars.assumptions)


def test_repair_sorts_and_drops_duplicates_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = frame(60)
    bars.write_parquet(tmp_path / "BTCUSDT.parquet")
    with open_bars(tmp_path / "BTCUSDT.parquet") as opened:
        expected = opened.hash
    conflicting = bars[40].with_columns(close=pl.lit(100.9))
    pl.concat([bars[:50], bars[20:23], conflicting, bars[50:], bars[59]]).write_parquet(
        tmp_path / "BTCUSDT.parquet"
    )
    for chunk_rows in (65_536, 1, 2, 7):
        monkeypatch.setattr(bars_order, "CHUNK_ROWS", chunk_rows)
        with open_bars(tmp_path / "BTCUSDT.parquet", BarOptions(repair=True)) as opened:
            assert opened.hash == expected
            facts = opened.certificate.facts
            assert (facts.out_of_order.n, facts.duplicates.n, facts.conflicting_duplicates.n) == (4, 4, 1)
            assert [place.row for place in facts.out_of_order.places] == [51, 52, 53, 54]
            assert [place.row for place in facts.duplicates.places] == [51, 52, 53, 65]
            assert [(place.ts_ns, place.row) for place in facts.conflicting_duplicates.places] == [
                (START_NS + 40 * MINUTE_NS, 54)
            ]
            assert any("4 rows sorted into place, 4 exact duplicates" in said for said in opened.assumptions)


def test_repair_turns_a_file_that_runs_backward(tmp_path: Path) -> None:
    bars = frame(60)
    bars.write_parquet(tmp_path / "BTCUSDT.parquet")
    with open_bars(tmp_path / "BTCUSDT.parquet") as opened:
        expected = opened.hash
    bars.reverse().write_parquet(tmp_path / "BTCUSDT.parquet")
    with open_bars(tmp_path / "BTCUSDT.parquet", BarOptions(repair=True)) as opened:
        assert (opened.hash, opened.certificate.n_of("out_of_order")) == (expected, 59)


def test_repair_keeps_the_first_of_each_time_as_a_dictionary_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = [(i * 7919 + i * i) % 97 for i in range(600)]
    rows = [(START_NS + minute * MINUTE_NS, 1000.0 + i % 3) for i, minute in enumerate(minutes)]
    stamp, price = [row[0] for row in rows], [row[1] for row in rows]
    pl.DataFrame({"ts": stamp, "o": price, "h": price, "l": price, "c": price}).write_parquet(
        tmp_path / "BTCUSDT.parquet"
    )
    first: dict[int, float] = {}
    for ts_ns, close in rows:
        first.setdefault(ts_ns, close)
    exact = sum(first[ts_ns] == close for ts_ns, close in rows) - len(first)
    moved = sum(minute < max(minutes[:i], default=0) for i, minute in enumerate(minutes))
    for batch_rows in (200_000, 7):
        monkeypatch.setattr(bars_tables, "BATCH_ROWS", batch_rows)
        with open_bars(tmp_path / "BTCUSDT.parquet", BarOptions(repair=True, tick=Decimal(1))) as bars:
            (chunk,) = bars.chunks()
            assert dict(zip(chunk.ts_open_ns.tolist(), chunk.close.tolist(), strict=True)) == first
            facts = bars.certificate.facts
            assert (facts.out_of_order.n, facts.duplicates.n) == (moved, exact)
            assert facts.conflicting_duplicates.n == len(rows) - len(first) - exact


def test_repair_of_a_sound_file_is_silent(tmp_path: Path) -> None:
    frame(60).write_parquet(tmp_path / "BTCUSDT.parquet")
    with open_bars(tmp_path / "BTCUSDT.parquet", BarOptions(repair=True)) as opened:
        assert not any("Repaired" in said for said in opened.assumptions)


def test_rows_between_is_half_open_on_the_open_time(tmp_path: Path) -> None:
    frame(10).write_parquet(tmp_path / "BTCUSDT.parquet")
    with open_bars(tmp_path / "BTCUSDT.parquet") as bars:
        assert bars.rows_between(None, None) == (0, 10)
        assert bars.rows_between(START_NS + 2 * MINUTE_NS, START_NS + 5 * MINUTE_NS) == (2, 5)
        assert bars.rows_between(START_NS + 2 * MINUTE_NS + 1, START_NS + 5 * MINUTE_NS + 1) == (3, 6)
        assert bars.rows_between(START_NS + 99 * MINUTE_NS, None) == (10, 10)
        assert bars.rows_between(START_NS + 5 * MINUTE_NS, START_NS) == (5, 5)
        chunks = list(bars.chunks(3, 9, size=4))
        assert [(chunk.first_row, len(chunk.close)) for chunk in chunks] == [(3, 4), (7, 2)]
        assert list(bars.chunks(4, 4)) == []
        for first, end, size in ((0, 11, 1), (-1, 2, 1), (5, 4, 1), (0, 1, 0)):
            with pytest.raises(ValueError, match="must"):
                next(bars.chunks(first, end, size))


def test_a_configured_instrument_wins_over_inference_and_a_flag_over_it(tmp_path: Path) -> None:
    frame(10).write_parquet(tmp_path / "BTCUSDT.parquet")
    known = Instrument(
        symbol="BTC/USDT", venue="binanceus", base="BTC", quote="USDT",
        tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"), min_notional=Decimal(10),
    )  # fmt: skip
    with open_bars(tmp_path / "BTCUSDT.parquet", BarOptions(), {"BTC/USDT": known}) as bars:
        assert bars.instrument == known
        assert not any("inferred from the prices" in said for said in bars.assumptions)
    with open_bars(
        tmp_path / "BTCUSDT.parquet", BarOptions(tick=Decimal("0.05")), {"BTC/USDT": known}
    ) as bars:
        assert (bars.instrument.tick_size, bars.instrument.venue) == (Decimal("0.05"), "binanceus")
        (chunk,) = bars.chunks()
        assert chunk.close[0] == 100.0 / 0.05
        assert bars.certificate.n_of("off_grid") == 0


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTC-PERP-1m-20211231-20220201.csv.gz", "BTC/USD:USD"),
        ("ETH_BTC-5m-20180110-20180130.csv.gz", "ETH/BTC"),
        ("BTCUSDT-1m-2024-01.csv", "BTC/USDT"),
        ("Binance_BTCUSDT_1h.csv", "BTC/USDT"),
        ("btc_usdt.parquet", "BTC/USDT"),
        ("ethbtc-1h.feather", "ETH/BTC"),
        ("BTC-USD.csv", "BTC/USD"),
        ("BTC_USDT_USDT-1h-futures.feather", "BTC/USDT:USDT"),
        ("BTCUSDT-PERP.csv", "BTC/USDT:USDT"),
        ("1INCHUSDT.csv", "1INCH/USDT"),
        ("WBTC_USDT.csv", "WBTC/USDT"),
        ("bars.csv", "ASSET/QUOTE"),
        ("my-data-eth.csv", "ASSET/QUOTE"),
        ("country.csv", "ASSET/QUOTE"),
        ("20220101.csv", "ASSET/QUOTE"),
    ],
)
def test_the_symbol_is_read_from_the_file_name(tmp_path: Path, name: str, symbol: str) -> None:
    writers: dict[str, Callable[[pl.DataFrame, Path], object]] = {
        ".parquet": pl.DataFrame.write_parquet,
        ".feather": pl.DataFrame.write_ipc,
    }
    path = tmp_path / name
    writers.get(path.suffix, write_csv)(frame(5), path)
    with open_bars(path) as bars:
        assert bars.instrument.symbol == symbol
        assert (bars.instrument.kind is InstrumentKind.LINEAR) == (":" in symbol)
        assert any("--symbol" in said for said in bars.assumptions)


def test_a_given_symbol_is_forgiven_its_case(tmp_path: Path) -> None:
    frame(5).write_parquet(tmp_path / "x.parquet")
    with open_bars(tmp_path / "x.parquet", BarOptions(symbol="eth/usd:usd")) as bars:
        assert (bars.instrument.symbol, bars.instrument.kind) == ("ETH/USD:USD", InstrumentKind.LINEAR)
        assert not any("--symbol" in said for said in bars.assumptions)
