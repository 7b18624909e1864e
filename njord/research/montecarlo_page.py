"""What does a Monte Carlo answer look like as a page? Its folder comes in; `montecarlo.html` in it goes out.

Only `montecarlo.json` is read. On top stands how likely loss and ruin are; below, the fan of equity, how each figure is
distributed with the run itself among it, and how the paths were made.
"""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from njord.backtest.page_sections import Table
from njord.backtest.page_text import MINUS, Cell, Row, amount, clip, count, percent
from njord.core.errors import DataError
from njord.research.montecarlo import RESULT_FILE
from njord.research.research_page import Verdict, number, plural, write
from njord.research.research_page_plot import (
    Curve,
    Dot,
    Plot,
    Rect,
    Rule,
    Scale,
    band,
    decimals_of,
    levels,
    levels_across,
    line,
    scale_of,
)

PAGE = "montecarlo.html"
_BANDS = ((1, 99), (5, 95), (25, 75))
_MARKED = (5, 50, 95)
_SECTIONS = (
    ("fan", "Equity over time"), ("ends", "How it ended"), ("percentiles", "Percentiles"), ("run", "How paths were made"),
)  # fmt: skip


class Drawing(msgspec.Struct, frozen=True):
    """How one figure is distributed."""

    title: str
    about: str
    plot: Plot


