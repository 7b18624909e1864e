"""From configuration to rules: every profile builds, what must stand stands, and nonsense is refused by name."""

from typing import Any

import pytest

from njord.core.config import Config
from njord.core.errors import ConfigError
from njord.risk.profile import build_rules, describe
from njord.risk.rules import MANDATORY, RULES

PROFILES = Config().risk.profiles


@pytest.mark.parametrize("name", PROFILES)
def test_the_shipped_profiles_build_with_every_rule_in_the_gates_order(name: str) -> None:
    rules = build_rules(name, PROFILES[name].rules)
    assert [rule.name for rule in rules] == [rule.name for rule in RULES]


def test_an_empty_profile_still_has_what_is_mandatory_and_asks_the_kill_switch_first() -> None:
    names = [rule.name for rule in build_rules("empty", {})]
    assert names[0] == "kill_switch"
    assert set(names) == MANDATORY


def test_the_order_of_the_configuration_does_not_change_the_order_of_the_rules() -> None:
    configured = {name: PROFILES["paper"].rules[name] for name in reversed(list(PROFILES["paper"].rules))}
    assert describe(build_rules("paper", configured)) == describe(
        build_rules("paper", PROFILES["paper"].rules)
    )
    assert next(rule.name for rule in build_rules("paper", configured)) == "kill_switch"


def test_an_unknown_rule_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown rule 'max_positon'; did you mean 'max_position'\?"):
        build_rules("mine", {"max_positon": {}})
    with pytest.raises(ConfigError, match="unknown rule 'zzz'; known rules: affordable, cool_down"):
        build_rules("mine", {"zzz": {}})


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        ConfigError, match=r"risk\.profiles\.mine\.rules\.order_rate\.per_minut; did you mean 'per_minute'\?"
    ):
        build_rules("mine", {"order_rate": {"per_minut": 3}})
    with pytest.raises(ConfigError, match=r"kill_switch\.off; it takes: nothing"):
        build_rules("mine", {"kill_switch": {"off": True}})


CAPS = ["max_order_notional", "max_position", "max_gross", "daily_loss"]
NO_AMOUNTS: list[Any] = ["-1", "NaN", "sNaN", "Infinity", "-Infinity", "much", True, None, []]
NONSENSE: list[tuple[str, dict[str, Any]]] = [
    *((rule, {"cap_notional": value}) for rule in CAPS for value in NO_AMOUNTS),
    *((rule, {"cap_equity_fraction": value}) for rule in CAPS for value in NO_AMOUNTS),
    ("market_price", {"max_age_ns": -1}),
    ("market_price", {"max_age_intervals": -1}),
    ("market_price", {"max_age_ticks_ns": -1}),
    ("market_price", {"max_age_ns": 0, "max_age_intervals": 0}),
    ("market_price", {"max_age_ns": "soon"}),
    ("price_collar", {"max_distance_fraction": 0}),
    ("price_collar", {"max_distance_fraction": "-0.1"}),
    ("price_collar", {"max_distance_fraction": "NaN"}),
    ("open_orders", {"cap": 0}),
    ("open_orders", {"cap": "1.5"}),
    ("open_orders", {"cap": True}),
    ("order_rate", {"per_minute": 0}),
    ("order_rate", {"per_minute": -30}),
    ("order_rate", {"per_strategy_per_minute": -1}),
    ("cool_down", {"seconds": -1}),
    ("cool_down", {"seconds": "a while"}),
    ("affordable", {"buffer_bps": "-1"}),
    ("affordable", {"buffer_bps": "NaN"}),
    ("symbol_allowed", {"symbols": "BTC/USDT"}),
    ("symbol_allowed", {"symbols": [1]}),
]


@pytest.mark.parametrize(("rule", "params"), NONSENSE)
def test_nonsense_is_refused_by_the_full_name_of_the_setting(rule: str, params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"risk\.profiles\.mine\.rules\.{rule}") as refused:
        build_rules("mine", {rule: params})
    assert "\n" not in str(refused.value)


def test_every_rule_builds_from_its_defaults() -> None:
    assert len(build_rules("all", {rule.name: {} for rule in RULES})) == len(RULES)


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("research", {"symbol_allowed", "daily_loss", "cool_down"}),
        ("paper", {"symbol_allowed"}),
        ("live", {"symbol_allowed"}),
    ],
)
def test_exactly_the_rules_that_limit_nothing_say_that_they_are_off(name: str, off: set[str]) -> None:
    assert {rule.name for rule in build_rules(name, PROFILES[name].rules) if rule.is_off} == off
