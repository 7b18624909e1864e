"""Marks and the table of round trips: counted in full, or said to be left out."""

import numpy as np
import pytest

from njord.backtest.page_bars import Candles
from njord.backtest.page_trades import (
    LONG_ENTRY,
    LONG_EXIT,
    SHORT_ENTRY,
    SHORT_EXIT,
    biggest,
    markers_of,
)
from njord.backtest.result import ResultFill, ResultTrip


def fill(side: str, qty: str, ts_ns: int = 0) -> ResultFill:
    return ResultFill(
        ts_ns=ts_ns, side=side, price="1", qty=qty, fee="0", fee_asset="USDT", is_maker=False, symbol="X/USDT",
        strategy_id="s", order_no=1,
    )  # fmt: skip


def trip(pnl: str) -> ResultTrip:
    return ResultTrip(
        side="buy", ts_open_ns=0, ts_close_ns=1, qty="1", entry_price="1", exit_price="1", fees="0", pnl=pnl,
        return_fraction=None, symbol="X/USDT", strategy_id="s",
    )  # fmt: skip


def fill_kinds(fills: list[ResultFill]) -> list[int]:
    return markers_of(fills)["X/USDT"].kinds()


def test_fills_are_told_apart_by_what_they_do_to_the_position() -> None:
    fills = [fill("buy", "1"), fill("buy", "0.1"), fill("sell", "1.1"), fill("sell", "2"), fill("buy", "1")]
    assert fill_kinds(fills) == [LONG_ENTRY, LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT]


def test_a_fill_that_turns_the_position_over_is_the_entry_on_the_other_side() -> None:
    assert fill_kinds([fill("buy", "1"), fill("sell", "3"), fill("buy", "5")]) == [
        LONG_ENTRY,
        SHORT_ENTRY,
        LONG_ENTRY,
    ]


def test_what_buys_a_short_back_is_its_exit() -> None:
    assert fill_kinds([fill("sell", "1"), fill("buy", "1")]) == [SHORT_ENTRY, SHORT_EXIT]


def test_tenths_add_up_to_flat() -> None:
    assert fill_kinds([fill("buy", "0.1"), fill("buy", "0.2"), fill("sell", "0.3")])[-1] == LONG_EXIT


def test_marks_lie_on_the_candle_that_holds_them_and_are_counted() -> None:
    prices = np.ones(3, dtype=np.int64)
    candles = Candles(10, np.array([100, 110, 130], dtype=np.int64), prices, prices, prices, prices, 3)
    at = [100, 109, 110, 125, 139, 140]
    fills = [fill("buy" if i % 2 == 0 else "sell", "1", ts) for i, ts in enumerate(at)]
    marks = markers_of(fills)["X/USDT"].marks(candles)
    found = list(zip(marks.candle, marks.kind, marks.n, strict=True))
    assert found == [(0, LONG_ENTRY, 1), (0, LONG_EXIT, 1), (1, LONG_ENTRY, 1), (1, LONG_EXIT, 1),
                     (2, LONG_ENTRY, 1), (2, LONG_EXIT, 1)]  # fmt: skip
    crowd = markers_of([fill("buy", "1", 101)] * 7)["X/USDT"].marks(candles)
    assert (crowd.candle, crowd.kind, crowd.n) == ([0], [LONG_ENTRY], [7])


@pytest.mark.parametrize("n", [2, 10])
def test_the_biggest_are_exact_and_ordered(n: int) -> None:
    trips = [trip(pnl) for pnl in ("1", "-5", "0", "10", "9.99999999999999999999", "-5.00000000000000000001")]
    winners, losers = biggest(trips, n)
    assert winners == [3, 4, 0][:n]
    assert losers == [5, 1][:n]
