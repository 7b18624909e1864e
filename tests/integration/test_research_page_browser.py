"""The pages of research in a real browser: they paint, stay silent, ask for nothing, fit, and answer to choices and taps."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from njord.research import sweep_page_map
from njord.research.axes import Axis
from njord.research.montecarlo import write_result
from njord.research.montecarlo_page import write_page as write_montecarlo
from njord.research.sweep_page import write_page as write_sweep_page
from tests.integration.test_page_browser import BRIGHTNESS, NAMES, NEXT_FRAME, Browser
from tests.unit.research.page_samples import HOSTILE, write_sweep
from tests.unit.research.test_montecarlo_page import an_answer
from tests.unit.research.test_walkforward_page import a_fold, written

pytestmark = pytest.mark.integration

THEMES = ("#light", "#dark")
WIDTHS = (390, 1400)
PAGES = ("two", "three", "one", "alone", "many", "hostile", "walk", "paths")
FAST = Axis("fast", tuple(str(n) for n in range(2, 22)))
SLOW = Axis("slow", tuple(str(n) for n in range(30, 90, 5)))
HOLD = Axis("hold", ("1", "2", "3"))
SELECTS = "[...document.querySelectorAll('#choices label:not([hidden]) select')]"
READOUT = "document.getElementById('map-readout').textContent"
PICTURE = "document.querySelector('.cells canvas').toDataURL()"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no browser for the pages of research: apt install chromium")
        pytest.skip(f"none of {', '.join(NAMES)} is on PATH: apt install chromium")
    with Browser(found, tmp_path_factory.mktemp("profile")) as started:
        yield started


def value(fast: int, slow: int, hold: int = 0) -> float:
    return 3.0 - 0.1 * (fast - 8) ** 2 - 0.2 * (slow - 4) ** 2 + hold


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of every kind, and sweeps of every shape."""
    root = tmp_path_factory.mktemp("research")
    hostile = Axis(HOSTILE, (HOSTILE, "b" * 90))
    sweeps: dict[str, tuple[Axis, ...]] = {
        "two": (FAST, SLOW), "three": (FAST, SLOW, HOLD), "many": (FAST, SLOW, HOLD), "hostile": (hostile, SLOW),
        "one": (FAST,), "alone": (Axis("fast", ("5",)),),
    }  # fmt: skip
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, axes in sweeps.items():
            changes = {"strategy": HOSTILE, "symbol": HOSTILE} if name == "hostile" else {}
            worth = (lambda fast: value(fast, 4)) if len(axes) == 1 else value
            write_sweep(root / name, axes, worth, failed=[0] if name in ("two", "hostile") else (), **changes)
            patch.setattr(sweep_page_map, "NUMBERS_MAX", 2_000 if name == "many" else 300_000)
            made[name] = write_sweep_page(root / name)
    for name in ("walk", "paths"):
        (root / name).mkdir()
    written(
        root / "walk",
        [a_fold(number, 2.0 / number, (-1.0) ** number, "123"[number % 3]) for number in range(1, 10)],
    )
    made["walk"] = root / "walk" / "walkforward.html"
    write_result(root / "paths", an_answer())
    made["paths"] = write_montecarlo(root / "paths")
    return made


def choose(browser: Browser, number: int, option: str) -> None:
    """Choose the option with this text in the visible select box number `number`."""
    browser.run(
        f"(() => {{ const box = {SELECTS}[{number}]; "
        f"box.value = [...box.options].find(o => o.textContent === {option!r}).value; "
        "box.dispatchEvent(new Event('change')); })()"
    )


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_paints_without_a_complaint_or_a_request_and_fits(
    browser: Browser, pages: dict[str, Path], name: str, theme: str
) -> None:
    for width in WIDTHS:
        browser.open(pages[name], width=width, fragment=theme)
        assert browser.run("document.documentElement.dataset.ready") == "yes"
        assert browser.complaints() == []
        assert [address.partition("#")[0] for address in browser.requests()] == [pages[name].as_uri()]
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert (browser.run(BRIGHTNESS) < 200) is (theme == "#dark")
        assert browser.run("document.title") != "owned"
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=390, height=900, deviceScaleFactor=1, mobile=False
    )
    browser.run(NEXT_FRAME)
    assert browser.run("document.documentElement.scrollWidth") <= 390, "also after the window was turned"


