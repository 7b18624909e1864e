"""The reference pages are what the code says now: python -m scripts.generate_reference --check, in this process."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("scripts.generate_reference")


def test_every_reference_page_is_up_to_date(
    generator: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.integration
def test_a_stale_or_stray_page_is_named_and_writing_mends_it(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main([], tmp_path) == 0
    (tmp_path / "orders.md").write_text("old\n")
    (tmp_path / "stray.md").write_text("nobody writes this\n")
    assert generator.main(["--check"], tmp_path) == 1
    said = capsys.readouterr().err
    assert "docs/reference/orders.md is stale" in said
    assert "docs/reference/stray.md is stale" in said
    assert "messages.md" not in said
    (tmp_path / "stray.md").unlink()
    assert generator.main([], tmp_path) == 0
    assert generator.main(["--check"], tmp_path) == 0


def test_an_unknown_argument_is_refused(generator: ModuleType, tmp_path: Path) -> None:
    assert generator.main(["--chekc"], tmp_path) == 2
    assert not list(tmp_path.iterdir())
