"""Flags in groups: typed one by one, taken together."""

import inspect

import pytest

from njord.cli.options import FlagGroup, grouped
from njord.cli.request import settings_of
from njord.core.errors import ConfigError


class Pair(FlagGroup, frozen=True, kw_only=True):
    left: str | None = None
    right: int = 2


@grouped
def verb(name: str, pair: Pair, loud: bool = False) -> int:
    return len(name) + len(pair.left or "") + pair.right + loud


def test_a_group_stands_for_its_flags_in_its_place() -> None:
    assert list(inspect.signature(verb).parameters) == ["name", "left", "right", "loud"]
    assert inspect.signature(verb).parameters["right"].default == 2
    assert verb(name="abc", left="de", right=10, loud=True) == 16


def test_a_flag_wins_over_set_and_one_that_was_not_typed_does_not() -> None:
    typed = ["backtest.capital=5000", "backtest.fee_bps=3"]
    single = {"backtest.capital": None, "backtest.fee_bps": "7", "backtest.seed": None}
    assert settings_of(typed, single) == {"backtest.capital": "5000", "backtest.fee_bps": "7"}
    assert settings_of(None, {}) == {}
    with pytest.raises(ConfigError, match="--set takes KEY=VALUE, was 'x'"):
        settings_of(["x"], {})
