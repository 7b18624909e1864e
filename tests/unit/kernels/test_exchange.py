"""Triggers and queue models by hand, and the tables of an exchange that grow."""

from fractions import Fraction
from math import inf

import numpy as np
import pytest

from njord.kernels import exchange, exchange_orders
from njord.kernels.exchange import HAPPENED, ROWS_USED
from njord.kernels.exchange_orders import (
    BOOK_FULL,
    DONE,
    GTC,
    N_OUT,
    OF,
    ORDERS_FULL,
    OUT_FULL,
    ROW,
    grown,
    new_exchange,
)
from njord.kernels.exchange_queue import PROBABILITY, RISK_AVERSE, ahead_after
from njord.kernels.exchange_rows import ROW_ASK, ROW_BID, ROW_SELL
from njord.kernels.triggers import is_triggered, trailed

FOREVER = 2**63 - 1


@pytest.mark.parametrize(
    ("sign", "is_take_profit", "wakes_at", "sleeps_at"),
    [(1, False, 100, 99), (-1, False, 100, 101), (1, True, 100, 101), (-1, True, 100, 99)],
)
def test_a_stop_waits_for_a_price_against_it_and_a_take_profit_for_one_in_its_favor(
    sign: int, is_take_profit: bool, wakes_at: int, sleeps_at: int
) -> None:
    assert is_triggered(sign, is_take_profit, 100, wakes_at)
    assert not is_triggered(sign, is_take_profit, 100, sleeps_at)


def test_a_trailing_trigger_follows_the_best_price_and_never_goes_back() -> None:
    selling, buying = 0, 0
    for price, sells_at, buys_at in (
        (100, 95, 105),
        (104, 99, 105),
        (98, 99, 103),
        (90, 99, 95),
        (91, 99, 95),
    ):
        selling, buying = trailed(-1, selling, 5, price), trailed(1, buying, 5, price)
        assert (selling, buying) == (sells_at, buys_at)
    assert trailed(-1, 0, 5, 3) == 1


def test_risk_averse_thinks_that_cancels_are_behind_us() -> None:
    assert ahead_after(RISK_AVERSE, 40.0, 0.0, 100, 60) == 40.0
    assert ahead_after(RISK_AVERSE, 40.0, 0.0, 100, 30) == 30.0
    assert ahead_after(RISK_AVERSE, inf, 0.0, 0, 7) == 7.0


def test_probability_gives_cancels_to_the_longer_part_of_the_queue() -> None:
    # 100 lots, 40 ahead and 60 behind, 20 cancel: 40^2 / (40^2 + 60^2) of them ahead.
    expected = 40 - Fraction(40**2, 40**2 + 60**2) * 20
    assert ahead_after(PROBABILITY, 40.0, 0.0, 100, 80) == pytest.approx(float(expected), abs=1e-12)
    # Half of them were traded: those are ahead already counted.
    expected = 40 - Fraction(40**2, 40**2 + 60**2) * 10
    assert ahead_after(PROBABILITY, 40.0, 10.0, 100, 80) == pytest.approx(float(expected), abs=1e-12)
    # Of 10 behind, 90 % of 50 can not cancel: what is too much falls ahead.
    behind = Fraction(10**2, 10**2 + 90**2) * 50
    assert behind < 10
    expected = 90 - (50 - behind)
    assert ahead_after(PROBABILITY, 90.0, 0.0, 100, 50) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("model", [RISK_AVERSE, PROBABILITY])
def test_lots_that_join_are_behind_us_and_a_level_that_is_gone_leaves_nobody_ahead(model: int) -> None:
    assert ahead_after(model, 40.0, 0.0, 100, 500) == 40.0
    assert ahead_after(model, 40.0, 0.0, 100, 0) <= 0.0
    assert ahead_after(model, 0.0, 0.0, 0, 0) <= 0.0
    assert ahead_after(model, inf, 0.0, 0, 0) == 0.0


def test_tables_that_are_full_change_nothing_and_grow() -> None:
    x = new_exchange(RISK_AVERSE, True, window=64, room=2, n_orders=1, n_out=1)
    levels = [(ROW_BID, at, 100_000 * (1 + at), 5) for at in range(4)]
    rows = np.array([*levels, (ROW_ASK, 4, 10**7, 9), (ROW_SELL, 5, 399_999, 1)], np.int64).T.copy()
    said = []
    while (now := exchange.advance(x, rows, 4)) != DONE:
        said.append(now)
        x = grown(x, now)
    assert set(said) == {BOOK_FULL}
    assert x.head[ROW] == 5
    for number in (1, 2, 3):
        order = (number, 1, 2, 400_000, 0, 0, 0, 0, GTC)
        while (now := exchange.add(x, *order)) != DONE:
            said.append(now)
            x = grown(x, now)
    assert {ORDERS_FULL, OUT_FULL} <= set(said)
    assert exchange.advance(x, rows, FOREVER) == HAPPENED
    assert x.out[: x.head[N_OUT], OF].tolist() == [1, 2, 3]
    assert exchange.advance(x, rows, FOREVER) == ROWS_USED


def test_orders_of_one_exchange_are_found_shrunk_and_removed_by_number() -> None:
    x = new_exchange(RISK_AVERSE, True, window=64)
    for number in (7, 8):
        assert exchange.add(x, number, 1, 5, 0, 100, 0, 0, 0, GTC) == DONE
    assert exchange_orders.find(x, 8) == 1
    assert exchange.shrink(x, 7, 2) == 3
    assert exchange.shrink(x, 7, 9) == 0
    assert exchange.cancel(x, 7) == -1
    assert exchange.cancel(x, 8) == 5
    assert exchange.shrink(x, 8, 1) == -1
    assert exchange.amend(x, 8, 1, 0, 0) == exchange.UNKNOWN_ORDER
