"""Who earned what, on what, with how much at stake? The contributions, costs by side of the book, queue, turnover,
exposure and benchmark of a result come in; rows, tables and bars of text and percent go out.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from njord.backtest.findings_input import poison_facts, warm_up_facts
from njord.backtest.page_sections import LIST_MAX, Table
from njord.backtest.page_text import (
    Cell,
    Row,
    amount,
    clip,
    count,
    duration,
    exact,
    money,
    percent,
    ratio,
    undefined,
    when,
)
from njord.backtest.result import BacktestResult

BARS_MAX = 30
_HIGHER_IS_BETTER = frozenset({"total_return", "cagr"})
_NO_FILL = "Nothing was filled."
_NO_QUEUE = "The venue tells no place in the queue."


class ContributionBar(msgspec.Struct, frozen=True):
    """One bar: its name, where it begins and how long it is in percent of the drawing, its tone and its value."""

    name: str
    x: float
    width: float
    tone: str
    label: str


class ContributionBars(msgspec.Struct, frozen=True):
    """Bars left and right of a line at `zero` percent."""

    title: str
    zero: float
    bars: list[ContributionBar]
    left_out: str


def finding_rows(result: BacktestResult) -> list[tuple[str, str]]:
    """Return (severity, sentence) of every finding, the most important first."""
    # A percent sign must not begin a line.
    return [(each.severity, clip(each.says).replace(" %", "\N{NO-BREAK SPACE}%")) for each in result.findings]


def check_rows(result: BacktestResult) -> list[Row]:
    """Return what the checks of honesty have shown: future poison, warm-up, and the count of trials."""
    rows = [Row("Future poison", *_poison(result.poison)), Row("Warm-up", *_warm_up(result.warm_up_check))]
    return rows if result.trial is None else [*rows, Row("Trial", *_trial(result.trial))]


def contribution_bars(result: BacktestResult) -> list[ContributionBars]:
    """Return the drawings: by symbol and by strategy, each only where there are several; pairs where both are."""
    parts = result.contributions
    several = [name for name in ("symbols", "strategies") if len(parts[name]) > 1]
    drawings = [_drawn(name, parts[name], result.report_asset) for name in several]
    if len(several) == 2:
        drawings.append(_drawn("pairs", parts["pairs"], result.report_asset))
    return drawings


def contribution_table(result: BacktestResult) -> Table:
    """Return every pair of strategy and symbol, then the sum."""
    parts = result.contributions
    headings = (
        "Strategy", "Symbol", "Fills", "Traded", "Realized", "Unrealized", "Fees", "Funding",
        f"P&L ({result.report_asset})", "Share",
    )  # fmt: skip
    pairs = parts["pairs"]
    rows = [_contribution(each) for each in pairs[:LIST_MAX]]
    if len(pairs) > 1:
        rows.append([Cell("All", "", ""), Cell(""), *_contribution(parts["total"])[2:]])
    left_out = f"The first {LIST_MAX} of {len(pairs):,} pairs." if len(pairs) > LIST_MAX else ""
    return Table(headings, rows, left_out, n_words=2)


def liquidity_table(result: BacktestResult) -> Table:
    """Return what was filled waiting in the book, and what by taking."""
    rows = []
    for name in ("maker", "taker"):
        part = result.maker_taker[name]
        rate = (
            "undefined"
            if part["fee_bps"] is None
            else f"{part['fee_bps']:.2f} bp".replace("-", "\N{MINUS SIGN}")
        )
        rows.append(
            [
                Cell(name.capitalize()),
                Cell(count(part["n_fills"])),
                Cell(amount(part["notional"]), "", exact(part["notional"])),
                percent(part["share"], _NO_FILL),
                Cell(amount(part["fees"]), "", exact(part["fees"])),
                undefined(_NO_FILL) if part["fee_bps"] is None else Cell(rate),
            ]
        )
    return Table(("As", "Fills", f"Notional ({result.report_asset})", "Share", "Fees", "Fee rate"), rows)


def queue_rows(result: BacktestResult) -> list[Row]:
    """Return what became of resting orders; empty where there was none."""
    queue = result.queue
    if not queue["n_orders"]:
        return []
    n = queue["n_orders"]
    ended = (
        f"{queue['n_filled']:,} in full, {queue['n_partly']:,} in part, {queue['n_unfilled']:,} not at all"
    )
    return [
        Row("Resting orders", Cell(count(n)), f"filled {ended}"),
        Row("Fill ratio", percent(queue["fill_ratio"], ""), "mean over orders of filled / asked for"),
        Row(
            "Time to the first fill",
            _span(queue["median_wait_ns"]),
            f"median; mean {_said(queue['mean_wait_ns'])}",
        ),
        Row("Life of those never filled", _span(queue["mean_unfilled_life_ns"]), "mean, until they ended"),
        Row("Lots ahead at arrival", _lots(queue["median_ahead_lots"]), _places(queue)),
    ]


def activity_rows(result: BacktestResult) -> list[Row]:
    """Return exposure, turnover and what the fills could still bear."""
    gross, traded = result.exposure["gross"], result.turnover
    bear = result.break_even
    largest = when(gross["largest_ns"]) if gross["largest_ns"] is not None else ""
    no_equity = "Mean equity is not positive."
    no_profit = "There was no profit, or nothing paid that could cost more."
    held = result.stats["trades"]["avg_duration_ns"]
    return [
        Row(
            "Time in the market",
            percent(result.exposure["time_in_market"], "No time passed."),
            "with any position",
        ),
        Row("Mean gross exposure", percent(gross["mean"], "No sample."), "of equity, over all moments"),
        Row("While invested", percent(gross["mean_invested"], "Never invested."), "mean gross exposure"),
        Row("Largest gross exposure", percent(gross["largest"], "No sample."), largest),
        Row(
            "Turnover",
            _times(traded["turnover"], no_equity),
            f"{amount(traded['traded_notional'])} traded / mean equity",
        ),
        Row("Turnover per day", _times(traded["per_day"], no_equity), "both sides counted"),
        Row("Turnover per year", _times(traded["per_year"], no_equity), "365 days"),
        Row(
            "Average time held",
            undefined("No round trip was closed.") if held is None else Cell(duration(held)),
            "per round trip",
        ),
        Row(
            "Fees to break even",
            _times(bear["fee_multiple"], no_profit, " the fees"),
            "the same fills, all else equal",
        ),
        Row(
            "Slippage to break even",
            _bps(bear["extra_slippage_bps"], no_profit),
            "more, on every fill that took",
        ),
    ]


def exposure_rows(result: BacktestResult) -> list[Row]:
    """Return the time in the market of each symbol; empty for a single one, whose is the account's."""
    symbols = result.exposure["symbols"]
    if len(symbols) < 2:
        return []
    return [
        Row(clip(each["symbol"]), percent(each["time_in_market"], "No time passed."))
        for each in symbols[:BARS_MAX]
    ]


