"""Which trades of a symbol have been told? A cursor that only a REST answer moves, and what is known beyond it.

The stream may lose, double and disorder reports, and trade ids of one account have holes; so only myTrades, read from
the cursor on, says that nothing is missing. An answer without a trade that we knew when we asked is older than what we
know, and moves nothing.
"""

from collections.abc import Sequence

import msgspec

from njord.core.units import NS_PER_MS
from njord.venues.binance_dialect import TRADES_PAGE, Params, TradeView, Unreadable

NO_TRADE = -1


class Asked(msgspec.Struct, frozen=True):
    """A page of trades that was asked for: from which id on (-1 = the newest one alone), and what it must contain."""

    from_id: int
    must_have: frozenset[int]


class TradeCursor:
    """The trades of one symbol.

    Args:
        symbol: As the venue writes it.
        last_id: Everything up to it has been told; None = there is no beginning yet.

    Attributes:
        since_ns: On our clock: where there is no beginning yet, trades from then on are wanted; 0 = none of the past.
    """

    def __init__(self, symbol: str, last_id: int | None) -> None:
        self.symbol = symbol
        self.last_id = last_id
        self.since_ns = 0
        self._beyond: set[int] = set()  # Told by another way than the cursor's.

    def is_told(self, trade_id: int) -> bool:
        """Whether a trade is behind the cursor, or was noted."""
        return (self.last_id is not None and trade_id <= self.last_id) or trade_id in self._beyond

    def note(self, trade_id: int) -> None:
        """Take note that a trade was told."""
        if self.last_id is None or trade_id > self.last_id:
            self._beyond.add(trade_id)

    def ask(self, offset_ns: int) -> tuple[Asked, Params]:
        """Return the next page to ask for, and the parameters of myTrades.

        Args:
            offset_ns: The venue's clock less ours.
        """
        if self.last_id is None and self.since_ns:
            since = str((self.since_ns + offset_ns) // NS_PER_MS)
            return Asked(0, frozenset()), (
                ("symbol", self.symbol),
                ("startTime", since),
                ("limit", str(TRADES_PAGE)),
            )
        if self.last_id is None:
            return Asked(NO_TRADE, frozenset()), (("symbol", self.symbol), ("limit", "1"))
        from_id = self.last_id + 1
        params = (("symbol", self.symbol), ("fromId", str(from_id)), ("limit", str(TRADES_PAGE)))
        return Asked(from_id, frozenset(self._beyond)), params

    def read(self, asked: Asked, trades: Sequence[TradeView]) -> tuple[list[TradeView], bool]:
        """Return the trades of a page that were not told, oldest first, and whether there are more pages.

        The cursor stays: `advance` moves it, once they have been told. On the very first page the account's past is
        left alone: the cursor begins behind it.

        Raises:
            Unreadable: The page has trades that were not asked for, or lacks some that it must have.
        """
        rows = sorted(trades, key=lambda each: each.trade_id)
        if asked.from_id == NO_TRADE:
            if self.last_id is None:
                self.last_id = rows[-1].trade_id if rows else 0
            return [], False
        if self.last_id is None and not rows:
            self.since_ns = 0
            return [], True
        if rows and rows[0].trade_id < asked.from_id:
            raise Unreadable(f"asked for trades from {asked.from_id} on, got {rows[0].trade_id}")
        is_full = len(rows) >= TRADES_PAGE
        ids = {each.trade_id for each in rows}
        last = rows[-1].trade_id if rows else 0
        for trade_id in sorted(asked.must_have):
            if trade_id not in ids and not (is_full and trade_id > last):
                raise Unreadable(f"trade {trade_id} is known and not listed: an old or foreign answer")
        return [each for each in rows if not self.is_told(each.trade_id)], is_full

    def advance(self, trade_id: int) -> None:
        """Move the cursor: all trades up to this one have been told."""
        if self.last_id is None or trade_id > self.last_id:
            self.last_id = trade_id
            self._beyond = {each for each in self._beyond if each > trade_id}
