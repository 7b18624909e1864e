"""Folders that the pages of research are drawn from, made by hand: every number of them is known."""

import json
import math
import re
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from njord.backtest.point import Score, Window
from njord.research.axes import Axis
from njord.research.sweep_result import RESULT, TABLE, SweepResult, TwinScore, encode
from njord.research.sweep_store import COUNTS, FLOATS

HOSTILE = "</script><img src=x onerror=document.title='owned'>"
MINUTE_NS = 60_000_000_000
Value = Callable[..., float]

REPORT: dict[str, Any] = {
    "idea": "sma_cross", "verdict": "overfit", "because": "Luck explains it.", "n_trials": 40, "n_compared": 38,
    "n_periods": 700, "periods_per_year": 525_600.0, "sharpe": 0.01, "sharpe_annual": 7.25, "skew": 0.0, "kurtosis": 3.0,
    "probabilistic_sharpe": 0.97, "expected_max_sharpe": 0.01, "expected_max_sharpe_annual": 9.5, "deflated_sharpe": 0.31,
    "min_track_record_length": "inf", "pbo": 0.62, "n_splits": 12_870, "degradation_slope": -0.5,
    "probability_of_loss": 0.4, "logits": [[-2.0, 5], [-1.0, 9], [0.0, 4], [1.0, 0]], "error": "",
}  # fmt: skip


def a_score(params: Sequence[tuple[str, str]], value: float, error: str = "") -> Score:
    """Return a score whose Sharpe ratio is `value`, and whose return follows it; an error leaves it its figures."""
    figures: dict[str, Any] = {name: math.nan for name in FLOATS}
    figures |= {"sharpe": value, "total_return": value / 100, "max_drawdown": 0.5 - value / 100}
    figures |= {"final_equity": 10_000 * (1 + value / 100), "profit_factor": math.inf}
    return Score(params=tuple(params), n_bars=700, n_trips=7, error=error, **figures)


def write_sweep(
    folder: Path, axes: Sequence[Axis], value: Value, failed: Sequence[int] = (), **changes: Any
) -> SweepResult:
    """Write the folder of a finished grid sweep by Sharpe; `value` gives a point's from its places."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = []
    for index, places in enumerate(product(*(range(len(axis.values)) for axis in axes))):
        params = [(axis.name, axis.values[place]) for axis, place in zip(axes, places, strict=True)]
        scores.append(a_score(params, value(*places), f"{HOSTILE} broke" if index in failed else ""))
    columns: dict[str, Any] = {"index": list(range(len(scores)))}
    columns |= {name: [getattr(score, name) for score in scores] for name in (*COUNTS, *FLOATS)}
    columns |= {"error": [score.error for score in scores]}
    pl.DataFrame(columns, schema_overrides={name: pl.Float64 for name in FLOATS}).write_parquet(
        folder / TABLE
    )
    known = [score for score in scores if not score.error and not math.isnan(score.sharpe)]
    best = sorted(known, key=lambda score: -score.sharpe)[:3]
    result = SweepResult(
        strategy="sma_cross", symbol="BTC/USDT", data="bars.csv", axes=tuple(axes), shared=(), objective="sharpe",
        sampler="grid", pruner="none", seed=42, n_combinations=len(scores) + 2, n_points=len(scores), n_refused=2,
        n_failed=len(failed), n_pruned=0, positive_share=0.5 if known else math.nan, median=1.5 if known else math.nan,
        engine="ordered", why_ordered="daily_loss", wall_s=1.25, window=Window(None, 600 * MINUTE_NS),
        holdout=Window(600 * MINUTE_NS, None), label="in sample, and out of sample beside it", folder=folder,
        top=tuple(
            TwinScore(inside=score, outside=a_score(score.params, -score.sharpe - 0.125), neighbors=0.75, n_neighbors=2)
            for score in best
        ),
        honesty=REPORT,
    )  # fmt: skip
    result = msgspec.structs.replace(result, **changes)
    (folder / RESULT).write_bytes(encode(result))
    return result


def data_of(page: str) -> dict[str, Any]:
    """Return the numbers that a page's script reads; they are JSON, and nothing but."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    data: dict[str, Any] = json.loads(found.group(1), parse_constant=refuse)
    return data


def text_of(page: str) -> str:
    """Return what a page says, tags taken out, blanks squeezed."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def check_drawn(page: str) -> None:
    """Assert that no undefined number stands in a drawing, and that nothing hostile is alive."""
    for tag in re.findall(r"<(?:path|rect|line|circle|text|svg)\b[^>]*>", page):
        assert not re.search(r"\b(?:nan|inf|None)\b", tag), tag
    assert "<img" not in page
