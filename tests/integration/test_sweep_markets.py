"""Sweeps of several instruments, and of a recorded book: every point is the backtest of its parameters."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from njord.cli import run
from tests.unit.backtest.poison_run import write_market

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
# In and out of the market every so many trades.
TAKER = """
import msgspec

from njord.strategies import Strategy, StrategyParams, Target


class Taker(Strategy):
    class Params(StrategyParams, frozen=True):
        every: int = 7

    class State(msgspec.Struct):
        n_trades: int = 0

    def on_trade(self, ctx, trade):
        self.state.n_trades += 1
        if self.state.n_trades % self.params.every:
            return None
        return Target(weight=float(self.state.n_trades // self.params.every % 2))
"""
END = "2024-08-08T23:54:40"


def swept(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[dict[str, Any], pl.DataFrame]:
    assert run(["sweep", *words, "--holdout", "0", "--json", "--root", str(root)]) in (0, 1)
    said = json.loads(capsys.readouterr().out)
    return said, pl.read_parquet(Path(said["folder"]) / "points.parquet")


def check_points(
    capsys: pytest.CaptureFixture[str], root: Path, points: pl.DataFrame, names: list[str], *words: str
) -> None:
    """Run the backtest of every row and compare."""
    for row in points.iter_rows(named=True):
        params = [word for name in names for word in ("--param", f"{name}={row[name]}")]
        asked = ["backtest", *words, *params, "--poison", "off", "--json", "-", "--root", str(root)]
        assert run(asked) == 0
        result = json.loads(capsys.readouterr().out)
        stats = result["stats"]
        assert row["n_fills"] == len(result["fills"]) and row["n_orders"] == result["n_orders"]
        assert row["n_trips"] == len(result["round_trips"])
        assert row["final_equity"] == float(result["final_equity"])
        assert row["fees"] == float(result["fees"])
        assert row["max_drawdown"] == stats["max_drawdown"] and row["exposure"] == stats["exposure"]
        for name in ("sharpe", "sortino", "skew", "kurtosis"):
            expected = stats["bar"][name]
            assert row[name] == pytest.approx(
                math.nan if expected is None else expected, rel=1e-9, nan_ok=True
            )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_points_of_a_sweep_of_two_instruments_are_their_backtests(
    workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write_market(tmp_path / f"{name}_USDT-1m.csv", n_bars=400) for name in ("BTC", "ETH")]
    words = ["sma_cross", *(word for path in files for word in ("--data", str(path)))]
    axes = ["--param", "fast=3,5", "--param", "slow=9,20", "--param", "weight=0.4"]
    said, points = swept(capsys, tmp_path, *words, *axes, "--workers", workers)
    assert said["symbol"] == "BTC/USDT ETH/USDT" and points.height == 4
    assert said["why_ordered"] == "several instruments, or trades or a book instead of bars"
    assert points["n_fills"].min() > 0  # type: ignore[operator]
    check_points(capsys, tmp_path, points, ["fast", "slow"], *words, "--param", "weight=0.4")


@pytest.mark.parametrize("mode", ["rolling", "cpcv"])
def test_a_walk_forward_of_two_instruments_tests_both(
    mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write_market(tmp_path / f"{name}_USDT-1m.csv", n_bars=400) for name in ("BTC", "ETH")]
    words = ["sma_cross", *(word for path in files for word in ("--data", str(path))), "--param", "fast=3,5"]
    words += ["--param", "slow=9", "--param", "weight=0.4", "--folds", "4", "--mode", mode, "--json"]
    assert run(["walkforward", *words, "--root", str(tmp_path)]) in (0, 1)
    said = json.loads(capsys.readouterr().out)
    assert said["symbol"] == "BTC/USDT, ETH/USDT" and said["error"] == ""
    assert said["out_of_sample"]["n_bars"] == (
        400 if mode == "cpcv" else sum(f["n_test"] for f in said["folds"])
    )
    assert all(fold["outside"]["n_fills"] > 0 for fold in said["folds"])


def test_the_points_of_a_sweep_of_trades_are_their_backtests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{1_704_067_200_000 + 700 * n},{n},{30_000 + n * n % 37},0.01,buy" for n in range(600)]
    (tmp_path / "trades.csv").write_text("\n".join(["timestamp,id,price,amount,side", *rows]))
    found = ["--symbol", "BTC/USDT", "--venue", "here", "--kind", "trades", "--tick", "1", "--lot", "0.0001"]
    assert run(["data", "import", str(tmp_path / "trades.csv"), *found, "--root", str(tmp_path)]) == 0
    (tmp_path / "taker.py").write_text(TAKER)
    words = [str(tmp_path / "taker.py"), "--data", "trades/here/BTC-USDT", "--latency-ms", "1500"]
    capsys.readouterr()
    said, points = swept(capsys, tmp_path, *words, "--param", "every=7,40")
    assert said["why_ordered"] == "several instruments, or trades or a book instead of bars"
    assert points["n_fills"].min() > 0 and points["n_fills"].n_unique() == 2  # type: ignore[operator]
    check_points(capsys, tmp_path, points, ["every"], *words)
    assert run(["walkforward", *words, "--param", "every=7,40", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith(
        "njord: folds are made of bars, and these data are ticks; make bars of them with: njord data resample\n"
    )


@pytest.mark.long
def test_the_points_of_a_sweep_of_a_recorded_book_are_their_backtests(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "import", str(recordings / "capture" / CAPTURE), "--root", str(tmp_path)]) == 0
    words = [
        "market_maker",
        "--data",
        "trades/binance/ETH-USDT",
        "--data",
        "book/binance/ETH-USDT",
        "--end",
        END,
    ]
    words += ["--account", "margin", "--capital", "1000000", "--set", "backtest.latency_model=recorded"]
    capsys.readouterr()
    said, points = swept(capsys, tmp_path, *words, "--param", "interval_ms=1000,5000")
    assert said["why_ordered"] == "several instruments, or trades or a book instead of bars"
    assert points["n_fills"].min() > 0 and points["n_fills"].n_unique() == 2  # type: ignore[operator]
    check_points(capsys, tmp_path, points, ["interval_ms"], *words)
