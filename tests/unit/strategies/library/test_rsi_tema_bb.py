"""Signals against indicators computed here, over the whole series and by other formulas."""

import random
from itertools import pairwise
from statistics import mean, pstdev
from typing import Any

import pytest

from njord.strategies.library.rsi_tema_bb import RsiTemaBb
from tests.unit.strategies.library.driver import Driver

PARAMS = RsiTemaBb.Params(rsi_period=5, tema_span=4, bb_window=10, bb_width=1.5)


def walk(n: int, seed: int = 3) -> list[int]:
    """Closes that swing: a random walk around a sawtooth."""
    chance, closes, price = random.Random(seed), [], 10_000
    for number in range(n):
        price += chance.randint(-60, 60) + (25 if number // 20 % 2 else -25)
        closes.append(price)
    return closes


def wilder(values: list[float], period: int) -> list[float]:
    averages = [mean(values[:period])]
    for value in values[period:]:
        averages.append((averages[-1] * (period - 1) + value) / period)
    return averages


def ema(values: list[float], span: int) -> list[float]:
    smooth = [values[0]]
    for value in values[1:]:
        smooth.append(smooth[-1] + 2 / (span + 1) * (value - smooth[-1]))
    return smooth


def expected(closes: list[int], warm_up: int) -> list[tuple[int, float]]:
    """Return (bar, weight) by the rule in the strategy's docstring."""
    prices = [close / 100 for close in closes]
    changes = [after - before for before, after in pairwise(prices)]
    gains = wilder([max(change, 0) for change in changes], 5)
    losses = wilder([max(-change, 0) for change in changes], 5)
    rsi = [float("nan")] * 5 + [
        100 - 100 / (1 + gain / loss) for gain, loss in zip(gains, losses, strict=True)
    ]
    first = ema(prices, 4)
    second = ema(first, 4)
    tema = [3 * a - 3 * b + c for a, b, c in zip(first, second, ema(second, 4), strict=True)]
    targets, is_long = [], False
    for i in range(warm_up - 1, len(prices)):
        window = prices[i - 9 : i + 1]
        if is_long:
            changes_side = rsi[i] > 70 or prices[i] > mean(window) + 1.5 * pstdev(window)
        else:
            changes_side = rsi[i - 1] <= 30 < rsi[i] and tema[i - 1] < tema[i] < mean(window)
        if changes_side:
            is_long = not is_long
            targets.append((i, float(is_long)))
    return targets


def run(closes: list[int]) -> list[tuple[int, Any]]:
    driver = Driver(RsiTemaBb(PARAMS))
    return [(number, target) for number, close in enumerate(closes) for target in driver.bar(number, close)]


def test_buys_and_sells_are_those_of_the_rule() -> None:
    closes = walk(1_500)
    warm_up = RsiTemaBb(PARAMS).warm_up()
    sides = [(number, target.weight) for number, target in run(closes)]
    assert sides == expected(closes, warm_up)
    assert len(sides) > 10


def test_two_runs_say_the_same() -> None:
    assert run(walk(600)) == run(walk(600)) != []


def test_two_symbols_never_mix() -> None:
    closes = walk(600)
    driver = Driver(*(RsiTemaBb(PARAMS) for _ in range(2)))
    said = []
    for number, close in enumerate(closes):
        said += [(number, target) for target in driver.bar(number, close)]
        assert driver.bar(number, 6_000_000, index=1) == []
    assert said == run(closes)


def test_a_malformed_bar_changes_nothing() -> None:
    closes, said = walk(600), []
    driver = Driver(RsiTemaBb(PARAMS))
    for number, close in enumerate(closes):
        if number > 200:
            assert driver.bar(number, 2 * close, low=2 * close + 1) == []
        said += [(number, target) for target in driver.bar(number, close)]
    assert said == run(closes)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rsi_period": 1}, "rsi_period must be 2 to 1000, was 1"),
        ({"bb_window": 1001}, "bb_window must be 2 to 1000, was 1001"),
        ({"oversold": 80.0}, "0 < oversold < overbought < 100 must hold, was 80.0, 70.0"),
        ({"bb_width": 0.0}, r"bb_width must be in \(0, 10\], was 0.0"),
        ({"weight": 0.0}, r"weight must be in \(0, 1\], was 0.0"),
    ],
)
def test_nonsense_is_refused_by_name(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RsiTemaBb.Params(**params)


@pytest.mark.parametrize(
    ("params", "bars"),
    # The slowest indicator decides: Wilder's average of 14 after its seed, the TEMA of 40, the window of 900.
    [({}, 1 + 14 + 373), ({"tema_span": 40}, 1 + 680), ({"bb_window": 900}, 1 + 900)],
)
def test_the_warm_up_is_as_long_as_the_slowest_indicator_remembers(params: dict[str, Any], bars: int) -> None:
    assert RsiTemaBb(RsiTemaBb.Params(**params)).warm_up() == bars
