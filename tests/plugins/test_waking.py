"""Every shipped strategy: the journal is the same, byte for byte, whether or not it sleeps where it says it may."""

from pathlib import Path

import pytest

from njord.adapters.plugins import load_strategy, strategy_names
from njord.strategies.base import Strategy
from tests.unit.backtest.lane_run import CountedRows, EveryRow, prepared_run, ran

pytestmark = pytest.mark.integration

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))
SHIPPED = [*strategy_names(), *map(str, EXAMPLES)]


@pytest.mark.parametrize("name", SHIPPED, ids=lambda name: Path(name).stem)
def test_sleeping_changes_no_byte_of_the_journal(tmp_path: Path, name: str) -> None:
    cls = load_strategy(name).cls
    may_sleep = cls.wakes is not Strategy.wakes
    if cls.on_bar is Strategy.on_bar:
        assert not may_sleep  # It lives on ticks, where nobody sleeps.
        return
    with prepared_run(tmp_path, (name,), n_bars=300) as run:
        every, counted = EveryRow(), CountedRows()
        assert ran(run, counted)[0] == ran(run, every)[0]
    assert (counted.n_skipped > 0) is may_sleep


def test_the_shipped_example_of_the_fast_lane_takes_it() -> None:
    (example,) = (path for path in EXAMPLES if path.stem == "sma_cross_python")
    assert load_strategy(str(example)).cls.wakes is not Strategy.wakes
