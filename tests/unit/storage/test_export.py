"""What goes out comes back: every kind in every form, whole or not at all."""

import os
import resource
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_file import open_bars
from njord.storage.bars_options import BarOptions
from njord.storage.export import ExportFormat, export, format_of_name
from njord.storage.ingest.frames import open_rows
from njord.storage.ingest.trades_file import open_trades
from njord.storage.store.kinds import COLUMNS, Columns, DataKind
from njord.storage.store.rows_hash import rows_hash
from tests.unit.storage.rows_samples import (
    MINUTE_NS,
    PERP,
    SPOT,
    extremes_of,
    interval_of,
    joined,
    rows_of,
    same_rows,
)

SIDECAR = ".njord.json"


def hash_of(columns: Columns, kind: DataKind, instrument: Instrument) -> str:
    digest = rows_hash(kind, instrument, interval_of(kind))
    digest.add([columns[name] for name in COLUMNS[kind]])
    return digest.text()


def check_round_trip(
    columns: Columns, kind: DataKind, instrument: Instrument, path: Path, form: ExportFormat
) -> None:
    done = export([columns], kind, instrument, interval_of(kind), path, form, key="a/b")
    with open_rows(path) as source:
        assert same_rows(joined(list(source.rows(4)), kind), columns)
        assert (source.kind, source.instrument, source.key) == (kind, instrument, "a/b")
        assert source.interval_ns == interval_of(kind)
        assert source.hash == done.hash == hash_of(columns, kind, instrument)
        assert source.n_rows == done.n_rows == len(columns[COLUMNS[kind][0]])
    assert done.n_bytes == path.stat().st_size


@pytest.mark.parametrize("form", ExportFormat)
@pytest.mark.parametrize("kind", DataKind)
def test_the_extremes_of_every_kind_come_back_from_every_form(
    kind: DataKind, form: ExportFormat, tmp_path: Path
) -> None:
    check_round_trip(extremes_of(kind), kind, PERP, tmp_path / f"x{form.value}", form)


@pytest.mark.parametrize("form", ExportFormat)
def test_no_rows_at_all_come_back_too(form: ExportFormat, tmp_path: Path) -> None:
    nothing = rows_of(DataKind.BOOK, 0)
    check_round_trip(nothing, DataKind.BOOK, SPOT, tmp_path / f"x{form.value}", form)


def test_a_csv_shows_exact_decimals_under_plain_names(tmp_path: Path) -> None:
    export([rows_of(DataKind.TRADES, 2)], DataKind.TRADES, SPOT, 0, tmp_path / "x.csv", ExportFormat.CSV)
    assert (tmp_path / "x.csv").read_text() == (
        "ts_ns,ts_venue_ns,trade_id,side,price,qty\n"
        "1700000040000000000,1700000039999999993,1,-1,9.00,0.00900\n"
        "1700000100000000000,1700000099999999993,2,0,9.01,0.00901\n"
    )


