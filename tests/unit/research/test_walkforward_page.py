"""The page of a walk-forward: its numbers are the folds' own, and its drawings lie where time does."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from njord.backtest.point import Score, Window
from njord.core.errors import DataError
from njord.research.axes import Axis
from njord.research.splits import SplitPlan
from njord.research.walkforward import FoldResult, FoldRun
from njord.research.walkforward_page import write_page
from njord.research.walkforward_result import (
    PathFigures,
    Paths,
    WalkForward,
    drift_of,
    mean_inside,
    out_of_sample,
    stitch,
    whole_efficiency,
)
from njord.research.walkforward_store import CURVE, RESULT, curve_table, encode_result
from tests.unit.research.page_samples import HOSTILE, REPORT, check_drawn, text_of

HOUR_NS = 3_600_000_000_000
CAPITAL = 1_000.0


def a_fold(number: int, inside: float, outside: float, fast: str, name: str = "fast") -> FoldRun:
    """A training of 8 hours, a purge of 2, a test of 4 that ends with so many percent."""
    start = 10 + 4 * number
    ts_ns = (np.arange(4, dtype=np.int64) + start + 1) * HOUR_NS
    params = ((name, fast),) if fast else ()
    score = Score(params=params, sharpe=outside, total_return=outside / 100, max_drawdown=0.125, n_fills=3)
    result = FoldResult(
        number=number,
        train=(Window((start - 9) * HOUR_NS, (start - 2) * HOUR_NS + 1),),
        test=Window(int(ts_ns[0]), int(ts_ns[-1]) + 1),
        n_train=8,
        n_test=4,
        n_points=2,
        n_failed=0,
        params=params,
        objective=inside,
        inside_sharpe=inside if fast else math.nan,
        median=0.0,
        inside=(score,) if fast else (),
        outside=score if fast else None,
    )
    return FoldRun(result, ts_ns, np.array([0.0, 0.01, -0.01, outside / 100]), np.array([inside, 0.0]))


def written(folder: Path, runs: Sequence[FoldRun], **changes: Any) -> str:
    """Write the folder, draw its page, and return it."""
    axes = changes.get("axes", (Axis("fast", ("1", "2", "3")),))
    folds, curve = tuple(run.result for run in runs), stitch(runs, CAPITAL)
    outside = out_of_sample(curve, runs, CAPITAL, HOUR_NS)
    result = WalkForward(
        id="abc", njord_version="0", strategy="sma_cross", symbol="BTC/USDT", data=(("bars.csv", "00"),), params=(),
        axes=axes, objective="sharpe", plan=SplitPlan(n_folds=len(runs), purge=2, embargo=1), n_points=3,
        engine="ordered", why_ordered="daily_loss", interval_ns=HOUR_NS, capital=CAPITAL, report_asset="USDT", n_bars=40,
        start_ns=HOUR_NS, end_ns=int(curve.ts_ns[-1]), folds=folds, out_of_sample=outside,
        inside_sharpe=mean_inside(folds), efficiency=whole_efficiency(folds, outside), n_positive=1, n_idle=0,
        drift=drift_of(axes, folds), assumptions=("flat",), warnings=("look here",), error="",
        trial={"says": "40 trials so far", "report": REPORT},
    )  # fmt: skip
    (folder / RESULT).write_bytes(encode_result(replace(result, **changes)))
    curve_table(curve).write_parquet(folder / CURVE)
    page = write_page(folder).read_text(encoding="utf-8")
    check_drawn(page)
    return page


def test_folds_stand_with_what_they_were_inside_and_outside(tmp_path: Path) -> None:
    page = written(tmp_path, [a_fold(1, 2.0, -1.5, "1"), a_fold(2, 3.0, 1.25, "3")])
    text = text_of(page)
    assert "Overfit Luck explains it." in text and "1 of 2 tests earned money" in text
    assert (
        "1 1970-01-01 14:00 4 1 2.00 \N{MINUS SIGN}1.50 \N{MINUS SIGN}75% \N{MINUS SIGN}1.50% 12.50% 3"
        in text
    )
    assert "2 1970-01-01 18:00 4 3 3.00 1.25 42% +1.25% 12.50% 3" in text
    assert "fold 2, fast=3: 3.00 inside, 1.25 outside" in text
    assert "fold 2: fast=3" in text and "look here" in text and "ordered engine: daily_loss" in text


def test_splits_are_drawn_where_they_lie(tmp_path: Path) -> None:
    text = text_of(written(tmp_path, [a_fold(1, 2.0, -1.5, "1"), a_fold(2, 3.0, 1.25, "3")]))
    for part in (
        "fold 1 trains on 1970-01-01 04:00 to 1970-01-01 12:00",
        "fold 1, purged: 1970-01-01 12:00 to 1970-01-01 14:00",
        "fold 1 is tested on 1970-01-01 14:00 to 1970-01-01 18:00",
        "fold 1, embargo: 1970-01-01 18:00 to 1970-01-01 19:00",
        "fold 2 is tested on 1970-01-01 18:00 to 1970-01-01 22:00",
    ):
        assert part in text
    assert "fold 2, embargo" not in text, "nothing comes after the last test"


def test_the_curve_says_what_the_stitched_one_is_worth(tmp_path: Path) -> None:
    runs = [a_fold(1, 2.0, -1.5, "1"), a_fold(2, 3.0, 1.25, "3")]
    text, equity = text_of(written(tmp_path, runs)), stitch(runs, CAPITAL).equity
    assert f"1970-01-01 18:00, fold 1: {equity[3]:,.2f} USDT" in text
    assert f"1970-01-01 22:00, fold 2: {equity[7]:,.2f} USDT" in text


@pytest.mark.parametrize("efficiency", [math.nan, -0.5, 0.25])
def test_what_was_left_outside_is_said_in_words(efficiency: float, tmp_path: Path) -> None:
    text = text_of(written(tmp_path, [a_fold(1, 2.0, -1.5, "1")], efficiency=efficiency))
    said = {-0.5: "nothing of it was left outside", 0.25: "25% of it was left outside"}.get(efficiency)
    assert said in text if said else "was left outside" not in text


def test_a_fold_that_chose_nothing_has_a_row_and_no_bar(tmp_path: Path) -> None:
    text = text_of(written(tmp_path, [a_fold(1, 2.0, -1.5, "1"), a_fold(2, 0.0, 0.0, "")], n_idle=1))
    assert "2 1970-01-01 18:00 4 nothing undefined undefined undefined undefined undefined 0" in text
    assert "1 fold chose nothing and stayed out" in text


def test_nothing_but_idle_folds_has_a_page(tmp_path: Path) -> None:
    text = text_of(written(tmp_path, [a_fold(1, 0.0, 0.0, "")], trial=None))
    assert "Not judged Nobody has counted its trials." in text


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    axes = (Axis(HOSTILE, (HOSTILE, "b")),)
    page = written(
        tmp_path,
        [a_fold(1, 2.0, -1.5, HOSTILE, HOSTILE)],
        axes=axes,
        drift=drift_of(axes, [a_fold(1, 2.0, -1.5, HOSTILE, HOSTILE).result]),
        data=((HOSTILE, HOSTILE),),
        trial={"says": HOSTILE, "report": REPORT | {"because": HOSTILE}},
        **{name: HOSTILE for name in ("strategy", "symbol", "error", "why_ordered", "report_asset")},
        warnings=(HOSTILE,),
        assumptions=(HOSTILE,),
    )
    assert page.count("</script>") == 3


def test_a_folder_without_a_walk_forward_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no finished walk-forward"):
        write_page(tmp_path)
    written(tmp_path, [a_fold(1, 2.0, -1.5, "1")])
    (tmp_path / CURVE).unlink()
    with pytest.raises(DataError, match=f"has lost its {CURVE}"):
        write_page(tmp_path)


def test_the_paths_of_a_cross_validation_stand_with_the_one_in_the_middle(tmp_path: Path) -> None:
    each = tuple(
        PathFigures(number=n, sharpe=sharpe, total_return=sharpe / 100, max_drawdown=0.25, n_fills=3)
        for n, sharpe in ((1, 1.5), (2, -0.5), (3, 0.75))
    )
    paths = Paths(
        n_splits=6, middle=3, mean=0.583, deviation=1.01, least=-0.5, most=1.5, n_positive=2, each=each
    )
    plan = SplitPlan(n_folds=4, mode="cpcv", n_test_folds=2, purge=2, embargo=1)
    runs = [a_fold(1, 2.0, -1.5, "1"), a_fold(2, 3.0, 1.25, "3")]
    text = text_of(written(tmp_path, runs, paths=paths, plan=plan))
    assert "3 whole paths out of 6 splits: a Sharpe of 0.58 on average with a deviation of 1.01" in text
    assert "3 (the middle) 0.75 +0.75% 25.00% 3" in text and "path 2: \N{MINUS SIGN}0.50" in text
    assert "no path could have been traded" in text
    assert "fold 1, purge and embargo: 1970-01-01 18:00 to 1970-01-01 21:00" in text
    assert "Paths" not in text_of(written(tmp_path, runs))


def test_a_path_without_a_sharpe_has_a_row_and_no_bar(tmp_path: Path) -> None:
    each = tuple(
        PathFigures(number=n, sharpe=math.nan, total_return=0.0, max_drawdown=0.0, n_fills=0) for n in (1, 2)
    )
    nothing = math.nan
    paths = Paths(
        n_splits=3,
        middle=1,
        mean=nothing,
        deviation=nothing,
        least=nothing,
        most=nothing,
        n_positive=0,
        each=each,
    )
    text = text_of(written(tmp_path, [a_fold(1, 0.0, 0.0, "")], paths=paths))
    assert "1 (the middle) undefined 0.00% 0.00% 0" in text
