"""Every verb of research leaves its page, a finished sweep's is drawn anew, and no number of points makes one large."""

import subprocess
from pathlib import Path

import pytest

from njord.apps.synthetic import write_synthetic_csv
from njord.research.axes import Axis
from njord.research.sweep_page import PAGE, write_page
from tests.unit.research.page_samples import check_drawn, data_of, text_of, write_sweep
from tests.warm_njord import warm_njord

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
DATA, FREE = "SYNTH_USDT-1m.csv", ("--fee-bps", "0", "--slippage-bps", "0")


def said(home: Path, *words: str) -> dict[str, str]:
    """Run a verb and return its lines by their first word."""
    done = subprocess.run([warm_njord(), *words], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1 = the verdict is overfit.
    return {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if line.strip()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("verbs")
    write_synthetic_csv(home / DATA, 2_000, 7)
    return home


def test_a_sweep_leaves_its_page_and_resuming_it_draws_it_anew(home: Path) -> None:
    lines = said(
        home, "sweep", "sma_cross", "--data", DATA, "--param", "fast=5,10", "--param", "slow=30,60", *FREE
    )
    page = home / lines["page"]
    first = page.read_bytes()
    page.unlink()
    again = said(home, "sweep", "--resume", str(Path(lines["page"]).parent))
    assert again["page"] == lines["page"] and page.read_bytes() == first
    assert "4 points" in text_of(first.decode())


def test_a_walk_forward_and_a_monte_carlo_leave_their_pages(home: Path) -> None:
    lines = said(
        home, "walkforward", "sma_cross", "--data", DATA, "--param", "fast=5,10", "--folds", "3", *FREE
    )
    check_drawn((home / lines["page"]).read_text(encoding="utf-8"))
    said(home, "backtest", "sma_cross", "--data", DATA, *FREE)
    lines = said(home, "montecarlo", "last", "--paths", "200")
    check_drawn((home / lines["page"]).read_text(encoding="utf-8"))


@pytest.mark.parametrize("lengths", [(300, 100), (300, 300), (40, 20, 20, 5)])
def test_the_page_of_many_points_stays_small(lengths: tuple[int, ...], tmp_path: Path) -> None:
    axes = [Axis(f"p{number}", tuple(map(str, range(n)))) for number, n in enumerate(lengths)]
    write_sweep(tmp_path, axes, lambda *places: sum(places) / 7.0 - 1.123456789)
    page = write_page(tmp_path)
    assert page.name == PAGE and page.stat().st_size < 3_000_000
    assert ("pairs" in data_of(page.read_text(encoding="utf-8"))) is (lengths != (300, 100))
