"""The page of a dataset: it needs nothing else, believes no name, stays small; and `njord data show` on every kind."""

import html
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from njord.apps.data_page import PAGE_BYTES_MAX, write_page
from njord.apps.data_page_facts import fact_rows
from njord.apps.data_page_subject import Subject, subject_of_stored
from njord.cli import run
from njord.storage.certificate.by_kind import checks_for
from njord.storage.certificate.certificate import encode_certificate
from njord.storage.store.kinds import BOOK_ASK, BOOK_BID, BOOK_EVENT_END, BOOK_SNAPSHOT, DataKind
from njord.storage.store.manifest import SourceFile
from njord.storage.store.store import Store
from tests.unit.storage.store.store_samples import (
    MINUTE_NS,
    START_NS,
    Rows,
    bars,
    instrument,
    key,
    new_store,
    piece,
    put,
    trades,
)

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[2J[red]\n.csv"
SECOND_NS = 1_000_000_000


def book(n_events: int) -> Rows:
    """A snapshot of two levels, then changes of one level each."""
    number = np.arange(n_events + 1, dtype=np.int64)
    is_bid = number % 2 == 0
    sides = np.where(is_bid, BOOK_BID, BOOK_ASK)
    flags = sides + np.where(number > 0, BOOK_EVENT_END, 0) + np.where(number < 2, BOOK_SNAPSHOT, 0)
    ids = np.maximum(number, 1)
    ts_ns = START_NS + ids * SECOND_NS
    return {
        "ts_ns": ts_ns,
        "ts_venue_ns": ts_ns - 3_000_000,
        "first_update_id": ids,
        "last_update_id": ids,
        "flags": flags,
        "price_ticks": np.where(is_bid, 4_000_000 - number % 7, 4_000_100 + number % 7),
        "qty_lots": 1 + number % 5,
    }


def quotes(n_rows: int) -> Rows:
    """A quote a second."""
    number = np.arange(n_rows, dtype=np.int64)
    return {
        "ts_ns": START_NS + number * SECOND_NS,
        "update_id": number + 1,
        "bid_ticks": 4_000_000 + number % 9,
        "bid_lots": 1 + number % 3,
        "ask_ticks": 4_000_020 + number % 9,
        "ask_lots": 1 + number % 4,
    }


ROWS = {
    DataKind.BARS: bars(2_000),
    DataKind.TRADES: trades(500),
    DataKind.BOOK: book(300),
    DataKind.QUOTES: quotes(300),
}


def graded(store: Store, kind: DataKind, rows: Rows, source: str = "file.csv") -> str:
    """Store rows with their certificate and return the dataset's path."""
    with store.begin(key(kind), instrument=instrument()) as commit:
        commit.append(rows)
        checks = checks_for(kind.value, instrument(), MINUTE_NS if kind is DataKind.BARS else 0)
        checks.add(rows)
        certificate = encode_certificate(checks.finish(commit.hash_after_merge))
        file = SourceFile(name=source, sha256="00" * 32)
        commit.commit(source=file, certificate=certificate, assumptions=(f"It is {source}.",)).close()
    return key(kind).path


def subject(store: Store, path: str) -> Subject:
    """A stored dataset, looked at for its page."""
    with store.open(path) as stored:
        return subject_of_stored(stored, with_courses=True)


def page_of(folder: Path, looked_at: Subject) -> str:
    """The page of a subject."""
    page = folder / "page.html"
    write_page(page, looked_at, fact_rows(looked_at, "1 KiB"))
    return page.read_text()


def data_of(page: str) -> dict[str, Any]:
    """The numbers that a page draws."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


# --- the page ------------------------------------------------------------------------------------------------------------


def test_the_page_asks_for_nothing_and_runs_only_what_it_names(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    page = page_of(tmp_path, subject(store, graded(store, DataKind.TRADES, ROWS[DataKind.TRADES])))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "http" not in policy[1]
    assert "unsafe" not in policy[1]
    body = re.sub(r"<(script|style|pre)\b.*?</\1>", "", page, flags=re.S)
    assert not re.findall(r"\b(?:src|action|@import|url)\b\s*[=(]", body)
    assert re.findall(r'href="([^"#][^"]*)"', body) == ["data:,"]
    assert re.findall(r"<script(?! type=\"application/json\" id=\"data\">)([^>]*)>", page) == ["", ""]


def test_a_hostile_name_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    page = page_of(tmp_path, subject(store, graded(store, DataKind.BARS, ROWS[DataKind.BARS], HOSTILE)))
    assert "<img" not in page
    assert "\x1b" not in page
    assert html.escape("</script><img src=x onerror=alert(1)>\\x1b[2J[red]\\n.csv") in page
    assert page.count("</script>") == 3


@pytest.mark.parametrize("kind", list(DataKind))
def test_the_page_draws_every_row_of_every_kind(tmp_path: Path, kind: DataKind) -> None:
    store = new_store(tmp_path)
    looked_at = subject(store, graded(store, kind, ROWS[kind]))
    page = page_of(tmp_path, looked_at)
    data = data_of(page)
    assert sum(data["rows"]) == len(next(iter(ROWS[kind].values())))
    assert len(data["edges"]) == len(data["low"]) + 1
    assert (data["clock"] is not None) is (kind in (DataKind.TRADES, DataKind.BOOK))
    assert (data["expected"] is not None) is (kind is DataKind.BARS)
    assert f'<span class="grade {looked_at.certificate.grade}">' in page


def test_the_page_of_the_worst_dataset_stays_small(tmp_path: Path) -> None:
    rows = bars(60_000)
    kept = np.arange(60_000) % 3 > 0
    store = new_store(tmp_path)
    path = graded(store, DataKind.BARS, {name: column[kept] for name, column in rows.items()})
    looked_at = subject(store, path)
    assert len(looked_at.certificate.bad_ranges) > 1_000
    source = SourceFile(name="x" * 5_000, sha256="00" * 32)
    looked_at = msgspec.structs.replace(looked_at, sources=(source,) * 3_000, assumptions=("y" * 9_000,) * 50)
    page = page_of(tmp_path, looked_at)
    assert len(page.encode()) < PAGE_BYTES_MAX
    assert len(data_of(page)["ranges"]) <= 1_000


def test_the_page_shades_what_the_certificate_calls_bad(tmp_path: Path) -> None:
    rows = bars(100)
    kept = np.arange(100) // 10 != 4
    store = new_store(tmp_path)
    looked_at = subject(
        store, graded(store, DataKind.BARS, {name: column[kept] for name, column in rows.items()})
    )
    data = data_of(page_of(tmp_path, looked_at))
    ranges = [[start / SECOND_NS, end / SECOND_NS] for start, end in looked_at.certificate.bad_ranges]
    gap = [START_NS // SECOND_NS + minute * 60 for minute in (40, 50)]
    assert data["ranges"] == ranges
    assert any(start <= gap[0] and gap[1] <= end for start, end in ranges)
    assert data["rows"] == [1] * 40 + [0] * 10 + [1] * 50


def test_a_page_without_courses_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with store.open(graded(store, DataKind.BARS, ROWS[DataKind.BARS])) as stored:
        looked_at = subject_of_stored(stored, with_courses=False)
    with pytest.raises(ValueError, match="courses"):
        page_of(tmp_path, looked_at)


# --- the verb ------------------------------------------------------------------------------------------------------------


def show(folder: Path, *arguments: str) -> int:
    """Run `njord data show` on the store below `folder`."""
    return run(["data", "show", *arguments, "--store", str(folder / "store"), "--root", str(folder)])


@pytest.mark.parametrize("kind", list(DataKind))
def test_every_kind_is_shown_with_its_grade_and_its_chart(
    tmp_path: Path, kind: DataKind, capsys: pytest.CaptureFixture[str]
) -> None:
    path = graded(new_store(tmp_path), kind, ROWS[kind])
    assert show(tmp_path, path) == 0
    shown = capsys.readouterr().out
    assert f"BTC/USDT {'1m ' if kind is DataKind.BARS else ''}{kind.value} at binance  grade " in shown
    assert "█" in shown
    assert "clean: " in shown
    assert "file.csv" in shown
    assert not [line for line in shown.splitlines() if len(line) > 200]


def test_names_from_files_can_not_write_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(tmp_path, graded(new_store(tmp_path), DataKind.BARS, ROWS[DataKind.BARS], HOSTILE)) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]" in shown


def test_a_dataset_without_a_certificate_is_graded_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = bars(100)
    put(new_store(tmp_path), DataKind.BARS, {name: np.delete(column, 50) for name, column in rows.items()})
    assert show(tmp_path, key(DataKind.BARS).path, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["certificate_is_stored"] is False
    assert [each["n"] for each in shown["certificate"]["findings"] if each["check"] == "missing_bars"] == [1]


def test_json_is_one_document_with_cells_that_add_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = new_store(tmp_path)
    path = graded(store, DataKind.BARS, piece(ROWS[DataKind.BARS], 0, 1_500))
    page = tmp_path / "page.html"
    assert show(tmp_path, path, "--json", "--html", str(page)) == 0
    shown = json.loads(capsys.readouterr().out)
    cells = shown["coverage"]["cells"]
    assert len(cells) <= 100
    assert sum(cell["n_rows"] for cell in cells) == shown["n_rows"] == 1_500
    assert sum(cell["n_expected"] for cell in cells) == 1_500
    assert [cell["end_ns"] for cell in cells[:-1]] == [cell["start_ns"] for cell in cells[1:]]
    assert (cells[0]["start_ns"], cells[-1]["end_ns"]) == (START_NS, START_NS + 1_500 * MINUTE_NS)
    assert shown["certificate"]["dataset_hash"] == shown["hash"]
    assert shown["html"] == str(page)
    assert page.read_text().startswith("<!doctype html>")


def test_a_file_is_shown_without_a_store_as_an_import_would_grade_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "BTC_USDT-1m.csv"
    lines = [
        f"{START_NS // SECOND_NS + 60 * minute},10,12,9,{10 + minute % 3},{minute}" for minute in range(9)
    ]
    lines[3], lines[5] = lines[5], lines[3]
    file.write_text("timestamp,open,high,low,close,volume\n" + "\n".join([*lines, lines[0]]) + "\n")
    assert show(tmp_path, str(file), "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["dataset"], shown["kind"], shown["n_rows"]) == (file.name, "bars", 9)
    found = {each["check"]: each["n"] for each in shown["certificate"]["findings"]}
    assert (found["out_of_order"] > 0, found["duplicates"]) == (True, 1)


def test_a_file_of_trades_is_shown_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "BTC_USDT-trades.csv"
    lines = [f"{START_NS // 1_000_000 + 100 * n},{n + 1},buy,{100 + n % 5},1" for n in range(50)]
    file.write_text("timestamp,id,side,price,amount\n" + "\n".join(lines) + "\n")
    assert show(tmp_path, str(file)) == 0
    assert "BTC/USDT trades at " in capsys.readouterr().out


def test_a_page_never_takes_the_place_of_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = graded(new_store(tmp_path), DataKind.QUOTES, ROWS[DataKind.QUOTES])
    other = tmp_path / "data.csv"
    other.write_text("precious")
    assert show(tmp_path, path, "--html", str(other)) == 2
    assert "exists and is no page" in capsys.readouterr().err
    assert other.read_text() == "precious"
    page = tmp_path / "page.html"
    for _ in range(2):
        assert show(tmp_path, path, "--html", str(page)) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.csv", "is no file, and names no dataset"),
        ("bars/binance/NO-SUCH/1m", "there is no dataset"),
        ("../bars/binance/BTC-USDT/1m", "is no file, and names no dataset"),
        ("a\nb", "a\\nb is no file"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    tmp_path: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(new_store(tmp_path), DataKind.BARS, bars(10))
    assert show(tmp_path, name) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
