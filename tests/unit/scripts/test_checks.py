"""The checks that people run by hand: what grows, what flakes, what nobody names, what stands there twice."""

import json
from pathlib import Path

import pytest

from scripts.check_flakiness import failures, verdicts
from scripts.check_memory_leaks import growth_mb, repeat
from scripts.check_memory_leaks import main as check_leaks
from scripts.find_dead_code import unnamed
from scripts.find_duplicates import duplicates

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.a" name="fine"/><testcase classname="tests.a" name="wrong"><failure/></testcase>
<testcase classname="tests.b" name="broken"><error/></testcase><testcase classname="tests.b" name="left"><skipped/></testcase>
</testsuite></testsuites>"""


def test_what_only_the_first_rounds_take_is_no_leak() -> None:
    assert growth_mb([10, 50, 90, 90, 90, 90, 90, 90]) == 0
    assert growth_mb([90, 90, 91, 91, 92, 92, 93, 93]) == 2


@pytest.mark.integration  # Each round collects the garbage of a whole test process.
def test_work_is_repeated_eight_times_at_least() -> None:
    done: list[int] = []
    assert len(repeat(lambda: done.append(1), 0)) == len(done) == 8


@pytest.mark.timing
@pytest.mark.integration
def test_a_planted_leak_is_found_and_its_absence_too(capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[bytearray] = []
    leaking = lambda: kept.append(bytearray(b"x") * 4_000_000)  # noqa: E731  # A leak is a line.
    assert check_leaks(["--duration", "1", "--json"], lambda: leaking) == 1
    figures = json.loads(capsys.readouterr().out)
    assert figures["grows"] is True and figures["growth_mb"] > 5
    kept.clear()


def test_the_failed_tests_of_a_junit_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(JUNIT)
    assert failures(tmp_path / "report.xml") == ["tests.a::wrong", "tests.b::broken"]


def test_a_test_that_fails_sometimes_is_told_from_one_that_always_does() -> None:
    assert verdicts({1: ["a"], 2: ["a", "b"], 3: ["a"]}) == [
        "a: failed in 3 of 3 runs, always; again: --randomly-seed=1",
        "b: failed in 1 of 3 runs, FLAKY; again: --randomly-seed=2",
    ]
    assert verdicts({1: [], 2: []}) == []


def test_what_nobody_names_is_found_and_what_anyone_names_is_not() -> None:
    source = "def used(): ...\ndef dead(): used()\n@told\ndef registered(): ...\nclass A:\n    def __len__(self): ...\n"
    assert [each.name for each in unnamed([("a.py", source)], ["A()"])] == ["dead"]
    assert unnamed([("a.py", source)], ["A().x = dead"]) == []


def test_the_same_body_under_other_names_is_found() -> None:
    first = 'def f(a, b):\n    """One."""\n    c = a + b\n    d = g(c)\n    return d\n'
    same = "def h(x, y):\n    z = x + y\n    w = g(z)\n    return w\n"
    other = "def k(x, y):\n    z = x - y\n    w = g(z)\n    return w\n"
    outside = "def m(x, y):\n    z = x + y\n    w = n(z)\n    return w\n"
    found = duplicates([("a.py", first), ("b.py", same), ("c.py", other), ("d.py", outside)], 3)
    assert found == [["a.py:1 f", "b.py:1 h"]]
    assert duplicates([("a.py", first), ("b.py", same)], 4) == []