@pytest.mark.integration
@pytest.mark.parametrize("form", [ExportFormat.PARQUET, ExportFormat.FEATHER])
def test_tables_are_of_use_in_polars_and_pandas(form: ExportFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x{form.value}"
    export([rows_of(DataKind.TRADES, 2)], DataKind.TRADES, SPOT, 0, path, form)
    frame = pl.read_parquet(path) if form is ExportFormat.PARQUET else pl.read_ipc(path)
    assert frame.schema["ts_ns"] == pl.Datetime("ns", "UTC")
    assert frame.schema["price"] == pl.Decimal(18, 2)
    assert frame["price"].to_list() == [Decimal("9.00"), Decimal("9.01")]
    assert frame.select(pl.col("price").cast(pl.Float64) * 2).to_series().to_list() == [18.0, 18.02]
    import pandas as pd  # Heavy: only here.

    table = pd.read_parquet(path) if form is ExportFormat.PARQUET else pd.read_feather(path)
    assert table["price"].tolist() == [Decimal("9.00"), Decimal("9.01")]
    assert str(table["ts_ns"].dtype) == "datetime64[ns, UTC]"


@pytest.mark.parametrize(
    "form", [ExportFormat.CSV, ExportFormat.CSV_GZ, ExportFormat.PARQUET, ExportFormat.FEATHER]
)
def test_exported_bars_open_as_bars_with_the_same_hash(form: ExportFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x{form.value}"
    done = export([rows_of(DataKind.BARS, 50)], DataKind.BARS, PERP, MINUTE_NS, path, form)
    with open_bars(path, BarOptions(symbol=PERP.symbol), {PERP.symbol: PERP}) as bars:
        assert (bars.hash, bars.n_rows) == (done.hash, 50)
    # With the usual bounds of an instrument, a few flags do without configuration.
    plain = tmp_path / f"y{form.value}"
    done = export([rows_of(DataKind.BARS, 50)], DataKind.BARS, SPOT, MINUTE_NS, plain, form)
    with open_bars(
        plain, BarOptions(symbol="BTC/USDT", venue="sim", tick=SPOT.tick_size, lot=SPOT.lot_size)
    ) as bars:
        assert bars.hash == done.hash


@pytest.mark.parametrize("form", ExportFormat)
def test_exported_trades_open_as_trades_with_the_same_hash(form: ExportFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x{form.value}"
    columns = extremes_of(
        DataKind.TRADES
    )  # Ids that repeat, times that are equal: an export is taken as it is.
    done = export([columns], DataKind.TRADES, PERP, 0, path, form)
    with open_trades(path) as source:
        assert source.hash == done.hash
        assert same_rows(joined(list(source.rows()), DataKind.TRADES), columns)


@pytest.mark.parametrize("kind", [DataKind.TRADES, DataKind.BOOK, DataKind.QUOTES])
@pytest.mark.parametrize("form", [ExportFormat.CSV, ExportFormat.FEATHER])
def test_without_its_header_a_file_needs_flags_and_is_exact_with_them(
    kind: DataKind, form: ExportFormat, tmp_path: Path
) -> None:
    path = tmp_path / f"x{form.value}"
    done = export([rows_of(kind, 30)], kind, SPOT, 0, path, form)
    assert done.sidecar is not None
    done.sidecar.unlink()
    with open_rows(path, BarOptions(symbol="BTC/USDT", venue="sim")) as source:
        assert source.kind is kind
        assert source.hash == done.hash
        assert any("inferred" in said for said in source.assumptions)


def test_rows_that_are_not_those_of_the_header_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    export([rows_of(DataKind.TRADES, 3)], DataKind.TRADES, SPOT, 0, path, ExportFormat.CSV)
    path.write_text(path.read_text().replace("9.01", "9.02"))
    with pytest.raises(DataError, match="its rows are not those it was written with"):
        open_rows(path)
    with pytest.raises(DataError, match="its rows are not those it was written with"):
        open_trades(path)


@pytest.mark.parametrize("form", [ExportFormat.NDJSON, ExportFormat.CSV, ExportFormat.NDJSON_GZ])
def test_a_file_that_lost_its_end_is_refused(form: ExportFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x{form.value}"
    export([rows_of(DataKind.QUOTES, 40)], DataKind.QUOTES, SPOT, 0, path, form)
    data = path.read_bytes()
    cut = data.rstrip(b"\n").rfind(b"\n") + 1 if form is not ExportFormat.NDJSON_GZ else len(data) - 30
    path.write_bytes(data[:cut])
    with pytest.raises(DataError, match=r"not those it was written with|cut off"):
        open_rows(path)


def test_values_off_the_grid_of_the_header_are_refused_with_their_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    export([rows_of(DataKind.TRADES, 3)], DataKind.TRADES, SPOT, 0, path, ExportFormat.CSV)
    path.write_text(path.read_text().replace("9.01", "9.013"))
    with pytest.raises(
        DataError, match=r"x\.csv row 2: price 9\.013 is not a whole number of steps of 0\.01"
    ):
        open_rows(path)


def test_a_number_may_be_written_in_another_form(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    done = export([rows_of(DataKind.TRADES, 3)], DataKind.TRADES, SPOT, 0, path, ExportFormat.CSV)
    path.write_text(path.read_text().replace(",9.00,", ",9,").replace(",9.01,", ",901e-2,"))
    with open_rows(path) as source:
        assert source.hash == done.hash


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        (BarOptions(tick=Decimal("0.1")), "--tick"),
        (BarOptions(lot=Decimal(1)), "--lot"),
        (BarOptions(symbol="ETH/USDT"), "--symbol"),
        (BarOptions(min_notional=Decimal(1)), "--min-notional"),
    ],
)
def test_a_flag_against_the_header_is_refused(options: BarOptions, flag: str, tmp_path: Path) -> None:
    export([rows_of(DataKind.TRADES, 3)], DataKind.TRADES, SPOT, 0, tmp_path / "x.csv", ExportFormat.CSV)
    with pytest.raises(DataError, match=f"leave out {flag}"):
        open_rows(tmp_path / "x.csv", options)
    with open_rows(tmp_path / "x.csv", BarOptions(symbol="BTC/USDT", tick=SPOT.tick_size)) as source:
        assert source.n_rows == 3


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for form in ExportFormat:
        written = set()
        for name in ("x", "y"):
            path = tmp_path / f"{name}{form.value}"
            export([rows_of(DataKind.BARS, 20)], DataKind.BARS, SPOT, MINUTE_NS, path, form)
            written.add(path.read_bytes())
        assert len(written) == 1, form
        if form.value.endswith(".gz"):
            assert written.pop()[4:8] == bytes(4), "the time of writing does not belong into the file"


def test_blocks_of_any_size_give_the_same_file(tmp_path: Path) -> None:
    columns = rows_of(DataKind.TRADES, 100)
    one = export([columns], DataKind.TRADES, SPOT, 0, tmp_path / "x.ndjson", ExportFormat.NDJSON)
    pieces = (
        {name: values[start : start + 7] for name, values in columns.items()} for start in range(0, 100, 7)
    )
    other = export(pieces, DataKind.TRADES, SPOT, 0, tmp_path / "y.ndjson", ExportFormat.NDJSON)
    assert one.hash == other.hash
    assert one.path.read_bytes() == other.path.read_bytes()


def test_a_file_is_not_written_over_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text("mine")
    with pytest.raises(DataError, match=r"x\.ndjson is there already; choose another name, or add --force"):
        export([rows_of(DataKind.BOOK, 3)], DataKind.BOOK, SPOT, 0, path, ExportFormat.NDJSON)
    assert path.read_text() == "mine"
    export([rows_of(DataKind.BOOK, 3)], DataKind.BOOK, SPOT, 0, path, ExportFormat.NDJSON, force=True)
    with open_rows(path) as source:
        assert source.n_rows == 3


def test_rows_that_fail_on_the_way_leave_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[Columns]:
        yield rows_of(DataKind.BOOK, 3)
        raise DataError("the store broke", "mend it")

    for form in ExportFormat:
        with pytest.raises(DataError, match="the store broke"):
            export(rows(), DataKind.BOOK, SPOT, 0, tmp_path / f"x{form.value}", form)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", [ExportFormat.NDJSON, ExportFormat.CSV_GZ])
def test_a_disk_that_takes_no_more_leaves_what_was_there(form: ExportFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x{form.value}"
    path.write_text("mine")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(1).integers(0, 2**60, (len(COLUMNS[DataKind.BOOK]), 100))
    rows = [dict(zip(COLUMNS[DataKind.BOOK], noise, strict=True))]
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(DataError, match="can not be written: File too large"):
            export(rows, DataKind.BOOK, SPOT, 0, path, form, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "mine"
    assert {each.name for each in tmp_path.iterdir()} <= {path.name, path.name + SIDECAR}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        export([], DataKind.BOOK, SPOT, 0, tmp_path / "no" / "x.csv", ExportFormat.CSV)
    with pytest.raises(DataError, match="is a folder"):
        export([], DataKind.BOOK, SPOT, 0, tmp_path, ExportFormat.CSV)


@pytest.mark.parametrize("form", ExportFormat)
def test_a_name_shows_its_form(form: ExportFormat) -> None:
    assert format_of_name(f"BTC.2024{form.value.upper()}") is form


def test_a_name_without_a_form_is_refused() -> None:
    with pytest.raises(DataError, match=r"x\.xlsx shows no format to write; end its name with one of \.csv"):
        format_of_name("x.xlsx")


def test_a_damaged_header_is_refused_in_one_line(tmp_path: Path) -> None:
    done = export([rows_of(DataKind.BOOK, 3)], DataKind.BOOK, SPOT, 0, tmp_path / "x.csv", ExportFormat.CSV)
    assert done.sidecar is not None
    good = done.sidecar.read_bytes()
    for bad in (b"", b"{", b"\xff", good.replace(b'"0.01"', b'"-1"'), good.replace(b'"schema":1', b'"schema":2'),
                good.replace(b'"book"', b'"books"'), good.replace(b'"interval_ns":0', b'"interval_ns":5')):  # fmt: skip
        done.sidecar.write_bytes(bad)
        with pytest.raises(DataError) as raised:
            open_rows(done.path)
        assert "\n" not in str(raised.value)
    done.sidecar.write_bytes(msgspec.json.format(good))
    open_rows(done.path).close()


def test_a_temporary_file_of_another_export_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".x.csv.{os.getpid()}-1.tmp").write_text("litter")
    export([rows_of(DataKind.BOOK, 3)], DataKind.BOOK, SPOT, 0, tmp_path / "x.csv", ExportFormat.CSV)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "x.csv", "x.csv.njord.json",
    ]  # fmt: skip
