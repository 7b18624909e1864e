"""Fault plans: what a file, a request or a seed says happens exactly so, and what it can not mean is refused in a line."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from njord.core.errors import ConfigError
from njord.exchange.fault_plan import (
    CATALOGUE,
    FAULTS,
    RANDOM,
    FaultPlan,
    FaultSpec,
    plain,
    plan_of,
    read_plan,
    swarm,
)


def refused(values: object) -> str:
    with pytest.raises(ConfigError) as caught:
        plan_of(values, "plan.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plan_reads_alike_from_yaml_and_json(tmp_path: Path) -> None:
    text = (
        "faults:\n  - {fault: A1, from_s: 10, for_s: 60, share: 0.5}\n  - {fault: A5, params: {form: html}}\n"
    )
    (tmp_path / "plan.yaml").write_text(text)
    faults = [
        {"fault": "A1", "from_s": 10, "for_s": 60, "share": 0.5},
        {"fault": "A5", "params": {"form": "html"}},
    ]
    (tmp_path / "plan.json").write_text(json.dumps(faults))
    read = read_plan(tmp_path / "plan.yaml")
    assert read == read_plan(tmp_path / "plan.json")
    assert read.faults[0] == FaultSpec(fault="A1", from_s=10.0, for_s=60.0, share=0.5)
    assert read.end_s == 70.0


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"fault": "A99"}, "'A99'"),
        ({"fault": "A1", "share": 1.5}, "share is 1.5"),
        ({"fault": "A1", "from_s": -1}, "from_s is -1"),
        ({"fault": "A1", "from_s": float("nan")}, "from_s is nan"),
        ({"fault": "A1", "since": 3}, "since"),
        ({"fault": "A3", "params": {"delay": 3}}, "did you mean 'delay_s'?"),
        ({"fault": "A5", "params": {"form": "hmtl"}}, "no form 'hmtl'"),
        ({"fault": "A3", "params": {"delay_s": "long"}}, "'long'"),
        ({"fault": "A11", "params": {"hold_s": -1}}, "A11.hold_s is -1"),
        ({}, "fault"),
        (7, "fault 1"),
    ],
)
def test_a_fault_that_can_not_be_is_refused_by_its_place(fault: object, named: str) -> None:
    message = refused([fault])
    assert message.startswith("plan.yaml, fault 1")
    assert named in message


@pytest.mark.parametrize("values", [{"fault": "A1"}, {"faults": [], "more": 1}, "A1", 3])
def test_what_is_no_list_of_faults_is_refused(values: object) -> None:
    assert "faults: [" in refused(values)


@pytest.mark.parametrize(
    ("name", "text"), [("p.yaml", "faults: [{"), ("p.json", "[1,"), ("p.yaml", "x" * (2 << 20))]
)
def test_a_file_that_is_no_plan_is_refused_in_a_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_plan(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can not be read"):
        read_plan(tmp_path / "none.yaml")


def test_a_swarm_is_its_seed_and_is_over_in_time() -> None:
    assert swarm(7, 120.0) == swarm(7, 120.0)
    plans = [swarm(seed, 120.0) for seed in range(300)]
    assert len({str(plan) for plan in plans}) == 300
    assert all(plan.faults and plan.end_s <= 120.0 for plan in plans)
    drawn = {spec.fault for plan in plans for spec in plan.faults}
    assert drawn == set(FAULTS)


def test_a_swarm_says_only_what_a_plan_may_say() -> None:
    for seed in range(100):
        plan = swarm(seed, 60.0)
        assert plan_of(plain(plan), "swarm") == plan


def test_a_swarm_draws_from_the_faults_it_is_given() -> None:
    plans = [swarm(seed, 60.0, ("A1", "A9")) for seed in range(50)]
    assert {spec.fault for plan in plans for spec in plan.faults} == {"A1", "A9"}


def test_an_unnamed_form_is_drawn_anew_and_a_named_one_is_not() -> None:
    random = Random(1)
    spec = FaultSpec(fault="A5", params={"form": RANDOM})
    assert {spec.form(random) for _ in range(100)} == set(CATALOGUE["A5"].forms)
    named: Mapping[str, str] = {"form": "empty"}
    assert {FaultSpec(fault="A5", params=named).form(random) for _ in range(20)} == {"empty"}


def test_no_plan_at_all_is_a_plan_without_faults() -> None:
    assert plan_of(None, "nothing") == FaultPlan()
    assert FaultPlan().end_s == 0.0
