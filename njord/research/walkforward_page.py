"""What does a walk-forward look like as a page? Its folder comes in; `walkforward.html` in it goes out.

Only `walkforward.json` and `curve.parquet` are read. On top stands what the stitched out-of-sample curve shows; below, how
each fold's choice did where it was chosen and where it was tested, and how the choices moved.
"""

import math
from pathlib import Path
from typing import Any

from njord.backtest.page_sections import Table
from njord.backtest.page_text import Cell, Row, amount, clip, count, duration, percent, when
from njord.core.errors import DataError
from njord.research.research_page import (
    honesty_rows,
    number,
    plural,
    sharpe_cell,
    sharpe_text,
    verdict_of,
    write,
)
from njord.research.walkforward_page_drawings import choices, curve, sharpes, splits
from njord.research.walkforward_page_paths import path_plot, path_said, path_table
from njord.research.walkforward_store import CURVE, read_result

PAGE = "walkforward.html"
FOLDS_MAX = 200  # Rows of tables and drawings.
_SECTIONS = (
    ("curve", "Out of sample"), ("paths", "Paths"), ("folds", "Inside and outside"), ("choices", "Choices"), ("splits", "Splits"),
    ("honesty", "Honesty"), ("run", "How it was run"),
)  # fmt: skip


def write_page(folder: Path) -> Path:
    """Write the page of a finished walk-forward and return its path.

    Raises:
        DataError: The folder holds none.
        OSError: The page can not be written.
    """
    result = read_result(folder)
    if not (folder / CURVE).is_file():
        raise DataError(f"{folder} has lost its {CURVE}", "walk forward again, without --resume")
    return write(folder / PAGE, "walkforward_page.html", _context(result, folder))


def _context(result: dict[str, Any], folder: Path) -> dict[str, Any]:
    plan, report = result["plan"], (result["trial"] or {}).get("report")
    folds, paths = result["folds"][:FOLDS_MAX], result.get("paths")
    n_left = len(result["folds"]) - len(folds)
    return {
        "kind": "walk-forward" if paths is None else "cross-validation",
        "title": clip(f"{result['strategy']} on {result['symbol']}"),
        "badges": [
            plural(plan["n_folds"], "fold" if paths is None else "group"),
            clip(plan["mode"]),
            f"{plural(result['n_points'], 'point')} each",
            clip(", ".join(name for name, _ in result["data"])),
        ],
        "verdict": verdict_of(report, _why_none(result), _says(result)),
        "sections": [each for each in _SECTIONS if each[0] != "paths" or paths is not None],
        "tiles_": _tiles(result),
        "warnings": [clip(each) for each in result["warnings"]],
        "error": clip(result["error"]),
        "curve": curve(result, folder / CURVE),
        "paths": None if paths is None else path_plot(paths),
        "path_table": None if paths is None else path_table(paths),
        "path_said": "" if paths is None else path_said(paths),
        "sharpes": sharpes(folds),
        "table": _table(result, folds, n_left),
        "drift": _drift(result),
        "choices": choices(result, folds[:: plan.get("n_test_folds") or 1]),
        "splits": splits(result, folds),
        "split_said": _split_said(result),
        "honesty": [] if report is None else honesty_rows(report),
        "trial": clip((result["trial"] or {}).get("says", "")),
        "run": _run_rows(result),
        "assumptions": [clip(each) for each in result["assumptions"]],
    }


# --- in words ---


def _why_none(result: dict[str, Any]) -> str:
    return (result["trial"] or {}).get("says") or "Nobody has counted its trials."


def _says(result: dict[str, Any]) -> list[str]:
    outside, n_folds, paths = result["out_of_sample"], len(result["folds"]), result.get("paths")
    how = "Chosen on the past, tested on what followed"
    if paths is not None:
        how = f"Path {paths['middle']}, the one in the middle, each part tested by a choice that had not seen it"
    said = [
        f"{how}: a Sharpe of {sharpe_text(outside['bar']['sharpe'])} and a return of "
        f"{_share(outside['total_return'])} out of sample; {result['n_positive']} of {plural(n_folds, 'test')} earned money."
    ]
    efficiency = number(result["efficiency"])
    if not math.isnan(efficiency):
        left = f"{_share(efficiency, 0)} of it" if efficiency > 0 else "nothing of it"
        said.append(
            f"Inside, the same choices had a mean Sharpe of {sharpe_text(result['inside_sharpe'])}: {left} was left outside."
        )
    return said if paths is None else [*said, path_said(paths)]


def _share(value: Any, decimals: int = 1) -> str:
    return percent(None if math.isnan(number(value)) else value, "", decimals=decimals).text


