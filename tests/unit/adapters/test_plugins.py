"""Strategies are found by name, by file and by entry point; a broken one is an error that names its place."""

import os
import sys
from pathlib import Path

import pytest

from njord.adapters.plugins import load_strategy, strategy_names
from njord.core.errors import StrategyError

SOURCE = """
from njord.strategies import Strategy


class Idle(Strategy):
    pass
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution as pip would have installed it: a module and its entry point."""
    (tmp_path / "idle_package.py").write_text(SOURCE)
    info = tmp_path / "idle_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: idle-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[njord.strategies]\nidle_one = idle_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "idle_package", raising=False)
    return tmp_path


def test_the_library_is_found_by_file_name() -> None:
    loaded = load_strategy("sma_cross")
    assert loaded.cls.__name__ == "SmaCross"
    assert loaded.warnings == ()
    assert "sma_cross" in strategy_names()


def test_an_installed_package_is_found_by_its_entry_point(installed: Path) -> None:
    assert "idle_one" in strategy_names()
    assert load_strategy("idle_one").cls.__name__ == "Idle"


def test_an_entry_point_that_does_not_import_is_an_error_with_its_place(installed: Path) -> None:
    (installed / "idle_package.py").write_text("def broken(:\n")
    with pytest.raises(StrategyError, match=r"idle_package\.py:1: SyntaxError"):
        load_strategy("idle_one")


def test_a_file_that_imports_something_impure_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "impure.py"
    path.write_text("import random\nfrom datetime import datetime\n" + SOURCE + "\nX = hash('a')\n")
    warnings = load_strategy(str(path)).warnings
    assert [warning.partition(" ")[2].partition(":")[0] for warning in warnings] == [
        "imports random",
        "imports datetime",
        "calls hash()",
    ]


def test_two_strategies_in_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(SOURCE + "\n\nclass Other(Strategy):\n    pass\n")
    with pytest.raises(StrategyError, match="exactly one Strategy subclass, it defines Idle, Other"):
        load_strategy(str(path))


def test_the_source_hash_follows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    first = load_strategy(str(path)).source_hash
    path.write_text(SOURCE + "\n# changed\n")
    assert load_strategy(str(path)).source_hash != first


def test_a_file_edited_within_the_same_second_runs_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "quick.py"
    path.write_text(SOURCE.replace("pass", "qty = 2"))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    first = load_strategy(str(path))
    path.write_text(SOURCE.replace("pass", "qty = 3"))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    second = load_strategy(str(path))
    assert (vars(first.cls)["qty"], vars(second.cls)["qty"]) == (2, 3)
    assert first.source_hash != second.source_hash
    assert not (tmp_path / "__pycache__").exists()
