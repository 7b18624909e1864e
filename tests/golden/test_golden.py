"""Every golden tells the story that is stored; a change names its first order. See `tests/golden/regenerate.py`."""

import pytest

from tests.golden import regenerate
from tests.golden.catalog import STORIES
from tests.golden.expected import FOLDER, first_change, stored


@pytest.mark.parametrize("name", STORIES)
def test_golden(name: str) -> None:
    change = first_change(stored(name), STORIES[name]())
    assert not change, f"{change}\nif that is right: python -m tests.golden.regenerate {name}"


def test_there_are_at_least_fifty_and_no_stray_story() -> None:
    assert len(STORIES) >= 50
    assert {path.stem for path in FOLDER.iterdir()} == STORIES.keys()


@pytest.mark.parametrize(
    ("after", "change"),
    [
        (["must", "1s order 1: canceled"], "order 1 changed"),
        (["must", "1s order 1: filled", "2s order 3: filled"], "order 3 changed"),
        (["must"], "order 1 changed"),
        (["other", "1s order 1: filled"], "a line of no order changed"),
        (["must", "1s order 1: filled"], ""),
    ],
)
def test_a_change_names_the_first_order_that_changed(after: list[str], change: str) -> None:
    assert first_change(["must", "1s order 1: filled"], after).partition("\n")[0] == change


def test_an_unknown_golden_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert regenerate.main(["a_bracket_takes_its_profits"]) == 2
    assert "did you mean a_bracket_takes_its_profit?" in capsys.readouterr().err
    assert regenerate.main([]) == 2
