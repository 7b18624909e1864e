"""How does one public trade, as the venue's stream or its REST answer says it, become whole ticks and lots?

A row that can not be a trade (no number, a price or quantity of nothing, an id or a time out of all bounds, another
symbol) is None: the hole that its id leaves is then asked for again, and at last reported, like any other.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS
from njord.venues.binance_rows import AggTrade, parse_steps
from njord.venues.history import HistoryPage

TIME_MAX_MS = 2**63 // NS_PER_MS - 1
ID_MAX = 2**63 - 1


class FeedTrade(NamedTuple):
    """One aggregate trade; `sign` is 1 where the aggressor bought, -1 where he sold."""

    trade_id: int
    ts_venue_ns: int
    sign: int
    price_ticks: int
    qty_lots: int
    is_on_grid: bool


class _Pushed(AggTrade, frozen=True):
    symbol: str = msgspec.field(name="s", default="")


def pushed_trade(message: Any, instrument: Instrument) -> FeedTrade | None:
    """Return what a message of the venue's aggTrade stream says; None if that is no trade of `instrument`."""
    try:
        row = msgspec.convert(message, _Pushed)
        price, price_is_on = parse_steps(row.price, instrument.tick_scale, instrument.tick_multiple)
        lots, lots_are_on = parse_steps(row.qty, instrument.lot_scale, instrument.lot_multiple)
    except ValueError:  # msgspec's own refusals are of this kind too.
        return None
    is_possible = price > 0 and lots > 0 and 0 <= row.agg_id <= ID_MAX and 0 < row.ts_ms <= TIME_MAX_MS
    if not is_possible or row.symbol != instrument.base + instrument.quote:
        return None
    return FeedTrade(
        trade_id=row.agg_id,
        ts_venue_ns=row.ts_ms * NS_PER_MS,
        sign=-1 if row.is_buyer_maker else 1,
        price_ticks=price,
        qty_lots=lots,
        is_on_grid=price_is_on and lots_are_on,
    )


def page_trades(page: HistoryPage) -> Iterator[FeedTrade]:
    """Yield the trades of a REST answer, in its order."""
    names = ("trade_id", "ts_venue_ns", "side", "price_ticks", "qty_lots")
    columns = (page.columns[name].tolist() for name in names)
    rows = zip(*columns, page.off_grid.tolist(), strict=True)
    for trade_id, ts_venue_ns, sign, price_ticks, qty_lots, is_off_grid in rows:
        yield FeedTrade(trade_id, ts_venue_ns, sign, price_ticks, qty_lots, not is_off_grid)


def symbol_of(message: Mapping[str, Any]) -> str:
    """Return the venue's name of the symbol that a message is about, "" if it names none."""
    symbol = message.get("s")
    return symbol if isinstance(symbol, str) else ""
