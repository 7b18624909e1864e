"""What may vary: what is typed, what it means, and what it may not be."""

from decimal import Decimal
from pathlib import Path

import pytest

from njord.adapters.plugins import LoadedStrategy
from njord.backtest.request import PreparedStrategy
from njord.core.errors import ConfigError
from njord.research.montecarlo_shake import (
    Jitter,
    Shake,
    checked,
    parse_jitter,
    parse_range,
    terms_of,
)
from njord.strategies import Strategy, StrategyParams


class Params(StrategyParams, frozen=True):
    """One of each kind."""

    fast: int = 10
    weight: float = 0.5
    qty: Decimal = Decimal("0.25")
    name: str = "x"
    maybe: int | None = None
    is_on: bool = True


def prepared(strategy_id: str = "one") -> PreparedStrategy:
    loaded = LoadedStrategy(name="one", cls=Strategy, path=Path("one.py"), source_hash="", warnings=())
    return PreparedStrategy(
        strategy_id=strategy_id, reference="one", loaded=loaded, params=Params(), instruments=(0,)
    )


def test_spreads_are_shares_or_the_parameters_own_unit() -> None:
    assert parse_jitter(["fast=10%", "b.slow=2"]) == (
        Jitter(strategy_id="", name="fast", spread=0.1, is_relative=True),
        Jitter(strategy_id="b", name="slow", spread=2.0, is_relative=False),
    )


@pytest.mark.parametrize(
    "text", ["fast", "fast=", "=3", ".fast=3", "fast=0", "fast=-1", "fast=x%", "fast=200%", "fast=nan"]
)
def test_what_is_no_spread_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ConfigError, match="--jitter takes name=10% or name=2, was"):
        parse_jitter([text])


def test_one_number_is_the_most() -> None:
    assert parse_range("--delays", "250") == (0.0, 250.0)
    assert parse_range("--slippage-bps", "2:20") == (2.0, 20.0)
    assert parse_range("--delays", None) is None


@pytest.mark.parametrize("text", ["", ":", "-1", "0", "5:2", "x", "1:inf", "20000", "1:2:3"])
def test_what_is_no_range_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ConfigError, match="--slippage-bps takes MOST or LEAST:MOST"):
        parse_range("--slippage-bps", text)


def test_terms_follow_from_the_seed_and_the_path_alone() -> None:
    shake = Shake(jitter=parse_jitter(["fast=3", "weight=10%"]), delay_ms=(5, 9), slippage_bps=(2, 20))
    strategies = (prepared(),)
    assert terms_of(shake, strategies, 7, 3) == terms_of(shake, strategies, 7, 3)
    drawn = [terms_of(shake, strategies, seed, path) for seed in (1, 2) for path in range(40)]
    assert len({terms.slippage_bps for terms in drawn}) == 80
    assert all(terms.slippage_bps is not None and 2 <= terms.slippage_bps <= 20 for terms in drawn)
    assert all(5_000_000 <= terms.delay_ns <= 9_000_000 for terms in drawn)
    assert all(0.45 <= terms.values[0]["weight"] <= 0.55 for terms in drawn)


def test_whole_numbers_are_drawn_evenly_and_stay_whole() -> None:
    shake = Shake(jitter=parse_jitter(["fast=20%"]))
    drawn = [terms_of(shake, (prepared(),), 1, path).values[0]["fast"] for path in range(1_000)]
    assert {type(value) for value in drawn} == {int}
    counts = [drawn.count(value) for value in range(8, 13)]
    assert sum(counts) == 1_000 and min(counts) > 150


def test_decimals_stay_decimals() -> None:
    shake = Shake(jitter=parse_jitter(["qty=0.05"]))
    drawn = [terms_of(shake, (prepared(),), 1, path).values[0]["qty"] for path in range(20)]
    assert all(isinstance(value, Decimal) and Decimal("0.2") <= value <= Decimal("0.3") for value in drawn)


def test_jitter_is_for_its_strategy_alone() -> None:
    shake = Shake(jitter=parse_jitter(["two.fast=3"]))
    values = terms_of(shake, (prepared("one"), prepared("two")), 1, 0).values
    assert values[0] == {} and set(values[1]) == {"fast"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fats=10%", "no strategy has that parameter; did you mean 'fast'"),
        ("name=10%", "its value is 'x', which is no number"),
        ("maybe=1", "its value is None, which is no number"),
        ("is_on=1", "its value is True, which is no number"),
        ("two.fast=1", "'two', which is no strategy of the run; known: one"),
    ],
)
def test_jitter_of_what_is_no_number_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        checked(parse_jitter([text]), [prepared()])
