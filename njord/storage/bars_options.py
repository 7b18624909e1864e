"""What may the user say about a file of bars? The flags of every command that opens one, as one value."""

from decimal import Decimal

import msgspec


class BarOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a file of bars; what is left out is inferred and said under assumptions.

    Attributes:
        symbol: CCXT unified, such as BTC/USDT; a colon (BTC/USD:USD) makes it a linear contract.
        venue: Where the instrument trades.
        tick: Smallest step of a price, in quote per base.
        lot: Smallest step of a quantity, in base.
        min_notional: Smallest order value, in quote.
        timeframe: Interval of a bar, such as 1m, 4h or 1d.
        columns: Our column name -> the file's; ours are time, open, high, low, close, volume.
        time_unit: s, ms, us or ns for epoch numbers, iso for text.
        timezone: IANA name for timestamps without an offset; None = UTC.
        time_is_close: The timestamp is the bar's end, not its start.
        repair: Sort by time and drop duplicates instead of refusing.
    """

    symbol: str | None = None
    venue: str = "file"
    tick: Decimal | None = None
    lot: Decimal | None = None
    min_notional: Decimal | None = None
    timeframe: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    time_unit: str | None = None
    timezone: str | None = None
    time_is_close: bool = False
    repair: bool = False
