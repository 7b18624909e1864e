"""What a run amounts to, from its orders alone, is what its curve says bar by bar; lanes add in one order everywhere."""

import numpy as np
import pytest

from njord.kernels.fused_stats import curve_sums, equity_of, trip_sums
from njord.kernels.fused_tables import (
    END_OF_DATA,
    ENDED,
    FEE,
    FILLED,
    FILLED_ROW,
    LOTS,
    NO_FUNDS,
    ORDER_SIZE,
    PAID_TICKS,
    SIGN,
    Cap,
    Terms,
)
from njord.kernels.lanes import _add_lanes, add_returns
from njord.kernels.order_stats import BLOCK, Closes, extremes, order_sums

CAPITAL, UNIT, PER_MONEY = 10**13, 1_000, 10**9
OFF = Cap(False, False, 0, 0, 1)


def terms() -> Terms:
    """Return terms of which only the money counts here."""
    return Terms(
        unit=UNIT, capital=CAPITAL, n_levels=1, lots_max=2**40, min_lots=1, max_lots=2**40, min_notional=0,
        per_minute=99, strategy_per_minute=99, may_short=True, venue_may_short=True, slippage_numerator=0,
        slippage_denominator=1, fee_numerator=1, fee_divisor=1000, fee_step=1, cost_numerator=0, cost_denominator=1,
        daily_loss=OFF, order_notional=OFF, position=OFF, gross=OFF,
    )  # fmt: skip


def random_orders(rng: np.random.Generator, n: int, may_short: bool) -> np.ndarray:
    """Return orders that go in and out, some refused by the venue, the last without its bar."""
    rows, held = [], 0
    for row in sorted(rng.choice(np.arange(1, n), size=min(n // 5, 40), replace=False).tolist()):
        order = [0] * ORDER_SIZE
        sign = -1 if held > 0 else 1
        if held == 0 and may_short and rng.random() < 0.5:
            sign = -1
        lots = abs(held) if held else int(rng.integers(1, 900))
        order[SIGN], order[LOTS], order[FILLED_ROW] = sign, lots, row
        order[PAID_TICKS], order[FEE] = int(rng.integers(900, 1_100)), int(rng.integers(0, 50_000))
        order[ENDED] = NO_FUNDS if rng.random() < 0.1 else FILLED
        held += sign * lots if order[ENDED] == FILLED else 0
        rows.append(order)
    rows.append([0] * ORDER_SIZE)
    rows[-1][ENDED] = END_OF_DATA
    return np.array(rows, np.int64)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n", [3, 40, 700])
def test_orders_and_curve_say_the_same(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    close = rng.integers(900, 1_100, n)
    orders = random_orders(rng, n, may_short=False)
    curve = np.empty(n, np.int64)
    equity_of(orders, len(orders), close, CAPITAL, UNIT, curve)
    edges = np.array([n * k // 7 for k in range(8)])
    highest, lowest = np.empty(n // BLOCK), np.empty(n // BLOCK)
    extremes(close.astype(float), highest, lowest)
    closes = Closes(close.astype(float), highest, lowest, 0)
    ours, theirs = np.empty((7, 3)), np.empty((7, 3))
    sums, final, is_summed = order_sums(
        orders, len(orders), closes, terms(), float(PER_MONEY), edges, ours, np.empty(5)
    )
    assert is_summed
    assert final == pytest.approx(curve[-1] / PER_MONEY, rel=1e-13)
    by_bar = curve_sums(curve, CAPITAL, float(PER_MONEY), edges, theirs)
    np.testing.assert_allclose(sums, by_bar, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)
    peaks = np.maximum.accumulate(np.concatenate(([CAPITAL], curve)))[1:]
    assert by_bar.deepest == pytest.approx(float(((peaks - curve) / peaks).max()), rel=1e-12)


def test_what_is_sold_short_is_left_to_the_curve() -> None:
    rng = np.random.default_rng(3)
    close = rng.integers(900, 1_100, 200)
    orders = random_orders(rng, 200, may_short=True)
    assert (orders[orders[:, ENDED] == FILLED][0, SIGN]) == -1
    closes = Closes(close.astype(float), np.empty(0), np.empty(0), 0)
    edges = np.array([0, 200])
    *_, is_summed = order_sums(
        orders, len(orders), closes, terms(), float(PER_MONEY), edges, np.empty((1, 3)), np.empty(5)
    )
    assert not is_summed


def test_lanes_add_in_the_same_order_where_nothing_is_compiled() -> None:
    close = np.cumsum(np.random.default_rng(2).normal(size=300)) + 1_000
    compiled, plain = np.zeros(5), np.zeros(5)
    for first, n_times in ((1, 30), (5, 1), (7, 0), (100, 20)):
        add_returns(close, first, n_times, 123.5, 0.7, compiled)
        _add_lanes(close, first, n_times, 123.5, 0.7, plain)
    assert compiled.tolist() == plain.tolist()


def test_round_trips_split_fees_like_the_ledger_does() -> None:
    orders = np.zeros((3, ORDER_SIZE), np.int64)
    for at, (sign, lots, price, fee) in enumerate([(1, 3, 100, 10), (1, 2, 110, 4), (-1, 4, 120, 9)]):
        orders[at, [SIGN, LOTS, PAID_TICKS, FEE, ENDED]] = sign, lots, price, fee, FILLED
    trips = trip_sums(orders, 3, 1, 1, np.zeros((4, 3), np.int64))
    # The first lot takes 3/4 of the exit's fee, rounded down to 6, the second lot's half of its own fee is 2.
    assert (trips.n_fills, trips.n_trips, trips.n_wins) == (3, 2, 2)
    assert trips.gross_profit == (3 * 20 - 10 - 6) + (10 - 2 - 3)
    assert (trips.gross_loss, trips.fees, trips.notional) == (0, 23, 300 + 220 + 480)
