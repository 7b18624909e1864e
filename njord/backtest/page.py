"""What does a backtest look like? A result and its prices come in; one HTML file goes out that needs nothing else.

What makes it safe to open stands in `page_shell`. The page stays under `PAGE_BYTES_MAX`, however long the run.
"""

import math
import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from njord.backtest import page_figures, page_parts, page_sections
from njord.backtest.page_bars import CANDLES_MAX, Candles, bucket_candles, candle_width_ns
from njord.backtest.page_curves import Curves, Line, curves
from njord.backtest.page_histogram import histogram
from njord.backtest.page_orders import OrderTable, first_orders, order_table
from njord.backtest.page_shell import asset, render
from njord.backtest.page_text import clip, count, duration, when
from njord.backtest.page_trades import Marker, TripTable, markers_of, trip_table
from njord.backtest.reported import ReportedMarket
from njord.backtest.result import BacktestResult
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_S

PAGE_BYTES_MAX = 3_000_000
ROWS_WITHOUT_SCRIPT = 25
MARKETS_MAX = 12  # Price charts to choose from; beyond that the page would be all candles.
_STYLES = ("vendor/uplot.css", "report.css")
_SCRIPTS = ("vendor/lightweight-charts.js", "vendor/uplot.js", "report.js")
# The price chart adds one style element for its attribution logo; its text is in the library's source.
_LOGO_STYLE = re.compile(r'innerText="(a#tv-attr-logo[^"]*)"')


class DrawnMarket(msgspec.Struct, frozen=True):
    """The price chart of one instrument: its candles, and how wide the data's own bars are (0 for ticks)."""

    instrument: Instrument
    candles: Candles
    interval_ns: int


def write_page(path: Path, result: BacktestResult, market: ReportedMarket) -> None:
    """Write the page of a run.

    Args:
        path: The file to write. The full equity curve is read from the Parquet file beside it, if that is this run's;
            otherwise the sample within `result` is drawn, and the page says so.
        result: What the run says.
        market: What it ran on, open.
    """
    markers = markers_of(result.fills)
    markets = _markets(markers.keys(), market)
    drawn = curves(result, path.parent)
    trips, orders = trip_table(result), order_table(result)
    data = _chart_data(result, markets, markers, drawn, trips, orders)
    context = _context(result, markets, drawn, trips, orders, path.parent)
    path.write_text(_render(context, data), encoding="utf-8")


# Those that were traded come first where there are more than the page has room for.
def _markets(traded: Collection[str], market: ReportedMarket) -> list[DrawnMarket]:
    chosen = sorted(
        range(len(market.instruments)), key=lambda i: (market.instruments[i].symbol not in traded, i)
    )
    n_max = CANDLES_MAX // math.isqrt(min(len(chosen), MARKETS_MAX))
    return [_market(market, index, n_max) for index in sorted(chosen[:MARKETS_MAX])]


def _market(market: ReportedMarket, index: int, n_max: int) -> DrawnMarket:
    sources = [source for source in market.sources if source.instrument == index]
    interval_ns = max(source.interval_ns for source in sources)
    span_ns = max(source.end_ns for source in sources) - min(source.start_ns for source in sources)
    width_ns = candle_width_ns(interval_ns, span_ns, n_max)
    candles = bucket_candles(market.prices(index), width_ns, interval_ns)
    return DrawnMarket(market.instruments[index], candles, interval_ns)


def _context(
    result: BacktestResult,
    markets: list[DrawnMarket],
    drawn: Curves,
    trips: TripTable,
    orders: OrderTable,
    folder: Path,
) -> dict[str, Any]:
    trip_returns = [t.return_fraction for t in result.round_trips if t.return_fraction is not None]
    return {
        "result": result,
        "title": clip(result.title),
        "start": when(result.start_ns),
        "end": when(result.end_ns),
        "span": duration(result.end_ns - result.start_ns),
        "fed": fed(result),
        "markets": [_market_said(each) for each in markets],
        "left_out_markets": len(result.instruments) - len(markets),
        "ruined": when(result.stats["ruined_ns"]) if result.stats["ruined_ns"] is not None else "",
        "drawn": drawn,
        "trips": trips,
        "orders": orders,
        "figures": page_figures,
        "sections": page_sections,
        "parts": page_parts,
        "trip_histogram": histogram(np.array(trip_returns, dtype=np.float64)),
        "day_histogram": histogram(drawn.daily_returns),
        "first_trips": page_sections.first_trips(result, ROWS_WITHOUT_SCRIPT),
        "first_orders": first_orders(result, ROWS_WITHOUT_SCRIPT),
        "replay": f"njord replay {shlex.quote(folder.name)}",
        "licenses": [(n, asset(f"vendor/{n}.LICENSE")) for n in ("lightweight-charts", "uplot")],
    }


def fed(result: BacktestResult) -> str:
    """Return what the run was fed with, in a few words."""
    if len(result.data) == 1:
        data = result.data[0]
        width = f" of {duration(data['interval_ns'])}" if data["interval_ns"] else ""
        return f"{count(data['n_rows'])} {clip(data['kind'])}{width}"
    n_symbols = len(result.instruments)
    return f"{len(result.data)} datasets of {n_symbols} symbol{'s' if n_symbols > 1 else ''}"


def _market_said(market: DrawnMarket) -> dict[str, Any]:
    candles = market.candles
    made_of = f"bars of {duration(market.interval_ns)}" if market.interval_ns else "trades"
    bucketed = f", each made of all {made_of} within it" if candles.width_ns != market.interval_ns else ""
    says = f"{count(candles.ts_ns.size)} candles of {duration(candles.width_ns)}{bucketed}."
    return {"symbol": clip(market.instrument.symbol), "says": says}


def _chart_data(
    result: BacktestResult,
    markets: list[DrawnMarket],
    markers: Mapping[str, Marker],
    drawn: Curves,
    trips: TripTable,
    orders: OrderTable,
) -> dict[str, Any]:
    start_s = result.start_ns // NS_PER_S
    return {
        "start": start_s,
        "asset": result.report_asset,
        "markets": [_market_data(each, markers, start_s) for each in markets],
        "equity": _line(drawn.equity, start_s, 10),
        "benchmark": _line(drawn.benchmark, start_s, 10)["v"],
        "drawdown": _line(drawn.drawdown, start_s, 7),
        "exposure": _line(_exposure(result, drawn), start_s, 5),
        "trips": trips.columns,
        "orders": orders.columns,
        "why": orders.why,
    }


def _market_data(market: DrawnMarket, markers: Mapping[str, Marker], start_s: int) -> dict[str, Any]:
    candles, instrument = market.candles, market.instrument
    marks = markers.get(instrument.symbol, Marker()).marks(candles)
    return {
        "symbol": instrument.symbol,
        "candles": {
            "width": candles.width_ns // NS_PER_S,
            "decimals": instrument.tick_scale,
            "step": float(instrument.tick_size),
            "t": (candles.ts_ns // NS_PER_S - start_s).tolist(),
            **candles.columns(instrument),
        },
        "marks": {"i": marks.candle, "kind": marks.kind, "n": marks.n},
    }


# It begins where the equity curve does, with nothing held.
def _exposure(result: BacktestResult, drawn: Curves) -> Line:
    curve = [(drawn.equity.ts_ns[0], 0.0), *result.exposure["curve"]]
    return Line([ts_ns for ts_ns, _ in curve], [value for _, value in curve])


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
