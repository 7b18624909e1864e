"""Which numbers does the page lead with? The statistics of a result come in; rows of text with definitions and the
reason of whatever is undefined go out.
"""

import math
from decimal import Decimal
from typing import Any

import msgspec

from njord.backtest.page_text import (
    Cell,
    Row,
    amount,
    count,
    day,
    duration,
    money,
    percent,
    ratio,
    undefined,
    when,
)
from njord.backtest.result import BacktestResult
from njord.core.units import EXACT, ZERO
from njord.core.units import ratio as divide

_SHORT_DAYS = 90
_NO_TRIP = "No round trip was closed."
_TWO_RETURNS = "Fewer than two returns."
_WHY = {
    "sharpe": "Fewer than two returns, or returns that do not deviate.",
    "sortino": "Fewer than two returns, or none below zero.",
    "calmar": "There was no drawdown, or the annual growth rate is undefined.",
    "cagr": "Equity ended below zero, or the span is too short to make a year of it.",
    "profit_factor": "No round trip was closed with a win or a loss.",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEAT_STEPS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2)  # Fractions; the tint of a month grows at each.


class HeatCell(msgspec.Struct, frozen=True):
    """A cell of the monthly table; `heat` is -6..6, 0 for no tint."""

    cell: Cell | None
    heat: int


class YearRow(msgspec.Struct, frozen=True):
    """Twelve months and the year."""

    year: int
    months: list[HeatCell]
    total: HeatCell


def headline(result: BacktestResult) -> str:
    """Return what happened in one sentence."""
    stats, asset = result.stats, result.report_asset
    profit = Decimal(stats["net_profit"])
    verb = "Gained" if profit > 0 else "Lost" if profit < 0 else "Neither gained nor lost:"
    size = f" {percent(abs(stats['total_return']), '').text}" if profit else ""
    span = duration(result.end_ns - result.start_ns)
    return f"{verb}{size} in {span}: {amount(result.capital)} became {amount(result.final_equity)} {asset}."


def key_figures(result: BacktestResult) -> list[Row]:
    """Return the figures that everybody looks for."""
    stats, asset = result.stats, result.report_asset
    basis = f"{stats['ratio_basis']} returns"
    short = "" if stats["n_days"] >= _SHORT_DAYS else f"a year made of {stats['n_days']} days"
    rows = [
        Row("Final equity", money(result.final_equity, asset, ""), f"from {amount(result.capital)}"),
        Row("Net profit", money(stats["net_profit"], asset, "", signed=True), "fees and slippage included"),
        Row("Total return", percent(stats["total_return"], "", signed=True), "of the capital"),
        Row("Growth per year", percent(stats["cagr"], _WHY["cagr"], signed=True), short or "CAGR, 365 days"),
        Row("Max drawdown", percent(_negative(stats["max_drawdown"]), "No bar.", signed=True), _fall(stats)),
        Row("Under water", Cell(duration(stats["longest_under_water_ns"])), "longest time below a peak"),
        Row("Sharpe", ratio(stats["sharpe"], _WHY["sharpe"]), basis),
        Row("Sortino", ratio(stats["sortino"], _WHY["sortino"]), basis),
        Row("Calmar", ratio(stats["calmar"], _WHY["calmar"]), "growth per year / max drawdown"),
        Row("Volatility", percent(stats["volatility"], _TWO_RETURNS), f"per year, {basis}"),
        Row("Best day", *_day(stats["best_day"])),
        Row("Worst day", *_day(stats["worst_day"])),
        Row("In the market", percent(stats["exposure"], ""), "share of moments with a position"),
        Row("Fills", Cell(count(stats["n_fills"])), f"{result.n_never_filled:,} orders never filled"),
    ]
    return rows + ([] if result.trial is None else _selection(result.trial["report"]))


# What is left of the Sharpe ratio once all trials of the idea are counted.
def _selection(report: dict[str, Any] | None) -> list[Row]:
    if report is None:
        return []
    n = report["n_trials"]
    tried = f"{n:,} trial{'' if n == 1 else 's'} counted"
    length, years = report["min_track_record_length"], report["periods_per_year"]
    needed = (
        undefined("No Sharpe ratio.")
        if length is None
        else Cell("never")
        if isinstance(length, str)
        else Cell(count(math.ceil(length)))
    )
    about = f"bars, to show a Sharpe above 0 alone; here {report['n_periods']:,}, a year has {years:,.0f}"
    return [
        Row("Deflated Sharpe", ratio(report["deflated_sharpe"], _WHY["sharpe"]), tried),
        Row(
            "Best by luck",
            ratio(report["expected_max_sharpe_annual"], _WHY["sharpe"]),
            "Sharpe (bar returns) of so many trials without skill",
        ),
        Row("Track record needed", needed, about),
    ]


