"""A walk from change to change sends the orders that a look at every bar would send, wherever the blocks of 64 bars end."""

import numpy as np
import pytest

from njord.kernels.fused_tables import (
    DONE,
    FILLED,
    KEEP_LEVEL,
    N_REFUSALS,
    ORDER_SIZE,
    RATE,
    STRATEGY_RATE,
    Bars,
    Cap,
    Levels,
    Run,
    Terms,
)
from njord.kernels.limits import NO_LIMIT
from njord.kernels.signals import padded, walk

SECOND_NS, MINUTE_NS, DAY_NS = 10**9, 60 * 10**9, 86_400 * 10**9
OFF = Cap(False, False, 0, 0, 1)
LEVELS = Levels(np.array([-2, 0, 3]), np.zeros(3, np.int64), np.ones(3, np.int64))


def terms(per_minute: int, strategy_per_minute: int, daily_loss: Cap = OFF) -> Terms:
    """Return terms that allow everything but too many orders, and a day's loss."""
    return Terms(
        unit=1, capital=10**12, n_levels=1, lots_max=2**40, min_lots=1, max_lots=2**40, min_notional=0,
        per_minute=per_minute, strategy_per_minute=strategy_per_minute, may_short=True, venue_may_short=True,
        slippage_numerator=0, slippage_denominator=1, fee_numerator=0, fee_divisor=1, fee_step=1, cost_numerator=0,
        cost_denominator=1, daily_loss=daily_loss, order_notional=OFF, position=OFF, gross=OFF,
    )  # fmt: skip


def bars_of(ts_ns: np.ndarray, seed: int) -> Bars:
    """Return bars at those times, around a price of a thousand ticks."""
    prices = np.random.default_rng(seed).integers(900, 1_100, (5, ts_ns.size))
    return Bars(ts_ns, *prices)


def walked(
    drawn: np.ndarray, bars: Bars, limits: Terms, warm_bars: int
) -> tuple[Run, np.ndarray, np.ndarray]:
    """Return the run, its orders and its refusals."""
    signal = np.full(padded(drawn.size), KEEP_LEVEL, np.int8)
    signal[: drawn.size] = drawn
    orders, refusals = np.zeros((drawn.size, ORDER_SIZE), np.int64), np.zeros(N_REFUSALS, np.int64)
    run = walk(signal, bars, LEVELS, limits, warm_bars, orders, refusals)
    return run, orders[: run.n_orders], refusals


def looked_at(
    drawn: np.ndarray, ts_ns: np.ndarray, limits: Terms, warm_bars: int
) -> list[tuple[int, int, int]]:
    """Return (row, change, why) of every order that a look at each bar asks for."""
    asked = held = 0
    sent: list[int] = []
    found = []
    for row in range(max(warm_bars, 1) - 1, drawn.size):
        level = int(drawn[row])
        if level in (asked, KEEP_LEVEL):
            continue
        asked = level
        change = int(LEVELS.lots[level + 1]) - held
        if not change:
            continue
        n_recent = sum(ts_ns[each] > ts_ns[row] - MINUTE_NS for each in sent)
        why = RATE if n_recent >= limits.per_minute else 0
        why = STRATEGY_RATE if not why and n_recent >= limits.strategy_per_minute else why
        found.append((row, change, why))
        if not why:
            sent.append(row)
            held += change
    return found


@pytest.mark.parametrize("spacing_ns", [MINUTE_NS, 7 * SECOND_NS])
@pytest.mark.parametrize("per_minute", [(0, 9), (1, 9), (2, 9), (9, 3), (4, 4), (NO_LIMIT, NO_LIMIT)])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 128, 200])
def test_orders_are_those_of_a_look_at_every_bar(
    n: int, per_minute: tuple[int, int], spacing_ns: int
) -> None:
    limits = terms(*per_minute)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        drawn = rng.choice([-1, 0, 1, KEEP_LEVEL], n, p=[0.2, 0.3, 0.3, 0.2])
        drawn = np.repeat(drawn, rng.integers(1, 1 + seed, n) if seed else 1)[:n]
        # Some bars come late, so that some minutes are full and others are not.
        ts_ns = DAY_NS + np.cumsum(spacing_ns * rng.choice([1, 1, 1, 9], n))
        warm_bars = int(rng.integers(0, min(n, 70) + 1))
        run, orders, refusals = walked(drawn, bars_of(ts_ns, seed), limits, warm_bars)
        expected = looked_at(drawn, ts_ns, limits, warm_bars)
        allowed = [(row, change) for row, change, why in expected if not why]
        assert run.code == DONE
        assert [(row, sign * lots) for row, sign, lots in orders[:, :3].tolist()] == allowed
        assert all(
            order[6] == FILLED and order[3] == order[0] + 1 for order in orders.tolist() if order[0] < n - 1
        )
        assert run.n_intents == len(expected)
        for why in (RATE, STRATEGY_RATE):
            assert refusals[why] == sum(each[2] == why for each in expected)


def test_a_minute_of_many_bars_late_in_the_run_is_counted() -> None:
    ts_ns = DAY_NS + np.cumsum(np.r_[np.full(150, MINUTE_NS), np.full(50, SECOND_NS)])
    drawn = np.arange(200) % 2
    run, orders, refusals = walked(drawn, bars_of(ts_ns, 1), terms(5, 5), 1)
    expected = looked_at(drawn, ts_ns, terms(5, 5), 1)
    assert orders[:, 0].tolist() == [row for row, _, why in expected if not why]
    assert 0 < refusals[RATE] == len(expected) - run.n_orders


def test_a_day_that_lost_too_much_ends_with_the_day() -> None:
    ts_ns = DAY_NS + np.arange(1, 301) * 600 * SECOND_NS
    close = np.full(300, 1_000)
    close[20:] = 500  # While three lots are held: the loss of the first day.
    bars = Bars(ts_ns, close, close, close, close, close)
    drawn = np.zeros(300, np.int64)
    drawn[10:30] = drawn[40:50] = drawn[200:210] = 1
    run, orders, refusals = walked(drawn, bars, terms(9, 9, Cap(True, True, 1_500, 0, 1)), 1)
    assert orders[:, 0].tolist() == [10, 30, 200, 210]
    assert (run.n_intents, refusals.sum()) == (5, 1)
