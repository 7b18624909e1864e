"""Which drawings tell of a walk-forward? Its result in; the stitched curve, the folds, their choices and their splits out."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from njord.backtest.page_curves import extremes
from njord.backtest.page_text import MINUS, amount, clip, when
from njord.research.research_page import number, plural, sharpe_text
from njord.research.research_page_plot import (
    Curve,
    Dot,
    Plot,
    Rect,
    Rule,
    Scale,
    Tick,
    decimals_of,
    levels,
    line,
    moments,
    scale_of,
    thinned,
)

AXES_MAX = 12
_STRETCHES_MAX = 500
_STRIPS_MAX = 160
_LABELS_MAX = 12


def curve(result: dict[str, Any], path: Path) -> Plot:
    """Return the stitched curve of a result, its folds shaded."""
    columns = pl.read_parquet(path, columns=["ts_ns", "fold", "equity"])
    ts_ns, equity = columns["ts_ns"].to_numpy(), columns["equity"].to_numpy()
    capital, asset = float(result["capital"]), clip(result["report_asset"])
    kept = np.union1d(extremes(equity, max(1, -(-equity.size // _STRETCHES_MAX))), [0, equity.size - 1])
    start_ns, end_ns = int(ts_ns[0]) - int(result["interval_ns"]), int(ts_ns[-1])
    across = Scale(float(start_ns), float(max(end_ns, start_ns + 1)))
    up = scale_of(equity[kept].tolist(), capital)
    points = [(0.0, up.down(capital))]
    points += [
        (across.at(at), up.down(value))
        for at, value in zip(ts_ns[kept].tolist(), equity[kept].tolist(), strict=True)
    ]
    drawn = Plot("Equity out of sample, all tests stitched together", height=300)
    drawn.hint = "Point at the curve to read it."
    drawn.ys = levels(up, _plain, 6)
    drawn.xs = moments(start_ns, end_ns, 6)
    drawn.paths = [Curve(line(points), "main")]
    drawn.rules = [Rule(0, up.down(capital), 100, up.down(capital), "floor")]
    folds = columns["fold"].to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(folds)) + 1).tolist(), folds.size]
    for number_, (first, after) in enumerate(pairwise(edges)):
        left = 0.0 if first == 0 else across.at(int(ts_ns[first - 1]))
        if number_ % 2:
            drawn.grounds.append(Rect(left, 0, across.at(int(ts_ns[after - 1])) - left, 100, "alternate"))
    drawn.strips = _strips(ts_ns, folds, equity, across, asset)
    return drawn


def _strips(ts_ns: Any, folds: Any, equity: Any, across: Scale, asset: str) -> list[Rect]:
    ends = np.unique(np.linspace(0, equity.size, min(equity.size, _STRIPS_MAX) + 1).astype(np.int64)[1:]) - 1
    strips, left = [], 0.0
    for at in ends.tolist():
        right = across.at(int(ts_ns[at]))
        text = f"{when(int(ts_ns[at]))}, fold {int(folds[at])}: {amount(float(equity[at]))} {asset}"
        strips.append(Rect(left, 0, round(right - left, 3), 0, "", text))
        left = right
    return strips


def _plain(value: float, step: float) -> str:
    return f"{value:,.{decimals_of(step)}f}".replace("-", MINUS)


def sharpes(folds: list[dict[str, Any]]) -> Plot:
    """Return two bars for each fold: its Sharpe ratio inside, and outside."""
    pairs = [(number(fold["inside_sharpe"]), number(fold["outside_sharpe"])) for fold in folds]
    up = scale_of([value for pair in pairs for value in pair], 0.0)
    drawn = Plot("Sharpe ratio of each fold's choice, inside and outside", height=240)
    drawn.ys = levels(up, _plain, 6)
    slot = 100 / len(pairs)
    for index, (inside, outside) in enumerate(pairs):
        text = f"fold {folds[index]['number']}, {_chosen(folds[index])}: {sharpe_text(inside)} inside, {sharpe_text(outside)} outside"
        for at, value, tone in (
            (0.14, inside, "inside"),
            (0.52, outside, "gain" if outside >= 0 else "loss"),
        ):
            if not math.isnan(value):
                drawn.rects.append(_bar(slot * (index + at), slot * 0.34, up, value, tone))
        drawn.strips.append(Rect(round(slot * index, 3), 0, round(slot, 3), 0, "", text))
    drawn.rules = [Rule(0, up.down(0.0), 100, up.down(0.0), "floor")]
    names = [str(fold["number"]) for fold in folds]
    drawn.xs = thinned(names, [round(slot * (index + 0.5), 3) for index in range(len(names))], _LABELS_MAX)
    drawn.hint = "Point at a fold to read it."
    return drawn


def _bar(x: float, width: float, up: Scale, value: float, tone: str) -> Rect:
    top, bottom = sorted((up.down(value), up.down(0.0)))
    return Rect(round(x, 3), top, round(width, 3), round(max(0.4, bottom - top), 3), tone)


class Choice(msgspec.Struct, frozen=True):
    """What the folds chose of one parameter."""

    name: str
    about: str
    plot: Plot


def choices(result: dict[str, Any], folds: list[dict[str, Any]]) -> list[Choice]:
    """Return what the folds chose of each parameter."""
    drifts = {each["name"]: each for each in result["drift"]}
    return [_choice(axis, drifts[axis["name"]], folds) for axis in result["axes"][:AXES_MAX]]


def _choice(axis: dict[str, Any], drift: dict[str, Any], folds: list[dict[str, Any]]) -> Choice:
    values, slot = axis["values"], 100 / len(folds)
    up = Scale(-0.5, len(values) - 0.5)
    chosen = [fold["params"].get(axis["name"]) for fold in folds]
    drawn = Plot(f"{clip(axis['name'])} chosen by each fold", height=150)
    every = -(-len(values) // 6)
    drawn.ys = [Tick(up.down(place), _short(values[place])) for place in range(0, len(values), every)]
    steps = []
    for index, value in enumerate(chosen):
        place = math.nan if value is None else up.down(values.index(value))
        steps += [(slot * index, place), (slot * (index + 1), place)]
        if value is not None:
            text = f"fold {folds[index]['number']}: {clip(axis['name'])}={clip(value)}"
            drawn.dots.append(
                Dot(round(slot * (index + 0.5), 3), place, "", text, 4 if len(folds) <= 40 else 2)
            )
    drawn.paths = [Curve(line(steps), "quiet")]
    names = [str(fold["number"]) for fold in folds]
    drawn.xs = thinned(names, [round(slot * (index + 0.5), 3) for index in range(len(names))], _LABELS_MAX)
    about = f"{plural(drift['n_distinct'], 'value')}, {plural(drift['n_changes'], 'change')}"
    return Choice(clip(axis["name"]), about, drawn)


def _short(text: str) -> str:
    return text if len(text) <= 12 else f"{text[:11]}\N{HORIZONTAL ELLIPSIS}"


def splits(result: dict[str, Any], folds: list[dict[str, Any]]) -> Plot:
    """Return one line a fold: what trained, what was purged, what tested, what no later training has."""
    plan, interval = result["plan"], int(result["interval_ns"])
    start_ns, end_ns = int(result["start_ns"]) - interval, int(result["end_ns"])
    across = Scale(float(start_ns), float(max(end_ns, start_ns + 1)))
    row = 100 / len(folds)
    drawn = Plot("What trains and what tests, fold by fold", height=max(60, min(420, 26 * len(folds))))
    drawn.hint = "Point at a part to read its span."
    drawn.xs = moments(start_ns, end_ns, 6)
    drawn.ys = thinned(
        [f"fold {fold['number']}" for fold in folds],
        [round(row * (index + 0.5), 3) for index in range(len(folds))],
        max(1, drawn.height // 16),
    )
    for index, fold in enumerate(folds):
        name, test = f"fold {fold['number']}", fold["test"]
        for part in fold["train"]:
            drawn.rects.append(
                _part(
                    across,
                    row,
                    index,
                    part["start_ns"] - interval,
                    part["end_ns"] - 1,
                    "train",
                    f"{name} trains on",
                )
            )
        is_cpcv = plan["mode"] == "cpcv"
        last = fold["train"][-1]["end_ns"] - 1
        if is_cpcv:  # Behind the test, too; another test's bars may be between a training and this one.
            last = max(start_ns, test["start_ns"] - (1 + plan["purge"]) * interval)
        if test["start_ns"] - interval > last:
            drawn.rects.append(
                _part(across, row, index, last, test["start_ns"] - interval, "held", f"{name}, purged:")
            )
        drawn.rects.append(
            _part(
                across,
                row,
                index,
                test["start_ns"] - interval,
                test["end_ns"] - 1,
                "test",
                f"{name} is tested on",
            )
        )
        kept_ns = (plan["embargo"] + plan["purge"] * is_cpcv) * interval
        after = min(test["end_ns"] - 1 + kept_ns, end_ns)
        if after > test["end_ns"] - 1:
            what = f"{name}, purge and embargo:" if is_cpcv else f"{name}, embargo:"
            drawn.rects.append(_part(across, row, index, test["end_ns"] - 1, after, "held", what))
    return drawn


def _part(across: Scale, row: float, index: int, start_ns: int, end_ns: int, tone: str, what: str) -> Rect:
    right = across.at(end_ns)
    left = min(across.at(start_ns), right - 0.25)  # However short, it shows.
    said = f"{what} {when(start_ns)} to {when(end_ns)}"
    return Rect(
        left, round(row * (index + 0.18), 3), round(right - left, 3), round(row * 0.64, 3), tone, said
    )


def _chosen(fold: dict[str, Any]) -> str:
    return clip(" ".join(f"{name}={value}" for name, value in fold["params"].items()) or "nothing")
