"""The page of a Monte Carlo answer: chances, percentiles and bars are the answer's own."""

import re
from pathlib import Path
from typing import Any

import pytest

from njord.core.errors import DataError
from njord.research.montecarlo import MonteCarloResult, RunFigures, write_result
from njord.research.montecarlo_bins import Distribution, Percentile
from njord.research.montecarlo_bounds import Probability
from njord.research.montecarlo_page import write_page
from njord.research.montecarlo_shake import Jitter
from njord.research.montecarlo_tally import Fan
from tests.unit.research.page_samples import HOSTILE, check_drawn, text_of

PERCENTS = (1, 5, 25, 50, 75, 95, 99)


def figure(low: float, high: float, counts: list[int], edges: list[float]) -> Distribution:
    spread = [low + (high - low) * each / 100 for each in PERCENTS]
    return Distribution(
        mean=(low + high) / 2,
        minimum=low,
        maximum=high,
        percentiles=[
            Percentile(percent=each, value=value, low=None if each < 50 else value, high=value)
            for each, value in zip(PERCENTS, spread, strict=True)
        ],
        resolution=0.001,
        is_relative=low > 1,
        edges=edges,
        counts=counts,
    )


def an_answer(**changes: Any) -> MonteCarloResult:
    fields: dict[str, Any] = {
        "run_id": "abc", "title": "sma_cross on BTC/USDT", "report_asset": "USDT", "capital": 1_000.0,
        "method": "trades-block", "step": "trade", "n_steps": 50, "n_paths": 8, "n_refused": 0, "n_failed": 0,
        "first_failure": "", "seed": 7, "block": 3.5, "is_block_automatic": True, "ruin_fraction": 0.5, "confidence": 0.95,
        "jitter": (), "delay_ms": None, "slippage_bps": None,
        "run": RunFigures(final_equity=1_100.0, max_drawdown=0.25, under_water=20.0, lowest_equity=900.0),
        "final_equity": figure(800.0, 1_600.0, [2, 0, 6], [800.0, 1_000.0, 1_200.0, 1_600.0]),
        "max_drawdown": figure(0.1, 0.5, [4, 4], [0.1, 0.3, 0.5]),
        "under_water": figure(4.0, 50.0, [8], [4.0, 50.0]),
        "ruin": Probability(value=0.0, low=0.0, high=0.32, n=8),
        "loss": Probability(value=0.25, low=0.07, high=0.59, n=8),
        "fan": Fan(steps=[0, 25, 50], percents=list(PERCENTS), equity=[[1_000.0, 900.0 + p, 800.0 + 8 * p] for p in PERCENTS],
                   resolution=0.002),
        "assumptions": ["Costs are those of the run."],
    }  # fmt: skip
    return MonteCarloResult(**fields | changes)


def drawn(folder: Path, **changes: Any) -> str:
    write_result(folder, an_answer(**changes))
    page = write_page(folder).read_text(encoding="utf-8")
    check_drawn(page)
    return page


def test_chances_stand_on_top_with_their_bounds(tmp_path: Path) -> None:
    text = text_of(drawn(tmp_path))
    assert "25.0% lose 25.0% (7.0% to 59.0%, 95 % confidence) of the paths ended below their start" in text
    assert "0% (0% to 32.0%, 95 % confidence) fell below 50% of it" in text
    # Half of the first bar lies beyond 0.2..0.3, and all of the second: 1/4 * 4 + 4 of 8.
    assert (
        "The run itself ended with 1,100.00 USDT and fell by 25.00% at most; about 62% of the paths fell deeper."
        in text
    )
    assert "trades drawn in blocks of 3.5 on average, chosen by the data" in text


def test_percentiles_and_their_intervals_are_the_answers(tmp_path: Path) -> None:
    text = text_of(drawn(tmp_path))
    assert "5 % 840.00 open to 840.00 12.00% open to 12.00% 6 open to 6" in text
    assert "95 % 1,560.00 1,560.00 to 1,560.00 48.00% 48.00% to 48.00% 48 48 to 48" in text
    assert "the run 1,100.00 25.00% 20" in text
    assert "Equity is known to 0.05 % of its value" in text and "the fan to 0.1 % of its value" in text


def test_bars_are_as_tall_as_their_paths_are_dense(tmp_path: Path) -> None:
    page = drawn(tmp_path)
    bars = re.findall(
        r'<rect class="plain" x="([\d.]+)%" y="[\d.]+%" width="([\d.]+)%" height="([\d.]+)%"><title>(.*?)<',
        page,
    )
    assert bars[0] == ("0.0", "25.0", "64.0", "800.00 to 1,000.00: 2 paths, 25.0%")
    assert bars[1] == ("50.0", "50.0", "96.0", "1,200.00 to 1,600.00: 6 paths, 75.0%")


def test_the_fan_says_what_it_is_at_every_checkpoint(tmp_path: Path) -> None:
    text = text_of(drawn(tmp_path))
    assert "after 25 trades: median 950.00 USDT, 90 % of paths from 905.00 to 995.00" in text
    assert "after 50 trades: median 1,200.00 USDT, 90 % of paths from 840.00 to 1,560.00" in text


def test_paths_that_are_all_alike_have_a_page(tmp_path: Path) -> None:
    flat = figure(1_000.0, 1_000.0, [8], [1_000.0, 1_000.0])
    still = figure(0.0, 0.0, [8], [0.0, 0.0])
    run = RunFigures(final_equity=1_000.0, max_drawdown=0.0, under_water=0.0, lowest_equity=1_000.0)
    fan = Fan(steps=[0, 1], percents=list(PERCENTS), equity=[[1_000.0, 1_000.0]] * 7, resolution=0.0)
    text = text_of(
        drawn(tmp_path, final_equity=flat, max_drawdown=still, under_water=still, run=run, fan=fan, n_steps=1)
    )
    assert "1,000.00 to 1,000.00: 8 paths, 100.0%" in text and "about 0% of the paths fell deeper" in text


def test_what_has_no_bound_is_said_and_not_drawn(tmp_path: Path) -> None:
    endless = figure(800.0, float("inf"), [4, 4], [800.0, 1_000.0, float("inf")])
    text = text_of(drawn(tmp_path, final_equity=endless))
    assert "95 % open open to open" in text and "mean open, from 800.00 to open" in text


def test_what_was_shaken_and_left_out_is_named(tmp_path: Path) -> None:
    jitter = (
        Jitter(strategy_id="", name="fast", spread=0.2, is_relative=True),
        Jitter(strategy_id="slow_one", name="slow", spread=2.0, is_relative=False),
    )
    text = text_of(
        drawn(
            tmp_path, jitter=jitter, slippage_bps=(2.0, 12.0), block=0.0, n_refused=3, first_failure=HOSTILE
        )
    )
    assert "fast within 20% of its value, slow_one.slow within 2 of its value" in text
    assert "2 to 12 bp" in text and "3 paths left out" in text


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    page = drawn(tmp_path, title=HOSTILE, report_asset=HOSTILE, assumptions=[HOSTILE], run_id=HOSTILE)
    assert page.count("</script>") == 3


def test_a_folder_without_an_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no montecarlo\.json"):
        write_page(tmp_path)
