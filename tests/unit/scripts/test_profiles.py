"""Profiles in their folded form: what tools write is read right, names no machine, and the hottest come first."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from scripts.analyze_profiles import main as analyze
from scripts.profile_page import Box, boxes, page
from scripts.profile_stacks import (
    ROOT,
    Spot,
    Stacks,
    frame,
    hot_spots,
    of_pstats,
    of_py_spy,
    of_pyinstrument,
    read_folded,
    short_file,
    write_folded,
)

STACKS = Counter({("a", "b"): 6, ("a", "b", "a"): 3, ("a",): 1, ("c",): 2})


@pytest.mark.parametrize(
    ("file", "short"),
    [
        (f"{ROOT}/njord/core/engine.py", "njord/core/engine.py"),
        (f"{ROOT}/venv/lib/python3.11/site-packages/polars/frame.py", "polars/frame.py"),
        ("/opt/python/lib/python3.11/json/decoder.py", "json/decoder.py"),
        ("/somewhere/secret-client/strategy.py", "strategy.py"),
        ("../elsewhere/strategy.py", "strategy.py"),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap"),
        ("benchmarks/ordered_engine.py", "benchmarks/ordered_engine.py"),
    ],
)
def test_a_file_says_which_source_it_is_and_not_where_it_lies(file: str, short: str) -> None:
    assert short_file(file) == short


def test_the_folded_form_comes_back_as_it_was() -> None:
    assert read_folded(write_folded(STACKS)) == STACKS
    assert ";" not in frame("a;b.py", "f")


def test_a_line_that_is_no_stack_is_named() -> None:
    with pytest.raises(ValueError, match=r"line 2 must be `outer;inner COUNT`, was 'a;b many'"):
        read_folded("a 1\na;b many\n")


def test_lines_of_py_spy_are_joined_by_function_and_those_without_a_frame_are_left_out() -> None:
    text = f"main ({ROOT}/njord/x.py:3);step (y.py:7) 2\nmain ({ROOT}/njord/x.py:4);step (y.py:9) 5\n 800\n"
    assert of_py_spy(text) == {("njord/x.py:main", "y.py:step"): 7}


def test_own_time_of_pyinstrument_is_what_the_children_leave() -> None:
    def node(name: str, time: float, *children: object) -> dict[str, object]:
        return {"function": name, "file_path": "x.py", "time": time, "children": children}

    text = json.dumps({"root_frame": node("main", 1.0, node("step", 0.75), node("end", 0.25))})
    assert of_pyinstrument(text) == {("x.py:main", "x.py:step"): 750_000, ("x.py:main", "x.py:end"): 250_000}


def test_functions_of_cprofile_count_their_own_time() -> None:
    entries: dict[tuple[str, int, str], object] = {
        ("~", 0, "len"): (1, 1, 0.5, 0.5, {}),
        ("x.py", 3, "f"): (1, 1, 0.25, 0.75, {}),
        ("x.py", 9, "g"): (1, 1, 0.0, 0, {}),
    }
    assert of_pstats(entries) == {("builtins:len",): 500_000, ("x.py:f",): 250_000}


def test_recursion_counts_once_and_the_hottest_come_first() -> None:
    assert hot_spots(STACKS, 2) == [Spot("b", 6, 9), Spot("a", 4, 10)]


def test_a_flame_graph_joins_equal_beginnings_and_no_box_leaves_its_parent() -> None:
    assert list(boxes(STACKS)) == [
        Box("a", 0, 0, 10),
        Box("b", 1, 0, 9),
        Box("a", 2, 0, 3),
        Box("c", 0, 10, 2),
    ]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_is_self_contained_and_escapes_names() -> None:
    stacks: Stacks = Counter({("x.py:<module>", 'x.py:"f" & g'): 3})
    text = page("a <title>", "samples", stacks, hot_spots(stacks, 5))
    read = _Links()
    read.feed(text)
    assert read.outside == []
    assert "module" not in read.tags
    assert "a &lt;title&gt;" in text
    assert "https:" not in text and "<script" not in text


def test_analyzing_prints_the_hot_spots_and_writes_a_page_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "var" / "profiling"
    folder.mkdir(parents=True)
    (folder / "run-cpu.folded").write_text(write_folded(STACKS))
    assert analyze(["--top", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"50\.0% +75\.0%  b\n", said)
    assert (folder / "run-cpu.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "holds no profile"),
        (["--top", "0"], "whole number > 0, was '0'"),
        (["no.folded"], "no.folded is no profile"),
    ],
)
def test_what_can_not_be_analyzed_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        analyze(words)
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in shown
    assert shown.count("\n") == 1
