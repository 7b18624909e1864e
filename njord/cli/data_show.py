"""`njord data show`: what a dataset is worth and how it covers its time, on the terminal and as a page."""

from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from njord.apps.data_coverage import Coverage
from njord.apps.data_coverage_text import CELLS_MIN, CELLS_SHOWN_MAX, MARK, draw
from njord.apps.data_page_facts import (
    Pairs,
    assumptions,
    clean_checks,
    fact_rows,
    headline,
    place_words,
    source_rows,
    verdict,
)
from njord.apps.data_page_subject import Subject, subject_of_file, subject_of_stored
from njord.backtest.page_text import count, duration
from njord.cli import EXIT_OK
from njord.cli.data_store import GRADE_STYLES, open_store, print_json, show_bytes, store_folder
from njord.cli.flags import known_instruments
from njord.cli.progress import Progress
from njord.cli.summary import make_console
from njord.core.errors import ConfigError, DataError
from njord.storage.bars_text import one_line
from njord.storage.certificate.certificate import Finding
from njord.storage.store.store import Store

CELLS_JSON = 100
_PLACES_SHOWN, _SOURCES_SHOWN = 3, 10
_PAGE_BEGINS = b"<!doctype html>"


def run(dataset: str, html: Path | None, store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    if html is not None:
        _refuse_to_overwrite(html)
    with Progress("rows") as progress:
        subject = _subject(dataset, html is not None, store, root, progress)
    size = show_bytes(subject.n_bytes)
    if html is not None:
        from njord.apps.data_page import write_page

        write_page(html, subject, fact_rows(subject, size))
    if json_out:
        print_json(_document(subject, html))
        return EXIT_OK
    console = make_console()
    _print(console, subject, size)
    if html is not None:
        console.print(Text(f"page  {html}"), soft_wrap=True)
    return EXIT_OK


# A dataset's path wins over a file of the same name, unless only the file is there.
def _subject(text: str, with_courses: bool, store: Path | None, root: Path, progress: Progress) -> Subject:
    file, folder = Path(text), store_folder(store, root)
    if file.is_file() and not _is_stored(text, folder):
        progress.say(f"reading {one_line(file.name, 80)}")
        return subject_of_file(file, known_instruments(root), with_courses, progress.show)
    if not _is_path(text):
        raise DataError(
            f"{one_line(text, 200)} is no file, and names no dataset", "njord data list shows the datasets"
        )
    with open_store(store, root).open(text) as stored:
        return subject_of_stored(stored, with_courses, progress.show)


def _is_stored(text: str, folder: Path) -> bool:
    return _is_path(text) and (folder / Store.path_of(text)).is_dir()


def _is_path(text: str) -> bool:
    try:
        Store.path_of(text)
    except DataError:
        return False
    return True


def _refuse_to_overwrite(page: Path) -> None:
    if not page.exists():
        return
    if page.is_file():
        with page.open("rb") as file:
            if file.read(len(_PAGE_BEGINS)) in (_PAGE_BEGINS, b""):
                return
    raise ConfigError(
        f"--html {one_line(page, 200)} exists and is no page", "name another file, such as coverage.html"
    )


# --- one document ------------------------------------------------------------------------------------------------------


def _document(subject: Subject, html: Path | None) -> dict[str, Any]:
    return {
        "dataset": subject.name,
        "kind": subject.kind.value,
        "instrument": subject.instrument,
        "interval_ns": subject.interval_ns,
        "first_ns": subject.certificate.first_ns,
        "last_ns": subject.certificate.last_ns,
        "n_rows": subject.n_rows,
        "n_bytes": subject.n_bytes,
        "hash": subject.hash,
        "parts": subject.parts,
        "sources": subject.sources,
        "rules": subject.rules,
        "fees": subject.fees,
        "assumptions": subject.assumptions,
        "certificate": subject.certificate,
        "certificate_hash": subject.certificate.digest(),
        "certificate_is_stored": not subject.is_graded_now,
        "coverage": _cells(subject.coverage.coarser(CELLS_JSON)),
        "html": str(html) if html is not None else None,
    }


def _cells(coverage: Coverage) -> dict[str, Any]:
    columns = (
        coverage.edges_ns[:-1], coverage.edges_ns[1:], coverage.n_rows, coverage.n_expected, coverage.bad_ns,
    )  # fmt: skip
    names = ("start_ns", "end_ns", "n_rows", "n_expected", "bad_ns")
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {"width_ns": coverage.width_ns, "cells": [dict(zip(names, row, strict=True)) for row in rows]}


# --- for people --------------------------------------------------------------------------------------------------------


def _print(console: Console, subject: Subject, size: str) -> None:
    certificate = subject.certificate
    style = GRADE_STYLES[certificate.grade]
    title = Text.assemble(
        (one_line(headline(subject), 200), "bold"), "  ", (f"grade {certificate.grade}", style)
    )
    console.print(title)
    console.print(Text(one_line(verdict(certificate), 400)))
    console.print()
    console.print(_table(fact_rows(subject, size)))
    _print_coverage(console, subject)
    _print_findings(console, subject)
    sources = source_rows(subject.sources)
    if sources:
        console.print(Text("\nsources", style="bold"))
        console.print(_table(sources[:_SOURCES_SHOWN]))
        if len(sources) > _SOURCES_SHOWN:
            console.print(Text(f"  and {count(len(sources) - _SOURCES_SHOWN)} more, in --json"))
    if subject.assumptions:
        console.print(Text("\nassumed", style="bold"))
        for sentence in assumptions(subject):
            console.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))


