"""The page of a dataset in a real browser: it draws, stays silent, asks for nothing, fits, and answers to the keyboard."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from njord.apps.data_page import write_page
from njord.apps.data_page_facts import fact_rows
from njord.apps.data_page_subject import Subject, subject_of_file
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from tests.integration.test_page_browser import BRIGHTNESS, NAMES, NEXT_FRAME, PIXELS_OF, Browser
from tests.unit.apps.test_data_page import HOSTILE, ROWS, graded, subject
from tests.unit.storage.store.store_samples import Rows, bars, trades

pytestmark = pytest.mark.integration

KINDS = ["bars", "trades", "book", "quotes"]
PAGES = [*KINDS, "dirty", "hostile", "alone", "alone_bar"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = next((path for name in NAMES if (path := shutil.which(name))), None)
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("no browser for the data page: apt install chromium")
        pytest.skip(f"none of {', '.join(NAMES)} is on PATH: apt install chromium")
    with Browser(binary, tmp_path_factory.mktemp("profile")) as started:
        yield started


def dirty() -> Rows:
    """Bars with a hole, a stretch where two of three are missing, and a spike."""
    rows = bars(20_000)
    rows["high"][7_000] *= 2
    number = np.arange(20_000)
    kept = ~((number >= 3_000) & (number < 3_600)) & ~(
        (number >= 15_000) & (number < 16_500) & (number % 3 > 0)
    )
    return {name: column[kept] for name, column in rows.items()}


def write(folder: Path, name: str, looked_at: Subject) -> Path:
    """Write a page and return where."""
    page = folder / f"{name}.html"
    write_page(page, looked_at, fact_rows(looked_at, "1.0 MiB"))
    return page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of every kind, of a dirty dataset, of hostile names, and of a single row."""
    folder = tmp_path_factory.mktemp("data-pages")

    def made(name: str, kind: DataKind, rows: Rows, source: str = "file.csv") -> Path:
        store = Store(folder / name, create=True)
        return write(folder, name, subject(store, graded(store, kind, rows, source)))

    found = {kind.value: made(kind.value, kind, ROWS[kind]) for kind in DataKind}
    found["dirty"] = made("dirty", DataKind.BARS, dirty())
    found["hostile"] = made("hostile", DataKind.TRADES, ROWS[DataKind.TRADES], HOSTILE * 20)
    found["alone"] = made("alone", DataKind.TRADES, trades(1))
    found["alone_bar"] = made("alone_bar", DataKind.BARS, bars(1))
    return found


def n_pixels(browser: Browser, chart: str, variable: str) -> int:
    """How much of a chart is painted in a color of the theme."""
    n: int = browser.run(f"{PIXELS_OF}({json.dumps(chart)}, {json.dumps(variable)})")
    return n


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("theme", ["#light", "#dark"])
def test_the_page_draws_without_a_complaint_or_a_request(
    browser: Browser, pages: dict[str, Path], name: str, theme: str
) -> None:
    browser.open(pages[name], fragment=theme)
    assert browser.run("document.documentElement.dataset.ready") == "yes"
    assert browser.complaints() == []
    assert [address.partition("#")[0] for address in browser.requests()] == [pages[name].as_uri()]
    has_clocks = name in ("trades", "book", "hostile", "alone")
    assert browser.run("document.querySelectorAll('.chart canvas').length") == (3 if has_clocks else 2)
    for chart in ("coverage", "price", *(["clock"] if has_clocks else [])):
        assert n_pixels(browser, chart, "accent") > 3, f"{chart} shows no data"
    assert (browser.run(BRIGHTNESS) < 200) is (theme == "#dark")


def test_bad_time_is_marked_by_more_than_a_shade(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["dirty"], fragment="#light")
    for chart in ("coverage", "price"):
        assert n_pixels(browser, chart, "alarm") > 100
    browser.open(pages["quotes"], fragment="#light")
    assert n_pixels(browser, "price", "alarm") == 0


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", ["dirty", "hostile", "book"])
def test_the_page_never_scrolls_sideways(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name], width=width)
    for _ in range(3):  # Also after the window was turned, there and back, with everything unfolded.
        browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        browser.run(NEXT_FRAME)
        assert browser.run("document.documentElement.scrollWidth") <= width
        right = "document.querySelector('#price-chart canvas').getBoundingClientRect().right"
        assert browser.run(right) <= width
        width = 1830 - width
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        browser.run(NEXT_FRAME)


def press(browser: Browser, key: str, n: int = 1) -> None:
    """Press a key."""
    for _ in range(n):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
    browser.run(NEXT_FRAME)


def test_a_chart_can_be_read_and_zoomed_with_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["bars"])
    readout = "document.getElementById('price-readout').textContent"
    browser.run("document.getElementById('price-chart').focus()")
    press(browser, "Home")
    assert browser.run(readout).startswith("2022-01-01 00:00 UTC")
    press(browser, "ArrowRight", 2)
    assert browser.run(readout).startswith("2022-01-01 00:10 UTC")
    picture = "document.querySelector('#coverage-chart canvas').toDataURL()"
    before = browser.run(picture)
    press(browser, "+")
    assert browser.run(picture) != before, "all charts zoom together"
    press(browser, "0")
    press(browser, "End")
    assert browser.run(readout).startswith("2022-01-02 09:15 UTC")
    assert browser.complaints() == []


def test_without_scripts_coverage_stands_in_characters(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages["dirty"], scripts=False)
        tree = browser.call("DOM.getDocument", depth=-1)
        assert "Scripts are off" in json.dumps(tree)
        assert "█" in json.dumps(tree, ensure_ascii=False)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("name", ["bars/BTC-PERP-1m-20211231-20220201.csv.gz", "trades/XRP_ETH-trades-20191011-20191013.csv.gz"])  # fmt: skip
def test_a_recording_is_drawn_from_its_file(
    browser: Browser, recordings: Path, tmp_path: Path, name: str
) -> None:
    page = write(tmp_path, "recording", subject_of_file(recordings / name, {}, with_courses=True))
    browser.open(page)
    assert browser.complaints() == []
    assert n_pixels(browser, "price", "accent") > 200
    assert page.stat().st_size < 300_000
