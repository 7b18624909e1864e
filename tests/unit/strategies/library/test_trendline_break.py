"""Breaks of a flat line, of a rising one, and what is no break."""

import pytest

from njord.strategies.library.trendline_break import TrendlineBreak
from tests.unit.strategies.library.driver import Driver

FLAT = [1000] * 5


def run(closes: list[int], **params: int) -> list[tuple[int, float]]:
    """Return (bar, weight) of every target."""
    driver = Driver(TrendlineBreak(TrendlineBreak.Params(**params)))
    return [
        (number, target.weight) for number, close in enumerate(closes) for target in driver.bar(number, close)
    ]


def test_ten_five_times_and_then_10_22_is_a_buy_and_after_ten_again_9_78_is_a_sale() -> None:
    assert run([*FLAT, 1022, *FLAT, 978]) == [(5, 1.0), (11, 0.0)]


@pytest.mark.parametrize("closes", [[*FLAT, 1020], [*FLAT, 980], [*FLAT, 1015, 1005, 1010, 990], [1000] * 50])
def test_small_moves_are_no_break_and_two_percent_to_the_last_digit_is_small(closes: list[int]) -> None:
    assert run(closes) == []


def test_four_bars_make_no_line() -> None:
    assert run([*FLAT[:4], 2000]) == []


def test_the_line_counts_and_not_the_level() -> None:
    # 100 a bar: 1500 lies on the line, 1540 is 2.7 % above it, and 2000 far above the level but on no higher line.
    rising = [1000, 1100, 1200, 1300, 1400]
    assert run([*rising, 1500, 1600, 1700]) == []
    assert run([*rising, 1540]) == [(5, 1.0)]


def test_what_is_long_does_not_buy_again_and_what_is_flat_does_not_sell() -> None:
    assert run([*FLAT, 1022, 1100, 1200]) == [(5, 1.0)]
    assert run([*FLAT, 978, 900, 800]) == []


@pytest.mark.parametrize(
    "prices",
    [{"high": 1001, "low": 999}, {"high": 990, "low": 1100}, {"low": 0}, {"high": 1021}],
)
def test_a_malformed_bar_gives_nothing_and_leaves_no_trace(prices: dict[str, int]) -> None:
    driver = Driver(TrendlineBreak(TrendlineBreak.Params()))
    for number, close in enumerate(FLAT):
        driver.bar(number, close)
    assert driver.bar(5, 1022, **prices) == []
    (target,) = driver.bar(6, 1022)
    assert target.features == (("close", 10.22), ("line", 10.0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window": 1}, "window must be >= 2, was 1"),
        ({"break_bps": 0}, r"break_bps must be in \(0, 10000\), was 0"),
        ({"weight": 1.5}, r"weight must be in \(0, 1\], was 1.5"),
    ],
)
def test_nonsense_is_refused_by_name(params: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrendlineBreak.Params(**params)
