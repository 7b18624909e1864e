"""Which public trades were there? Trades in, one by one; the latest ones out, single or aggregated, by id or time.

An aggregate trade joins successive trades of one moment, price and side: what one order took at one price.
"""

from bisect import bisect_left
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

KEPT = 200_000  # Trades, and aggregate trades, that can be asked for.


class Trade(NamedTuple):
    """One trade, prices in ticks and quantities in lots."""

    ts_ns: int
    trade_id: int
    price_ticks: int
    qty_lots: int
    is_buyer_maker: bool


class AggTrade(NamedTuple):
    """Trades `first_id` to `last_id` as one."""

    ts_ns: int
    agg_id: int
    price_ticks: int
    qty_lots: int
    first_id: int
    last_id: int
    is_buyer_maker: bool


Row = TypeVar("Row", Trade, AggTrade)


class Rows(Generic[Row]):
    """The latest rows, in the order of their ids and times; the oldest are forgotten in large steps."""

    def __init__(self, id_name: str, kept: int) -> None:
        self._rows: list[Row] = []
        self._id, self._ts_ns = attrgetter(id_name), attrgetter("ts_ns")
        self._kept = kept

    def append(self, row: Row) -> None:
        """Take the newest row."""
        self._rows.append(row)
        if len(self._rows) >= 2 * self._kept:
            del self._rows[: self._kept]

    def latest(self, n: int) -> list[Row]:
        """Return the last `n` rows, oldest first."""
        return self._rows[-n:] if n else []

    def from_id(self, first_id: int, n: int) -> list[Row]:
        """Return `n` rows from an id on."""
        at = bisect_left(self._rows, first_id, key=self._id)
        return self._rows[at : at + n]

    def between(self, begin_ns: int, end_ns: int, n: int) -> list[Row]:
        """Return the first `n` rows of [begin_ns, end_ns)."""
        at = bisect_left(self._rows, begin_ns, key=self._ts_ns)
        return self._rows[at : min(at + n, bisect_left(self._rows, end_ns, key=self._ts_ns))]


class TradeHistory:
    """One symbol's trades.

    Attributes:
        trades: Single ones.
        agg_trades: Complete aggregates; that of the present moment joins them when it has passed.
        last_price_ticks: Of the last trade; 0 before the first.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.trades: Rows[Trade] = Rows("trade_id", kept)
        self.agg_trades: Rows[AggTrade] = Rows("agg_id", kept)
        self.last_price_ticks = 0
        self._open: AggTrade | None = None
        self._next_agg_id = 1

    def add(
        self, ts_ns: int, trade_id: int, price_ticks: int, qty_lots: int, is_buyer_maker: bool
    ) -> AggTrade | None:
        """Take a trade; return the aggregate that it ended, if it did."""
        self.trades.append(Trade(ts_ns, trade_id, price_ticks, qty_lots, is_buyer_maker))
        self.last_price_ticks = price_ticks
        open_ = self._open
        if open_ is not None and (open_.ts_ns, open_.price_ticks, open_.is_buyer_maker) == (
            ts_ns,
            price_ticks,
            is_buyer_maker,
        ):
            self._open = open_._replace(qty_lots=open_.qty_lots + qty_lots, last_id=trade_id)
            return None
        ended = self._end()
        self._open = AggTrade(
            ts_ns, self._next_agg_id, price_ticks, qty_lots, trade_id, trade_id, is_buyer_maker
        )
        self._next_agg_id += 1
        return ended

    def close(self, before_ns: int) -> AggTrade | None:
        """End an aggregate that is older than `before_ns`, and return it."""
        return self._end() if self._open is not None and self._open.ts_ns < before_ns else None

    def _end(self) -> AggTrade | None:
        ended, self._open = self._open, None
        if ended is not None:
            self.agg_trades.append(ended)
        return ended
