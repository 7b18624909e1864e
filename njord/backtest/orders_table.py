"""The order-level table: every order that left, with what became of it and why, in words.

The recorder's orders come in; rows for the result, and the Parquet file of all of them, go out.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import polars as pl

from njord.backtest.recorded import OrderRows, RecordedOrder
from njord.backtest.recorded_fills import RecordedFill
from njord.backtest.recorder import LIQUIDATED
from njord.backtest.result import ResultOrder
from njord.core.instrument import Instrument
from njord.core.types import OrderReason
from njord.core.units import EXACT, ZERO, plain, quantum, ratio, round_half_even

_PRICE_DIGITS = 4  # Decimals that an average price has more than the tick.
_TEXT, _TIME = pl.String, pl.Int64
_SCHEMA = pl.Schema(
    {
        "order_no": pl.Int64, "ts_ns": _TIME, "strategy_id": _TEXT, "symbol": _TEXT, "side": _TEXT, "type": _TEXT,
        "tif": _TEXT, "flags": _TEXT, "limit_price": _TEXT, "trigger_price": _TEXT, "trail": _TEXT, "qty": _TEXT,
        "filled": _TEXT, "avg_price": _TEXT, "fees": _TEXT, "liquidity": _TEXT, "accepted_ns": _TIME,
        "first_fill_ns": _TIME, "end_ns": _TIME, "terminal": _TEXT, "why": _TEXT,
    }
)  # fmt: skip
_MEANINGS = {str(reason): reason.meaning for reason in OrderReason if reason}
_PLAIN = {
    "filled": "Executed in full.",
    LIQUIDATED: OrderReason.LIQUIDATED.meaning,
    "": "Still working.",
}


def meaning(terminal: str) -> str:
    """Return a sentence about how an order ended; empty for a status without a known reason."""
    known = _PLAIN.get(terminal)
    return _MEANINGS.get(terminal.partition("/")[2], "") if known is None else known


def order_rows(
    orders: OrderRows, instruments: Sequence[Instrument], n_max: int | None = None
) -> Iterator[ResultOrder]:
    """Yield the row of each order, in the order of submission; of the first `n_max` if that is given."""
    entries = orders.entries()
    first_of_group: dict[str, int] = {}
    for order in islice(orders, n_max):
        links, terms = [], order.terms
        if terms.group_id:
            links.append(f"oco:{first_of_group.setdefault(terms.group_id, order.order_no)}")
        entry_no = entries.get(terms.after_client_order_id)
        if entry_no is not None and (n_max is None or entry_no <= n_max):
            links.append(f"after:{entry_no}")
        yield _row(order, instruments[order.instrument], links)


def write_orders(
    path: Path,
    orders: OrderRows,
    instruments: Sequence[Instrument],
    batch_rows: int = 16_384,
) -> None:
    """Write all orders to one Parquet file, a batch at a time; columns are those of `ResultOrder`, decimals as text."""
    rows = order_rows(orders, instruments)

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        while batch := list(map(msgspec.structs.astuple, islice(rows, batch_rows))):
            columns = dict(
                zip(ResultOrder.__struct_fields__, map(list, zip(*batch, strict=True)), strict=True)
            )
            columns["flags"] = list(map(" ".join, columns["flags"]))
            frame = pl.DataFrame({name: columns[name] for name in _SCHEMA}, schema=_SCHEMA)
            yield frame if with_columns is None else frame.select(with_columns)

    pl.io.plugins.register_io_source(source, schema=_SCHEMA).sink_parquet(path, compression="zstd")


def fee_value(fill: RecordedFill, instrument: Instrument) -> Decimal:
    """Return a fill's fee in quote: one paid in kind at the fill's price."""
    if fill.fee_asset != instrument.base:
        return fill.fee
    return EXACT.multiply(fill.fee, instrument.price(fill.price_ticks))


def _row(order: RecordedOrder, instrument: Instrument, links: list[str]) -> ResultOrder:
    fills, terms, why = order.fills, order.terms, meaning(order.terminal)
    filled, fees = 0, ZERO
    for fill in fills:
        filled += fill.qty_lots
        fees = EXACT.add(fees, fee_value(fill, instrument))
    # By position, as it is declared: more than 15 keywords take six times as long.
    return ResultOrder(
        order.order_no,
        order.ts_ns,
        order.strategy_id,
        instrument.symbol,
        str(order.side),
        str(order.type),
        str(order.tif),
        _flags(order, instrument, links),
        _price(order.limit_price_ticks, instrument),
        _price(terms.trigger_price_ticks, instrument),
        _price(terms.trail_ticks, instrument),
        plain(instrument.qty(order.qty_lots)),
        plain(instrument.qty(filled)),
        _average(fills, filled, instrument),
        plain(fees),
        _liquidity(fills),
        order.accepted_ns,
        fills[0].ts_venue_ns if fills else None,
        order.end_ns,
        order.terminal,
        f"{why} {order.detail}" if why and order.detail else why or order.detail,
    )


def _flags(order: RecordedOrder, instrument: Instrument, links: list[str]) -> list[str]:
    flags, amended = [], order.amended
    if order.post_only:
        flags.append("post_only")
    if order.reduce_only:
        flags.append("reduce_only")
    flags += links
    if amended is not None and amended.n_done:
        price = _price(amended.limit_price_ticks, instrument)
        held = plain(instrument.qty(amended.qty_lots)) + (f"@{price}" if price else "")
        flags.append(f"amended:{amended.n_done}x:{held}")
    if amended is not None and amended.n_refused:
        flags.append(f"amend_refused:{amended.n_refused}x")
    if order.triggered_ns is not None:
        flags.append("triggered")
    return flags


def _price(ticks: int, instrument: Instrument) -> str | None:
    return plain(instrument.price(ticks)) if ticks else None


def _average(fills: Sequence[RecordedFill], filled: int, instrument: Instrument) -> str | None:
    if not filled:
        return None
    if len(fills) == 1:
        return plain(instrument.price(fills[0].price_ticks))
    worth = sum(fill.price_ticks * fill.qty_lots for fill in fills)
    exact = ratio(instrument.price(worth), Decimal(filled))
    return plain(round_half_even(exact, quantum(instrument.tick_scale + _PRICE_DIGITS)))


def _liquidity(fills: Sequence[RecordedFill]) -> str:
    kinds = {fill.is_maker for fill in fills}
    return "both" if len(kinds) == 2 else "" if not kinds else "maker" if True in kinds else "taker"
