"""Properties of the repository itself, each with a message that says what to do."""

import ast
import configparser
import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 400
TEST_LINES_MAX = 500  # A test file is a list of claims: it is read in parts.
FUNCTION_LINES_MAX = 70
# The second look that a file past the limit gets; a reason, or it is split.
LONG_FOR_A_REASON = {
    "njord/core/contracts.py": "one struct per message, and the vocabulary is read as one page",
    "njord/risk/exposure.py": "what every rule asks, kept by one follower of the messages",
    "njord/exchange/trading.py": "one account's orders from request to end; its parts stand in files of their own",
    "njord/venues/binance_core.py": "what the broker does on each event, in one place; its parts stand in binance_*.py",
    "njord/venues/binance_dialect.py": "every request and answer of the dialect, read side by side",
    "tests/unit/venues/test_binance_faults.py": "one claim per fault of the catalogue, in its order",
}
LONG_FUNCTIONS_FOR_A_REASON = {
    "njord/cli/app.py:backtest": "one line per flag: typer reads the signature",
    "njord/kernels/fused.py:run": "one pass over millions of bars: its state lives in registers, a call costs more than a step",
    "njord/kernels/fused_orders.py:run": "likewise, with orders that wait",
    "njord/kernels/fused_gate.py:answer": "the gate's rules in their order, on one set of numbers",
}
NOT_OF_A_MACHINE = {
    "tests/unit/adapters/test_yaml_text.py": "an invented value of a variable",
}
BANNED_NAMES = re.compile(r"(?:^|_)(?:utils?|helpers?|managers?|misc|common|base2)$")
# Put together here, so that this file does not find itself.
MACHINE_PATHS = re.compile(
    "|".join(("/ho" + r"me/\w", "/ro" + "ot/", "/Us" + r"ers/\w", "/wo" + "rk/", r"C:" + r"\\Users"))
)
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + r"X)\b(?!\(#\d+\))")
BARE_IGNORE = re.compile(r"#\s*type:\s*" + r"ignore(?!\[)|#\s*no" + r"qa(?!:)")
TEXT = {".py", ".md", ".toml", ".ini", ".yaml", ".yml", ".in", ".txt", ".cfg", ".json", ".html", ".css", ""}


@cache
def tracked() -> tuple[Path, ...]:
    """Return every file that is or could be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name and content of every text of ours; what others wrote lies in vendor folders."""
    for path in tracked():
        if path.suffix in TEXT and "vendor" not in path.parts:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


@cache
def modules() -> tuple[tuple[str, ast.Module, str], ...]:
    """Return name, tree and text of every Python file."""
    return tuple((name, ast.parse(text), text) for name, text in texts() if name.endswith(".py"))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def hits(pattern: re.Pattern[str], texts: Iterator[tuple[str, str]]) -> list[str]:
    """Return file:line of every line that `pattern` is found in."""
    return [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_knows_a_machine() -> None:
    ours = ((name, text) for name, text in texts() if name not in NOT_OF_A_MACHINE)
    assert not hits(MACHINE_PATHS, ours), "absolute paths of a machine; use a relative one"


def test_the_locks_name_no_registry() -> None:
    locks = ((name, text) for name, text in texts() if name.startswith("locks/"))
    assert not hits(re.compile(r"://|--(?:extra-)?index-url|--find-links"), locks)


def test_every_note_of_unfinished_work_names_its_issue() -> None:
    assert not hits(UNFINISHED, texts()), "write the issue's number behind it, like (#12)"


def test_every_suppression_names_its_rule() -> None:
    python = ((name, text) for name, _, text in modules())
    assert not hits(BARE_IGNORE, python), "name the code that is suppressed, and say why"


def test_no_file_is_too_long() -> None:
    long = {
        name
        for name, _, text in modules()
        if text.count("\n") > (TEST_LINES_MAX if name.startswith("tests/") else LINES_MAX)
    }
    assert not long - LONG_FOR_A_REASON.keys(), "too many lines: split them, or give the reason here"
    assert not LONG_FOR_A_REASON.keys() - long, "shorter by now: take them off the list"


def test_no_function_is_too_long() -> None:
    long = {
        f"{name}:{node.name}"
        for name, tree, _ in modules()
        for node in functions(tree)
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert not long - LONG_FUNCTIONS_FOR_A_REASON.keys(), f"over {FUNCTION_LINES_MAX} lines"


def test_no_file_is_named_after_nothing() -> None:
    assert not [str(path.relative_to(ROOT)) for path in tracked() if BANNED_NAMES.search(path.stem)]


def test_every_module_says_what_it_is_for() -> None:
    assert not [name for name, tree, text in modules() if text.strip() and not ast.get_docstring(tree)]


def test_everything_public_says_what_it_does() -> None:
    silent = []
    for name, tree, _ in modules():
        if not name.startswith("njord/"):
            continue
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            inside = node.body if isinstance(node, ast.ClassDef) else []
            methods = [
                item for item in inside if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
            ]
            silent += [f"{name}: {item.name}" for item in (node, *methods) if not ast.get_docstring(item)]
    assert not silent


def test_the_import_rings_name_every_folder() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "importlinter.ini")
    rings = set(re.findall(r"\w+", config["importlinter:contract:rings"]["layers"]))
    here = {path.name for path in (ROOT / "njord").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert not here - rings
    below = {
        "core",
        "kernels",
        "performance",
        "strategies",
        "portfolio",
        "execution",
        "risk",
        "data",
        "system",
    }
    pure = set(re.findall(r"njord\.(\w+)", config["importlinter:contract:pure"]["source_modules"]))
    assert pure == below & (here | {"system"}), "what stands at or below system is pure"


def test_every_word_of_the_makefile_is_explained() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    words = set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.M))
    told = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, re.M))
    assert words == told


def test_contributing_names_only_words_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    exists = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    for page in ("README.md", "CONTRIBUTING.md"):
        said = set(re.findall(r"(?:`|\$ )make ([a-z][a-z-]*)", (ROOT / page).read_text(encoding="utf-8")))
        assert said, f"{page} names no word"
        assert not said - exists


@pytest.mark.parametrize(
    "name",
    [
        ".editorconfig",
        ".gitignore",
        ".pre-commit-config.yaml",
        ".ci/run",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "README.md",
        "njord/py.typed",
    ],
)
def test_the_house_has_its_papers(name: str) -> None:
    assert (ROOT / name).exists()


def test_ci_can_be_executed() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_hooks_fetch_nothing_and_name_tools_that_are_locked() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    entries = [hook["entry"].split()[0] for repo in hooks["repos"] for hook in repo["hooks"]]
    assert all(entry.startswith("venv/bin/") for entry in entries)


def test_every_decision_has_its_three_parts() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04d}" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Consequences"], path.name
        assert text.startswith(f"# {path.name[:4]}: "), path.name


def test_nothing_secret_or_large_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("check_commit", ROOT / "scripts" / "check_commit.py")
    assert spec is not None and spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    assert check.main([str(path) for path in tracked()]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "redis://user:" + "correcthorse@db.example.org/0",
        'api_key = "' + "0123456789abcdef" * 2 + '"',
    ],
)
def test_the_check_knows_a_secret_when_it_sees_one(line: str, tmp_path: Path) -> None:
    path = tmp_path / "config.txt"
    path.write_text(f"# settings\n{line}\n")
    found = subprocess.run(
        ["python3", str(ROOT / "scripts" / "check_commit.py"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "config.txt:2 holds what looks like" in found.stderr
    assert line not in found.stderr
