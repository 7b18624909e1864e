"""A risk rule is one file, in the table, under its file's name; nothing in the folder is forgotten."""

import ast
from pathlib import Path

import pytest

import njord.risk.rules as rules
from njord.risk.rules import MANDATORY, RULES
from njord.risk.rules.base import RiskRule, RuleParams

FOLDER = Path(str(rules.__file__)).parent
FILES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "base"))


def test_every_file_in_the_folder_is_one_rule_of_the_table_and_has_its_name() -> None:
    in_table = {rule.__module__.rpartition(".")[2]: rule.name for rule in RULES}
    assert sorted(in_table) == FILES, (
        "a file in njord/risk/rules is not in RULES: name it in rules/__init__.py"
    )
    assert all(module == name for module, name in in_table.items()), "a rule's name is the name of its file"


@pytest.mark.parametrize("name", FILES)
def test_a_file_defines_one_rule_and_no_other(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len(classes) == 1
    assert [rule.__name__ for rule in RULES if rule.name == name] == classes


def test_no_rule_is_twice_in_the_table_and_none_is_missing_from_it() -> None:
    assert len(set(RULES)) == len(RULES)
    assert set(RiskRule.__subclasses__()) == set(RULES)


def test_the_kill_switch_is_asked_first_and_the_form_before_whatever_relies_on_it() -> None:
    names = [rule.name for rule in RULES]
    assert names[:3] == ["kill_switch", "well_formed", "duplicate_intent"]
    for later in ("price_collar", "max_order_notional", "max_position", "max_gross", "affordable"):
        assert names.index("market_price") < names.index(later), f"{later} relies on a known price"


def test_what_is_mandatory_is_in_the_table_and_the_safety_rules_are_mandatory() -> None:
    assert {rule.name for rule in RULES} >= MANDATORY
    safety = {"kill_switch", "well_formed", "duplicate_intent", "market_price", "affordable"}
    assert safety <= MANDATORY


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_and_its_parameters_say_what_they_mean(rule: type[RiskRule]) -> None:
    assert rule.__doc__
    assert rule.Params.__doc__
    assert issubclass(rule.Params, RuleParams)
    assert rule(rule.Params()).params == rule.Params()
