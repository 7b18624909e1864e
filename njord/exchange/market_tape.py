"""What happened at an exchange's market, row by row? The one form that recordings, bars and synthetic markets take.

A tape is a function that starts a fresh pass from the beginning. The rows of one event (a change of the book) follow each
other; trades are events of one row. Accounts' order matching and public data are both read off the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from njord.venues.tick_market import MarketRows

IntArray = NDArray[np.int64]

NOTHING, BID, ASK, TRADE_BUY, TRADE_SELL, CLEAR = 0, 1, 2, 3, 4, 5


class TapeBlock(NamedTuple):
    """Consecutive rows of one instrument, whole events: int64 arrays of one length.

    Attributes:
        kind: As `MarketRows` has it; besides, 0 is the row of a change without levels.
        ts_ns: The exchange's time, never falling.
        price_ticks: >= 1; 0 where there is none.
        qty_lots: >= 0; of a trade >= 1.
        first_id: First update id of a change; the id of a trade.
        last_id: Last update id of a change; the id of a trade.
        ends: 1 in the last row of its event.
    """

    kind: IntArray
    ts_ns: IntArray
    price_ticks: IntArray
    qty_lots: IntArray
    first_id: IntArray
    last_id: IntArray
    ends: IntArray


Row = tuple[int, int, int, int, int, int, int]  # In the order of a block's columns.
Tape = Callable[[], Iterator[TapeBlock]]

N_COLUMNS = len(TapeBlock._fields)


def block_of(rows: list[Row]) -> TapeBlock:
    """Return rows, each in the order of the columns, as a block."""
    return TapeBlock(*np.array(rows, dtype=np.int64).reshape(-1, N_COLUMNS).T.copy())


def change_rows(
    ts_ns: int,
    first_id: int,
    last_id: int,
    bids: Iterable[tuple[int, int]],
    asks: Iterable[tuple[int, int]],
) -> list[Row]:
    """Return the rows of one change of the book, levels as (price_ticks, qty_lots)."""
    rows = [(BID, ts_ns, price, lots, first_id, last_id, 0) for price, lots in bids]
    rows += [(ASK, ts_ns, price, lots, first_id, last_id, 0) for price, lots in asks]
    if not rows:
        return [(NOTHING, ts_ns, 0, 0, first_id, last_id, 1)]
    rows[-1] = (*rows[-1][:6], 1)
    return rows


def level_changes(before: Mapping[int, int], after: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return what makes one side of a book another, both lots by price: levels that go (0 lots) first."""
    gone = [(price, 0) for price in before if price not in after]
    return gone + [(price, lots) for price, lots in after.items() if before.get(price) != lots]


def market_rows(blocks: Iterable[TapeBlock]) -> Iterator[MarketRows]:
    """Yield what accounts' orders meet."""
    for block in blocks:
        some = block.kind != NOTHING
        if some.all():
            yield MarketRows(block.kind, block.ts_ns, block.price_ticks, block.qty_lots)
        else:
            yield MarketRows(
                block.kind[some], block.ts_ns[some], block.price_ticks[some], block.qty_lots[some]
            )
