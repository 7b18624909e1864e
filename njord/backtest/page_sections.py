"""What must be known before a number is believed, and what a run was made of? A result comes in; the rows of the
page's tables go out: data quality, refusals, endings, lots, orders, risk rules, configuration, hashes.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from njord.backtest.orders_table import meaning
from njord.backtest.page_text import Cell, Row, amount, clip, count, duration, exact, money, percent, when
from njord.backtest.page_trades import biggest, who_and_what
from njord.backtest.result import BacktestResult, ResultTrip
from njord.core.types import RefusalReason, Side
from njord.core.units import plain
from njord.storage.certificate.grading import MEANINGS

LIST_MAX = 200  # Rows of open lots, unfilled orders and warnings; the rest is in summary.json.
BIGGEST = 10


class Table(msgspec.Struct, frozen=True):
    """Rows of cells under headings.

    Attributes:
        left_out: What is not in it, in a sentence; empty if everything is.
        n_words: How many of the first columns hold words; the rest are numbers.
    """

    headings: tuple[str, ...]
    rows: list[list[Cell]]
    left_out: str = ""
    n_words: int = 1


class DataPart(msgspec.Struct, frozen=True):
    """What one dataset is worth: a sentence, its grade, its checks, and where the faults are."""

    title: str
    about: str
    grade: list[Row]
    quality: list[Row]
    places: list[tuple[str, list[tuple[str, str]]]]


def data_parts(result: BacktestResult) -> list[DataPart]:
    """Return every dataset's part of the page."""
    return [
        DataPart(
            clip(f"{each['symbol']}: {each['kind']}"),
            f"{clip(each['file'])}: checked over all {count(each['certificate']['n_rows'])} rows, of which "
            f"{count(each['n_rows'])} were run.",
            _grade_rows(each),
            _quality_rows(each["certificate"]),
            _fault_places(each["certificate"]),
        )
        for each in result.data
    ]


def _grade_rows(data: dict[str, Any]) -> list[Row]:
    certificate = data["certificate"]
    grade, held_ns, n_fills = certificate["grade"], data["bad_in_positions_ns"], data["n_fills_in_bad"]
    because = f"{clip(certificate['because'])}. {MEANINGS[grade]}"
    return [
        Row("Grade", Cell(grade, "" if grade == "A" else "warn"), because),
        Row("Coverage", Cell(f"{certificate['coverage']:.4%}"), "rows that are there, of those expected"),
        Row(
            "Bad time", Cell(duration(data["bad_ns"]), "warn" if data["bad_ns"] else ""), "missing or flagged"
        ),
        Row("of it inside positions", Cell(duration(held_ns), "warn" if held_ns else "")),
        Row("Fills inside bad time", Cell(count(n_fills), "warn" if n_fills else "")),
    ]


def _quality_rows(certificate: dict[str, Any]) -> list[Row]:
    return [
        Row(
            _check_name(finding),
            Cell(f"{count(finding['n'])} ({finding['grade']})" if finding["n"] else "0", _tone(finding)),
            clip(finding["rule"]),
        )
        for finding in certificate["findings"]
    ]