def _tiles(result: dict[str, Any]) -> list[Row]:
    outside, asset = result["out_of_sample"], clip(result["report_asset"])
    wait = duration(outside["longest_under_water_ns"])
    return [
        Row("Sharpe, out of sample", sharpe_cell(outside["bar"]["sharpe"]), "of the stitched curve"),
        Row("Sharpe, in sample", sharpe_cell(result["inside_sharpe"]), "mean of the folds' choices"),
        Row(
            "Efficiency",
            _percent(result["efficiency"], "The choices had no Sharpe above 0 inside.", 0),
            "outside / inside",
        ),
        Row(
            "Return",
            _percent(outside["total_return"], "", 2, signed=True),
            f"to {_amount(outside['final_equity'])} {asset}",
        ),
        Row("Max drawdown", _percent(outside["max_drawdown"], "", 2), f"longest under water {wait}"),
        Row(
            "Tests with a profit",
            Cell(f"{result['n_positive']} of {len(result['folds'])}"),
            _idle(result["n_idle"]),
        ),
        Row("Fills", Cell(count(outside["n_fills"])), f"in {count(outside['n_bars'])} bars"),
    ]


def _idle(n_idle: int) -> str:
    return f"{plural(n_idle, 'fold')} chose nothing and stayed out" if n_idle else ""


def _amount(value: Any) -> str:
    return "nothing known" if math.isnan(number(value)) else amount(value)


def _percent(value: Any, why: str, decimals: int, signed: bool = False) -> Cell:
    return percent(None if math.isnan(number(value)) else value, why, signed, decimals)


# --- tables ---


def _table(result: dict[str, Any], folds: list[dict[str, Any]], n_left: int) -> Table:
    names = [axis["name"] for axis in result["axes"]]
    headings = (
        "Fold", "Test from", "Bars", *(clip(name) for name in names), "Sharpe, in", "out", "Efficiency", "Return, out",
        "Max drawdown", "Fills",
    )  # fmt: skip
    rows = []
    for fold in folds:
        outside = fold["outside"] or {}
        rows.append(
            [
                Cell(str(fold["number"])),
                Cell(when(fold["test"]["start_ns"] - result["interval_ns"])),
                Cell(count(fold["n_test"])),
                *(Cell(clip(fold["params"].get(name, "nothing"))) for name in names),
                sharpe_cell(fold["inside_sharpe"]),
                _failed(outside) or sharpe_cell(fold["outside_sharpe"]),
                _percent(fold["efficiency"], "There was no Sharpe above 0 inside.", 0),
                _percent(outside.get("total_return"), "Nothing was traded.", 2, signed=True),
                _percent(outside.get("max_drawdown"), "Nothing was traded.", 2),
                Cell(count(outside.get("n_fills", 0))),
            ]
        )
    left_out = f"The first {FOLDS_MAX} folds; {n_left} more are in folds.parquet." if n_left else ""
    return Table(headings, rows, left_out, n_words=2)


def _failed(outside: dict[str, Any]) -> Cell | None:
    return Cell("failed", "warn", clip(outside["error"])) if outside.get("error") else None


def _drift(result: dict[str, Any]) -> Table:
    rows = []
    for each in result["drift"][:FOLDS_MAX]:
        why = "Fewer than two choices, or one value to choose."
        rows.append(
            [
                Cell(clip(each["name"])),
                Cell(count(each["n_distinct"])),
                Cell(count(each["n_changes"])),
                _percent(each["mean_step"], why, 0),
                _percent(each["random_step"], why, 0),
            ]
        )
    return Table(("Parameter", "Values chosen", "Changes", "Mean step", "At random"), rows)


def _split_said(result: dict[str, Any]) -> str:
    plan, interval, first = result["plan"], result["interval_ns"], result["folds"][0]

    def bars(n: int) -> str:
        return f"{plural(n, 'bar')} ({duration(n * interval)})" if n else "0 bars"

    if result.get("paths") is not None:
        return (
            f"A fold is one test group of one split, and the {plan['n_test_folds']} folds of a split have one training. The "
            f"first one has {bars(first['n_train'])}, its first test {bars(first['n_test'])}. Purged on either side of a "
            f"test: {bars(plan['purge'])}; embargo behind that: {bars(plan['embargo'])}."
        )
    return (
        f"The first training has {bars(first['n_train'])}, its test {bars(first['n_test'])}. Purged before a test: "
        f"{bars(plan['purge'])}, which no training of it has. Embargo behind a test: {bars(plan['embargo'])}, which no later "
        "training has."
    )


def _run_rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    why = f": {result['why_ordered']}" if result["why_ordered"] else ""
    found = [
        ("strategy", result["strategy"]),
        ("symbol", result["symbol"]),
        *(("data", f"{name}, {digest}") for name, digest in result["data"]),
        *((axis["name"], _values(axis["values"])) for axis in result["axes"]),
        *([("not varied", " ".join(result["params"]))] if result["params"] else []),
        ("chosen by", result["objective"]),
        ("data from", f"{when(result['start_ns'] - result['interval_ns'])} to {when(result['end_ns'])}"),
        ("bars", f"{result['n_bars']:,} of {duration(result['interval_ns'])}"),
        ("capital", f"{amount(result['capital'])} {result['report_asset']}"),
        ("trainings", f"{result['engine']} engine{why}"),
        ("id", result["id"]),
        ("njord version", result["njord_version"]),
    ]
    return [(clip(name), clip(text)) for name, text in found]


def _values(values: list[str]) -> str:
    return (
        ", ".join(values)
        if len(values) <= 8
        else f"{len(values):,} values, {values[0]}, {values[1]} to {values[-1]}"
    )