def write_page(folder: Path) -> Path:
    """Write the page of an answer and return its path.

    Raises:
        DataError: The folder holds none.
        OSError: The page can not be written.
    """
    try:
        result: dict[str, Any] = msgspec.json.decode((folder / RESULT_FILE).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        raise DataError(f"{folder} holds no {RESULT_FILE}", "make one with: njord montecarlo RUN") from None
    return write(folder / PAGE, "montecarlo_page.html", _context(result))


def _context(result: dict[str, Any]) -> dict[str, Any]:
    kinds = (
        ("final_equity", f"Final equity ({clip(result['report_asset'])})", _money),
        ("max_drawdown", "Maximum drawdown", _share),
        ("under_water", f"Longest under water ({result['step']}s)", _whole),
    )
    return {
        "kind": "Monte Carlo",
        "title": clip(result["title"]),
        "badges": [
            plural(result["n_paths"], "path"),
            f"of {plural(result['n_steps'], str(result['step']))}",
            clip(_drawn(result)),
            f"seed {result['seed']}",
            f"run {clip(result['run_id'])}",
        ],
        "verdict": _verdict(result),
        "sections": _SECTIONS,
        "tiles_": _tiles(result),
        "fan": _fan(result),
        "ruin": f"ruin, {result['ruin_fraction']:.0%} of the start",
        "ends": [_distribution(result, name, title, say) for name, title, say in kinds],
        "percentiles": _percentiles(result),
        "chances": _chances(result),
        "left_out": _left_out(result),
        "run": _run_rows(result),
        "assumptions": [clip(each) for each in result["assumptions"]],
        "resolution": _resolution(result),
    }


# --- in words ---


def _verdict(result: dict[str, Any]) -> Verdict:
    loss, ruin, own = result["loss"], result["ruin"], result["run"]
    deeper = _beyond(result["max_drawdown"], own["max_drawdown"])
    says = [
        f"{_chance(loss)} of the paths ended below their start, and {_chance(ruin)} fell below {result['ruin_fraction']:.0%} of "
        f"it on their way: more paths make these bounds narrow, and not the market better known.",
        f"The run itself ended with {amount(own['final_equity'])} {clip(result['report_asset'])} and fell by "
        f"{_said(own['max_drawdown'], _share)} at most; about {deeper:.0%} of the paths fell deeper.",
    ]
    return Verdict(f"{_short(loss['value'])} lose", "plain", says)


def _chance(found: dict[str, Any]) -> str:
    return f"{_short(found['value'])} ({_short(found['low'])} to {_short(found['high'])}, 95 % confidence)"


def _short(share: float) -> str:
    return f"{share:.0%}" if share in (0.0, 1.0) else f"{share:.1%}"


# The share of paths beyond a value, by the bars of the drawing: within one they are taken as evenly spread.
def _beyond(figure: dict[str, Any], value: float) -> float:
    total, beyond = sum(figure["counts"]), 0.0
    for low, high, n in _bars(figure):
        inside = (high - value) / (high - low) if high > low else float(low > value)
        beyond += n * min(1.0, max(0.0, inside))
    return beyond / total if total else 0.0


# (lower edge, upper edge, paths) of the bars that have an end.
def _bars(figure: dict[str, Any]) -> list[tuple[float, float, int]]:
    edges = [number(edge) for edge in figure["edges"]]
    spans = zip(pairwise(edges), figure["counts"], strict=True)
    return [(low, high, n) for (low, high), n in spans if n and not math.isnan(low + high)]


def _tiles(result: dict[str, Any]) -> list[Row]:
    final, own, asset = result["final_equity"], result["run"], clip(result["report_asset"])
    deepest = _said(_at(result["max_drawdown"], 95)["value"], _share)
    return [
        Row("Loss", Cell(_short(result["loss"]["value"])), _bounds(result["loss"])),
        Row("Ruin", Cell(_short(result["ruin"]["value"])), _bounds(result["ruin"])),
        Row(f"Median end ({asset})", _cell(_at(final, 50)), f"the run: {_said(own['final_equity'], _money)}"),
        Row("5 % end below", _cell(_at(final, 5)), asset),
        Row("5 % fall deeper than", Cell(deepest), f"the run: {_said(own['max_drawdown'], _share)}"),
    ]


def _cell(percentile: dict[str, Any]) -> Cell:
    return Cell(_said(percentile["value"], _money))


def _bounds(found: dict[str, Any]) -> str:
    return f"of paths; from {_short(found['low'])} to {_short(found['high'])}"


def _at(figure: dict[str, Any], percent_: int) -> dict[str, Any]:
    return next(each for each in figure["percentiles"] if each["percent"] == percent_)


def _drawn(result: dict[str, Any]) -> str:
    if result["block"] == 0:
        return "run again on the recorded market"
    if result["block"] == 1:
        return f"{result['step']}s drawn one by one"
    how = "chosen by the data" if result["is_block_automatic"] else "as asked"
    return f"{result['step']}s drawn in blocks of {result['block']:.3g} on average, {how}"


def _left_out(result: dict[str, Any]) -> str:
    n = result["n_refused"] + result["n_failed"]
    return f"{plural(n, 'path')} left out, the first because: {clip(result['first_failure'])}" if n else ""


# --- how values are written: the step between neighbors, or 0 for a value alone ---


def _money(value: float, step: float) -> str:
    return f"{value:,.{decimals_of(step)}f}".replace("-", MINUS) if step else amount(value)


def _share(value: float, step: float) -> str:
    return percent(value, "", decimals=decimals_of(step * 100) if step else 2).text


def _whole(value: float, step: float) -> str:
    return f"{value:,.0f}" if not step or step >= 1 else ""


def _said(value: Any, say: Any) -> str:
    found = number(value)
    return "open" if math.isnan(found) else str(say(found, 0))


# --- drawings ---


def _fan(result: dict[str, Any]) -> Plot:
    fan, capital, asset = result["fan"], float(result["capital"]), clip(result["report_asset"])
    rows = dict(zip(fan["percents"], fan["equity"], strict=True))
    ruin, own = capital * result["ruin_fraction"], number(result["run"]["final_equity"])
    spread = [number(value) for row in rows.values() for value in row]
    up, across = scale_of(spread, capital, own), Scale(0.0, float(max(fan["steps"][-1], 1)))
    xs = [across.at(step) for step in fan["steps"]]
    drawn = Plot("Percentiles of equity over time", height=320)
    drawn.hint = "Point at the fan to read it."
    drawn.ys = levels(up, _money, 6)
    drawn.xs = levels_across(across, _whole, 6)
    heights = {percent_: [up.down(_within(value, up)) for value in row] for percent_, row in rows.items()}
    drawn.paths = [
        Curve(band(xs, heights[low], heights[high]), f"band{place}")
        for place, (low, high) in enumerate(_BANDS, 1)
        if low in rows and high in rows
    ]
    drawn.paths.append(Curve(line(list(zip(xs, heights[50], strict=True))), "main"))
    drawn.rules = [Rule(0, up.down(capital), 100, up.down(capital), "floor")]
    if up.low <= ruin <= up.high:
        drawn.rules.append(Rule(0, up.down(ruin), 100, up.down(ruin), "limit"))
    drawn.dots = [Dot(100, up.down(own), "own", f"the run: {amount(own)} {asset}", 5)]
    before = 0.0
    for index, (step, x) in enumerate(zip(fan["steps"], xs, strict=True)):
        low, middle, high = (_said(rows[percent_][index], _money) for percent_ in _MARKED)
        text = f"after {plural(step, str(result['step']))}: median {middle} {asset}, 90 % of paths from {low} to {high}"
        drawn.strips.append(Rect(before, 0, round(x - before, 3), 0, "", text))
        before = x
    return drawn


# What has no bound is drawn at the top.
def _within(value: Any, up: Scale) -> float:
    found = number(value)
    return up.high if math.isnan(found) else found


def _distribution(result: dict[str, Any], name: str, title: str, say: Any) -> Drawing:
    figure, own = result[name], number(result["run"][name])
    across = scale_of([number(edge) for edge in figure["edges"]], own, margin=0.0)
    drawn = Plot(f"Distribution of {title}", height=170)
    bars = _bars(figure)
    least = (across.high - across.low) / 400  # Bars have an area, however narrow.
    heights = [n / max(high - low, least) for low, high, n in bars]
    for (low, high, n), height in zip(bars, heights, strict=True):
        tall, left = max(0.6, 96 * height / max(heights)), across.at(low)
        text = f"{say(low, 0)} to {say(high, 0)}: {plural(n, 'path')}, {n / result['n_paths']:.1%}"
        width = max(across.at(high) - left, 0.25)
        drawn.rects.append(Rect(left, round(100 - tall, 3), round(width, 3), round(tall, 3), "plain", text))
    drawn.rules = [Rule(0, 100, 100, 100, "floor")]
    for each in _MARKED:
        value = number(_at(figure, each)["value"])
        if not math.isnan(value):
            drawn.rules.append(Rule(across.at(value), 0, across.at(value), 100, "border"))
    drawn.dots = [Dot(across.at(own), 97, "own", f"the run: {say(own, 0)}", 5)]
    drawn.xs = levels_across(across, say, 4)
    about = f"mean {_said(figure['mean'], say)}, from {_said(figure['minimum'], say)} to {_said(figure['maximum'], say)}"
    return Drawing(title, about, drawn)


# --- tables ---


def _percentiles(result: dict[str, Any]) -> Table:
    kinds = (("final_equity", _money), ("max_drawdown", _share), ("under_water", _whole))
    rows = []
    for place, each in enumerate(result["final_equity"]["percentiles"]):
        row = [Cell(f"{each['percent']} %")]
        for name, say in kinds:
            found = result[name]["percentiles"][place]
            row += [
                Cell(_said(found["value"], say)),
                Cell(f"{_said(found['low'], say)} to {_said(found['high'], say)}"),
            ]
        rows.append(row)
    own = [Cell("the run")]
    for name, say in kinds:
        own += [Cell(_said(result["run"][name], say)), Cell("")]
    headings = (
        "Percentile", f"Final equity ({clip(result['report_asset'])})", "between", "Max drawdown", "between",
        f"Under water ({result['step']}s)", "between",
    )  # fmt: skip
    return Table(headings, [*rows, own])


def _chances(result: dict[str, Any]) -> list[Row]:
    return [
        Row(
            "Loss",
            Cell(f"{result['loss']['value']:.2%}"),
            f"ended below the start; {_interval(result['loss'])}",
        ),
        Row(
            "Ruin",
            Cell(f"{result['ruin']['value']:.2%}"),
            f"ever below {result['ruin_fraction']:.0%} of the start; {_interval(result['ruin'])}",
        ),
    ]


def _interval(found: dict[str, Any]) -> str:
    return f"from {found['low']:.2%} to {found['high']:.2%} with 95 % confidence, of {plural(found['n'], 'path')}"


def _run_rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    found = [
        ("run", result["run_id"]),
        ("drawn", f"{result['method']}: {_drawn(result)}"),
        ("paths", f"{count(result['n_paths'])} of {plural(result['n_steps'], str(result['step']))}"),
        ("capital", f"{amount(result['capital'])} {result['report_asset']}"),
        ("seed", str(result["seed"])),
    ]
    if result["jitter"]:
        found.append(("parameters", ", ".join(_jitter(each) for each in result["jitter"])))
    for name, key, unit in (("delay", "delay_ms", "ms"), ("slippage", "slippage_bps", "bp")):
        if result[key] is not None:
            low, high = result[key]
            found.append((name, f"{low:g} to {high:g} {unit}"))
    return [(name, clip(text)) for name, text in found]


def _jitter(each: dict[str, Any]) -> str:
    who = f"{each['strategy_id']}." if each.get("strategy_id") else ""
    spread = f"{each['spread']:.3g}" if not each["is_relative"] else f"{each['spread']:.0%}"
    return f"{who}{each['name']} within {spread} of its value"


def _resolution(result: dict[str, Any]) -> str:
    final, drawdown, under = (
        result[name]["resolution"] for name in ("final_equity", "max_drawdown", "under_water")
    )
    return (
        f"Figures are counted in bins. Equity is known to {50 * final:.2g} % of its value, drawdown to {50 * drawdown:.2g} %, time "
        f"under water to {under / 2:.3g} {result['step']}s, the fan to {50 * result['fan']['resolution']:.2g} % of its value. Bars "
        "are as tall as their paths are dense; the lowest and the highest value are exact."
    )
