"""Recorded trades become the bars that an independent grouping of the same text gives: in bulk, folded, and online."""

import csv
import gzip
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

from njord.apps.resample import resample
from njord.core.instrument import Instrument
from njord.data.bars import ActivityBarBuilder, BarBuilder
from njord.kernels.bars_activity import LOTS, NOTIONAL, TRADES
from njord.storage.interval import parse_timeframe
from tests.unit.data.bars_host import Host, Row, Trade, bar_rows, trade_rows

pytestmark = pytest.mark.integration

INSTRUMENT = Instrument(
    symbol="XRP/ETH",
    venue="recorded",
    base="XRP",
    quote="ETH",
    tick_size=Decimal("1e-8"),
    lot_size=Decimal("1"),
)
TIMEFRAMES = ["1m", "5m", "1h", "1d"]
NS_PER_MS = 1_000_000


@pytest.fixture(scope="module")
def trades() -> list[Trade]:
    """The recorded trades as whole ticks and lots, parsed here and exactly."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "trades"
    found: list[Trade] = []
    with gzip.open(folder / "XRP_ETH-trades-20191011-20191013.csv.gz", "rt") as file:
        for line in csv.DictReader(file):
            ticks, lots = Decimal(line["price"]).scaleb(8), Decimal(line["amount"])
            assert ticks == int(ticks)
            assert lots == int(lots)
            found.append((int(line["timestamp"]) * NS_PER_MS, int(ticks), int(lots)))
    return found


@pytest.fixture(autouse=True)
def _recordings_are_there(recordings: Path) -> None:
    assert recordings.is_dir()


def grouped(trades: list[Trade], width: int) -> list[Row]:
    """Plain Python: the file is in the order of time."""
    rows: list[Row] = []
    for start, group in groupby(trades, key=lambda trade: trade[0] - trade[0] % width):
        _, prices, amounts = zip(*group, strict=True)
        rows.append((start, prices[0], max(prices), min(prices), prices[-1], sum(amounts)))
    return rows


def by_polars(trades: list[Trade], timeframe: str) -> list[Row]:
    frame = pl.DataFrame(trades, schema=["ts", "price", "qty"], orient="row")
    price = pl.col("price")
    bars = (
        frame.with_columns(pl.from_epoch("ts", "ns").set_sorted())
        .group_by_dynamic("ts", every=timeframe)
        .agg(o=price.first(), h=price.max(), l=price.min(), c=price.last(), v=pl.col("qty").sum())
    )
    return [tuple(row) for row in bars.with_columns(pl.col("ts").cast(pl.Int64)).rows()]


def test_the_recording_is_what_it_is_known_to_be(trades: list[Trade]) -> None:
    assert len(trades) == 12_477
    assert trades == sorted(trades, key=lambda trade: trade[0])
    assert len({at for at, *_ in trades}) < len(trades), "several trades share a millisecond"


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_bars_in_bulk_are_those_of_an_independent_grouping(trades: list[Trade], timeframe: str) -> None:
    found = resample([trade_rows(trades)], INSTRUMENT, timeframe=timeframe)
    rows = bar_rows(found)
    assert rows == grouped(trades, parse_timeframe(timeframe)) == by_polars(trades, timeframe)
    assert (found.counts.n_late, found.counts.n_rows) == (0, len(trades))


@pytest.mark.parametrize("gaps", ["hole", "flat"])
@pytest.mark.parametrize("timeframe", TIMEFRAMES[1:])
def test_folded_bars_are_the_direct_ones(
    trades: list[Trade], timeframe: str, gaps: Literal["hole", "flat"]
) -> None:
    width = parse_timeframe(timeframe)
    minutes = list(resample([trade_rows(trades)], INSTRUMENT, timeframe="1m", gaps=gaps))
    folded = resample(minutes, INSTRUMENT, timeframe=timeframe, interval_ns=parse_timeframe("1m"))
    assert [row for row in bar_rows(folded) if row[5]] == grouped(trades, width)


@pytest.mark.parametrize("gaps", ["hole", "flat"])
@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_bars_as_the_trades_come_are_those_in_bulk(
    trades: list[Trade], timeframe: str, gaps: Literal["hole", "flat"]
) -> None:
    host = Host(BarBuilder(1, parse_timeframe(timeframe), gaps=gaps))
    for at, price, qty in trades:
        host.trade(at, price, qty)
    expected = bar_rows(resample([trade_rows(trades)], INSTRUMENT, timeframe=timeframe, gaps=gaps))
    host.wait(expected[-1][0] + parse_timeframe(timeframe))
    assert host.rows() == expected
    assert all(bar.ts_ns == bar.ts_open_ns + parse_timeframe(timeframe) for bar in host.bars)


@pytest.mark.parametrize(
    ("measure", "threshold", "asked"),
    [
        (TRADES, 100, {"ticks": 100}),
        (LOTS, 25_000, {"volume": Decimal(25_000)}),
        (NOTIONAL, 20 * 10**8, {"notional": Decimal(20)}),
    ],
)
def test_activity_bars_as_the_trades_come_are_those_in_bulk_and_hold_enough(
    trades: list[Trade], measure: int, threshold: int, asked: dict[str, Any]
) -> None:
    host = Host(ActivityBarBuilder(1, measure, threshold))
    for at, price, qty in trades:
        host.trade(at, price, qty)
    blocks = [trade_rows(trades[first : first + 1000]) for first in range(0, len(trades), 1000)]
    assert (
        host.rows() == bar_rows(resample(blocks, INSTRUMENT, **asked)) == activity(trades, measure, threshold)
    )


def activity(trades: list[Trade], measure: int, threshold: int) -> list[Row]:
    """Plain Python: a group is complete when it holds enough."""
    rows: list[Row] = []
    group: list[Trade] = []
    for trade in trades:
        group.append(trade)
        held = {
            TRADES: len(group),
            LOTS: sum(q for *_, q in group),
            NOTIONAL: sum(p * q for _, p, q in group),
        }
        if held[measure] >= threshold:
            _, prices, amounts = zip(*group, strict=True)
            rows.append((group[0][0], prices[0], max(prices), min(prices), prices[-1], sum(amounts)))
            group = []
    return rows
