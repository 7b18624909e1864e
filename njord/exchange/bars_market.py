"""Which market may have made some bars? Bars in; a deterministic tape of trades, and a ladder that stands around them, out.

In a bar that rises the price goes open, low, high, close, in one that falls open, high, low, close: what it traded, and
in which order, is not known, and this is said where bars are served. Trades lie on that path at even times and share the
bar's volume, so that bars of the same interval, made of these trades, are those of the recording, provided that each
trade gets a lot. A bar without volume has no trades.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count, pairwise
from typing import NamedTuple

import msgspec

from njord.core.instrument import Instrument
from njord.exchange.market_pace import Pace
from njord.exchange.market_tape import (
    TRADE_BUY,
    TRADE_SELL,
    IntArray,
    Row,
    Tape,
    TapeBlock,
    block_of,
    change_rows,
    level_changes,
)
from njord.storage.dataset import BarChunk


class LadderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the invented part of the market is like.

    Attributes:
        levels: Of each side.
        spacing: Between levels, a fraction of the price; a tick at least.
        level_share: Of a bar's volume that stands at each level; a lot at least.
        steps: Trades between two corners of a bar's path.
    """

    levels: int = 20
    spacing: float = 2e-5
    level_share: float = 0.05
    steps: int = 4


DEFAULT_LADDER = LadderTerms()


class BarsOf(NamedTuple):
    """One symbol's bars, read as often as asked for."""

    instrument: Instrument
    interval_ns: int
    chunks: Callable[[], Iterable[BarChunk]]


class _Bar(NamedTuple):
    ts_open_ns: int
    open: int
    high: int
    low: int
    close: int
    volume_lots: int


def bars_tape(bars: BarsOf, pace: Pace, terms: LadderTerms = DEFAULT_LADDER) -> Tape:
    """Return what happens at the exchange to one symbol."""

    def blocks() -> Iterator[TapeBlock]:
        ladder = _Ladder(terms)
        for n_before in count() if pace.repeats else range(1):
            for chunk in bars.chunks():
                rows: list[Row] = []
                for bar in map(_Bar, *(column.tolist() for column in _columns(chunk))):
                    rows += ladder.rows(bar, bars.interval_ns, pace, n_before)
                if rows:
                    yield block_of(rows)

    return blocks


def bars_bounds(bars: BarsOf) -> tuple[int, int]:
    """Return when the first bar opens and the last one closes."""
    first_ns, last_ns = 2**63 - 1, 0
    for chunk in bars.chunks():
        if len(chunk.ts_open_ns):
            first_ns = min(first_ns, int(chunk.ts_open_ns[0]))
            last_ns = int(chunk.ts_open_ns[-1]) + bars.interval_ns
    return (first_ns, last_ns) if last_ns else (0, 0)


def path(bar: tuple[int, int, int, int], steps: int) -> list[int]:
    """Return the prices of a bar's trades, in order, each another than the one before; `bar` is open to close."""
    open_, high, low, close = bar
    corners = (open_, low, high, close) if close >= open_ else (open_, high, low, close)
    prices = [open_]
    for begin, end in pairwise(corners):
        for step in range(1, steps + 1):
            price = begin + (end - begin) * step // steps
            if price != prices[-1]:
                prices.append(price)
    return prices


def _columns(chunk: BarChunk) -> tuple[IntArray, ...]:
    return chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume_lots


class _Ladder:
    """Where the levels stand, and the ids that were given."""

    def __init__(self, terms: LadderTerms) -> None:
        self._terms = terms
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._update_id = 0
        self._trade_id = 0
        self._price = 0

    def rows(self, bar: _Bar, interval_ns: int, pace: Pace, n_before: int) -> Iterator[Row]:
        """Yield a bar's changes and trades; the ladder goes to a price before it is traded."""
        prices = path((bar.open, bar.high, bar.low, bar.close), self._terms.steps)
        sizes = _shares(bar.volume_lots, len(prices))
        level_lots = max(1, round(bar.volume_lots * self._terms.level_share))
        for at, (price, lots) in enumerate(zip(prices, sizes, strict=True)):
            ts_ns = pace.at(bar.ts_open_ns + interval_ns * at // len(prices), n_before)
            is_up, self._price = price >= self._price, price
            yield from self._follow(ts_ns, price, is_up, max(level_lots, 2 * lots))
            if lots:
                self._trade_id += 1
                kind = TRADE_BUY if is_up else TRADE_SELL
                yield kind, ts_ns, price, lots, self._trade_id, self._trade_id, 1

    # A price that was gone up to was asked for, one that was gone down to was bid.
    def _follow(self, ts_ns: int, price: int, is_up: bool, lots: int) -> list[Row]:
        spacing = max(1, round(price * self._terms.spacing))
        best_bid, best_ask = (price - spacing, price) if is_up else (price, price + spacing)
        far = range(self._terms.levels)
        bids = {best_bid - spacing * at: lots for at in far if best_bid - spacing * at > 0}
        asks = {best_ask + spacing * at: lots for at in far}
        changed = (level_changes(self._bids, bids), level_changes(self._asks, asks))
        self._bids, self._asks = bids, asks
        first_id = self._update_id + 1
        self._update_id += max(1, len(changed[0]) + len(changed[1]))
        return change_rows(ts_ns, first_id, self._update_id, *changed)


# Even shares; the last one takes what is left. A bar that traded gives each trade a lot.
def _shares(volume_lots: int, n: int) -> list[int]:
    if not volume_lots:
        return [0] * n
    share = max(1, volume_lots // n)
    return [share] * (n - 1) + [max(1, volume_lots - share * (n - 1))]
