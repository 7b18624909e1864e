"""Every command, file, edit and Python block of the README and docs is carried out here, page by page.

The convention is described in CONTRIBUTING.md, "Documentation that runs". A page gets a folder of its own and its
blocks are taken in order; `njord`, `python` and `pytest` are those beside this interpreter. Outside the README,
`njord` has been imported before, see `tests/warm_njord.py`, unless `timeout` is to kill it.
"""

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.in_passing import IN_PASSING
from tests.warm_njord import warm_njord

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
    if "reference" not in path.parts
)
LANGUAGES = {"console", "python", "diff", "csv", "yaml", "json", "text"}
NEEDS_FILE = {"csv", "yaml", "json"}
_FENCE = re.compile(r"^```(\w*)$")
_MARK = re.compile(r"^<!-- (file|edit|covered by): (\S+) -->$")
_EXIT = re.compile(r"\s+# exit (\d+)$")
_COMMAND_LIMIT_S = 200
_TIMEOUT = re.compile(r"((?<![-\w])timeout (?:--preserve-status )?(?:-s \w+ )?)(\d+)\b")
_START_S = 1.5  # What a command needs to start, by whose measure the pages say `timeout`.
_SLOWNESS_MAX = 8.0

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


class Block(NamedTuple):
    """One fenced block, with the mark that stands right above it."""

    line: int
    language: str
    text: str
    mark: str
    argument: str


class Step(NamedTuple):
    """One command of a transcript and what the page shows of its output."""

    line: int
    command: str
    code: int
    shown: list[str]


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    lines = text.split("\n")
    mark, argument = "", ""
    start, language = 0, None
    for number, line in enumerate(lines, start=1):
        if language is not None:
            if line == "```":
                yield Block(start, language, "\n".join(lines[start : number - 1]) + "\n", mark, argument)
                language, mark, argument = None, "", ""
        elif fence := _FENCE.match(line):
            start, language = number, fence[1]
        elif found := _MARK.match(line):
            mark, argument = found[1], found[2]
        elif line.strip():
            assert not mark, f"line {number}: the mark {mark!r} must stand right above its block"
    assert language is None, f"line {start}: the block has no end"


def steps_of(block: Block) -> list[Step]:
    """Return the commands of a console block; whatever follows a command is its output."""
    steps: list[Step] = []
    for number, line in enumerate(block.text.split("\n"), start=block.line + 1):
        if line.startswith("$ "):
            code = _EXIT.search(line)
            command = line[2 : code.start()] if code else line[2:]
            steps.append(Step(number, command, int(code[1]) if code else 0, []))
        elif line.strip():
            assert steps, f"line {number}: a console block begins with a command"
            steps[-1].shown.append(line)
    assert steps, f"line {block.line}: a console block without a command"
    return steps


def shows(shown: list[str], output: str) -> bool:
    """Say whether a page shows `output` truly.

    Runs of blanks are one blank and empty lines do not count. `…` stands for anything within its line; alone on a
    line it stands for any number of lines. Everything else must be there, in order, and nothing more.
    """
    pattern = "".join(
        r"(?:.*\n)*?"
        if line.strip() == "…"
        else ".*".join(map(re.escape, _squeezed(line).split("…"))) + r"\n"
        for line in shown
    )
    lines = [line for line in output.split("\n") if line.strip() and not IN_PASSING.match(line)]
    told = "".join(_squeezed(line) + "\n" for line in lines)
    return re.fullmatch(pattern, told) is not None


