"""The report page in a real browser: it paints, stays silent, asks for nothing, fits, and answers to clicks.

A headless Chromium is spoken to over its DevTools pipe, with nothing but the standard library.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.backtest.page import write_page
from njord.backtest.reported import ReportedMarket
from njord.backtest.result import BacktestResult
from njord.backtest.session import BacktestRequest, prepare, run_backtest
from njord.performance.findings import Finding

pytestmark = pytest.mark.integration

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe"
)
DEADLINE_S = 100.0
NEXT_FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
# The browser reads its commands from descriptor 3 and answers on 4.
ON_FD_3_AND_4 = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 10) for fd in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A browser with one page, spoken to in the DevTools protocol; a context manager."""

    def __init__(self, binary: str, profile: Path, *flags: str) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", ON_FD_3_AND_4, str(to_read), str(to_write), binary, *FLAGS.split(), *flags,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._last_id = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        try:
            self._attach()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _attach(self) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._session = ""
        self.call("Browser.close")
        self._process.wait(timeout=DEADLINE_S)
        os.close(self._read)
        os.close(self._write)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and return its result; what happens meanwhile lands in `events`."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser did not answer"
            piece = os.read(self._read, 1 << 20)
            assert piece, "the browser went away"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(
        self, path: Path, width: int = 1440, height: int = 1000, fragment: str = "", scripts: bool = True
    ) -> None:
        """Open a file at a window size, and wait until its scripts have run."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._navigate("about:blank")  # Or a new fragment on the same file would not load it again.
        self.events.clear()
        self._navigate(path.as_uri() + fragment)
        if scripts:
            self.run(NEXT_FRAME)

    def _navigate(self, url: str) -> None:
        loader = self.call("Page.navigate", url=url)["loaderId"]
        while not any(
            event.get("method") == "Page.lifecycleEvent"
            and (event["params"]["loaderId"], event["params"]["name"]) == (loader, "load")
            for event in self.events
        ):
            self.events.append(self._next())

    def run(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Return what the page wrote to the console or threw."""
        methods = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in methods]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for."""
        sent = (event for event in self.events if event.get("method") == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]


HOSTILE = "</script><img src=x onerror=document.title='owned'>"
# The color that the data themselves are drawn in: axes and grid lines alone are not a chart.
DRAWN_IN = {"price": "candle-down", "equity": "accent", "drawdown": "loss", "exposure": "accent"}
PIXELS_OF = """((chart, variable) => {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${variable})`;
  const wanted = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
  probe.remove();
  return Math.max(...[...document.querySelectorAll(`#${chart}-chart canvas`)].map(canvas => {
    if (!canvas.width || !canvas.height) return 0;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let n = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      n += pixels[at + 3] > 200 && [0, 1, 2].every(part => Math.abs(pixels[at + part] - wanted[part]) < 40);
    }
    return n;
  }));
})"""
BRIGHTNESS = (
    "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
)


@pytest.fixture(scope="module")
def binary() -> str:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no browser for the report page: apt install chromium")
        pytest.skip(f"none of {', '.join(NAMES)} is on PATH: apt install chromium")
    return found


@pytest.fixture(scope="module")
def browser(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(binary, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of one run: as it was, hostile, and without any trade; of one bar; of three strategies on two symbols."""
    root = tmp_path_factory.mktemp("pages")
    for symbol, seed in (("SYNTH", 7), ("ETH", 2)):
        write_synthetic_csv(root / f"{symbol}_USDT-1m.csv", 6_000, seed=seed)
    made = {name: root / f"{name}.html" for name in ("hostile", "silent")}
    with ran(root, "plain", "sma_cross") as (market, result):
        made["plain"] = root / "plain" / "report.html"
        write_page(made["plain"], result, market)
        found = Finding(rank=1, code="x", severity="alarm", says=HOSTILE, figures={})
        hostile = msgspec.structs.replace(
            result,
            strategies=[{"id": HOSTILE, "params": {}}],
            error=HOSTILE,
            warnings=[HOSTILE],
            findings=[found],
        )
        write_page(made["hostile"], hostile, market)
        silent = msgspec.structs.replace(result, fills=[], round_trips=[], endings={}, orders=[], n_orders=0)
        write_page(made["silent"], silent, market)
    with ran(root, "alone", "sma_cross", end_ns=result.start_ns + 60_000_000_000) as (market, first):
        made["alone"] = root / "alone" / "report.html"
        write_page(made["alone"], first, market)
    strategies = ("sma_cross", "slow=sma_cross@SYNTH/USDT", "grid@ETH/USDT")
    params = ("sma_cross.weight=0.2", "slow.weight=0.2", "slow.fast=50", "slow.slow=200", "grid.weight=0.3")
    with ran(root, "several", *strategies, symbols=("SYNTH", "ETH"), params=params) as (market, several):
        made["several"] = root / "several" / "report.html"
        write_page(made["several"], several, market)
    return made


