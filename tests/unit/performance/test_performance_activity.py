"""Turnover, maker and taker, break-even, queue, exposure and the benchmark: small cases worked out by hand."""

import math
from decimal import Decimal

import numpy as np
import pytest

from njord.core.types import Side
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.performance.benchmark import compare
from njord.performance.contribution import AccountFill
from njord.performance.exposure import gross_exposure, gross_fractions, share_of_time, union
from njord.performance.queue import RestingOrder, queue_statistics
from njord.performance.streaming import EquityStatistics
from njord.performance.turnover import break_even, maker_taker, turnover


def fill(qty: str, fee: str, is_maker: bool, in_base: bool = False) -> AccountFill:
    return AccountFill(
        ts_ns=0, strategy_id="s", instrument=0, side=Side.BUY, price=Decimal(100), qty=Decimal(qty), fee=Decimal(fee),
        fee_in_base=in_base, is_maker=is_maker,
    )  # fmt: skip


def test_makers_and_takers_are_summed_apart_fees_in_kind_at_their_worth() -> None:
    split = maker_taker([fill("3", "-0.03", True), fill("1", "0.001", False, in_base=True)])
    assert (split.maker.n_fills, split.maker.notional, split.maker.fees) == (
        1,
        Decimal(300),
        Decimal("-0.03"),
    )
    assert (split.taker.n_fills, split.taker.notional, split.taker.fees) == (1, Decimal(100), Decimal("0.1"))
    assert (split.maker.fee_bps, split.taker.fee_bps) == (-1.0, 10.0)
    assert (split.maker.share, split.taker.share) == (0.75, 0.25)


def test_without_a_fill_shares_and_rates_are_undefined() -> None:
    split = maker_taker([])
    assert math.isnan(split.maker.share)
    assert math.isnan(split.taker.fee_bps)


def test_turnover_is_traded_over_mean_equity_per_day_and_year() -> None:
    found = turnover(Decimal(3000), 1500.0, 2 * NS_PER_DAY)
    assert (found.turnover, found.per_day, found.per_year) == (2.0, 1.0, 365.0)
    assert math.isnan(turnover(Decimal(1), 0.0, NS_PER_DAY).turnover)
    assert math.isnan(turnover(Decimal(1), 1.0, 0).per_day)


def test_the_break_even_costs_make_the_very_same_fills_earn_nothing() -> None:
    fills = [fill("3", "0.4", True), fill("5", "0.6", False)]
    bear = break_even(Decimal("1.5"), maker_taker(fills))
    assert bear.fee_multiple == 2.5
    assert bear.extra_slippage_bps == 30.0, "500 taken x 30 bp = 1.5"
    assert math.isnan(break_even(Decimal(-1), maker_taker(fills)).fee_multiple)
    assert math.isnan(break_even(Decimal(1), maker_taker(fills[:1])).extra_slippage_bps), "nothing took"
    assert math.isnan(break_even(Decimal(1), maker_taker([fill("1", "-1", True)])).fee_multiple), "rebates"


def resting(filled: int, first: int | None, end: int, ahead: int | None = None) -> RestingOrder:
    return RestingOrder(
        qty_lots=10, filled_lots=filled, accepted_ns=100, first_fill_ns=first, end_ns=end, ahead_lots=ahead
    )


def test_the_queue_counts_what_filled_and_how_long_it_waited() -> None:
    found = queue_statistics(
        [resting(10, 110, 110, 5), resting(5, 130, 200, 9), resting(0, None, 160, 4), resting(0, None, 100)]
    )
    assert (found.n_orders, found.n_filled, found.n_partly, found.n_unfilled) == (4, 1, 1, 2)
    assert found.fill_ratio == pytest.approx(1.5 / 4)
    assert (found.mean_wait_ns, found.median_wait_ns, found.mean_unfilled_life_ns) == (20.0, 20.0, 30.0)
    assert (found.n_places, found.mean_ahead_lots, found.median_ahead_lots) == (3, 6.0, 5.0)


def test_a_venue_without_a_queue_leaves_the_places_undefined() -> None:
    found = queue_statistics([resting(10, 110, 110)])
    assert found.n_places == 0
    assert math.isnan(found.mean_ahead_lots)
    assert math.isnan(queue_statistics([]).fill_ratio)


def test_times_in_the_market_are_counted_once_however_many_symbols_were_held() -> None:
    assert union([[(0, 10), (20, 30)], [(5, 12), (30, 40)], [(2, 5)]]) == [(0, 12), (20, 40)]
    assert union([[(0, 10)], [(2, 5)]]) == [(0, 10)]
    assert share_of_time(union([[(0, 10)], [(5, 20)]]), 0, 40) == 0.5
    assert share_of_time([(0, 10)], 5, 15) == 0.5
    assert math.isnan(share_of_time([], 5, 5))


def test_gross_exposure_adds_longs_and_shorts() -> None:
    qty = np.array([[1.0, 2.0, 0.0, 1.0], [-1.0, 0.0, 0.0, 1.0]])
    prices = np.array([[100.0, 100.0, 100.0, 100.0], [50.0, 50.0, np.nan, np.nan]])
    fractions = gross_fractions(qty, prices, np.array([300.0, 400.0, 400.0, -1.0]))
    assert fractions[:3].tolist() == [0.5, 0.5, 0.0]
    assert math.isnan(fractions[3]), "no equity is left to compare with"
    found = gross_exposure(np.arange(4, dtype=np.int64), fractions)
    assert (found.n_samples, found.mean_invested, found.largest, found.largest_ns) == (3, 0.5, 0.5, 0)
    assert found.mean == pytest.approx(1 / 3)


def statistics(*equity: float) -> EquityStatistics:
    made = EquityStatistics(capital=100.0, interval_ns=NS_PER_MINUTE)
    times = NS_PER_DAY * np.arange(1, len(equity) + 1, dtype=np.int64)
    made.update(times, np.array(equity))
    return made


def test_the_benchmark_stands_beside_the_run() -> None:
    run, hold = statistics(110.0, 99.0, 120.0, 118.0), statistics(105.0, 100.0, 110.0, 108.0)
    found = compare(run, hold, "bar")
    assert found.final_equity == 108.0
    assert found.added_return == pytest.approx(0.10)
    assert found.max_drawdown == pytest.approx(5 / 105)
    assert found.sharpe == hold.bar.sharpe
    assert found.added_sharpe == run.bar.sharpe - hold.bar.sharpe
    expected = np.corrcoef(run.daily_returns(), hold.daily_returns())[0, 1]
    assert found.correlation == pytest.approx(expected)
    assert compare(run, hold, "daily").sharpe == hold.daily.sharpe


def test_without_deviation_there_is_no_correlation() -> None:
    assert math.isnan(compare(statistics(1.0, 2.0, 3.0), statistics(100.0, 100.0, 100.0), "bar").correlation)
    assert math.isnan(compare(statistics(1.0), statistics(1.0), "bar").correlation)