def edited(text: str, diff: str) -> str:
    """Return `text` after an edit block: blanks keep, minus takes out, plus puts in; the place must be unique."""
    lines = [line for line in diff.rstrip("\n").split("\n")]
    assert all(line[:1] in ("", " ", "-", "+") for line in lines), "an edit's lines begin with blank, - or +"
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    assert text.count(before) == 1, f"the edit fits {text.count(before)} places:\n{before}"
    return text.replace(before, after)


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def _environment(home: Path, *programs: Path) -> dict[str, str]:
    beside = Path(sys.executable).parent
    path = os.pathsep.join((*map(str, programs), str(beside), os.environ.get("PATH", "/usr/bin:/bin")))
    return {"PATH": path, "HOME": str(home), "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}


@cache
def _slowness() -> float:
    """Return how many times as long as on the machine of the pages a command needs to start."""
    began_s = time.monotonic()
    words = ["paper", "sma_cross", "--data", "nothing.csv"]
    subprocess.run([Path(sys.executable).with_name("njord"), *words], capture_output=True, check=False)
    return min(max(1.0, (time.monotonic() - began_s) / _START_S), _SLOWNESS_MAX)


def _patient(command: str) -> str:
    return _TIMEOUT.sub(lambda found: f"{found[1]}{math.ceil(int(found[2]) * _slowness())}", command)


def run_step(step: Step, folder: Path, *, is_warm: bool = False) -> None:
    """Run one command in `folder` and hold it to its page."""
    assert not step.command.startswith("cd "), f"line {step.line}: each command starts in the page's folder"
    warm = [Path(warm_njord()).parent] if is_warm and "timeout " not in step.command else []
    done = subprocess.run(
        ["bash", "-c", _patient(step.command)],
        cwd=folder,
        env=_environment(folder, *warm),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_COMMAND_LIMIT_S,
        check=False,
    )
    where = f"line {step.line}: $ {step.command}\n{done.stdout}"
    assert done.returncode == step.code, f"exit code {done.returncode}, the page says {step.code}; {where}"
    if step.shown:
        assert shows(step.shown, done.stdout), (
            "the page shows another output:\n" + "\n".join(step.shown) + f"\n{where}"
        )


def carry_out(block: Block, folder: Path, names: dict[str, object], *, is_warm: bool = False) -> None:
    """Do what one block says."""
    where = f"line {block.line}"
    assert block.language in LANGUAGES, f"{where}: a block is one of {', '.join(sorted(LANGUAGES))}"
    if block.mark == "covered by":
        covering = (ROOT / block.argument).read_text(encoding="utf-8")
        for step in steps_of(block):
            assert step.command in covering, (
                f"line {step.line}: {block.argument} does not run {step.command!r}"
            )
    elif block.mark == "edit":
        assert block.language == "diff", f"{where}: an edit is a diff block"
        path = folder / block.argument
        path.write_text(edited(path.read_text(encoding="utf-8"), block.text), encoding="utf-8")
    elif block.mark == "file":
        path = folder / block.argument
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    elif block.language == "console":
        for step in steps_of(block):
            run_step(step, folder, is_warm=is_warm)
    elif block.language == "python":
        exec(compile(block.text, f"block at {where}", "exec"), names)
    else:
        assert block.language not in NEEDS_FILE | {"diff"}, (
            f"{where}: a {block.language} block names its file"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_everything_on_the_page_is_true(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names: dict[str, object] = {"__name__": "docs"}
    for block in blocks_of(page.read_text(encoding="utf-8")):
        carry_out(block, tmp_path, names, is_warm=page.name != "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.name} links to {target}, which has {sorted(anchors)}"


def test_the_docs_have_pages_and_commands() -> None:
    steps = [
        step
        for page in PAGES
        for block in blocks_of(page.read_text(encoding="utf-8"))
        if block.language == "console"
        for step in steps_of(block)
    ]
    assert len(PAGES) > 20
    assert len(steps) > 30


@pytest.mark.parametrize(
    ("shown", "output", "true"),
    [
        (["identical, … messages"], "identical, 7 messages\n", True),
        (["fills   7"], "  fills 7  \n\n", True),
        (["fills 7"], "fills 8\n", False),
        (["fills"], "fills 7\n", False),
        (["a"], "a\nb\n", False),
        (["a", "…"], "a\nb\nc\n", True),
        (["a", "c"], "a\nb\nc\n", False),
        (["…", "c"], "a\nb\nc\n", True),
        (["c", "…", "a"], "a\nb\nc\n", False),
    ],
)
def test_a_shown_output_is_held_to_the_letter(shown: list[str], output: str, true: bool) -> None:
    assert shows(shown, output) is true


def test_a_command_with_another_exit_code_fails_its_page(tmp_path: Path) -> None:
    block = next(blocks_of("```console\n$ njord replay nothing\n```\n"))
    with pytest.raises(AssertionError, match="exit code 2, the page says 0"):
        carry_out(block, tmp_path, {})


def test_an_edit_that_fits_nowhere_fails_its_page(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    block = next(blocks_of("<!-- edit: a.py -->\n```diff\n-y = 1\n+y = 2\n```\n"))
    with pytest.raises(AssertionError, match="fits 0 places"):
        carry_out(block, tmp_path, {})


def test_a_word_that_nobody_covers_fails_its_page(tmp_path: Path) -> None:
    block = next(blocks_of("<!-- covered by: .ci/run -->\n```console\n$ make moon\n```\n"))
    with pytest.raises(AssertionError, match=r"\.ci/run does not run 'make moon'"):
        carry_out(block, tmp_path, {})