@contextmanager
def ran(
    root: Path,
    name: str,
    *strategies: str,
    symbols: tuple[str, ...] = ("SYNTH",),
    params: tuple[str, ...] = (),
    end_ns: int | None = None,
) -> Iterator[tuple[ReportedMarket, BacktestResult]]:
    """Run strategies on the synthetic market of `root`; its data are open meanwhile."""
    data = tuple(root / f"{symbol}_USDT-1m.csv" for symbol in symbols)
    request = BacktestRequest(strategy=strategies, data=data, params=params, synthetic=True, end_ns=end_ns)
    prepared = prepare(request, load_config(root, {}, {}).config, {})
    try:
        yield prepared.market, run_backtest(prepared, root, folder=root / name).result
    finally:
        prepared.market.close()


@pytest.mark.parametrize("name", ["plain", "hostile", "silent", "alone", "several"])
@pytest.mark.parametrize("theme", ["#light", "#dark"])
def test_the_page_paints_without_a_complaint_or_a_request(
    browser: Browser, pages: dict[str, Path], name: str, theme: str
) -> None:
    browser.open(pages[name], fragment=theme)
    assert browser.run("document.documentElement.dataset.ready") == "yes"
    assert browser.complaints() == []
    assert [address.partition("#")[0] for address in browser.requests()] == [pages[name].as_uri()]
    for chart, variable in DRAWN_IN.items():
        n_pixels = browser.run(f"{PIXELS_OF}({json.dumps(chart)}, {json.dumps(variable)})")
        assert n_pixels > 20, f"{chart} shows no data"
    assert browser.run("document.title") != "owned"
    assert (browser.run(BRIGHTNESS) < 200) is (theme == "#dark")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", ["plain", "hostile", "several"])
def test_the_page_never_scrolls_sideways(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name], width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    for _ in range(2):  # Also after the window was turned.
        width = 1830 - width
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        browser.run(NEXT_FRAME)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert (
            browser.run("document.querySelector('#equity-chart canvas').getBoundingClientRect().right")
            <= width
        )


