"""Walk-forward through the real engine: a planted edge survives, a planted overfit does not, and a kill changes nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from njord.adapters.config_loader import load_config
from njord.backtest.ordered_points import OrderedEvaluator
from njord.backtest.point import PointSpec, Window, point_spec
from njord.backtest.point_curve import PointCurves
from njord.backtest.session import BacktestRequest
from njord.cli import EXIT_INTERRUPTED, run
from njord.performance.ratios import sharpe_ratio
from njord.performance.returns import simple_returns
from tests.integration.dask_cluster import cluster, dies_once

pytestmark = pytest.mark.integration

HOUR_NS = 3_600_000_000_000
START_NS = 1_704_067_200_000_000_000

# Long while the last `look` returns together are positive: right on a market with momentum.
MOMENTUM = """
from njord.strategies import Strategy, StrategyParams, Target

class Momentum(Strategy):
    class Params(StrategyParams, frozen=True):
        look: int = 1

    def warm_up(self):
        return self.params.look + 1

    def on_bar(self, ctx, bar):
        if not ctx.is_warm:
            return None
        past = ctx.history(self.params.look + 1)
        return Target(weight=1.0 if bar.close > past[0].close else 0.0)
"""

# Long or flat by a hash of the hour and a seed: many such strategies, none of which knows anything.
DICE = """
from njord.strategies import Strategy, StrategyParams, Target