def benchmark_table(result: BacktestResult) -> Table:
    """Return the run beside buy and hold."""
    hold, stats = result.benchmark, result.stats
    why = "Fewer than two returns, or returns that do not deviate."
    asset = result.report_asset
    final = (Cell(amount(result.final_equity)), Cell(amount(hold["final_equity"])))
    names = (
        ("total_return", "Total return"),
        ("cagr", "Growth per year"),
        ("max_drawdown", "Max drawdown"),
        ("volatility", "Volatility"),
    )
    rows = [[Cell(f"Final equity ({asset})"), *final, Cell("")]]
    for key, name in names:
        added = None if stats[key] is None or hold[key] is None else stats[key] - hold[key]
        rows.append(
            [
                Cell(name),
                percent(stats[key], why),
                percent(hold[key], why),
                percent(added, why, signed=key in _HIGHER_IS_BETTER),
            ]
        )
    rows.append(
        [
            Cell("Sharpe"),
            ratio(stats["sharpe"], why),
            ratio(hold["sharpe"], why),
            ratio(hold["added_sharpe"], why),
        ]
    )
    return Table(("", "This run", "Buy and hold", "Difference"), rows)


def correlation_said(result: BacktestResult) -> str:
    """Return how daily returns go together with the benchmark's, in a sentence; empty if undefined."""
    value = result.benchmark["correlation"]
    return (
        "" if value is None else f" The daily returns of both have a correlation of {ratio(value, '').text}."
    )