def test_the_system_decides_the_theme_until_the_button_does(browser: Browser, pages: dict[str, Path]) -> None:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.open(pages["plain"])
    assert browser.run(BRIGHTNESS) < 200
    browser.run("document.getElementById('theme').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
    assert browser.run(BRIGHTNESS) > 600
    assert browser.run("document.getElementById('theme').textContent") == "Dark"
    browser.open(pages["plain"])
    assert browser.run(BRIGHTNESS) < 200, "the choice must not outlive the page"
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert browser.complaints() == []


def test_round_trips_can_be_paged_sorted_and_found_in_the_chart(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["plain"])
    rows = "[...document.querySelectorAll('#trip-table tbody tr')]"
    numbers = f"{rows}.map(row => row.cells[0].textContent)"
    assert browser.run(numbers)[:3] == ["1", "2", "3"]
    total = browser.run("JSON.parse(document.getElementById('data').textContent).trips.no.length")
    assert total > 50
    assert len(browser.run(numbers)) == 25
    browser.run("[...document.querySelectorAll('#pager button')].find(b => b.textContent === 'Next').click()")
    assert browser.run(numbers)[0] == "26"
    browser.run("[...document.querySelectorAll('#pager button')].find(b => b.textContent === 'Last').click()")
    assert browser.run(numbers)[-1] == str(total)
    browser.run(
        "[...document.querySelectorAll('#trip-table th button')].find(b => b.textContent.startsWith('P&L')).click()"
    )
    shown = browser.run(f"{rows}.map(row => +row.cells[9].firstChild.title.replace('\u2212', '-'))")
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == browser.run(
        "Math.max(...JSON.parse(document.getElementById('data').textContent).trips.pnl.map(Number))"
    )
    before = browser.run("document.querySelector('#price-chart canvas').toDataURL()")
    browser.run("document.querySelector('#trip-table tbody button').click()")
    browser.run(NEXT_FRAME)
    assert browser.run("document.querySelector('#price-chart canvas').toDataURL()") != before
    assert browser.complaints() == []


def test_orders_can_be_searched_by_words_and_sorted(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["several"])
    rows = "[...document.querySelectorAll('#order-table tbody tr')]"
    texts = f"{rows}.map(row => row.textContent)"
    total = browser.run("JSON.parse(document.getElementById('data').textContent).orders.no.length")
    assert total > 100
    assert len(browser.run(texts)) == 25
    type_in = "(words => {{ const box = document.getElementById('order-search'); box.value = words; box.dispatchEvent(new Event('input')); }})({})"
    browser.run(type_in.format(json.dumps("GRID sell canceled")))
    found = browser.run(texts)
    assert found
    assert all("grid" in text and "sell" in text and "canceled/" in text for text in found)
    n_found = int(browser.run("document.getElementById('order-found').textContent").split()[0])
    assert len(found) == min(25, n_found) < total
    browser.run(type_in.format(json.dumps("no such order")))
    assert browser.run(texts) == []
    browser.run(type_in.format(json.dumps("")))
    browser.run(
        "[...document.querySelectorAll('#order-table th button')].find(b => b.textContent.startsWith('Fees')).click()"
    )
    fees = browser.run(f"{rows}.map(row => +row.cells[13].firstChild.title)")
    assert fees == sorted(fees, reverse=True)
    assert browser.complaints() == []


def test_the_price_chart_shows_the_symbol_asked_for_and_that_of_a_round_trip(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["several"])
    pressed = "[...document.querySelectorAll('#markets button')].map(b => b.getAttribute('aria-pressed'))"
    readout = "document.getElementById('price-readout').textContent"
    assert browser.run(pressed) == ["true", "false"]
    first = browser.run(readout)
    browser.run("document.querySelectorAll('#markets button')[1].click()")
    browser.run(NEXT_FRAME)
    assert browser.run(pressed) == ["false", "true"]
    assert browser.run(readout) != first
    browser.run(
        "[...document.querySelectorAll('#trip-table tbody tr')].find(row => row.textContent.includes('SYNTH/USDT'))"
        ".querySelector('button').click()"
    )
    browser.run(NEXT_FRAME)
    assert browser.run(pressed) == ["true", "false"]
    assert browser.complaints() == []


def test_buy_and_hold_is_drawn_beside_the_run(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["plain"])
    assert browser.run(f"{PIXELS_OF}('equity', 'hold')") > 20
    assert "buy and hold" in browser.run("document.getElementById('equity-readout').textContent")


def test_printing_leaves_the_page_as_it_was(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["plain"], fragment="#dark")
    browser.run(
        "addEventListener('beforeprint', () => { window.pictures = document.querySelectorAll('.print-only').length })"
    )
    browser.call("Page.printToPDF", printBackground=True)
    browser.run(NEXT_FRAME)
    assert browser.run("window.pictures") == 1
    assert browser.run("document.querySelectorAll('.print-only').length") == 0
    assert browser.run(BRIGHTNESS) < 200
    for chart, variable in DRAWN_IN.items():
        assert browser.run(f"{PIXELS_OF}({json.dumps(chart)}, {json.dumps(variable)})") > 20, chart
    assert browser.complaints() == []


def test_without_scripts_the_numbers_and_tables_stand(
    binary: str, tmp_path: Path, pages: dict[str, Path]
) -> None:
    with Browser(binary, tmp_path, "--blink-settings=scriptEnabled=false") as browser:
        browser.open(pages["plain"], scripts=False)
        text = browser.run("document.body.innerText")
        rows = browser.run("document.querySelectorAll('#trip-table tbody tr').length")
        bars = browser.run("document.querySelectorAll('.distribution rect').length")
    for expected in (
        "Scripts are off",
        "Sharpe",
        "Max drawdown",
        "Refused before the venue",
        "Biggest winners",
    ):
        assert expected in text
    assert "A number counts fills" not in text
    assert rows == 25
    assert bars > 5