def _fault_places(certificate: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (
            f"{_check_name(finding)}: the first {len(finding['places'])} places",
            [(when(place["ts_ns"]), clip(place["detail"]) or "here") for place in finding["places"]],
        )
        for finding in certificate["findings"]
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
    ordered = sorted(result.endings.items(), key=lambda item: (-item[1], item[0]))
    return [
        Row(clip(ending), Cell(count(n), "" if ending == "filled" else "warn"), meaning(ending))
        for ending, n in ordered
    ]


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
    lots = _ends(result.open_lots)
    several = who_and_what(result, [(lot.strategy_id, lot.symbol) for lot in lots])
    rows = [
        [
            Cell(_direction(lot.side)),
            Cell(when(lot.ts_open_ns)),
            Cell(exact(lot.qty)),
            Cell(exact(lot.entry_price)),
            Cell(amount(lot.fees)),
            money(lot.unrealized_pnl, result.report_asset, "", signed=True),
        ]
        for lot in lots
    ]
    headings: tuple[str, ...] = ("Side", "Opened (UTC)", "Quantity", "Entry price", "Fees", "Unrealized P&L")
    for name, values in reversed(several.items()):
        headings = (name.capitalize(), *headings)
        rows = [[Cell(clip(value)), *row] for value, row in zip(values, rows, strict=True)]
    left_out = _left_out(len(result.open_lots), "open lots")
    return Table(headings, rows, left_out, n_words=len(several) + 2)


def risk_rules(result: BacktestResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every rule of the profile with its parameters."""
    return [
        (clip(name), [(clip(key), _plain(value)) for key, value in params.items()])
        for name, params in result.risk_profile["rules"].items()
    ]


def strategy_parts(result: BacktestResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every strategy's name with its parameters."""
    return [(clip(each["id"]), _strategy_rows(each)) for each in result.strategies]


def _strategy_rows(strategy: dict[str, Any]) -> list[tuple[str, str]]:
    params: dict[str, Any] = strategy.get("params") or {}
    rows = [(clip(name), _plain(value)) for name, value in params.items()]
    warm_up = strategy.get("warm_up_bars")
    rows += [("warm-up", f"{warm_up:,} bars")] if warm_up is not None else []
    symbols = strategy.get("symbols")
    return rows + ([("trades", clip(", ".join(map(str, symbols))))] if symbols else [])


def instrument_parts(result: BacktestResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what every instrument trades like."""
    return [
        (
            clip(each["symbol"]),
            [(clip(name.replace("_", " ")), _decimal(value)) for name, value in each.items()],
        )
        for each in result.instruments
    ]


def hash_rows(result: BacktestResult) -> list[tuple[str, str]]:
    """Return what identifies the run and its inputs."""
    rows = [
        ("run id", result.run_id),
        ("order list", result.order_list_hash),
        *_per_data(result, "data", "hash"),
        *_per_data(result, "data certificate", "certificate_hash"),
        ("journal head", str(result.journal["head"])),
        ("journal messages", count(result.journal["n_messages"])),
        *(
            (
                _of_several("strategy source", each["id"], result.strategies),
                str(each.get("source_hash", "unknown")),
            )
            for each in result.strategies
        ),
        ("njord version", result.njord_version),
        ("njord source", result.code_hash),
        ("configuration", result.config_hash),
        ("seed", str(result.seed)),
        ("result schema", str(result.schema)),
    ]
    return [(name, clip(value)) for name, value in rows]


def _per_data(result: BacktestResult, name: str, key: str) -> list[tuple[str, str]]:
    return [(_of_several(name, each["file"], result.data), str(each[key])) for each in result.data]


def _of_several(name: str, which: object, all_of_them: list[dict[str, Any]]) -> str:
    return f"{name}, {clip(which)}" if len(all_of_them) > 1 else name


def warnings(result: BacktestResult) -> list[str]:
    """Return the warnings, bounded."""
    shown = [clip(warning) for warning in result.warnings[:LIST_MAX]]
    rest = len(result.warnings) - len(shown)
    return [*shown, f"and {rest:,} more in summary.json"] if rest else shown


def _trip_rows(result: BacktestResult, index: list[int]) -> Table:
    trips = [result.round_trips[i] for i in index]
    several = who_and_what(result, [(trip.strategy_id, trip.symbol) for trip in trips])
    headings = (
        "No.", *(name.capitalize() for name in several), "Side", "Opened (UTC)", "Closed (UTC)", "Held", "Quantity",
        "Entry", "Exit", "Fees", f"P&L ({result.report_asset})", "Return",
    )  # fmt: skip
    rows = []
    for at, (i, trip) in enumerate(zip(index, trips, strict=True)):
        who = [Cell(clip(values[at])) for values in several.values()]
        rows.append([Cell(count(i + 1)), *who, *_trip_row(trip)])
    return Table(headings, rows, n_words=len(several) + 2)


def _trip_row(trip: ResultTrip) -> list[Cell]:
    pnl = money(trip.pnl, "", "", signed=True)
    return [
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
