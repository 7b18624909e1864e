"""The folder of a walk-forward: what is kept comes back as it was, what is damaged does not, and the result is plain."""

import math
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from njord.backtest.point import Score, Window
from njord.core.errors import ConfigError, DataError
from njord.research.axes import Axis
from njord.research.splits import SplitPlan
from njord.research.walkforward import FoldResult, FoldRun
from njord.research.walkforward_result import (
    WalkForward,
    drift_of,
    mean_inside,
    out_of_sample,
    stitch,
    whole_efficiency,
)
from njord.research.walkforward_store import (
    CURVE,
    FOLDS,
    RESULT,
    WalkForwardFolder,
    encode_result,
    read_plan,
    read_result,
)

HOUR_NS = 3_600_000_000_000
AXES = (Axis("fast", ("1", "2")),)


def a_run(number: int, *, idle: bool = False) -> FoldRun:
    ts_ns = (np.arange(3, dtype=np.int64) + 10 + 3 * number) * HOUR_NS
    score = Score(params=(("fast", "2"),), sharpe=1.5, n_fills=4, blocks=((3, 0.1, 0.2),), total_return=0.1)
    result = FoldResult(
        number=number,
        train=(Window(HOUR_NS, 5 * HOUR_NS), Window(6 * HOUR_NS, 9 * HOUR_NS)),
        test=Window(int(ts_ns[0]), int(ts_ns[-1]) + 1),
        n_train=7,
        n_test=3,
        n_points=2,
        n_failed=0,
        params=() if idle else score.params,
        objective=math.nan if idle else 3.0,
        inside_sharpe=math.nan if idle else 3.0,
        median=math.nan if idle else 2.0,
        inside=() if idle else (score, score),
        outside=None if idle else score,
    )
    return FoldRun(
        result, ts_ns, np.zeros(3) if idle else np.array([0.1, -0.05, 0.02]), np.array([1.0, math.nan])
    )


def a_result(runs: list[FoldRun]) -> WalkForward:
    folds = tuple(run.result for run in runs)
    outside = out_of_sample(stitch(runs, 1_000.0), runs, 1_000.0, HOUR_NS)
    return WalkForward(
        id="abc",
        njord_version="0",
        strategy="sma_cross",
        symbol="BTC/USDT",
        data=(("bars.csv", "00"),),
        params=(),
        axes=AXES,
        objective="sharpe",
        plan=SplitPlan(n_folds=2),
        n_points=2,
        engine="ordered",
        why_ordered="",
        interval_ns=HOUR_NS,
        capital=1_000.0,
        report_asset="USDT",
        n_bars=20,
        start_ns=HOUR_NS,
        end_ns=20 * HOUR_NS,
        folds=folds,
        out_of_sample=outside,
        inside_sharpe=mean_inside(folds),
        efficiency=whole_efficiency(folds, outside),
        n_positive=1,
        n_idle=1,
        drift=drift_of(AXES, folds),
        assumptions=("flat",),
        warnings=(),
        error="",
    )


def same(one: FoldRun, other: FoldRun) -> bool:
    arrays = ("ts_ns", "returns", "sharpes")
    plain = msgspec.msgpack.encode(one.result) == msgspec.msgpack.encode(other.result)
    return plain and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in arrays
    )


def test_kept_folds_come_back_whole_whatever_order_they_were_finished_in(tmp_path: Path) -> None:
    folder = WalkForwardFolder(tmp_path / "walk", "abc", 3)
    folder.begin({"strategy": "sma_cross"})
    for number in (3, 1):
        folder.keep(a_run(number, idle=number == 3))
    assert folder.n_kept == 2
    kept = folder.resume()
    assert sorted(kept) == [1, 3]
    assert same(kept[1], a_run(1)) and same(kept[3], a_run(3, idle=True))
    assert read_plan(tmp_path / "walk").typed == {"strategy": "sma_cross"}


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "another's"])
def test_a_damaged_fold_is_run_again_and_the_others_stay(damage: str, tmp_path: Path) -> None:
    folder = WalkForwardFolder(tmp_path, "abc", 2)
    folder.begin({})
    folder.keep(a_run(1))
    folder.keep(a_run(2))
    first, second = (tmp_path / "kept" / f"fold-000{number}.bin" for number in (1, 2))
    data = first.read_bytes()
    if damage == "cut":
        first.write_bytes(data[:-1])
    elif damage == "flipped":
        first.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    elif damage == "gone":
        first.unlink()
    else:
        first.write_bytes(second.read_bytes())
    assert sorted(folder.resume()) == [2]


def test_folds_of_something_else_are_refused(tmp_path: Path) -> None:
    WalkForwardFolder(tmp_path, "abc", 2).begin({})
    with pytest.raises(ConfigError, match="begun with other code, data or configuration"):
        WalkForwardFolder(tmp_path, "xyz", 2).resume()
    with pytest.raises(DataError, match="holds no unfinished walk-forward; begin one without --resume"):
        WalkForwardFolder(tmp_path / "nothing", "abc", 2).resume()


def test_a_finished_folder_holds_the_result_alone_and_says_so(tmp_path: Path) -> None:
    runs = [a_run(1), a_run(2, idle=True)]
    result, curve = a_result(runs), stitch(runs, 1_000.0)
    folder = WalkForwardFolder(tmp_path, "abc", 2)
    folder.begin({})
    folder.finish(result, curve)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([RESULT, FOLDS, CURVE])
    plain = read_result(tmp_path)
    assert (tmp_path / RESULT).read_bytes() == encode_result(result)
    assert [fold["params"] for fold in plain["folds"]] == [{"fast": "2"}, {}]
    assert [fold["efficiency"] for fold in plain["folds"]] == [0.5, None]
    assert plain["folds"][1]["outside"] is None
    folds = pl.read_parquet(tmp_path / FOLDS)
    assert folds["param_fast"].to_list() == ["2", None]
    assert folds["outside_sharpe"].to_list()[0] == 1.5
    assert folds["train_end_ns"].to_list() == [9 * HOUR_NS] * 2
    stored = pl.read_parquet(tmp_path / CURVE)
    assert stored["equity"].to_list() == curve.equity.tolist()
    assert stored["fold"].to_list() == [1, 1, 1, 2, 2, 2]
    with pytest.raises(
        DataError, match=r"no unfinished walk-forward; it is finished: read its walkforward\.json"
    ):
        folder.resume()


def test_a_folder_without_a_result_has_none_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no finished walk-forward"):
        read_result(tmp_path)
