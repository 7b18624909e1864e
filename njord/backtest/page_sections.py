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
from njord.storage.certificate.grading import MEANINGS

LIST_MAX = 200  # Rows of open lots, unfilled orders and warnings; the rest is in summary.json.
BIGGEST = 10


class Table(msgspec.Struct, frozen=True):
    """Rows of cells under headings, and a sentence about what was left out."""

    headings: tuple[str, ...]
    rows: list[list[Cell]]
    left_out: str = ""


def grade_rows(result: BacktestResult) -> list[Row]:
    """Return the grade of the data with its reason, and how much bad time the run met."""
    data, certificate = result.data, result.data["certificate"]
    grade = certificate["grade"]
    held_ns = data["bad_in_positions_ns"]
    return [
        Row(
            "Grade",
            Cell(grade, "" if grade == "A" else "warn"),
            f"{certificate['because']}. {MEANINGS[grade]}",
        ),
        Row("Coverage", Cell(f"{certificate['coverage']:.4%}"), "bars that are there, of those expected"),
        Row(
            "Bad time",
            Cell(duration(data["bad_ns"]), "warn" if data["bad_ns"] else ""),
            "missing or flagged bars",
        ),
        Row("of it inside positions", Cell(duration(held_ns), "warn" if held_ns else "")),
    ]


def quality_rows(result: BacktestResult) -> list[Row]:
    """Return every check of the data's certificate with its count and its rule, zeros included."""
    return [
        Row(
            _check_name(finding),
            Cell(f"{count(finding['n'])} ({finding['grade']})" if finding["n"] else "0", _tone(finding)),
            clip(finding["rule"]),
        )
        for finding in result.data["certificate"]["findings"]
    ]


def fault_places(result: BacktestResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return for each fault that was found its first places: when, and what is there."""
    return [
        (
            f"{_check_name(finding)}: the first {len(finding['places'])} places",
            [(when(place["ts_ns"]), clip(place["detail"]) or "here") for place in finding["places"]],
        )
        for finding in result.data["certificate"]["findings"]
        if finding["places"]
    ]


def _check_name(finding: dict[str, Any]) -> str:
    return str(finding["check"]).replace("_", " ").capitalize()


def _tone(finding: dict[str, Any]) -> str:
    return "warn" if finding["n"] and finding["grade"] != "A" else ""


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
        ("data certificate", str(result.data["certificate_hash"])),
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
