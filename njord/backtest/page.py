"""What does a backtest look like? A result and its bars come in; one HTML file goes out that needs nothing else.

What makes it safe to open stands in `page_shell`. The page stays under `PAGE_BYTES_MAX`, however long the run.
"""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from njord.backtest import page_figures, page_sections
from njord.backtest.page_bars import Candles, bucket_candles, candle_width_ns
from njord.backtest.page_curves import Curves, Line, curves
from njord.backtest.page_histogram import histogram
from njord.backtest.page_shell import asset, render
from njord.backtest.page_text import clip, count, duration, when
from njord.backtest.page_trades import TripTable, mark_candles, trip_table
from njord.backtest.result import BacktestResult
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_S
from njord.storage.dataset import BarDataset

PAGE_BYTES_MAX = 3_000_000
TRIPS_WITHOUT_SCRIPT = 25
_STYLES = ("vendor/uplot.css", "report.css")
_SCRIPTS = ("vendor/lightweight-charts.js", "vendor/uplot.js", "report.js")
# The price chart adds one style element for its attribution logo; its text is in the library's source.
_LOGO_STYLE = re.compile(r'innerText="(a#tv-attr-logo[^"]*)"')


def write_page(path: Path, result: BacktestResult, dataset: BarDataset, rows: tuple[int, int]) -> None:
    """Write the page of a run.

    Args:
        path: The file to write. The full equity curve is read from the Parquet file beside it, if that is this run's;
            otherwise the sample within `result` is drawn, and the page says so.
        result: What the run says.
        dataset: The bars it ran on, open.
        rows: [first, end) of them.
    """
    interval_ns = dataset.interval_ns
    span_ns = int(result.data["end_ns"]) - int(result.data["start_ns"])
    width_ns = candle_width_ns(interval_ns, span_ns)
    candles = bucket_candles(dataset.chunks(*rows, size=65_536), width_ns, interval_ns)
    drawn = curves(result, path.parent)
    trips = trip_table(result)
    data = _chart_data(result, dataset.instrument, candles, drawn, trips)
    context = _context(result, candles, drawn, trips, path.parent)
    path.write_text(_render(context, data), encoding="utf-8")


def _context(
    result: BacktestResult, candles: Candles, drawn: Curves, trips: TripTable, folder: Path
) -> dict[str, Any]:
    trip_returns = [t.return_fraction for t in result.round_trips if t.return_fraction is not None]
    return {
        "result": result,
        "symbol": result.instrument["symbol"],
        "title": clip(f"{result.strategy['id']} on {result.instrument['symbol']}"),
        "start": when(result.data["start_ns"]),
        "end": when(result.data["end_ns"]),
        "span": duration(result.data["end_ns"] - result.data["start_ns"]),
        "interval": duration(result.data["interval_ns"]),
        "candle_width": duration(candles.width_ns),
        "n_candles": count(candles.ts_ns.size),
        "is_bucketed": candles.width_ns != result.data["interval_ns"],
        "ruined": when(result.stats["ruined_ns"]) if result.stats["ruined_ns"] is not None else "",
        "drawn": drawn,
        "trips": trips,
        "figures": page_figures,
        "sections": page_sections,
        "trip_histogram": histogram(np.array(trip_returns, dtype=np.float64)),
        "day_histogram": histogram(drawn.daily_returns),
        "first_trips": page_sections.first_trips(result, TRIPS_WITHOUT_SCRIPT),
        "replay": f"njord replay {shlex.quote(folder.name)}",
        "licenses": [(n, asset(f"vendor/{n}.LICENSE")) for n in ("lightweight-charts", "uplot")],
    }


def _chart_data(
    result: BacktestResult, instrument: Instrument, candles: Candles, drawn: Curves, trips: TripTable
) -> dict[str, Any]:
    marks = mark_candles(result.fills, candles)
    start_s = int(result.data["start_ns"]) // NS_PER_S
    return {
        "start": start_s,
        "asset": result.report_asset,
        "symbol": instrument.symbol,
        "candles": {
            "width": candles.width_ns // NS_PER_S,
            "decimals": instrument.tick_scale,
            "step": float(instrument.tick_size),
            "t": (candles.ts_ns // NS_PER_S - start_s).tolist(),
            **candles.columns(instrument),
        },
        "marks": {"i": marks.candle, "kind": marks.kind, "n": marks.n},
        "equity": _line(drawn.equity, start_s, 10),
        "drawdown": _line(drawn.drawdown, start_s, 7),
        "trips": trips.columns,
    }


# Times to the millisecond: two extremes of bars shorter than a second must not fall on one point.
def _line(line: Line, start_s: int, digits: int) -> dict[str, list[float]]:
    offset_ns = start_s * NS_PER_S
    seconds = [round((ts_ns - offset_ns) / NS_PER_S, 3) for ts_ns in line.ts_ns]
    return {
        "t": [int(second) if second.is_integer() else second for second in seconds],
        "v": [float(f"{value:.{digits}g}") for value in line.values],
    }


def _render(context: dict[str, Any], data: dict[str, Any]) -> str:
    styles = [asset(name) for name in _STYLES]
    scripts = [asset(name) for name in _SCRIPTS]
    logo = _LOGO_STYLE.search(scripts[0])
    return render("report.html", context, data, styles, scripts, [logo.group(1)] if logo else [])
