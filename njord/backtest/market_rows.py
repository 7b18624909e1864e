"""What happened at the exchange, in its own time? The ticks of a recording in; rows for the venue's compiled market out.

Trades and changes of the book are merged by the venue's time, at one time by when they were recorded, and then trades
first, since a change tells what a trade has left. Where a recording's venue time runs backwards, the latest time before
it counts.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from njord.backtest.market import IntArray
from njord.backtest.market_book import BookChange
from njord.backtest.market_ticks import Recording
from njord.storage.store.kinds import Columns
from njord.venues.tick_market import MarketRows

BID, ASK, TRADE_BUY, TRADE_SELL, CLEAR = 1, 2, 3, 4, 5
_VENUE, _KNOWN = 0, 1  # Rows of a block: both times, then kind, price, quantity.
_Block = IntArray  # Shape (5, n).


def market_rows(recording: Recording) -> Iterator[MarketRows]:
    """Yield the rows of one instrument, from the start; venue times never fall."""
    streams = [_rising(_trade_rows(recording.trade_blocks())), _rising(_book_rows(recording.book_changes()))]
    for block in _merged(streams):
        venue_ns, _, kind, price, lots = block
        yield MarketRows(kind=kind, ts_ns=venue_ns, price_ticks=price, qty_lots=lots)


def _trade_rows(blocks: Iterable[Columns]) -> Iterator[_Block]:
    for block in blocks:
        kind = np.where(block["side"] > 0, TRADE_BUY, TRADE_SELL)
        yield np.stack((block["ts_venue_ns"], block["ts_ns"], kind, block["price_ticks"], block["qty_lots"]))


def _book_rows(blocks: Iterable[list[BookChange]]) -> Iterator[_Block]:
    for changes in blocks:
        pieces = [piece for change in changes for piece in _change_rows(change)]
        if pieces:
            yield np.concatenate(pieces, axis=1)


def _change_rows(change: BookChange) -> Iterator[_Block]:
    if change.is_snapshot:
        yield np.array([[change.ts_venue_ns], [change.ts_ns], [CLEAR], [0], [0]], dtype=np.int64)
    for side, levels in ((BID, change.bids), (ASK, change.asks)):
        rows = np.empty((5, levels.shape[1]), dtype=np.int64)
        rows[:3] = [[change.ts_venue_ns], [change.ts_ns], [side]]
        rows[3:] = levels
        yield rows


def _rising(blocks: Iterable[_Block]) -> Iterator[_Block]:
    latest = 0
    for block in blocks:
        block[_VENUE] = np.maximum.accumulate(np.maximum(block[_VENUE], latest))
        latest = int(block[_VENUE, -1])
        yield block


# Everything before the earliest last time of a stream's block is complete; of that time itself more may follow in that
# stream's next block, and once it has none, in the others' next rows.
def _merged(streams: list[Iterator[_Block]]) -> Iterator[_Block]:
    held = [next(stream, None) for stream in streams]
    has_ended = [block is None for block in held]
    while any(block is not None for block in held):
        ends = [
            int(block[_VENUE, -1])
            for block, ended in zip(held, has_ended, strict=True)
            if not ended and block is not None
        ]
        upto = min(ends) if ends else None
        ready: list[_Block] = []
        for index, block in enumerate(held):
            if block is None:
                continue
            cut = block.shape[1] if upto is None else int(np.searchsorted(block[_VENUE], upto, "left"))
            ready.append(block[:, :cut])
            rest = block[:, cut:]
            if not has_ended[index] and int(block[_VENUE, -1]) == upto:
                more = next(streams[index], None)
                has_ended[index] = more is None
                rest = rest if more is None else np.concatenate((rest, more), axis=1)
            held[index] = rest if rest.shape[1] else None
        rows = np.concatenate(ready, axis=1)
        if rows.shape[1]:
            yield rows[:, np.lexsort((rows[_KNOWN], rows[_VENUE]))]
