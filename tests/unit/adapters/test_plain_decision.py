"""Which decisions Python may make in the compiler's place: those that compare and name a level, and no others."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from njord.adapters.plain_decision import only_compares

N_VALUES, N_PARAMS = 2, 1
HEAD = "from njord.strategies.compiled import KEEP\nOTHER = 7\ndef decide(now, values, state, params):\n"


def written(path: Path, body: str) -> Callable[..., Any]:
    path.write_text(HEAD + "".join(f"    {line}\n" for line in dedent(body).strip().splitlines()))
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    found: Callable[..., Any] = names["decide"]
    return found


@pytest.mark.parametrize(
    "body",
    [
        "return 1 if values[0] > values[1] else 0",
        '"""Says why."""\nreturn -1',
        "if values[0] >= 1.5 and not values[1] < -2:\n    return KEEP\nreturn 0",
        "if values[0] == 1:\n    return 1\nelif values[1] != params[0]:\n    return 2\nelse:\n    return KEEP\nreturn 0",
        "return 1 if params[0] < values[0] <= values[1] else -1 if values[0] < 0 or values[1] < 0 else 0",
    ],
)
def test_what_compares_and_names_a_level_is_plain(tmp_path: Path, body: str) -> None:
    assert only_compares(written(tmp_path / "s.py", body), N_VALUES, N_PARAMS)


@pytest.mark.parametrize(
    "body",
    [
        "return 1 if values[0] - values[1] > 0 else 0",
        "return 1 if values[0] ** 2 > 1 else 0",
        "return 1 if abs(values[0]) > 1 else 0",
        "return 1 if now.position_lots > 0 else 0",
        "return 1 if state[0] > 0 else 0",
        "state[0] = 1\nreturn 0",
        "return 1 if values[2] > 0 else 0",
        "return 1 if values[-1] > 0 else 0",
        "return 1 if params[1] > 0 else 0",
        "return 1 if values else 0",
        "return 1 if values[0] else 0",
        "return values[0] > values[1]",
        "return True",
        "return 1.0",
        "return 128",
        "return OTHER",
        "return 1 if values[0] > OTHER else 0",
        "return 1 if values[0] > 9007199254740993 else 0",
        "return 1 if values[0] in (1, 2) else 0",
        "if values[0] > 1:\n    return 1",
        "if values[0] > 1:\n    return 1\nelse:\n    return",
        "if values[0] > 1:\n    return 1\nelse:\n    if values[0] > 2:\n        return 1\n    int('7')\nreturn 0",
        "for each in values:\n    return 1\nreturn 0",
        "fast, slow = values\nreturn 1 if fast > slow else 0",
    ],
)
def test_what_computes_reaches_beyond_or_may_say_something_else_is_left_to_the_compiler(
    tmp_path: Path, body: str
) -> None:
    assert not only_compares(written(tmp_path / "s.py", body), N_VALUES, N_PARAMS)


def test_a_file_that_was_changed_since_it_was_loaded_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    decide = written(path, "return 1 if values[0] + 1 > values[1] else 0")
    written(path, "return 1 if values[0] > values[1] else 0")
    assert not only_compares(decide, N_VALUES, N_PARAMS)


def test_without_its_text_nothing_is_proven() -> None:
    names: dict[str, Any] = {}
    exec("def decide(now, values, state, params):\n    return 0", names)
    assert not only_compares(names["decide"], N_VALUES, N_PARAMS)


def test_another_keep_is_not_ours(tmp_path: Path) -> None:
    decide = written(tmp_path / "s.py", "return KEEP")
    decide.__globals__["KEEP"] = 3
    assert not only_compares(decide, N_VALUES, N_PARAMS)
