"""What do streams tell that speak at fixed times? The state of the market in, payloads at each tick of the clock out."""

from typing import Any, Protocol

from njord.exchange import stream_events
from njord.exchange.market import BookDiff, PublicMarket
from njord.exchange.market_text import Texts
from njord.exchange.public import book_top
from njord.exchange.stream_names import DIFF, KLINE, MINI, PARTIAL, Wish

Payload = dict[str, Any] | list[dict[str, Any]]


class Timed(Protocol):
    """A stream that speaks at fixed times."""

    def take(self, diff: BookDiff) -> None:
        """Hear of a change of its symbol's book."""

    def tick(self, ts_ns: int) -> list[Payload]:
        """Return what it tells at a time; everything before that has happened, nothing at or after it."""


class _Market:
    """What timed streams look at.

    Args:
        market: Of all symbols.
        texts: By instrument.
        indices: The symbols that the stream is about.
    """

    def __init__(self, market: PublicMarket, texts: list[Texts], indices: list[int]) -> None:
        self._market = market
        self._texts = texts
        self._indices = indices

    def take(self, diff: BookDiff) -> None:
        """Most do not care."""


class _Tickers(_Market):
    def __init__(self, market: PublicMarket, texts: list[Texts], indices: list[int], wish: Wish) -> None:
        super().__init__(market, texts, indices)
        self._tell = stream_events.mini_ticker if wish.kind == MINI else stream_events.ticker
        self._is_list = not wish.symbol

    def tick(self, ts_ns: int) -> list[Payload]:
        traded = [index for index in self._indices if self._market.last_price_ticks(index)]
        told = [self._tell(self._texts[index], self._market, index, ts_ns) for index in traded]
        return [told] if self._is_list and told else list(told)


class _Partial(_Market):
    def __init__(self, market: PublicMarket, texts: list[Texts], indices: list[int], wish: Wish) -> None:
        super().__init__(market, texts, indices)
        self._levels = wish.levels

    def tick(self, ts_ns: int) -> list[Payload]:
        index = self._indices[0]
        return [book_top(self._texts[index], self._market.book(index, self._levels))]


class _Bars(_Market):
    def __init__(self, market: PublicMarket, texts: list[Texts], indices: list[int], wish: Wish) -> None:
        super().__init__(market, texts, indices)
        self._interval = wish.interval
        self._told = (0, -1)

    # A bar is told when it has changed, and once more when it ends, traded or not.
    def tick(self, ts_ns: int) -> list[Payload]:
        index = self._indices[0]
        bar = self._market.klines[index].at(self._interval, ts_ns - 1)
        if bar is None:
            return []
        now = (bar.open_ns, bar.n_trades)
        if now == self._told and ts_ns < bar.end_ns:
            return []
        self._told = now
        return [stream_events.kline(self._texts[index], self._interval, bar, ts_ns)]


class _Diffs(_Market):
    """Changes of the book, joined."""

    def __init__(self, market: PublicMarket, texts: list[Texts], indices: list[int]) -> None:
        super().__init__(market, texts, indices)
        self._first_id = 0
        self._last_id = 0
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def take(self, diff: BookDiff) -> None:
        """Join a change to those since the last tick."""
        self._first_id = self._first_id or diff.first_id
        self._last_id = diff.last_id
        self._bids.update(diff.bids)
        self._asks.update(diff.asks)

    def tick(self, ts_ns: int) -> list[Payload]:
        if not self._last_id:
            return []
        index = self._indices[0]
        joined = BookDiff(
            instrument=index,
            ts_ns=ts_ns,
            first_id=self._first_id,
            last_id=self._last_id,
            bids=tuple(self._bids.items()),
            asks=tuple(self._asks.items()),
        )
        self._first_id = self._last_id = 0
        self._bids, self._asks = {}, {}
        return [stream_events.diff(self._texts[index], joined)]


def timed_stream(wish: Wish, market: PublicMarket, texts: list[Texts], indices: list[int]) -> Timed:
    """Return the stream that a wish asks for, about some symbols."""
    if wish.kind == DIFF:
        return _Diffs(market, texts, indices)
    if wish.kind == PARTIAL:
        return _Partial(market, texts, indices, wish)
    if wish.kind == KLINE:
        return _Bars(market, texts, indices, wish)
    return _Tickers(market, texts, indices, wish)
