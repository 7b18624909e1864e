"""First aid: each thing missing is named with what needs it and what to type."""

import os
from pathlib import Path

import pytest

from njord.adapters import doctor
from njord.core.clock import FixedClock
from njord.core.config import Config

REPOSITORY = Path(__file__).parents[3]


def _program(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


@pytest.mark.integration
def test_the_machine_that_runs_the_tests_is_fit_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("NJORD_"):
            monkeypatch.delenv(name)
    found = doctor.checks(REPOSITORY)
    base = [check for check in found if check.needed_for == "everything"]
    assert {"python", "msgspec", "pyyaml", "numpy", "polars", "configuration"} <= {
        check.name for check in base
    }
    assert [check for check in base if not check.ok] == []


@pytest.mark.integration
def test_whatever_is_not_fine_has_a_fix_and_what_is_fine_has_none() -> None:
    for check in doctor.checks(REPOSITORY):
        assert bool(check.fix) is not bool(check.ok), check
        assert check.needed_for and check.detail, check
        assert "\n" not in f"{check.detail}{check.fix}"


@pytest.mark.integration
def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    doctor.checks(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("version", "ok"), [((3, 10, 14), False), ((3, 11, 0), True), ((3, 14, 0), True)])
def test_python_must_be_new_enough(version: tuple[int, ...], ok: bool) -> None:
    assert doctor.check_python(version).ok is ok


@pytest.mark.parametrize(
    ("requirement", "ok", "detail"),
    [
        ("msgspec<1,>=0.20", True, "0."),
        ("msgspec>=999", False, "needed is msgspec>=999"),
        ("msgspec<0.1", False, "needed is msgspec<0.1"),
        ("no-such-package>=1", False, "can not be imported"),
    ],
)
def test_a_dependency_is_imported_and_its_version_compared(requirement: str, ok: bool, detail: str) -> None:
    check = doctor.check_dependency(requirement)
    assert check.ok is ok
    assert detail in check.detail


@pytest.mark.parametrize(
    ("version", "requirement", "ok"),
    [
        ("2.0.0", "x>=2", True),
        ("2", "x>=2.0.0", True),
        ("1.10", "x>=1.9", True),
        ("3.0", "x>=2,<3", False),
        ("2.9.post1", "x>=2.9,<3", True),
        ("1.0", "x", True),
    ],
)
def test_versions_compare_as_numbers(version: str, requirement: str, ok: bool) -> None:
    assert doctor.satisfies(version, requirement) is ok


def test_a_package_that_is_not_installed_is_named() -> None:
    assert [(check.name, check.ok, check.fix) for check in doctor.check_dependencies("not-njord")] == [
        ("not-njord", False, "make venv")
    ]


def test_a_wrong_configuration_is_shown_with_its_own_remedy(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text("bcktest: {}\n")
    check, config = doctor.check_config(tmp_path)
    assert (check.ok, check.fix) == (False, "did you mean backtest?")
    assert "config/base.yaml:1" in check.detail
    assert config == Config()


def test_a_var_that_can_not_be_written_is_found(tmp_path: Path) -> None:
    assert doctor.check_writable(tmp_path / "var").ok
    check = doctor.check_writable(Path("/proc/self"))
    assert check.ok is False
    assert "NJORD_PATHS__VAR" in check.fix


@pytest.mark.parametrize(
    ("content", "ok"),
    [
        (None, True),
        ("active\n", None),
        ("", None),
        ("halted by me", None),
        ('{"state":"halted","reason":"drill","operator":"me","ts_ns":1}', None),
        ("\x1b[2J", None),
    ],
)
def test_a_tripped_kill_switch_is_shown(tmp_path: Path, content: str | None, ok: bool | None) -> None:
    if content is not None:
        (tmp_path / "kill").write_text(content)
    check = doctor.check_kill_switch(tmp_path, "kill")
    assert check.ok is ok
    assert check.detail.isprintable()


def test_a_kill_switch_that_can_not_be_read_counts_as_tripped(tmp_path: Path) -> None:
    (tmp_path / "kill").mkdir()
    check = doctor.check_kill_switch(tmp_path, "kill")
    assert check.ok is None
    assert "halted" in check.detail


@pytest.mark.parametrize(
    ("ts_ns", "ok"), [(0, False), (1_704_110_400 * 10**9, True), (5_000_000_000 * 10**9, False)]
)
def test_a_clock_in_another_century_is_found(ts_ns: int, ok: bool) -> None:
    assert doctor.check_clock(FixedClock(ts_ns)).ok is ok


@pytest.mark.parametrize(("encoding", "ok"), [("utf-8", True), ("UTF8", True), ("ascii", None), (None, None)])
def test_a_terminal_without_utf8_is_found(encoding: str | None, ok: bool | None) -> None:
    assert doctor.check_terminal(encoding).ok is ok


def test_an_optional_program_is_found_under_any_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = doctor.check_program("chromium", doctor.CHROMIUM_NAMES, "pictures", "apt install chromium")
    assert (missing.ok, missing.fix) == (None, "apt install chromium")
    _program(tmp_path, "google-chrome")
    found = doctor.check_program("chromium", doctor.CHROMIUM_NAMES, "pictures", "apt install chromium")
    assert (found.ok, found.detail, found.fix) == (True, str(tmp_path / "google-chrome"), "")
