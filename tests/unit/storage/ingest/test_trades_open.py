"""A file of trades opens as what it is, whatever its form, its names and its order."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import polars as pl
import pytest

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.ingest.trades_file import TradeOptions, TradeSource, open_trades

HEADER = "timestamp,id,side,price,amount"
LINES = [
    "1570752011620,11,sell,0.00141342,23.0",
    "1570752011620,12,buy,0.00141266,54.0",
    "1570752017964,13,,0.00141266,8.0",
]
COLUMNS = {
    "ts_ns": [1570752011620000000, 1570752011620000000, 1570752017964000000],
    "ts_venue_ns": [1570752011620000000, 1570752011620000000, 1570752017964000000],
    "trade_id": [11, 12, 13],
    "side": [-1, 1, 0],
    "price_ticks": [141342, 141266, 141266],
    "qty_lots": [23, 54, 8],
}


def columns(source: TradeSource) -> dict[str, list[int]]:
    blocks = list(source.rows(2))
    return {name: np.concatenate([block[name] for block in blocks]).tolist() for name in blocks[0]}


def trades(path: Path, text: str, **options: Any) -> TradeSource:
    path.write_text(text)
    return open_trades(path, TradeOptions(**options))


def csv(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


def _rows() -> list[dict[str, Any]]:
    return [dict(zip(HEADER.split(","), line.split(","), strict=True)) for line in LINES]


def _write_table(path: Path) -> None:
    frame = pl.DataFrame(_rows()).with_columns(
        pl.col("price").cast(pl.Float64),
        pl.col("amount").cast(pl.Float64),
        pl.col("timestamp").cast(pl.Int64),
    )
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_ipc(path)


def _objects() -> bytes:
    return "".join(
        json.dumps({"timestamp": int(row["timestamp"]), "id": int(row["id"]), "side": row["side"] or None})[
            :-1
        ]
        + f', "price": {row["price"]}, "amount": "{row["amount"]}", "info": {{"a": 1}}}}\n'
        for row in _rows()
    ).encode()


FILES: dict[str, Callable[[Path], object]] = {
    "t.csv": lambda path: path.write_text(csv(*LINES)),
    "t.csv.gz": lambda path: path.write_bytes(gzip.compress(csv(*LINES).encode())),
    "t.csv.lz4": lambda path: path.write_bytes(lz4.frame.compress(csv(*LINES).encode())),
    "t.parquet": _write_table,
    "t.feather": _write_table,
    "t.ndjson": lambda path: path.write_bytes(_objects()),
    "t.ndjson.gz": lambda path: path.write_bytes(gzip.compress(_objects())),
    "t.ndjson.lz4": lambda path: path.write_bytes(lz4.frame.compress(_objects())),
}


@pytest.mark.parametrize("name", FILES)
def test_every_form_gives_the_same_trades_grid_and_hash(name: str, tmp_path: Path) -> None:
    with trades(tmp_path / "reference.csv", csv(*LINES), symbol="XRP/ETH") as reference:
        FILES[name](tmp_path / name)
        with open_trades(tmp_path / name, TradeOptions(symbol="XRP/ETH")) as source:
            assert columns(source) == columns(reference) == COLUMNS
            assert source.hash == reference.hash
            assert (source.instrument.tick_size, source.instrument.lot_size) == (Decimal("1e-8"), Decimal(1))
            assert source.n_rows == 3


def test_the_symbol_comes_from_the_name_and_everything_taken_for_granted_is_said(tmp_path: Path) -> None:
    with trades(tmp_path / "XRP_ETH-trades.csv", csv(*LINES)) as source:
        assert source.instrument.symbol == "XRP/ETH"
        said = " ".join(source.assumptions)
    for word in (
        "Symbol XRP/ETH",
        "'timestamp'",
        "epoch numbers in ms",
        "Tick 0.00000001",
        "Lot 1 is inferred",
    ):
        assert word in said


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("time,trade_id,side,price,qty", "1570752011620,11,SELL,0.00141342,23"),
        ("ts,tid,taker_side,px,size", "1570752011620,11,s,0.00141342,23"),
        ("Trade Time,Trade ID,Aggressor Side,Trade Price,Quantity", "1570752011620,11,-1,0.00141342,23"),
        ("id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch", "11,0.00141342,23,0.0325,1570752011620,True,True"),
        ("local_timestamp,timestamp,id,side,price,amount", "1570752011620,1570752011620,11,sell,0.00141342,23"),
        ("ts_ns,ts_venue_ns,trade_id,side,price,qty", "1570752011620000000,1570752011620000000,11,-1,0.00141342,23"),
        ("datetime;id;side;price;amount", "2019-10-11T00:00:11.620Z;11;sell;0.00141342;23"),
    ],
)  # fmt: skip
def test_columns_are_found_by_their_usual_names(header: str, line: str, tmp_path: Path) -> None:
    with trades(tmp_path / "t.csv", csv(line, header=header)) as source:
        assert columns(source) == {name: values[:1] for name, values in COLUMNS.items()}


@pytest.mark.parametrize(
    "line",
    ["11,0.00141342,23,0.0325,1570752011620,True,True", "11,0.00141342,23,1,1,1570752011620,true,true"],
)
def test_dumps_without_a_header_line_are_known_by_their_width(line: str, tmp_path: Path) -> None:
    with trades(tmp_path / "t.csv", line + "\n") as source:
        assert columns(source) == {name: values[:1] for name, values in COLUMNS.items()}


def test_two_clocks_are_kept_apart(tmp_path: Path) -> None:
    text = csv(
        "1570752012000,1570752011620,1,buy,1,2", header="local_timestamp,timestamp,id,side,price,amount"
    )
    with trades(tmp_path / "t.csv", text) as source:
        found = columns(source)
    assert (found["ts_ns"], found["ts_venue_ns"]) == ([1570752012000000000], [1570752011620000000])


def test_columns_can_be_named_and_ambiguous_ones_must_be(tmp_path: Path) -> None:
    text = csv("1570752011620,1,2,buy,3,4", header="when,time,ts,what,price,qty")
    with pytest.raises(DataError, match=r"time, ts could each be time; choose with --column time=NAME"):
        trades(tmp_path / "t.csv", text)
    with trades(tmp_path / "t.csv", text, columns=(("time", "when"), ("side", "what"))) as source:
        assert columns(source)["ts_ns"] == [1570752011620000000]
        assert columns(source)["side"] == [1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((("prize", "price"),), "no such column of ours"),
        ((("price", "prize"),), "has no column prize; it has timestamp"),
        ((("price", "amount"),), "asked to be two things"),
    ],
)
def test_a_column_that_is_not_there_is_refused(
    asked: tuple[tuple[str, str], ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        trades(tmp_path / "t.csv", csv(*LINES), columns=asked)


def test_ids_that_are_no_numbers_are_left_out_and_said(tmp_path: Path) -> None:
    with trades(
        tmp_path / "t.csv", csv("1570752011620,8a-9b,buy,1,2", "1570752011620,8a-9b,buy,1,2")
    ) as source:
        assert columns(source)["trade_id"] == [0, 0]
        assert any("no whole numbers" in said for said in source.assumptions)


def test_configuration_and_flags_win_over_inference(tmp_path: Path) -> None:
    configured = Instrument(
        symbol="XRP/ETH",
        venue="binance",
        base="XRP",
        quote="ETH",
        tick_size=Decimal("1e-7"),
        lot_size=Decimal(2),
    )
    path = tmp_path / "XRP_ETH.csv"
    path.write_text(csv(*LINES))
    with open_trades(path, TradeOptions(), {"XRP/ETH": configured}) as source:
        assert source.instrument == configured
        assert columns(source)["price_ticks"] == [14134, 14127, 14127]
        assert columns(source)["qty_lots"] == [12, 27, 4]
        assert (source.facts.off_grid.n, source.facts.off_grid.places[0].row) == (4, 1)
    with open_trades(path, TradeOptions(lot=Decimal("0.5")), {}) as source:
        assert source.instrument.lot_size == Decimal("0.5")
        assert columns(source)["qty_lots"] == [46, 108, 16]


def test_dirty_floats_are_snapped_onto_the_grid_of_the_clean_ones(tmp_path: Path) -> None:
    lines = [f"{1570752011620 + n},{n},buy,0.1044105{n % 10},1" for n in range(1, 2_000)]
    lines[6] = "1570752011627,7,buy,0.10441057000000001,1"
    with trades(tmp_path / "t.csv", csv(*lines)) as source:
        assert source.instrument.tick_size == Decimal("1e-8")
        assert source.facts.snapped.n == 1
        assert (source.facts.snapped.places[0].row, source.facts.off_grid.n) == (7, 0)
        assert columns(source)["price_ticks"][6] == 10441057


def test_trades_of_no_quantity_are_skipped_counted_and_placed(tmp_path: Path) -> None:
    with trades(tmp_path / "t.csv", csv(LINES[0], "1570752011621,99,sell,0,0.0", LINES[2])) as source:
        assert columns(source)["trade_id"] == [11, 13]
        assert source.facts.skipped.n == 1
        place = source.facts.skipped.places[0]
        assert (place.ts_ns, place.row, place.detail) == (1570752011621000000, 2, "quantity zero")


DISORDERED = csv(
    "1570752011003,3,buy,3,1",
    "1570752011001,1,buy,1,1",
    "1570752011003,3,buy,3,1",  # The first again.
    "1570752011002,2,buy,2,1",
    "1570752011009,1,buy,7,1",  # The second's id for another trade.
    "1570752011001,5,sell,1,1",
)


def test_disorder_is_repaired_counted_and_placed(tmp_path: Path) -> None:
    with trades(tmp_path / "t.csv", DISORDERED) as source:
        assert columns(source)["trade_id"] == [1, 5, 2, 3]
        facts = source.facts
        assert [place.row for place in facts.out_of_order.places] == [2, 4, 6]
        assert [place.row for place in facts.duplicates.places] == [3]
        assert [place.row for place in facts.conflicting_duplicates.places] == [5]
        assert facts.conflicting_duplicates.places[0].ts_ns == 1570752011009000000


def test_disorder_is_refused_where_repair_is_off(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"3 trades out of order and 1 trade repeated and 1 trade with the id of"
    ) as raised:
        trades(tmp_path / "t.csv", DISORDERED, repair=False)
    assert "first at row 2" in str(raised.value)


def test_trades_without_an_id_are_all_kept(tmp_path: Path) -> None:
    text = csv("1570752011620,buy,1,2", "1570752011620,buy,1,2", header="time,side,price,qty")
    with trades(tmp_path / "t.csv", text) as source:
        assert source.n_rows == 2
        assert source.facts.duplicates.n == 0
        assert any("no trade ids" in said for said in source.assumptions)


@pytest.mark.parametrize(("again", "first"), [(65_900, 5), (65_536, 65_535)])
def test_a_repeated_id_is_found_across_blocks(again: int, first: int, tmp_path: Path) -> None:
    lines = [f"{1570752011620 + n},{n},buy,1.5,1" for n in range(1, 66_001)]
    lines[again] = lines[first]
    with trades(tmp_path / "t.csv", csv(*lines)) as source:
        assert source.n_rows == 65_999
        assert (source.facts.duplicates.n, source.facts.duplicates.places[0].row) == (1, again + 1)


def test_trades_without_an_id_are_kept_among_repeated_ones(tmp_path: Path) -> None:
    lines = [
        "1570752011620,,buy,1,2",
        "1570752011620,,buy,1,2",
        "1570752011620,7,buy,1,2",
        "1570752011620,7,buy,1,2",
    ]
    with trades(tmp_path / "t.csv", csv(*lines)) as source:
        assert columns(source)["trade_id"] == [0, 0, 7]
        assert (source.facts.duplicates.n, source.facts.conflicting_duplicates.n) == (1, 0)


def test_sorting_keeps_the_order_of_equal_times(tmp_path: Path) -> None:
    lines = [f"{1570752011620 - n % 2},{n},buy,1,2" for n in range(1, 201)]
    with trades(tmp_path / "t.csv", csv(*lines)) as source:
        assert columns(source)["trade_id"] == [*range(1, 201, 2), *range(2, 201, 2)]


def test_rows_are_numbered_as_in_the_file_behind_a_skipped_one(tmp_path: Path) -> None:
    lines = [LINES[0], "1570752011621,99,sell,1,0", "1570752011622,13,buy,0.00141263,8.5", LINES[0]]
    with trades(tmp_path / "t.csv", csv(*lines), tick=Decimal("1e-7"), lot=Decimal(1)) as source:
        facts = source.facts
        assert [place.row for place in facts.off_grid.places] == [1, 3, 3]
        assert [place.row for place in facts.duplicates.places] == [4]
