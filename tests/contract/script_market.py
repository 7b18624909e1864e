"""A market that moves when a card says so, and at no other time: one tape, which every reader goes on reading."""

from collections.abc import Iterable, Iterator, Mapping

from njord.core.instrument import Instrument
from njord.core.types import BUY
from njord.exchange.market import PublicMarket
from njord.exchange.market_tape import (
    ASK,
    BID,
    CLEAR,
    TRADE_BUY,
    TRADE_SELL,
    Row,
    TapeBlock,
    block_of,
    market_rows,
)
from njord.venues.tick_market import MarketRows
from tests.contract.cards import Print
from tests.contract.heard import lots, ticks


class ScriptTape:
    """What has happened so far. A reader that has come to the end may ask again later.

    Attributes:
        last_trade_id: Of the newest trade.
    """

    def __init__(self) -> None:
        self._blocks: list[TapeBlock] = []
        self._update_id = 0
        self.last_trade_id = 0

    def reset(self, ts_ns: int, bids: Mapping[str, str], asks: Mapping[str, str], last: str) -> None:
        """Let the book be this one, and the last trade at `last`."""
        self._update_id += 1
        number = self._update_id
        rows: list[Row] = [(CLEAR, ts_ns, 1, 0, number, number, 0)]
        self._add([*rows, *self._levels(ts_ns, bids, asks)])
        self.prints(ts_ns, [Print(BUY, "0.1", last)])

    def change(self, ts_ns: int, bids: Mapping[str, str], asks: Mapping[str, str]) -> None:
        """Set levels."""
        self._update_id += 1
        self._add(self._levels(ts_ns, bids, asks))

    def prints(self, ts_ns: int, prints: Iterable[Print]) -> None:
        """Let the public trade."""
        for each in prints:
            self.last_trade_id += 1
            kind, number = TRADE_BUY if each.taker is BUY else TRADE_SELL, self.last_trade_id
            self._add([(kind, ts_ns, ticks(each.price), lots(each.qty), number, number, 1)])

    def _levels(self, ts_ns: int, bids: Mapping[str, str], asks: Mapping[str, str]) -> list[Row]:
        number = self._update_id
        sides = ((BID, bids), (ASK, asks))
        return [
            (kind, ts_ns, ticks(price), lots(qty), number, number, 0)
            for kind, levels in sides
            for price, qty in levels.items()
        ]

    def _add(self, rows: list[Row]) -> None:
        if rows:
            self._blocks.append(block_of([*rows[:-1], (*rows[-1][:6], 1)]))

    def blocks(self) -> Iterator[TapeBlock]:
        """Return a reader from the beginning."""
        return _Reader(self._blocks)

    def rows(self) -> Iterator[MarketRows]:
        """Return a reader of what orders meet, from the beginning."""
        return _Rows(self.blocks())


class _Reader(Iterator[TapeBlock]):
    def __init__(self, blocks: list[TapeBlock]) -> None:
        self._blocks = blocks
        self._at = 0

    def __next__(self) -> TapeBlock:
        if self._at >= len(self._blocks):
            raise StopIteration
        self._at += 1
        return self._blocks[self._at - 1]


class _Rows(Iterator[MarketRows]):
    def __init__(self, blocks: Iterator[TapeBlock]) -> None:
        self._blocks = blocks

    def __next__(self) -> MarketRows:
        return next(market_rows([next(self._blocks)]))


class ScriptMarket(PublicMarket):
    """The public market of one instrument on such a tape."""

    def __init__(self, instrument: Instrument, tape: ScriptTape, begin_ns: int) -> None:
        super().__init__([instrument], [tape.blocks], begin_ns)
        self._tape = tape

    def venue_rows(self, index: int) -> Iterator[MarketRows]:
        """Return the rows that one account's orders meet."""
        return self._tape.rows()
