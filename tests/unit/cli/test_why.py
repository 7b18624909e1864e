"""`njord why` as a user meets it: text of any width, JSON, a page, and one line for what can not be answered."""

import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from njord.audit.why import why
from njord.audit.why_page import page_text
from njord.cli import run as njord
from njord.cli.why import rendered, run
from njord.core.errors import ConfigError
from tests.unit.audit.why_scene import SCRIPT, at, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("why"), SCRIPT)


def ask(folder: Path, wanted: str | None, **how: object) -> int:
    given = {"at": None, "strategy": None, "json_out": False, "page": None, "root": folder.parent} | how
    return run(str(folder), wanted, **given)  # type: ignore[arg-type]


def text_of(folder: Path, wanted: str, width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(rendered(why(folder, wanted)))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_story_fits_the_terminal_and_loses_no_word(folder: Path, width: int) -> None:
    lines = text_of(folder, "case-4", width)
    assert max(map(len, lines)) <= width
    whole = " ".join(" ".join(lines).split())
    for said in ("case wanted it amended: nearer", "max_order_notional", "reason CANCEL_REQUESTED"):
        assert said in whole


def test_the_text_says_the_answer_before_the_evidence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder, "case-7") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "case-7  refused"
    assert lines[2].startswith('case wanted to buy 9 BTC at market because "greed"; the rule max_order')
    refused = next(line for line in lines if "NOTIONAL_EXCEEDS_CAP" in line)
    assert "This ended it." in refused
    assert any("notional 18000 · cap 10091.898" in line for line in lines)


def test_json_is_one_object_with_exact_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(folder, "case-7", json_out=True) == 0
    told = json.loads(capsys.readouterr().out)
    rulings = next(each for each in told["chapters"] if each["name"] == "rules")["rulings"]
    first = next(each for each in rulings if each.get("is_first"))
    assert (first["rule"], first["reason"]) == ("max_order_notional", "NOTIONAL_EXCEEDS_CAP")
    assert first["numbers"] == [["notional", "18000"], ["cap", "10091.898"]]


def test_the_page_needs_nothing_else_and_escapes_what_it_is_told(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    assert ask(folder, None, at=at(12), page=page) == 0
    text = page.read_text()
    assert "max_order_notional" in text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    hostile = msgspec.structs.replace(why(folder, "case-7"), verdict="<script>alert(1)</script>")
    assert "<script>alert" not in page_text(hostile)


def test_a_page_that_is_a_folder_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--page names a file, .* is a folder; say --page .*why\.html"):
        ask(folder, "last", page=tmp_path)


def test_an_unknown_id_is_one_line_with_the_nearest_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert njord(["why", "case-99", "--session", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("njord: nothing in this run is called 'case-99'; the nearest: case-9")
    assert said.count("\n") == 1


def test_a_damaged_journal_is_exit_code_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder = make_run(tmp_path, SCRIPT)
    segment = run_folder / "journal" / "000001.ndjson"
    segment.write_bytes(segment.read_bytes().replace(b'"case-3"', b'"case-8"', 1))
    monkeypatch.chdir(tmp_path)
    assert njord(["why", "case-3", "--session", str(run_folder)]) == 4
    assert capsys.readouterr().err.startswith("njord: JournalCorrupt: ")
