"""What must be known before a number is believed, and what a run was made of? A result comes in; the rows of the
page's tables go out: data quality, refusals, endings, lots, orders, risk rules, configuration, hashes.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from njord.backtest.page_text import Cell, Row, amount, clip, count, duration, exact, money, percent, when
from njord.backtest.page_trades import biggest
from njord.backtest.result import BacktestResult, ResultOrder, ResultTrip
from njord.core.types import OrderReason, RefusalReason, Side
from njord.core.units import plain

LIST_MAX = 200  # Rows of open lots, unfilled orders and warnings; the rest is in summary.json.
BIGGEST = 10
_QUALITY = (
    ("n_missing_bars", "Missing bars", "in all gaps"),
    ("n_gaps", "Gaps", "places where at least one bar is missing or late"),
    ("n_inconsistent", "Contradictory bars", "high below low, or open or close outside; only the open is believed"),
    ("n_duplicates", "Duplicates", "exact copies, dropped"),
    ("n_conflicting_duplicates", "Conflicting duplicates", "same time, other content; dropped"),
    ("n_out_of_order", "Out of order", "earlier than a row before them; sorted"),
    ("n_off_grid", "Off the tick grid", "prices rounded to the nearest tick"),
    ("n_flat_filled", "Bars with an off-grid price", "such as minutes filled by a straight line"),
    ("n_snapped", "Float dirt", "prices snapped to the tick they stand for"),
    ("n_zero_volume", "Bars without volume", "nothing was traded in them"),
)  # fmt: skip


class Table(msgspec.Struct, frozen=True):
    """Rows of cells under headings, and a sentence about what was left out."""

    headings: tuple[str, ...]
    rows: list[list[Cell]]
    left_out: str = ""


def quality_rows(result: BacktestResult) -> list[Row]:
    """Return every count of the data's faults, zeros included."""
    quality = result.data["quality"]
    rows = [
        Row(name, Cell(count(quality[key]), "warn" if quality[key] else ""), about)
        for key, name, about in _QUALITY
        if key in quality
    ]
    if quality.get("n_gaps"):
        longest = Cell(duration(quality["largest_gap_ns"]), "warn")
        rows.insert(2, Row("Longest gap", longest, "longest time without a bar"))
    return rows


def first_gaps(result: BacktestResult) -> list[tuple[str, str]]:
    """Return (after which bar, how many are missing) of the first gaps."""
    return [(when(ts_ns), count(missing)) for ts_ns, missing in result.data["quality"].get("first_gaps", ())]


def refusal_rows(result: BacktestResult) -> list[Row]:
    """Return the refusals by reason, the most frequent first."""
    known = {str(reason): reason.meaning for reason in RefusalReason}
    ordered = sorted(result.refusals.items(), key=lambda item: (-item[1], item[0]))
    return [
        Row(clip(reason), Cell(count(n), "warn"), known.get(reason, "No meaning is known for this reason."))
        for reason, n in ordered
    ]


def ending_rows(result: BacktestResult) -> list[Row]:
    """Return how orders ended, the most frequent first."""
    known = {str(reason): reason.meaning for reason in OrderReason if reason}
    rows = []
    for ending, n in sorted(result.endings.items(), key=lambda item: (-item[1], item[0])):
        status, _, reason = ending.partition("/")
        about = "Executed in full." if status == "filled" else known.get(reason, "")
        rows.append(Row(clip(ending), Cell(count(n), "" if status == "filled" else "warn"), about))
    return rows


def biggest_trips(result: BacktestResult) -> list[tuple[str, Table]]:
    """Return the biggest winners and losers, each as a table."""
    winners, losers = biggest(result.round_trips, BIGGEST)
    return [
        (title, _trip_rows(result, index))
        for title, index in (("Biggest winners", winners), ("Biggest losers", losers))
        if index
    ]


def first_trips(result: BacktestResult, n: int) -> Table:
    """Return the first `n` round trips: what the table shows before a script pages it."""
    return _trip_rows(result, list(range(min(n, len(result.round_trips)))))


def open_lots(result: BacktestResult) -> Table:
    """Return what was still held at the end."""
    rows = [
        [
            Cell(_direction(lot.side)),
            Cell(when(lot.ts_open_ns)),
            Cell(exact(lot.qty)),
            Cell(exact(lot.entry_price)),
            Cell(amount(lot.fees)),
            money(lot.unrealized_pnl, result.report_asset, "", signed=True),
        ]
        for lot in _ends(result.open_lots)
    ]
    headings = ("Side", "Opened (UTC)", "Quantity", "Entry price", "Fees", "Unrealized P&L")
    return Table(headings, rows, _left_out(len(result.open_lots), "open lots"))


