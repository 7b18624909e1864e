"""Columns of indicators for the fused loop are the very bits that the ordered engine reads, whole or piece by piece."""

from decimal import Decimal

import numpy as np
import pytest

from njord.backtest.indicator_columns import IndicatorColumns, IndicatorTiles
from njord.core.instrument import Instrument
from njord.strategies.features import BarColumns
from njord.strategies.indicator_steps import start
from njord.strategies.indicators import Highest, Indicator, Sma

ODD_TICK = Instrument(
    symbol="BTC/USDT",
    venue="here",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.05"),
    lot_size=Decimal("0.3"),
)


def bars(n: int, scale: int = 1) -> BarColumns:
    rng = np.random.default_rng(n)
    drawn = {
        name: rng.integers(1, 90_000, n) * scale for name in ("open", "high", "low", "close", "volume_lots")
    }
    ts_ns = np.arange(n) * 60
    return BarColumns(instrument=ODD_TICK, ts_open_ns=ts_ns, ts_ns=ts_ns + 60, **drawn)


INDICATORS = [Sma(1), Sma(3), Sma(7, "volume"), Sma(60), Sma(5, "high"), Highest(4), Sma(2, "high")]


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.parametrize("indicator", INDICATORS, ids=str)
def test_whole_columns_are_what_the_ordered_engine_reads(indicator: Indicator, n: int) -> None:
    columns, whole = bars(n), np.empty(n)
    IndicatorColumns(columns).write(indicator, whole)
    assert whole.tobytes() == start(indicator, ODD_TICK).piece(columns).tobytes()


@pytest.mark.parametrize("length", [1, 3, 40, 1_500, 4_000])
@pytest.mark.parametrize("n", [1, 5, 40, 4_000])
def test_tiles_are_pieces_of_whole_columns(n: int, length: int) -> None:
    columns = bars(n)
    indicators = [*INDICATORS, Sma(700), Sma(70_000)]
    tiles, found = IndicatorTiles(columns, indicators), np.empty((len(indicators), n))
    for first in range(0, n, length):
        tiles.write(first, found[:, first : first + length])
    for indicator, values in zip(indicators, found, strict=True):
        assert values.tobytes() == start(indicator, ODD_TICK).piece(columns).tobytes()


def test_sums_that_leave_an_int64_are_left_to_the_general_way() -> None:
    columns = bars(6, scale=2**44)
    indicator = Sma(4)
    out = np.empty(6)
    IndicatorColumns(columns).write(indicator, out)
    np.testing.assert_array_equal(out, start(indicator, ODD_TICK).piece(columns))
