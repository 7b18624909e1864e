"""What does `njord sweep` call the best of many? On noise it is overfit and exits with 1, a planted edge never is."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from njord.cli import EXIT_CHECK_FAILED, EXIT_OK, run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

HOUR_NS = 3_600_000_000_000
START_NS = 1_704_067_200_000_000_000
N_BARS = 2_000
# Number 0 goes with the last bar, which pays where returns are correlated; every other one throws a die of its own.
CROWD = '''
from njord.strategies import StrategyParams
from njord.strategies.compiled import CompiledStrategy, FloatArray, Now, Values, decision


class Crowd(CompiledStrategy):
    """One who follows, and many who guess."""

    class Params(StrategyParams, frozen=True):
        number: int = 0

    def indicators(self):
        return {}

    def numbers(self):
        return [float(self.params.number)]

    @decision
    def decide(now: Now, values: Values, state: FloatArray, params: FloatArray) -> int:
        number = int(params[0])
        if number == 0:
            return 1 if now.close > now.open else 0
        word = (now.ts_ns // 3_600_000_000_000 // 8 * 2654435761 + number * 40503 * 65537) & 0xFFFFFFFF
        word = ((word ^ word >> 15) * 2246822519) & 0xFFFFFFFF
        word = ((word ^ word >> 13) * 3266489917) & 0xFFFFFFFF
        return int((word ^ word >> 16) & 1)
'''


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The strategy's file: one, so that it is compiled once."""
    path = tmp_path_factory.mktemp("crowd") / "crowd.py"
    path.write_text(CROWD)
    return path


def a_market(path: Path, seed: int, correlation: float) -> Path:
    """Write hourly bars whose returns follow the ones before by `correlation`."""
    shocks = np.random.default_rng(seed).normal(0, 0.005, N_BARS)
    returns = np.zeros(N_BARS)
    for at in range(1, N_BARS):
        returns[at] = correlation * returns[at - 1] + shocks[at]
    close = np.round(30_000 * np.exp(np.cumsum(returns - returns.mean())), 2)
    opened = np.concatenate(([30_000.0], close[:-1]))
    frame = {
        "time": (START_NS + np.arange(N_BARS) * HOUR_NS) // 1_000_000,
        "open": opened,
        "high": np.maximum(opened, close) + 1,
        "low": np.minimum(opened, close) - 1,
        "close": close,
        "volume": np.full(N_BARS, 100.0),
    }
    pl.DataFrame(frame).write_csv(path)
    return path


def swept(
    capsys: pytest.CaptureFixture[str], crowd: Path, root: Path, seed: int, correlation: float
) -> tuple[int, str, int]:
    """Return the exit code, the verdict and the number of the best."""
    data = a_market(root / "BTCUSDT-1h.csv", seed, correlation)
    words = [
        str(crowd),
        "--data",
        str(data),
        "--param",
        "number=0:100:1",
        "--fee-bps",
        "0",
        "--slippage-bps",
        "0",
    ]
    code = run(["sweep", *words, "--json", "--root", str(root)])
    said = json.loads(capsys.readouterr().out)
    assert (said["engine"], said["honesty"]["n_trials"]) == ("fast", 100)
    return code, said["honesty"]["verdict"], int(said["top"][0]["inside"]["params"][0][1])


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_best_of_a_hundred_dice_is_called_overfit(
    seed: int, crowd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, verdict, _ = swept(capsys, crowd, tmp_path, seed, 0.0)
    assert (code, verdict) == (EXIT_CHECK_FAILED, "overfit")


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_planted_edge_is_chosen_and_holds(
    seed: int, crowd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert swept(capsys, crowd, tmp_path, seed, 0.35) == (EXIT_OK, "holds", 0)
