"""The terminal summary of a backtest. The truth first: what the data are worth and what it cost, then the rest."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from njord.backtest.page_text import duration
from njord.backtest.result import BacktestResult
from njord.backtest.session import Finished
from njord.core.units import NS_PER_S


def make_console(stderr: bool = False) -> Console:
    """Return the console that verbs print to; off a screen lines are wide, so that nothing is cut for a pipe."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=200)


def print_summary(console: Console, finished: Finished) -> None:
    """Print the summary of a finished run."""
    result = finished.result
    title = f"{result.strategy['id']} on {result.instrument['symbol']}"
    if result.synthetic:
        title += "  (SYNTHETIC market: generated, not recorded)"
    console.print(f"\n[bold]{title}[/bold]", highlight=False)
    if result.error:
        console.print(f"[bold red]suspended[/bold red]: {result.error}", highlight=False, markup=True)
    for heading, rows in (
        ("data", _data(result)),
        ("cost", _cost(result)),
        ("result", _result(result)),
        ("refused", _refused(result)),
    ):
        if rows:
            console.print(_table(heading, rows))
    console.print("[bold]assumed[/bold]", highlight=False)
    for sentence in result.assumptions:
        console.print(f"  {sentence}", highlight=False, markup=False)
    for warning in result.warnings:
        console.print(f"[bold yellow]look[/bold yellow]    {warning}", highlight=False)
    console.print(
        f"\n{result.data['n_bars']:,} bars at {finished.bars_per_s:,.0f} bars/s, "
        f"{result.journal['n_messages']:,} messages journaled, order list {result.order_list_hash[:16]}",
        highlight=False,
    )
    console.print(f"report  {finished.folder / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"result  {finished.folder / 'summary.json'}", highlight=False, soft_wrap=True)


def _table(heading: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=heading, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(min_width=24)
    table.add_column(justify="left")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _data(result: BacktestResult) -> list[tuple[str, str]]:
    data, certificate = result.data, result.data["certificate"]
    faults = [finding["says"] for finding in certificate["findings"] if finding["n"]]
    return [
        ("file", data["file"]),
        ("range", f"{when(data['start_ns'])} to {when(data['end_ns'])}"),
        ("bars", f"{data['n_bars']:,} of {data['interval_ns'] // NS_PER_S} s"),
        ("grade", f"{certificate['grade']}: {certificate['because']}"),
        ("bad time", _bad_time(data)),
        ("faults", ", ".join(faults) or "none found"),
    ]


def _bad_time(data: dict[str, Any]) -> str:
    if not data["bad_ns"]:
        return "none"
    return f"{duration(data['bad_ns'])}, {duration(data['bad_in_positions_ns'])} of it inside positions"


def _cost(result: BacktestResult) -> list[tuple[str, str]]:
    asset = result.report_asset
    return [
        ("fees", f"{money(result.fees)} {asset} ({result.costs['taker_fee_bps']} bp)"),
        ("slippage", f"{money(result.slippage)} {asset} ({result.costs['slippage_bps']} bp)"),
        ("max drawdown", percent(result.stats["max_drawdown"])),
    ]


def _result(result: BacktestResult) -> list[tuple[str, str]]:
    stats, trades, asset = result.stats, result.stats["trades"], result.report_asset
    return [
        ("capital", f"{money(result.capital)} {asset}"),
        ("final equity", f"{money(result.final_equity)} {asset} ({percent(stats['total_return'])})"),
        (f"Sharpe ({stats['ratio_basis']})", number(stats["sharpe"])),
        (f"Sortino ({stats['ratio_basis']})", number(stats["sortino"])),
        ("fills", f"{len(result.fills):,}"),
        ("round trips", _trips(trades)),
        ("profit factor", number(trades["profit_factor"])),
        ("time in the market", percent(stats["exposure"])),
        ("open at the end", ", ".join(f"{lot.side} {lot.qty}" for lot in result.open_lots) or "nothing"),
    ]


def _trips(trades: dict[str, Any]) -> str:
    if not trades["n_trades"]:
        return "none closed"
    return f"{trades['n_trades']:,}, {percent(trades['win_rate'])} won"


def _refused(result: BacktestResult) -> list[tuple[str, str]]:
    rows = [(reason, f"{count:,} before the venue") for reason, count in result.refusals.items()]
    rows += [
        (ending, f"{count:,} at the venue") for ending, count in result.endings.items() if ending != "filled"
    ]
    return rows or [("nothing", "every intent was filled")]


def when(ts_ns: int) -> str:
    """Return a time as people read it, UTC."""
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M")


def money(amount: str) -> str:
    """Return an exact amount with at most eight decimals for the eye."""
    value = Decimal(amount)
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:,.8f}".rstrip("0").rstrip(".")


def percent(value: Any) -> str:
    """Return a fraction as percent, "undefined" for null."""
    return f"{value:.2%}" if isinstance(value, (int, float)) else str(value or "undefined")


def number(value: Any) -> str:
    """Return a ratio with two decimals, "undefined" for null."""
    return f"{value:.2f}" if isinstance(value, (int, float)) else str(value or "undefined")
