"""How do Binance's klines, aggregate trades and symbol rules become exact ticks, lots and an Instrument?

Numbers are the venue's decimal texts, turned into whole steps with integers; no float touches them. A row that can not
be (a price of zero, a bar of another length) is left out and counted; a text that is no number makes the whole answer
unreadable.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
import numpy as np

from njord.core.errors import UserError
from njord.core.instrument import Instrument
from njord.core.units import EXACT, NS_PER_MS, ZERO
from njord.venues.history import HistoryPage, VenueRefusal

_TIME_MAX_MS = 2**63 // NS_PER_MS - 1
_INT64_MAX = 2**63 - 1
_DIGITS_MAX = 40
_SHOWN_MAX = 60

BAR_COLUMNS = ("ts_open_ns", "open", "high", "low", "close", "volume_lots")
TRADE_COLUMNS = ("ts_ns", "ts_venue_ns", "trade_id", "side", "price_ticks", "qty_lots")


class Kline(msgspec.Struct, array_like=True, frozen=True):
    """A bar as the venue writes it: an array, of which this is the beginning; close_ms is its last millisecond."""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_ms: int


class AggTrade(
    msgspec.Struct,
    frozen=True,
    rename={"agg_id": "a", "price": "p", "qty": "q", "ts_ms": "T", "is_buyer_maker": "m"},
):
    """An aggregate trade as the venue writes it."""

    agg_id: int
    price: str
    qty: str
    ts_ms: int
    is_buyer_maker: bool


class Filter(msgspec.Struct, frozen=True, rename="camel"):
    """One rule of a symbol; which texts it has depends on its type."""

    filter_type: str
    tick_size: str = ""
    step_size: str = ""
    min_qty: str = "0"
    max_qty: str = "0"
    min_notional: str = "0"


class SymbolRules(msgspec.Struct, frozen=True, rename="camel"):
    """A symbol in exchangeInfo."""

    symbol: str
    base_asset: str
    quote_asset: str
    filters: list[Filter]


def parse_steps(text: str, scale: int, multiple: int) -> tuple[int, bool]:
    """Return `text` in steps of multiple x 10**-scale, the nearest (ties to even), and whether it is exactly that.

    Raises:
        ValueError: `text` is not a plain decimal number >= 0, or has more steps than an int64 holds.
    """
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        raise ValueError(f"expected a plain decimal number, was {text[:_SHOWN_MAX]!a}")
    divisor = multiple * 10 ** len(fraction)
    steps, rest = divmod(int(digits) * 10**scale, divisor)
    if rest and (2 * rest > divisor or (2 * rest == divisor and steps % 2)):
        steps += 1
    if steps > _INT64_MAX:
        raise ValueError(f"{text[:_SHOWN_MAX]} has more steps than 2**63")
    return steps, not rest


def bar_page(rows: Sequence[Kline], instrument: Instrument, interval_ns: int) -> HistoryPage:
    """Return klines as columns of stored bars.

    Raises:
        ValueError: A number is none.
    """
    ticks, lots = _ticks_of(instrument), _lots_of(instrument)
    interval_ms = interval_ns // NS_PER_MS
    kept: list[tuple[int, ...]] = []
    unusable: list[tuple[int, int]] = []
    for row in rows:
        prices = [ticks(text) for text in (row.open, row.high, row.low, row.close)]
        volume, is_whole = lots(row.volume)
        is_time = 0 <= row.open_ms <= _TIME_MAX_MS
        ts_open_ns = row.open_ms * NS_PER_MS if is_time else 0
        is_off_grid = not all(is_on_grid for _, is_on_grid in prices)
        is_whole_bar = row.close_ms + 1 - row.open_ms == interval_ms
        if is_time and is_whole_bar and all(price for price, _ in prices):
            kept.append((ts_open_ns, *(price for price, _ in prices), volume, is_off_grid, not is_whole))
        else:
            unusable.append((ts_open_ns, ts_open_ns))
    return _page(BAR_COLUMNS, kept, unusable)


def trade_page(rows: Sequence[AggTrade], instrument: Instrument) -> HistoryPage:
    """Return aggregate trades as columns of stored trades; the side is that of the aggressor, the one who took.

    Raises:
        ValueError: A number is none.
    """
    ticks, lots = _ticks_of(instrument), _lots_of(instrument)
    kept: list[tuple[int, ...]] = []
    unusable: list[tuple[int, int]] = []
    for row in rows:
        price, is_on_grid = ticks(row.price)
        qty, is_whole = lots(row.qty)
        is_time = 0 <= row.ts_ms <= _TIME_MAX_MS
        ts_ns = row.ts_ms * NS_PER_MS if is_time else 0
        side = -1 if row.is_buyer_maker else 1
        is_id = 0 <= row.agg_id <= _INT64_MAX
        if is_time and is_id and price and qty:
            kept.append((ts_ns, ts_ns, row.agg_id, side, price, qty, not (is_on_grid and is_whole), False))
        else:
            unusable.append((ts_ns, row.agg_id if is_id else 0))
    return _page(TRADE_COLUMNS, kept, unusable)


def instrument_of(symbol: str, venue: str, rules: SymbolRules) -> Instrument:
    """Return a symbol's rules as an Instrument, its steps exactly as the venue's filters name them.

    Raises:
        VenueRefusal: It has no tick or no lot that can be used.
    """
    by_type = {each.filter_type: each for each in rules.filters}
    price, lot = by_type.get("PRICE_FILTER"), by_type.get("LOT_SIZE")
    notional = by_type.get("MIN_NOTIONAL") or by_type.get("NOTIONAL")
    try:
        return Instrument(
            symbol=symbol,
            venue=venue,
            base=rules.base_asset,
            quote=rules.quote_asset,
            tick_size=_decimal(price.tick_size if price else ""),
            lot_size=_decimal(lot.step_size if lot else ""),
            min_qty=_decimal(lot.min_qty if lot else "0"),
            max_qty=_decimal(lot.max_qty if lot else "0"),
            min_notional=_decimal(notional.min_notional if notional else "0"),
        )
    except (ValueError, UserError) as error:
        raise VenueRefusal(f"{venue} gives no usable rules for {symbol}: {error}") from None


def _decimal(text: str) -> Decimal:
    parse_steps(text, 0, 1)  # Refuses whatever is not plain digits.
    value = Decimal(text)
    return value.normalize(EXACT) if value else ZERO


def _ticks_of(instrument: Instrument) -> Callable[[str], tuple[int, bool]]:
    scale, multiple = instrument.tick_scale, instrument.tick_multiple
    return lambda text: parse_steps(text, scale, multiple)


def _lots_of(instrument: Instrument) -> Callable[[str], tuple[int, bool]]:
    scale, multiple = instrument.lot_scale, instrument.lot_multiple
    return lambda text: parse_steps(text, scale, multiple)


# The last two of each row say whether it was rounded onto the grid, and whether its volume was rounded.
def _page(
    names: tuple[str, ...], rows: list[tuple[int, ...]], unusable: list[tuple[int, int]]
) -> HistoryPage:
    table = np.array(rows, dtype=np.int64).reshape(-1, len(names) + 2)
    return HistoryPage(
        columns={name: np.ascontiguousarray(table[:, index]) for index, name in enumerate(names)},
        off_grid=table[:, -2] != 0,
        rounded_volume=table[:, -1] != 0,
        unusable=tuple(unusable),
    )