def test_any_two_parameters_can_be_chosen_and_the_others_fixed(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["three"])
    best = f"{value(8, 4, 2):.2f}"
    assert browser.run(READOUT) == f"fast 10 \u00b7 slow 50: Sharpe {best} (best of 3 points)"
    choose(browser, 3, "mean of each cell")
    assert browser.run(READOUT) == f"fast 10 \u00b7 slow 50: Sharpe {value(8, 4, 1):.2f} (mean of 3 points)"
    choose(browser, 4, "1")
    assert browser.run(READOUT) == f"fast 10 \u00b7 slow 50: Sharpe {value(8, 4, 0):.2f}"
    choose(browser, 1, "hold")  # The box of what is across now takes the freed one.
    assert browser.run(f"{SELECTS}.map(box => box.selectedOptions[0].textContent)")[1:3] == ["hold", "slow"]
    assert "hold 3 \u00b7 slow 50: Sharpe" in browser.run(READOUT)
    choose(browser, 1, "slow")  # Both the same is no map: the other one makes room.
    assert browser.run(f"{SELECTS}.map(box => box.selectedOptions[0].textContent)")[1:3] == ["slow", "hold"]
    before = browser.run(PICTURE)
    choose(browser, 0, "Return")
    assert "return" in browser.run(READOUT) and browser.run(READOUT).partition(": return ")[2][-1] in "%)"
    assert browser.run(PICTURE) == before, "a return that follows the Sharpe ratio looks like it"
    choose(browser, 0, "Max drawdown")
    assert browser.run(PICTURE) != before
    assert browser.complaints() == []


def test_a_map_that_was_counted_together_answers_the_same_questions(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["many"])
    assert "in fewer cells" not in browser.run("document.querySelector('#map').innerText")
    assert "are more than the page holds one by one" in browser.run(
        "document.querySelector('#map').innerText"
    )
    best = browser.run(READOUT)
    assert best.endswith(f"Sharpe {value(8, 4, 2):.2f}")
    choose(browser, 3, "mean of each cell")
    assert browser.run(READOUT) != best
    choose(browser, 3, "at the best point")
    assert browser.run(READOUT) == best
    choose(browser, 1, "hold")
    choose(browser, 2, "fast")
    assert browser.run(READOUT).startswith("hold ") and browser.run(READOUT).endswith(best.rpartition(" ")[2])
    assert browser.complaints() == []


def test_a_cell_says_its_value_when_pointed_at_and_by_keys(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["two"])
    place = browser.run(
        "(() => { const c = document.querySelector('.cells canvas'); c.scrollIntoView({block: 'center', behavior: 'instant'}); "
        "const r = c.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )
    left, top, width, height = place
    x, y = left + width * 0.5 / 20, top + height * 11.5 / 12
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert browser.run(READOUT) == "fast 2 \u00b7 slow 30: Sharpe no value", "that point failed"
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=left + width * 3.5 / 20, y=y)
    assert browser.run(READOUT) == f"fast 5 \u00b7 slow 30: Sharpe {value(3, 0):.2f}".replace(
        "-", "\N{MINUS SIGN}"
    )
    browser.run("document.querySelector('.cells canvas').focus()")
    for key in ("ArrowUp", "ArrowRight"):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
    assert browser.run(READOUT) == f"fast 6 \u00b7 slow 35: Sharpe {value(4, 1):.2f}".replace(
        "-", "\N{MINUS SIGN}"
    )
    assert browser.complaints() == []


def test_the_map_changes_color_with_the_theme(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["two"], fragment="#light")
    light = browser.run(PICTURE)
    browser.run("document.getElementById('theme').click()")
    browser.run(NEXT_FRAME)
    assert browser.run(PICTURE) != light


@pytest.mark.parametrize(("name", "said"), [("walk", "fold 5"), ("paths", "after 25 trades")])
def test_what_a_drawing_says_on_hover_it_says_below_when_tapped(
    browser: Browser, pages: dict[str, Path], name: str, said: str
) -> None:
    browser.open(pages[name], width=390)
    browser.run(
        f"[...document.querySelectorAll('.plot title')].find(t => t.textContent.includes({said!r})).parentElement"
        ".dispatchEvent(new MouseEvent('click', { bubbles: true }))"
    )
    assert said in browser.run(
        "[...document.querySelectorAll('.plot .readout')].map(p => p.textContent).join(' ')"
    )
