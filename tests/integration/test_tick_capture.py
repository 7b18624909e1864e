"""The recorded order book through the tick exchange: the trades of hftbacktest, whichever way the maker is written."""

from pathlib import Path

import pytest

from benchmarks.ticks_capture import CAPTURE, read_capture
from benchmarks.ticks_maker import Figures, run_compiled, run_python

pytestmark = pytest.mark.integration

STEP_NS = 100_000_000


@pytest.mark.parametrize(
    ("n_laps", "expected"),
    [
        (1, (432, 0.44, -1181.5138, 23.1787)),
        pytest.param(20, (8275, 0.74, -2014.5346, 443.997), marks=pytest.mark.long),
    ],
)
def test_the_maker_makes_the_trades_of_hftbacktest(
    n_laps: int, expected: tuple[int, float, float, float], recordings: Path
) -> None:
    # What hftbacktest 2.4.4 came to with its HashMap depth and its vector; `python -m benchmarks.ticks` runs it anew.
    assert (recordings / "capture" / CAPTURE.name).exists()
    recorded = read_capture(CAPTURE, n_laps)
    compiled = run_compiled(recorded, STEP_NS)
    assert compiled == Figures(compiled.steps, *expected)
    assert run_python(recorded, STEP_NS) == compiled


@pytest.mark.long
def test_a_maker_that_looks_more_often_still_agrees_with_itself(recordings: Path) -> None:
    assert (recordings / "capture" / CAPTURE.name).exists()
    recorded = read_capture(CAPTURE, 1)
    assert run_compiled(recorded, 7_000_000) == run_python(recorded, 7_000_000)