def trade_figures(result: BacktestResult) -> list[Row]:
    """Return the figures of the closed round trips."""
    trades, asset = result.stats["trades"], result.report_asset
    wins = f"{trades['n_wins']:,} won, {trades['n_losses']:,} lost"
    return [
        Row("Round trips", Cell(count(trades["n_trades"])), wins),
        Row("Won", percent(trades["win_rate"], _NO_TRIP), "of all round trips"),
        Row(
            "Profit factor",
            ratio(trades["profit_factor"], _WHY["profit_factor"]),
            "gross profit / gross loss",
        ),
        Row(
            "Average", money(trades["expectancy"], asset, _NO_TRIP, signed=True), "per round trip, after fees"
        ),
        Row("Average win", money(trades["avg_win"], asset, "No round trip won.", signed=True)),
        Row("Average loss", money(trades["avg_loss"], asset, "No round trip lost.", signed=True)),
        Row("Largest win", money(trades["largest_win"], asset, "No round trip won.", signed=True)),
        Row("Largest loss", money(trades["largest_loss"], asset, "No round trip lost.", signed=True)),
        Row("Average return", percent(trades["avg_return"], _NO_TRIP, signed=True), "unweighted"),
        Row(
            "Average time held",
            undefined(_NO_TRIP)
            if trades["avg_duration_ns"] is None
            else Cell(duration(trades["avg_duration_ns"])),
        ),
    ]


# What was really paid: tiers, makers and takers and liquidations included.
def _paid_bps(result: BacktestResult) -> str:
    traded = Decimal(result.turnover["traded_notional"])
    return f"{float(10_000 * Decimal(result.fees) / traded):.3g} bp" if traded else "nothing"


def cost_figures(result: BacktestResult) -> list[Row]:
    """Return what trading cost, and how much that was of the capital."""
    asset, costs = result.report_asset, result.costs
    fees, slippage = Decimal(result.fees), Decimal(result.slippage)
    before = EXACT.add(Decimal(result.stats["net_profit"]), EXACT.add(fees, slippage))
    return [
        Row(
            "Fees",
            money(result.fees, asset, ""),
            f"{_of(fees, result.capital)} of the capital; {_paid_bps(result)} of what was traded",
        ),
        Row(
            "Slippage",
            money(result.slippage, asset, ""),
            f"{_of(slippage, result.capital)} of the capital; {costs['slippage_bps']} bp assumed",
        ),
        Row(
            "Result before costs",
            money(before, asset, "", signed=True),
            "net profit with fees and slippage added back; without costs the sizes would have differed",
        ),
        Row(
            "Max drawdown",
            percent(_negative(result.stats["max_drawdown"]), "No bar.", signed=True),
            _fall_told(result.stats),
        ),
    ]


def ratio_bases(result: BacktestResult) -> list[tuple[str, Cell, Cell]]:
    """Return (name, from daily returns, from bar returns) for the ratios that depend on it."""
    daily, bar = result.stats["daily"], result.stats["bar"]
    return [
        ("Returns", Cell(count(daily["n_periods"])), Cell(count(bar["n_periods"]))),
        (
            "Periods per year",
            Cell(f"{daily['periods_per_year']:,.0f}"),
            Cell(f"{bar['periods_per_year']:,.0f}"),
        ),
        (
            "Volatility per year",
            percent(daily["volatility"], _TWO_RETURNS),
            percent(bar["volatility"], _TWO_RETURNS),
        ),
        ("Sharpe", ratio(daily["sharpe"], _WHY["sharpe"]), ratio(bar["sharpe"], _WHY["sharpe"])),
        ("Sortino", ratio(daily["sortino"], _WHY["sortino"]), ratio(bar["sortino"], _WHY["sortino"])),
    ]


def monthly_table(result: BacktestResult) -> list[YearRow]:
    """Return years x months; a month outside the run has no cell."""
    months = {(entry["year"], entry["month"]): entry["value"] for entry in result.stats["monthly"]}
    return [
        YearRow(
            entry["year"],
            [
                _heat(months[entry["year"], month]) if (entry["year"], month) in months else HeatCell(None, 0)
                for month in range(1, 13)
            ],
            _heat(entry["value"]),
        )
        for entry in reversed(result.stats["yearly"])
    ]


def month_names() -> tuple[str, ...]:
    """Return the names of the twelve months, short."""
    return _MONTHS


def _heat(value: float | None) -> HeatCell:
    cell = percent(value, "The period began with no equity left.", signed=True)
    if not isinstance(value, int | float) or value == 0:
        return HeatCell(cell, 0)
    level = sum(abs(value) > step for step in _HEAT_STEPS)
    return HeatCell(cell, level if value > 0 else -level)


def _negative(depth: Any) -> Any:
    return -depth + 0.0 if isinstance(depth, int | float) else depth


def _fall(stats: dict[str, Any]) -> str:
    fall = stats["drawdown"]
    return f"lowest {when(fall['trough_ns'])[:10]}" if fall else "equity never fell"


def _fall_told(stats: dict[str, Any]) -> str:
    fall = stats["drawdown"]
    if not fall:
        return "equity never fell below an earlier bar's close"
    recovered = fall["recovery_ns"]
    end = f"recovered {when(recovered)}" if recovered is not None else "not recovered"
    return f"peak {when(fall['peak_ns'])}, lowest {when(fall['trough_ns'])}, {end}; measured at bar closes"


def _day(entry: dict[str, Any] | None) -> tuple[Cell, str]:
    if entry is None:
        return undefined("No day was completed."), ""
    return percent(entry["value"], "", signed=True), day(entry["day"])


def _of(part: Decimal, capital: str) -> str:
    share = divide(part, Decimal(capital)) if part else ZERO
    return percent(float(share), "").text