def _table(rows: Pairs) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", overflow="fold")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(Text(name), Text(text))
    return table


def _print_coverage(console: Console, subject: Subject) -> None:
    width = max(CELLS_MIN, min(console.width - 2, CELLS_SHOWN_MAX))
    cells, drawing = draw(subject.coverage, width, console.options.ascii_only)
    a_column = f"{'each column' if drawing.n_chars == 1 else f'each {drawing.n_chars} columns'} {duration(cells.width_ns)}"
    scale = (
        "height: share of the expected bars, full = all"
        if subject.interval_ns
        else f"height: rows, log scale, full = {count(int(cells.n_rows.max()))}"
    )
    legend = Text.assemble(("coverage", "bold"), f"  {a_column}; {scale}; ", (MARK, "red"), " = bad time")
    console.print(Text())
    console.print(legend)
    is_bad = [mark == MARK for mark in drawing.marks]
    for line in (*drawing.blocks, drawing.marks):
        console.print(_colored(line, is_bad), soft_wrap=True)
    console.print(Text(f"{drawing.axis}\n{drawing.labels}", style="dim"), soft_wrap=True)


def _colored(line: str, is_bad: list[bool]) -> Text:
    text = Text()
    for bad, run_of in groupby(zip(line, is_bad, strict=True), key=lambda pair: pair[1]):
        text.append("".join(char for char, _ in run_of), "red" if bad else "green")
    return text


def _print_findings(console: Console, subject: Subject) -> None:
    certificate = subject.certificate
    console.print(Text("\nfindings", style="bold"))
    for finding in certificate.faults():
        console.print(
            Text.assemble((finding.grade, GRADE_STYLES[finding.grade]), f"  {one_line(finding.says, 400)}")
        )
        console.print(Padding(Text(one_line(finding.rule, 1_000), style="dim"), (0, 0, 0, 3), expand=False))
        for line in _places(finding):
            console.print(Padding(Text(line), (0, 0, 0, 3), expand=False))
    clean = clean_checks(certificate)
    if clean:
        console.print(Text.assemble(("clean", "green"), f": {clean}"))
    for note in certificate.notes:
        console.print(Text(f"note: {one_line(note, 400)}"))


def _places(finding: Finding) -> list[str]:
    lines = ["  ".join(filter(None, place_words(place))) for place in finding.places[:_PLACES_SHOWN]]
    n_more = len(finding.places) - len(lines)
    if finding.worst is not None and finding.worst not in finding.places[:_PLACES_SHOWN]:
        lines.append("worst: " + "  ".join(filter(None, place_words(finding.worst))))
    return [*lines, f"and {n_more} more places in --json"] if n_more else lines
