"""A page of several commands: each writes its own part and leaves the others as they are."""

from pathlib import Path

from njord.simulation.page import write_part

HEAD = "# Faults\n\nTwo layers."
HEADINGS = ("## First", "## Second")


def test_a_part_is_written_and_the_other_one_stays_to_the_letter(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_part(page, HEAD, HEADINGS, "## Second", "two\n\n| a |\n|---|")
    write_part(page, HEAD, HEADINGS, "## First", "one\n\n### deeper\n")
    first = "# Faults\n\nTwo layers.\n\n## First\n\none\n\n### deeper\n\n## Second\n\ntwo\n\n| a |\n|---|\n"
    assert page.read_text() == first
    write_part(page, HEAD, HEADINGS, "## First", "uno")
    assert page.read_text() == first.replace("one\n\n### deeper", "uno")


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for heading in HEADINGS:
        write_part(page, HEAD, HEADINGS, heading, f"text of {heading}")
    before = page.read_text()
    write_part(page, HEAD, HEADINGS, "## First", "text of ## First")
    assert page.read_text() == before


def test_a_part_that_nobody_wrote_has_no_heading(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_part(page, HEAD, HEADINGS, "## Second", "two")
    assert page.read_text() == "# Faults\n\nTwo layers.\n\n## Second\n\ntwo\n"