def _contribution(each: dict[str, Any]) -> list[Cell]:
    return [
        Cell(clip(each["strategy_id"] or "")),
        Cell(clip(each["symbol"] or "")),
        Cell(count(each["n_fills"])),
        Cell(amount(each["traded_notional"]), "", exact(each["traded_notional"])),
        *(_signed(each[name]) for name in ("realized_pnl", "unrealized_pnl")),
        Cell(amount(each["fees"]), "", exact(each["fees"])),
        *(_signed(each[name]) for name in ("funding", "pnl")),
        percent(each["share"], "There was no profit and no loss."),
    ]


def _signed(value: str) -> Cell:
    shown = money(value, "", "", signed=True)
    return Cell(shown.text.strip(), shown.tone, exact(value))


def _drawn(kind: str, parts: Sequence[dict[str, Any]], asset: str) -> ContributionBars:
    ordered = sorted(parts, key=lambda each: -Decimal(each["pnl"]))
    shown = ordered if len(ordered) <= BARS_MAX else ordered[: BARS_MAX // 2] + ordered[-BARS_MAX // 2 :]
    values = [float(each["pnl"]) for each in shown]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    zero = 100 * -low / span
    bars = [
        ContributionBar(
            _name(each),
            round(zero + 100 * min(value, 0.0) / span, 3),
            round(max(0.4, 100 * abs(value) / span), 3),
            "gain" if value >= 0 else "loss",
            f"{amount(each['pnl'], signed=True)} {asset}",
        )
        for each, value in zip(shown, values, strict=True)
    ]
    titles = {"symbols": "By symbol", "strategies": "By strategy", "pairs": "By strategy and symbol"}
    left_out = f"The {len(shown)} largest of {len(parts):,} either way." if len(shown) < len(parts) else ""
    return ContributionBars(titles[kind], round(zero, 3), bars, left_out)


def _name(each: dict[str, Any]) -> str:
    return clip(" on ".join(part for part in (each["strategy_id"], each["symbol"]) if part))


def _poison(verdict: dict[str, Any] | None) -> tuple[Cell, str]:
    shown = poison_facts(verdict)
    if shown is None or not shown.n_run:
        return Cell("not run", "warn"), "Whether a decision reads the future was not looked at."
    if shown.leaks:
        return Cell("LEAK", "loss"), clip(shown.leaks[0])
    cuts = f"{shown.n_run:,} of {shown.n_asked:,} cuts"
    if not shown.n_decisions:
        return Cell("no decision", "warn"), f"{cuts}: nothing was decided before them, so nothing is shown"
    about = f"{cuts}: with noise for all that came later, {shown.n_decisions:,} decisions before them stayed the same"
    return Cell("passed", "gain"), about


def _warm_up(check: dict[str, Any] | None) -> tuple[Cell, str]:
    shown = warm_up_facts(check)
    if shown is None:
        return Cell(
            "not run", "warn"
        ), "Whether more history before the start changes decisions was not looked at."
    if shown.difference:
        return Cell("depends", "warn"), clip(shown.difference)
    if not shown.n_compared:
        return Cell("no decision", "warn"), clip(
            shown.skipped or "Nothing was decided that could be compared."
        )
    return Cell(
        "passed", "gain"
    ), f"{shown.n_compared:,} decisions stayed the same with more history before them"


def _trial(trial: dict[str, Any]) -> tuple[Cell, str]:
    report = trial["report"]
    if report is None:
        return Cell("not counted", "warn"), clip(trial["error"])
    tones = {"overfit": "loss", "holds": "gain"}
    return Cell(str(report["verdict"]), tones.get(report["verdict"], "warn")), clip(f"{trial['says']}.")


def _span(value: float | None) -> Cell:
    return undefined("No such order.") if value is None else Cell(duration(value))


def _said(value: float | None) -> str:
    return "undefined" if value is None else duration(value)


def _lots(value: float | None) -> Cell:
    return undefined(_NO_QUEUE) if value is None else Cell(f"{value:,.0f}")


def _places(queue: dict[str, Any]) -> str:
    if queue["median_ahead_lots"] is None:
        return _NO_QUEUE
    return f"median of {queue['n_places']:,} orders that filled; mean {queue['mean_ahead_lots']:,.0f}"


def _times(value: float | None, why: str, of: str = "") -> Cell:
    return undefined(why) if value is None else Cell(f"{value:,.2f}\N{MULTIPLICATION SIGN}{of}")


def _bps(value: float | None, why: str) -> Cell:
    return undefined(why) if value is None else Cell(f"{value:,.2f} bp")
