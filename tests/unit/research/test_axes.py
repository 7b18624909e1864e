"""Axes: ranges without their end, lists, and one-line refusals that name value, expectation and next command."""

import pytest

from njord.backtest.request import load_strategies
from njord.core.errors import StrategyError
from njord.research.axes import Axis, numbers, parse_axes

SMA = load_strategies(("sma_cross",))[0]


def axes(*texts: str) -> tuple[Axis, ...]:
    return parse_axes(texts, SMA)[0]


def test_a_range_ends_before_its_end() -> None:
    assert axes("fast=5:20:5")[0].values == ("5", "10", "15")


def test_a_decimal_range_is_exact() -> None:
    assert axes("weight=0.1:1.0:0.1")[0].values == tuple(f"0.{tenth}" for tenth in range(1, 10))


def test_one_value_is_shared_and_axes_keep_their_order() -> None:
    found, shared = parse_axes(("slow=30,60", "weight=0.5", "fast=5,10"), SMA)
    assert [axis.name for axis in found] == ["slow", "fast"]
    assert shared == ("weight=0.5",)


def test_the_name_of_the_strategy_may_stand_before_the_parameter() -> None:
    assert axes("sma_cross.fast=5,10")[0].name == "fast"


def test_none_is_a_value_of_a_parameter_that_may_be_none() -> None:
    axis = axes("qty=none,0.5")[0]
    assert axis.values == ("none", "0.5")
    assert numbers(axis) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fast=5:21:5", "steps of 5 from 5 do not meet 21; for example fast=5:25:5"),
        ("fast=5:5:1", "fast=5:5:1 is empty.*for example fast=5:6:1"),
        ("fast=20:5:1", "is empty"),
        ("fast=5:20:0", "the step must be > 0, was 0"),
        ("fast=5:20:-1", "the step must be > 0, was -1"),
        ("fast=5:x:1", "'x' is no number"),
        ("fast=5:nan:1", "'nan' is no number"),
        ("fast=5:20", "is no range start:end:step"),
        ("fast=0.5:2.5:0.5", "fast must be int, was '0.5'"),
        ("fast=abc,5", "fast must be int, was 'abc'"),
        ("fast=5,,6", "has an empty value"),
        ("fast=5,5", "names 5 twice"),
        ("fats=5,6", "no parameter 'fats'; did you mean 'fast'"),
        ("fast", "takes name=values, was 'fast'"),
        ("fast=0:2000000:1", "has 2000000 values, at most 1,000,000"),
        ("fast=5", "no parameter varies"),
    ],
)
def test_what_is_no_axis_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(StrategyError, match=says) as refused:
        axes(text)
    assert "\n" not in str(refused.value)


def test_a_parameter_is_given_once() -> None:
    with pytest.raises(StrategyError, match="fast is given twice"):
        axes("fast=5,6", "fast=7,8")
