"""Which orders does the page show? The orders of a result come in; columns for the script that searches, sorts and
pages them, and the first rows as a table, go out.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from njord.backtest.orders_table import meaning
from njord.backtest.page_sections import Table
from njord.backtest.page_text import Cell, amount, clip, count, duration, exact, when
from njord.backtest.page_trades import who_and_what
from njord.backtest.result import BacktestResult, ResultOrder
from njord.core.types import Side
from njord.core.units import NS_PER_S

ORDER_BYTES_MAX = 700_000
_WORD_MAX = 60  # Of a text within a cell; names and flags of our own are shorter.


class OrderTable(msgspec.Struct, frozen=True):
    """Orders for the page.

    Attributes:
        columns: Column name -> values.
        why: How an order ended -> that in words.
        left_out: What is not in the table, in a sentence; empty if everything is.
    """

    columns: dict[str, list[Any]]
    why: dict[str, str]
    left_out: str


def order_table(result: BacktestResult, bytes_max: int = ORDER_BYTES_MAX) -> OrderTable:
    """Return as many of the first orders as the page has room for."""
    orders = result.orders
    columns = _columns(result, orders)
    while len(msgspec.json.encode(columns)) > bytes_max:
        orders = orders[: len(orders) // 2]
        columns = _columns(result, orders)
    left_out = (
        f"The first {len(orders):,} of {result.n_orders:,} orders; all of them are in {clip(result.orders_file)}."
        if len(orders) < result.n_orders
        else ""
    )
    return OrderTable(columns, {ended: meaning(ended) for ended in columns["outcome"]}, left_out)


def first_orders(result: BacktestResult, n: int) -> Table:
    """Return the first `n` orders: what the table shows before a script pages it."""
    several = who_and_what(result, [(order.strategy_id, order.symbol) for order in result.orders[:n]])
    names = tuple(name.capitalize() for name in several)
    headings = (
        "Order", "Sent (UTC)", *names, "Side", "Type", "Outcome", "As", "Quantity", "Limit", "Trigger", "Filled",
        "Average", f"Fees ({result.report_asset})", "Lived",
    )  # fmt: skip
    rows = []
    for index, order in enumerate(result.orders[:n]):
        who = [Cell(clip(values[index])) for values in several.values()]
        first, *rest = _row(order)
        rows.append([first, rest[0], *who, *rest[1:]])
    return Table(headings, rows, n_words=len(several) + 6)


def _columns(result: BacktestResult, orders: Sequence[ResultOrder]) -> dict[str, list[Any]]:
    start_ns = result.start_ns
    return {
        **who_and_what(result, [(_word(order.strategy_id), _word(order.symbol)) for order in orders]),
        "no": [order.order_no for order in orders],
        "sent": [_seconds(order.ts_ns - start_ns) for order in orders],
        "side": [1 if order.side == Side.BUY else -1 for order in orders],
        "type": [_type(order) for order in orders],
        "qty": [order.qty for order in orders],
        "limit": [order.limit_price for order in orders],
        "trigger": [_trigger(order) for order in orders],
        "filled": [order.filled for order in orders],
        "average": [order.avg_price for order in orders],
        "fees": [order.fees for order in orders],
        "as": [order.liquidity for order in orders],
        "lived": [None if order.end_ns is None else _seconds(order.end_ns - order.ts_ns) for order in orders],
        "outcome": [_word(order.terminal) for order in orders],
    }


def _row(order: ResultOrder) -> list[Cell]:
    return [
        Cell(count(order.order_no)),
        Cell(when(order.ts_ns)),
        Cell(clip(order.side)),
        Cell(_type(order)),
        Cell(
            _word(order.terminal) or "working", "" if order.terminal == "filled" else "warn", clip(order.why)
        ),
        Cell(clip(order.liquidity)),
        Cell(exact(order.qty)),
        Cell(exact(order.limit_price or "")),
        Cell(exact(_trigger(order) or "")),
        Cell(exact(order.filled)),
        Cell(exact(order.avg_price or "")),
        Cell(amount(order.fees), "", exact(order.fees)),
        Cell("" if order.end_ns is None else duration(max(0, order.end_ns - order.ts_ns))),
    ]


def _type(order: ResultOrder) -> str:
    return " ".join(_word(part) for part in (order.type, order.tif, *order.flags))


def _trigger(order: ResultOrder) -> str | None:
    return order.trigger_price if order.trail is None else f"trail {order.trail}"


def _seconds(span_ns: int) -> float:
    seconds = round(span_ns / NS_PER_S, 3)
    return int(seconds) if seconds.is_integer() else seconds


def _word(text: str) -> str:
    return text if len(text) <= _WORD_MAX else f"{text[:_WORD_MAX]}\N{HORIZONTAL ELLIPSIS}"
