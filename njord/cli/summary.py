"""The terminal summary of a backtest. The truth first: whether it reads the future, what stands out, what the data are
worth and what it cost, then the rest.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from njord.backtest.findings_input import poison_facts, warm_up_facts
from njord.backtest.page_text import duration
from njord.backtest.result import BacktestResult
from njord.backtest.session import Finished
from njord.core.units import NS_PER_S

FINDINGS_MAX = 5
PAIRS_MAX = 12
LOTS_MAX = 6
_COLORS = {"alarm": "bold red", "warning": "yellow", "note": "dim"}


def make_console(stderr: bool = False) -> Console:
    """Return the console that verbs print to; off a screen lines are wide, so that nothing is cut for a pipe."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=200)


def print_summary(console: Console, finished: Finished) -> None:
    """Print the summary of a finished run."""
    result = finished.result
    title = result.title
    if result.synthetic:
        title += "  (SYNTHETIC market: generated, not recorded)"
    console.print(f"\n[bold]{title}[/bold]", highlight=False)
    if result.error:
        console.print(f"[bold red]suspended[/bold red]: {escape(result.error)}", highlight=False)
    checked = f"future poison {_poison(result)}; warm-up {_warm_up(result)}"
    console.print(f"[bold]checked[/bold]   {escape(checked)}", highlight=False)
    if result.trial is not None:
        console.print(f"[bold]counted[/bold]   {escape(result.trial['says'])}", highlight=False)
    if engine := _engine(result):
        console.print(f"[bold]engine[/bold]    {escape(engine)}", highlight=False)
    _print_findings(console, result)
    for heading, rows in (
        *_data_tables(result),
        ("cost", _cost(result)),
        ("result", _result(result)),
        ("contribution", _contributions(result)),
        ("refused", _refused(result)),
    ):
        if rows:
            console.print(_table(heading, rows))
    console.print("[bold]assumed[/bold]", highlight=False)
    for sentence in result.assumptions:
        console.print(f"  {sentence}", highlight=False, markup=False)
    for warning in result.warnings:
        console.print(f"[bold yellow]look[/bold yellow]    {escape(warning)}", highlight=False)
    console.print(
        f"\n{_fed(result)} at {finished.events_per_s:,.0f} events/s, "
        f"{result.journal['n_messages']:,} messages journaled, order list {result.order_list_hash[:16]}",
        highlight=False,
    )
    console.print(f"report  {finished.folder / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"result  {finished.folder / 'summary.json'}", highlight=False, soft_wrap=True)


# Only what is out of the ordinary: the ordered engine, alone, is not.
def _engine(result: BacktestResult) -> str:
    use = result.engine
    if use.get("name") == "fast":
        return "fast: no journal was written; replay, why and the checks need --engine ordered"
    if use.get("why_ordered"):
        return f"ordered: the fast one can not express {use['why_ordered']}"
    return (
        "ordered; the fast one has left the very same orders, ledger and curve" if use.get("agrees") else ""
    )


def _table(heading: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=heading, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(min_width=24)
    table.add_column(justify="left")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _poison(result: BacktestResult) -> str:
    shown = poison_facts(result.poison)
    if shown is None or not shown.n_run:
        return "not run"
    verdict = "LEAK" if shown.leaks else "passed" if shown.n_decisions else "no decision to look at"
    return f"{verdict}, {shown.n_run} of {shown.n_asked} cuts"


def _warm_up(result: BacktestResult) -> str:
    shown = warm_up_facts(result.warm_up_check)
    if shown is None:
        return "not run"
    return (
        "DEPENDS ON HISTORY"
        if shown.difference
        else "passed"
        if shown.n_compared
        else "not tried"
        if shown.skipped
        else "no decision to look at"
    )


def _print_findings(console: Console, result: BacktestResult) -> None:
    for finding in result.findings[:FINDINGS_MAX]:
        color = _COLORS[finding.severity]
        console.print(f"[{color}]{finding.severity:<9}[/{color}] {escape(finding.says)}", highlight=False)
    more = len(result.findings) - FINDINGS_MAX
    if more > 0:
        console.print(f"          and {more} more in the report", highlight=False)


def _data_tables(result: BacktestResult) -> list[tuple[str, list[tuple[str, str]]]]:
    several = len(result.data) > 1
    return [
        (f"data: {each['symbol']} {each['kind']}" if several else "data", _data(each)) for each in result.data
    ]


def _data(data: dict[str, Any]) -> list[tuple[str, str]]:
    certificate = data["certificate"]
    faults = [finding["says"] for finding in certificate["findings"] if finding["n"]]
    width = f" of {duration(data['interval_ns'])}" if data["interval_ns"] else ""
    return [
        ("file", data["file"]),
        ("range", f"{when(data['start_ns'])} to {when(data['end_ns'])}"),
        ("rows", f"{data['n_rows']:,} {data['kind']}{width}"),
        ("grade", f"{certificate['grade']}: {certificate['because']}"),
        ("bad time", _bad_time(data)),
        ("faults", ", ".join(faults) or "none found"),
    ]


def _fed(result: BacktestResult) -> str:
    kinds = dict.fromkeys(each["kind"] for each in result.data)
    return " and ".join(
        f"{sum(each['n_rows'] for each in result.data if each['kind'] == kind):,} rows of {kind}"
        for kind in kinds
    )


def _bad_time(data: dict[str, Any]) -> str:
    if not data["bad_ns"]:
        return "none"
    return f"{duration(data['bad_ns'])}, {duration(data['bad_in_positions_ns'])} of it inside positions"


def _cost(result: BacktestResult) -> list[tuple[str, str]]:
    asset = result.report_asset
    traded = Decimal(result.turnover["traded_notional"])
    rate = f" ({float(10_000 * Decimal(result.fees) / traded):.3g} bp)" if traded else ""
    funding = [("funding", f"{money(result.funding)} {asset}")] if Decimal(result.funding) else []
    return [
        ("fees", f"{money(result.fees)} {asset}{rate}"),
        ("slippage", f"{money(result.slippage)} {asset} ({result.costs['slippage_bps']} bp)"),
        *funding,
        ("max drawdown", percent(result.stats["max_drawdown"])),
    ]


def _result(result: BacktestResult) -> list[tuple[str, str]]:
    stats, trades, asset = result.stats, result.stats["trades"], result.report_asset
    return [
        ("capital", f"{money(result.capital)} {asset}"),
        ("final equity", f"{money(result.final_equity)} {asset} ({percent(stats['total_return'])})"),
        (
            "buy and hold",
            f"{percent(result.benchmark['total_return'])}, {percent(result.benchmark['max_drawdown'])} at worst",
        ),
        (f"Sharpe ({stats['ratio_basis']})", number(stats["sharpe"])),
        (f"Sortino ({stats['ratio_basis']})", number(stats["sortino"])),
        ("fills", _fills(result)),
        ("round trips", _trips(trades)),
        ("profit factor", number(trades["profit_factor"])),
        ("time in the market", percent(stats["exposure"])),
        ("turnover per day", f"{number(result.turnover['per_day'])} x equity"),
        ("open at the end", _open(result)),
    ]


def _fills(result: BacktestResult) -> str:
    maker = result.maker_taker["maker"]["n_fills"]
    return f"{len(result.fills):,}, {maker:,} of them as maker" if maker else f"{len(result.fills):,}"


def _open(result: BacktestResult) -> str:
    shown = [f"{lot.side} {lot.qty} {lot.symbol}" for lot in result.open_lots[:LOTS_MAX]]
    more = len(result.open_lots) - len(shown)
    return ", ".join(shown + ([f"and {more:,} more lots"] if more else [])) or "nothing"


# Nothing to tell apart with one strategy on one symbol.
def _contributions(result: BacktestResult) -> list[tuple[str, str]]:
    pairs = result.contributions["pairs"]
    if len(pairs) < 2:
        return []
    rows = [
        (f"{each['strategy_id']} on {each['symbol']}", f"{money(each['pnl'])} {result.report_asset}")
        for each in pairs[:PAIRS_MAX]
    ]
    more = len(pairs) - PAIRS_MAX
    return rows + ([("and others", f"{more:,} more in the report")] if more > 0 else [])


def _trips(trades: dict[str, Any]) -> str:
    if not trades["n_trades"]:
        return "none closed"
    return f"{trades['n_trades']:,}, {percent(trades['win_rate'])} won"


def _refused(result: BacktestResult) -> list[tuple[str, str]]:
    rows = [(reason, f"{count:,} before the venue") for reason, count in result.refusals.items()]
    rows += [
        (ending, f"{count:,} at the venue") for ending, count in result.endings.items() if ending != "filled"
    ]
    return rows or [("nothing", "every intent was filled" if result.n_orders else "nothing was asked for")]


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