def unfilled_orders(result: BacktestResult) -> Table:
    """Return the orders that ended otherwise than filled."""
    headings = ("Order", "Sent (UTC)", "Side", "Type", "Limit price", "Quantity", "Ended as")
    rows = [_order_row(order) for order in _ends(result.unfilled_orders)]
    return Table(headings, rows, _left_out(len(result.unfilled_orders), "unfilled orders"))


def risk_rules(result: BacktestResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every rule of the profile with its parameters."""
    return [
        (clip(name), [(clip(key), _plain(value)) for key, value in params.items()])
        for name, params in result.risk_profile["rules"].items()
    ]


def strategy_rows(result: BacktestResult) -> list[tuple[str, str]]:
    """Return the strategy's parameters."""
    params: dict[str, Any] = result.strategy.get("params") or {}
    rows = [(clip(name), _plain(value)) for name, value in params.items()]
    warm_up = result.strategy.get("warm_up_bars")
    return rows + ([("warm-up", f"{warm_up:,} bars")] if warm_up is not None else [])


def instrument_rows(result: BacktestResult) -> list[tuple[str, str]]:
    """Return what the instrument trades like."""
    return [(clip(name.replace("_", " ")), _decimal(value)) for name, value in result.instrument.items()]


def hash_rows(result: BacktestResult) -> list[tuple[str, str]]:
    """Return what identifies the run and its inputs."""
    rows = [
        ("run id", result.run_id),
        ("order list", result.order_list_hash),
        ("data", str(result.data["hash"])),
        ("journal head", str(result.journal["head"])),
        ("journal messages", count(result.journal["n_messages"])),
        ("strategy source", str(result.strategy.get("source_hash", "unknown"))),
        ("njord version", result.njord_version),
        ("njord source", result.code_hash),
        ("configuration", result.config_hash),
        ("seed", str(result.seed)),
        ("result schema", str(result.schema)),
    ]
    return [(name, clip(value)) for name, value in rows]


def warnings(result: BacktestResult) -> list[str]:
    """Return the warnings, bounded."""
    shown = [clip(warning) for warning in result.warnings[:LIST_MAX]]
    rest = len(result.warnings) - len(shown)
    return [*shown, f"and {rest:,} more in summary.json"] if rest else shown


def _trip_rows(result: BacktestResult, index: list[int]) -> Table:
    headings = ("No.", "Side", "Opened (UTC)", "Closed (UTC)", "Held", "Quantity", "Entry", "Exit", "Fees")
    rows = [_trip_row(i, result.round_trips[i]) for i in index]
    return Table((*headings, f"P&L ({result.report_asset})", "Return"), rows)


def _trip_row(index: int, trip: ResultTrip) -> list[Cell]:
    pnl = money(trip.pnl, "", "", signed=True)
    return [
        Cell(count(index + 1)),
        Cell(_direction(trip.side)),
        Cell(when(trip.ts_open_ns)),
        Cell(when(trip.ts_close_ns)),
        Cell(duration(trip.ts_close_ns - trip.ts_open_ns)),
        Cell(exact(trip.qty)),
        Cell(exact(trip.entry_price)),
        Cell(exact(trip.exit_price)),
        Cell(amount(trip.fees), "", exact(trip.fees)),
        Cell(pnl.text.strip(), pnl.tone, exact(trip.pnl)),
        percent(trip.return_fraction, "The entry was worth nothing.", signed=True),
    ]


def _order_row(order: ResultOrder) -> list[Cell]:
    return [
        Cell(count(order.order_no)),
        Cell(when(order.ts_ns)),
        Cell(order.side),
        Cell(order.type),
        Cell(exact(order.limit_price) if order.limit_price is not None else "none"),
        Cell(exact(order.qty)),
        Cell(clip(order.terminal or "still working"), "warn"),
    ]


def _direction(side: str) -> str:
    return "long" if side == Side.BUY else "short"


def _ends(rows: list[Any]) -> list[Any]:
    return rows if len(rows) <= LIST_MAX else rows[: LIST_MAX // 2] + rows[-LIST_MAX // 2 :]


def _left_out(n: int, what: str) -> str:
    if n <= LIST_MAX:
        return ""
    half = LIST_MAX // 2
    return f"The first {half} and the last {half} of {n:,} {what}; all of them are in summary.json."


def _decimal(value: Any) -> str:
    try:
        return plain(Decimal(value)) if isinstance(value, str) else _plain(value)
    except InvalidOperation:
        return clip(value)


def _plain(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, dict | list | tuple):
        return clip(msgspec.json.encode(value).decode()) if value else "empty"
    return clip(value)
