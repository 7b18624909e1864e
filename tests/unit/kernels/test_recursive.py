"""Exponential indicators by hand, by published tables and by exact fractions."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from njord.kernels import recursive as plain
from njord.kernels import recursive_batch as batch

NAN = float("nan")

# StockCharts' published worksheet of the 14-period RSI, QQQQ closes, two decimals.
CLOSES = """44.3389 44.0902 44.1497 43.6124 44.3278 44.8264 45.0955 45.4245 45.8433 46.0826 45.8931 46.0328 45.6140
46.2820 46.2820 46.0028 46.0328 46.4116 46.2222 45.6439 46.2122 46.2521 45.7137 46.4515 45.7835 45.3548 44.0288
44.1783 44.2181 44.5672 43.4205 42.6628 43.1314"""
RSI_14 = """70.53 66.32 66.55 69.41 66.36 57.97 62.93 63.26 56.06 62.38 54.71 50.42 39.99 41.46 41.87 45.46 37.30
33.08 37.77"""


def folded(step: Callable[..., Any], value: Callable[..., float], state: Any, xs: list[float]) -> list[float]:
    said = []
    for x in xs:
        state = step(state, x)
        said.append(value(state))
    return said


def rsi(xs: list[float], period: int) -> list[float]:
    return folded(
        lambda state, x: plain.rsi_step(state, x, period),
        lambda state: plain.rsi_value(state, period),
        plain.NO_RSI,
        xs,
    )


def test_rsi_gives_the_published_table() -> None:
    values = rsi([float(close) for close in CLOSES.split()], 14)
    assert all(map(math.isnan, values[:14]))
    assert [f"{value:.2f}" for value in values[14:]] == RSI_14.split()


def test_rsi_after_its_seed_is_wilders_recurrence() -> None:
    # Changes +2 -1 | +1 -3, period 2: gains 1 -> (1 + 1) / 2 = 1 -> 0.5, losses 0.5 -> 0.25 -> 1.625.
    values = rsi([10.0, 12.0, 11.0, 12.0, 9.0], 2)
    assert values[2:] == [100 * 1 / 1.5, 100 * 1 / 1.25, 100 * 0.5 / 2.125]


@pytest.mark.parametrize(
    ("xs", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0], 100.0),
        ([4.0, 3.0, 2.0, 1.0], 0.0),
        ([7.0] * 4, 50.0),
        ([0.0, 0.0, 0.0, 1.175494351e-38], 100.0),  # So small that the product rounds up.
    ],
)
def test_rsi_is_100_if_nothing_fell_0_if_nothing_rose_and_50_where_nothing_moved(
    xs: list[float], expected: float
) -> None:
    assert rsi(xs, 3)[-1] == expected


def test_ema_starts_with_the_first_value_and_moves_by_alpha_of_the_difference() -> None:
    state = plain.ema_step(plain.NO_EMA, 8.0, 0.25)
    assert plain.ema_value(state) == 8.0
    assert plain.ema_value(plain.ema_step(state, 4.0, 0.25)) == 7.0


def test_tema_smooths_three_times_and_not_once() -> None:
    # By the definition, in fractions: alpha 1/2, dyadic values, so that floats are exact.
    xs, half = [8.0, 16.0, 4.0, 2.0, 32.0], Fraction(1, 2)
    passes: list[list[Fraction]] = [[Fraction(x) for x in xs]]
    for _ in range(3):
        smooth = [passes[-1][0]]
        for value in passes[-1][1:]:
            smooth.append(smooth[-1] + half * (value - smooth[-1]))
        passes.append(smooth)
    expected = [3 * one - 3 * two + three for one, two, three in zip(*passes[1:], strict=True)]
    values = folded(lambda state, x: plain.tema_step(state, x, 0.5), plain.tema_value, plain.NO_TEMA, xs)
    assert values == expected
    assert values[1:] != passes[1][1:]


def test_tema_does_not_lag_on_a_straight_line_where_an_ema_does() -> None:
    xs = [float(x) for x in range(200)]
    alpha = plain.span_alpha(9)
    tema = folded(lambda state, x: plain.tema_step(state, x, alpha), plain.tema_value, plain.NO_TEMA, xs)
    ema = folded(lambda state, x: plain.ema_step(state, x, alpha), plain.ema_value, plain.NO_EMA, xs)
    assert tema[-1] == pytest.approx(199, abs=1e-9)
    assert ema[-1] == pytest.approx(195, abs=1e-9)  # (1 - alpha) / alpha = 4 behind.


def test_macd_is_the_difference_of_two_averages_and_its_own_average() -> None:
    state = plain.macd_step(plain.NO_MACD, 8.0, 0.5, 0.25, 0.5)
    assert plain.macd_value(state) == (0.0, 0.0)
    assert plain.macd_value(plain.macd_step(state, 16.0, 0.5, 0.25, 0.5)) == (2.0, 1.0)


def test_wilders_average_is_seeded_by_a_mean() -> None:
    values = folded(
        lambda state, x: plain.rma_step(state, x, 4),
        lambda state: plain.rma_value(state, 4),
        plain.NO_RMA,
        [1.0, 2.0, 3.0, 6.0, 7.0],
    )
    assert values[3:] == [3.0, 4.0]
    assert all(map(math.isnan, values[:3]))


def test_true_range_counts_the_gap_from_the_last_close() -> None:
    bars = [(10.0, 8.0, 9.0), (9.5, 9.0, 9.25), (13.0, 12.0, 12.0), (8.0, 7.0, 7.5)]
    state, values = plain.NO_ATR, []
    for high, low, close in bars:
        state = plain.atr_step(state, high, low, close, 2)
        values.append(plain.atr_value(state, 2))
    # True ranges 2, 0.5, 13 - 9.25, 12 - 7.
    assert values[1:] == [1.25, 2.5, 3.75]
    assert math.isnan(values[0])


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (lambda state, x: plain.ema_step(state, x, 0.5), plain.Ema(1, 3.0)),
        (lambda state, x: plain.tema_step(state, x, 0.5), plain.Tema(1, 3.0, 2.0, 1.0)),
        (lambda state, x: plain.macd_step(state, x, 0.5, 0.2, 0.1), plain.Macd(1, 3.0, 2.0, 1.0)),
        (lambda state, x: plain.rma_step(state, x, 2), plain.Rma(1, 3.0)),
        (lambda state, x: plain.rsi_step(state, x, 2), plain.Rsi(2, 3.0, 1.0, 0.0)),
        (lambda state, x: plain.atr_step(state, 2.0, 1.0, x, 2), plain.Atr(1, 3.0, 1.0)),
        (lambda state, x: plain.atr_step(state, x, 1.0, 2.0, 2), plain.Atr(1, 3.0, 1.0)),
        (lambda state, x: plain.atr_step(state, 2.0, x, 2.0, 2), plain.Atr(1, 3.0, 1.0)),
    ],
)
def test_a_missing_value_leaves_a_state_as_it_was(step: Callable[[Any, float], Any], state: Any) -> None:
    assert step(state, NAN) == state
    assert step(state, 5.0) != state


def test_nothing_is_said_before_the_first_value() -> None:
    said = [plain.ema_value(plain.NO_EMA), plain.tema_value(plain.NO_TEMA), *plain.macd_value(plain.NO_MACD)]
    assert all(map(math.isnan, said))


@pytest.mark.parametrize(("alpha", "passes"), [(1 / 14, 1), (0.2, 3), (2 / 31, 3), (1.0, 1)])
def test_memory_is_the_first_length_after_which_what_came_before_weighs_nothing(
    alpha: float, passes: int
) -> None:
    def weight_of_the_seed(n: int) -> float:
        levels = [1.0] * passes  # Seeded with 1, then only zeros: what is left is the weight of the seed.
        for _ in range(n):
            x = 0.0
            for each in range(passes):
                levels[each] += alpha * (x - levels[each])
                x = levels[each]
        return levels[-1]

    n = plain.memory(alpha, passes)
    assert weight_of_the_seed(n) < 1.001e-12
    assert n == 1 or weight_of_the_seed(n - 1) >= 0.999e-12


def test_memory_refuses_a_weight_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\], was 0"):
        plain.memory(0)


def test_a_batch_says_what_the_steps_say() -> None:
    xs = np.array([float(close) for close in CLOSES.split()])
    out, signal = np.empty_like(xs), np.empty_like(xs)
    batch.rsi(plain.NO_RSI, xs, 14, out)
    assert out[14:].tolist() == rsi(xs.tolist(), 14)[14:]
    assert np.isnan(out[:14]).all()
    assert batch.ema(plain.NO_EMA, xs, 1.0, out).value == xs[-1]
    assert batch.tema(plain.NO_TEMA, xs, 1.0, out).third == xs[-1]
    assert batch.rma(plain.NO_RMA, xs, 1, out).level == xs[-1]
    assert batch.macd(plain.NO_MACD, xs, 1.0, 1.0, 1.0, out, signal).signal == 0
    assert batch.atr(plain.NO_ATR, xs, xs, xs, 1, out).last == xs[-1]