class Dice(Strategy):
    class Params(StrategyParams, frozen=True):
        seed: int = 0

    def on_bar(self, ctx, bar):
        word = ((bar.ts_ns // 3_600_000_000_000) // 12 * 2654435761 + self.params.seed * 40503 * 65537) & 0xFFFFFFFF
        word = (word ^ word >> 15) * 2246822519 & 0xFFFFFFFF
        word = (word ^ word >> 13) * 3266489917 & 0xFFFFFFFF
        return Target(weight=float((word ^ word >> 16) & 1))
"""

FREE = ("--fee-bps", "0", "--slippage-bps", "0")


def write_bars(path: Path, returns: np.ndarray) -> Path:
    close = np.round(30_000 * np.exp(np.cumsum(returns)), 2)
    opened = np.concatenate(([30_000.0], close[:-1]))
    pl.DataFrame(
        {
            "time": (START_NS + np.arange(close.size) * HOUR_NS) // 1_000_000,
            "open": opened,
            "high": np.maximum(opened, close) + 1,
            "low": np.minimum(opened, close) - 1,
            "close": close,
            "volume": np.full(close.size, 100.0),
        }
    ).write_csv(path)
    return path


def momentum_market(n: int, strength: float) -> np.ndarray:
    random = np.random.default_rng(11)
    shocks = random.normal(0, 0.005, n)
    returns = np.zeros(n)
    for at in range(1, n):
        returns[at] = strength * returns[at - 1] + shocks[at]
    return returns


def walk(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    code = run(["walkforward", *words, "--root", str(folder), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return write_bars(tmp_path / "BTCUSDT-1h.csv", momentum_market(1_500, 0.0))


def a_spec(path: Path, root: Path, strategy: str = "sma_cross") -> PointSpec:
    settings = {"backtest.fee_bps": "5", "backtest.maker_fee_bps": "5"}
    return point_spec(
        BacktestRequest(strategy=strategy, data=path), load_config(root, settings, {}).config, {}
    )


def test_a_planted_edge_survives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_bars(tmp_path / "BTCUSDT-1h.csv", momentum_market(4_000, 0.25))
    (tmp_path / "momentum.py").write_text(MOMENTUM)
    words = (str(tmp_path / "momentum.py"), "--data", str(data), "--param", "look=1,4,16", *FREE)
    code, said = walk(capsys, tmp_path, *words, "--folds", "4")
    assert code == 0
    assert said["trial"]["report"]["verdict"] == "holds"
    assert [fold["params"]["look"] for fold in said["folds"]] == ["1"] * 4
    assert said["n_positive"] == 4
    assert said["efficiency"] > 0.6


def test_a_planted_edge_holds_on_every_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_bars(tmp_path / "BTCUSDT-1h.csv", momentum_market(2_000, 0.25))
    (tmp_path / "momentum.py").write_text(MOMENTUM)
    words = (str(tmp_path / "momentum.py"), "--data", str(data), "--param", "look=1,16", *FREE)
    code, said = walk(
        capsys, tmp_path, *words, "--mode", "cpcv", "--folds", "5", "--purge", "4", "--embargo", "16"
    )
    assert code == 0
    paths, outside = said["paths"], said["out_of_sample"]
    assert (paths["n_splits"], len(paths["each"]), paths["n_positive"]) == (10, 4, 4)
    assert paths["least"] > 5 and said["trial"]["report"]["verdict"] == "holds"
    middle = paths["each"][paths["middle"] - 1]
    assert middle["sharpe"] == outside["bar"]["sharpe"]
    assert outside["n_bars"] == 2_000
    (folder,) = (tmp_path / "var" / "reports").iterdir()
    times = pl.read_parquet(folder / "curve.parquet")["ts_ns"]
    assert times.to_list() == [START_NS + (bar + 1) * HOUR_NS for bar in range(2_000)]


@pytest.mark.long
def test_a_planted_overfit_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_bars(tmp_path / "BTCUSDT-1h.csv", momentum_market(2_400, 0.0))
    (tmp_path / "dice.py").write_text(DICE)
    words = (str(tmp_path / "dice.py"), "--data", str(data), "--param", "seed=0:40:1", *FREE)
    code, said = walk(capsys, tmp_path, *words, "--folds", "3", "--train", "600")
    assert said["inside_sharpe"] > 4
    assert said["efficiency"] < 0.3
    assert said["trial"]["report"]["verdict"] != "holds"
    assert code in (0, 1)


@pytest.mark.parametrize("params", [(("fast", "5"), ("slow", "20")), (("fast", "20"), ("slow", "60"))])
def test_a_curve_is_the_run_that_the_evaluator_scores(
    params: tuple[tuple[str, str], ...], market: Path, tmp_path: Path
) -> None:
    spec = a_spec(market, tmp_path)
    curves, evaluator = PointCurves(spec), OrderedEvaluator(spec)
    times = curves.times_ns
    assert times.tolist() == [START_NS + (bar + 1) * HOUR_NS for bar in range(1_500)]
    for first, end in ((0, 1_500), (100, 400), (900, 1_500)):
        window = Window(int(times[first]), int(times[end - 1]) + 1)
        found = curves.curve(params, window)
        (score,) = evaluator.evaluate([params], window)
        assert found.score == score
        assert found.ts_ns.tolist() == times[first:end].tolist()
        assert found.equity[-1] == score.final_equity
        returns = simple_returns(np.concatenate(([10_000.0], found.equity)))
        assert sharpe_ratio(returns, 8_760) == pytest.approx(score.sharpe, rel=1e-12)
    assert np.count_nonzero(returns), "something was traded"
    evaluator.close()
    curves.close()


WORDS = ("--param", "fast=3,5,10", "--param", "slow=20,40", "--folds", "4", "--engine", "ordered")


def files_of(folder: Path) -> dict[str, bytes]:
    (found,) = (folder / "var" / "reports").iterdir()
    return {path.name: path.read_bytes() for path in found.iterdir() if path.suffix != ".html"}


def test_the_number_of_workers_and_how_often_it_runs_change_nothing(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for workers in ("1", "2"):
        root = tmp_path / workers
        code, said = walk(capsys, root, "sma_cross", "--data", str(market), *WORDS, "--workers", workers)
        assert code in (0, 1)
        files.append(files_of(root))
    assert sorted(files[0]) == ["curve.parquet", "folds.parquet", "walkforward.json"]
    assert files[0] == files[1]
    first = said["trial"]
    _, said = walk(capsys, root, "sma_cross", "--data", str(market), *WORDS)
    assert said["trial"] == first  # The same trial again is no new one.
    assert said["trial"]["n_all"] == 7
    _, said = walk(capsys, root, "sma_cross", "--data", str(market), *WORDS, "--mode", "anchored")
    trial = said["trial"]
    assert (trial["number"], trial["report"]["n_trials"]) == (trial["n_all"], trial["n_all"] - 6)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two workers of a scheduler, processes of their own; one that is killed is started again."""
    with cluster(tmp_path_factory.mktemp("dask")) as address:
        yield address


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["rolling", "cpcv"])
def test_dask_ends_in_the_same_files_though_a_worker_is_killed(
    mode: str, market: Path, dask: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    strategy = dies_once(tmp_path, mark)
    asked = ["walkforward", str(strategy), "--data", str(market), *WORDS, "--mode", mode]
    assert run([*asked, "--root", str(tmp_path / "alone")]) in (0, 1)
    assert not mark.exists()
    assert run([*asked, "--root", str(tmp_path / "spread"), "--workers", dask]) in (0, 1)
    assert mark.exists()
    assert files_of(tmp_path / "spread") == files_of(tmp_path / "alone")


@pytest.mark.parametrize("mode", ["rolling", "cpcv"])
def test_both_engines_choose_the_same_and_are_one_trial(
    mode: str, market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sma_cross", "--data", str(market), "--param", "fast=3,5,10", "--param", "slow=20,40")
    _, fast = walk(capsys, tmp_path, *words, "--folds", "4", "--mode", mode, "--engine", "fast")
    _, ordered = walk(capsys, tmp_path, *words, "--folds", "4", "--mode", mode, "--engine", "ordered")
    assert (fast["engine"], ordered["engine"]) == ("fast", "ordered")
    assert fast["out_of_sample"] == ordered["out_of_sample"]
    assert fast["drift"] == ordered["drift"]
    assert fast["inside_sharpe"] == pytest.approx(ordered["inside_sharpe"], rel=1e-9)
    assert ordered["trial"]["n_all"] == 7


# Waits for a file as long as the process lives: the child decides how long that is.
def _await(pattern: str, folder: Path, child: subprocess.Popen[str]) -> None:
    while not list(folder.glob(pattern)):
        assert child.poll() is None, child.communicate()
        time.sleep(0.005)


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_walk_forward_goes_on_to_the_same_bytes(
    how: signal.Signals, market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "sma_cross",
        "--data",
        str(market),
        "--param",
        "fast=2:12:1",
        "--param",
        "slow=20:80:10",
        "--engine",
        "ordered",
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(["walkforward", *words, "--root", str(whole), "--folds", "4"]) in (0, 1)
    njord = Path(sys.executable).with_name("njord")
    child = subprocess.Popen(
        [njord, "walkforward", *words, "--root", broken, "--folds", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    _await("var/reports/*/kept/fold-*.bin", broken, child)
    child.send_signal(how)
    _, said = child.communicate()
    (folder,) = (broken / "var" / "reports").iterdir()
    assert not (folder / "walkforward.json").exists()
    if how is signal.SIGINT:
        assert child.returncode == EXIT_INTERRUPTED
        assert f"folds are kept, go on with: njord walkforward --resume {folder}" in said
        assert "Traceback" not in said
    capsys.readouterr()
    assert run(["walkforward", "--resume", str(folder), "--root", str(broken)]) in (0, 1)
    assert files_of(broken) == files_of(whole)
    assert run(["walkforward", "--resume", str(folder), "--root", str(broken)]) == 2
    assert "it is finished" in capsys.readouterr().err


def test_a_kept_folder_is_not_continued_with_other_data(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["walkforward", "sma_cross", "--data", str(market), *WORDS, "--root", str(tmp_path)]) in (0, 1)
    (folder,) = (tmp_path / "var" / "reports").iterdir()
    typed = {
        "strategy": "sma_cross",
        "data": [str(market)],
        "flags": {"params": ["fast=3,5", "slow=20"]},
        "walk": {"folds": 2, "engine": "ordered"},
    }
    (folder / "kept").mkdir()
    (folder / "kept" / "plan.json").write_text(json.dumps({"id": "of something else", "typed": typed}))
    capsys.readouterr()
    assert run(["walkforward", "--resume", str(folder), "--root", str(tmp_path)]) == 2
    assert "begun with other code, data or configuration" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--folds", "2000"),
            "2000 folds need 2,003 bars (1 or more to train, 1 or more a test), there are 1,500",
        ),
        (("--train", "60d", "--test", "5d"), "6 folds need 2,160 bars (1,440 to train, 6 x 120 to test)"),
        (("--train", "1m"), "--train takes bars, or a time of at least one bar, was 1m"),
        (("--test", "soon"), "--test takes bars, or a time of at least one bar, was soon"),
        (("--mode", "sideways"), "--mode 'sideways' is not known; known: anchored, cpcv, rolling"),
        (("--test-folds", "2"), "--test-folds is of --mode cpcv, not of rolling"),
        (("--mode", "cpcv", "--train", "100"), "--train and --test are of a walk-forward"),
        (
            ("--mode", "cpcv", "--folds", "2"),
            "--mode cpcv tests --test-folds of --folds groups of bars, was 2 of 2",
        ),
        (
            ("--mode", "cpcv", "--folds", "20", "--test-folds", "5"),
            "5 of 20 groups are 15,504 splits, more than 1,000",
        ),
        (("--mode", "cpcv", "--purge", "500"), "leave a split nothing to train on"),
        (("--mode", "cpcv", "--objective", "calmar"), "--mode cpcv leaves trainings of several pieces"),
        (("--objective", "luck"), "--objective 'luck' is not known"),
        (("--objective", "calmar", "--embargo", "10"), "trainings of several pieces, which have no calmar"),
        (("--workers", "many"), "--workers takes 1 to"),
        (("--param", "fast=50,60", "--param", "slow=20,30"), "slow must be > fast"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_before_anything_is_written(
    words: tuple[str, ...], said: str, market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = () if "--param" in words else ("--param", "fast=3,5", "--param", "slow=20", "--engine", "ordered")
    assert (
        run(["walkforward", "sma_cross", "--data", str(market), *own, *words, "--root", str(tmp_path)]) == 2
    )
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().split("\n")) == 1
    assert not (tmp_path / "var").exists()


def test_a_strategy_that_fails_in_a_test_ends_with_exit_code_three(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late_ns = START_NS + 1_400 * HOUR_NS
    source = MOMENTUM.replace(
        "        past =", f"        if bar.ts_ns > {late_ns}: raise ValueError('late')\n        past ="
    )
    (tmp_path / "momentum.py").write_text(source)
    words = ("--data", str(market), "--param", "look=1,2", "--folds", "3", "--root", str(tmp_path))
    assert run(["walkforward", str(tmp_path / "momentum.py"), *words]) == 3
    out, err = capsys.readouterr()
    assert "the strategy failed in a test and was suspended: momentum.py:" in err
    assert "in fold 3 the strategy failed and was suspended" in out
