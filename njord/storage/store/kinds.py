"""What can be stored? Four kinds of market data, each a fixed list of int64 columns in one order.

Prices are whole ticks and quantities whole lots of the dataset's instrument; times are nanoseconds since 1970, UTC.
`ts_ns` is when a row became known to whoever recorded it, `ts_venue_ns` when it happened at the venue; where a source
has only one of them, both are that one. Rows never run backwards in the first column; equal times keep their order.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Columns = Mapping[str, IntArray]  # One array per column of the kind, all of equal length.


class DataKind(StrEnum):
    """A kind of market data; the value is its folder in the store."""

    BARS = "bars"
    TRADES = "trades"
    BOOK = "book"
    QUOTES = "quotes"


# Bars: prices in ticks, volume in lots of the base asset, time of the open.
# Trades: side is that of the aggressor, +1 buy, -1 sell, 0 unknown; trade_id 0 = the source has none.
# Book: one row per changed level; qty_lots 0 removes it; the rows of one event follow each other.
# Quotes: best bid and ask, 0 where a side is empty.
COLUMNS: Mapping[DataKind, tuple[str, ...]] = MappingProxyType(
    {
        DataKind.BARS: ("ts_open_ns", "open", "high", "low", "close", "volume_lots"),
        DataKind.TRADES: ("ts_ns", "ts_venue_ns", "trade_id", "side", "price_ticks", "qty_lots"),
        DataKind.BOOK: (
            "ts_ns", "ts_venue_ns", "first_update_id", "last_update_id", "flags", "price_ticks", "qty_lots",
        ),
        DataKind.QUOTES: ("ts_ns", "update_id", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"),
    }
)  # fmt: skip

# Flags of a book row. An event without levels is one row with price 0, quantity 0 and neither BID nor ASK.
BOOK_BID = 1
BOOK_ASK = 2
BOOK_SNAPSHOT = 4  # The event replaces the whole book; first_update_id = last_update_id = the snapshot's id.
BOOK_EVENT_END = 8  # The last row of its event.
