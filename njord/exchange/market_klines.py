"""Which bars do public trades make? Trades in, one by one; bars of any of the venue's intervals out.

Bars of a second and of a minute are kept; longer ones are put together from minutes when they are asked for. A venue has
a bar for every interval since its first trade: where nobody traded it repeats the last close, with volume 0.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import attrgetter
from types import MappingProxyType

import msgspec

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S

NS_PER_HOUR = 60 * NS_PER_MINUTE
MONTH = 0  # A length of its own: by the calendar.
INTERVALS = MappingProxyType(
    {
        "1s": NS_PER_S,
        "1m": NS_PER_MINUTE,
        "3m": 3 * NS_PER_MINUTE,
        "5m": 5 * NS_PER_MINUTE,
        "15m": 15 * NS_PER_MINUTE,
        "30m": 30 * NS_PER_MINUTE,
        "1h": NS_PER_HOUR,
        "2h": 2 * NS_PER_HOUR,
        "4h": 4 * NS_PER_HOUR,
        "6h": 6 * NS_PER_HOUR,
        "8h": 8 * NS_PER_HOUR,
        "12h": 12 * NS_PER_HOUR,
        "1d": NS_PER_DAY,
        "3d": 3 * NS_PER_DAY,
        "1w": 7 * NS_PER_DAY,
        "1M": MONTH,
    }
)
_MONDAY_NS = 4 * NS_PER_DAY  # 1970-01-01 was a Thursday.
_KEPT = 100_000  # Bars of each of the two lengths.


class Kline(msgspec.Struct):
    """One bar in ticks and lots; `quote` sums are in ticks x lots. Without trades the prices are the last close.

    Attributes:
        open_ns: When it opens.
        end_ns: When the next one does.
        first_id: Of its first trade; -1 without any.
        last_id: Of its last.
    """

    open_ns: int
    end_ns: int
    open: int
    high: int
    low: int
    close: int
    volume_lots: int = 0
    quote: int = 0
    n_trades: int = 0
    taker_buy_lots: int = 0
    taker_buy_quote: int = 0
    first_id: int = -1
    last_id: int = -1

    def take(self, later: "Kline") -> None:
        """Become the bar that also covers a later one."""
        if later.n_trades:
            if not self.n_trades:
                self.first_id = later.first_id
            self.last_id = later.last_id
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.volume_lots += later.volume_lots
        self.quote += later.quote
        self.n_trades += later.n_trades
        self.taker_buy_lots += later.taker_buy_lots
        self.taker_buy_quote += later.taker_buy_quote


def bounds(interval: str, ts_ns: int) -> tuple[int, int]:
    """Return [open, end) of the bar of an interval that holds a time."""
    length_ns = INTERVALS[interval]
    if length_ns == MONTH:
        day = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        later = day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)
        return int(day.timestamp()) * NS_PER_S, int(later.timestamp()) * NS_PER_S
    offset_ns = _MONDAY_NS if interval == "1w" else 0
    open_ns = (ts_ns - offset_ns) // length_ns * length_ns + offset_ns
    return open_ns, open_ns + length_ns


class Klines:
    """One symbol's bars."""

    def __init__(self) -> None:
        self._seconds: list[Kline] = []
        self._minutes: list[Kline] = []

    def add(self, ts_ns: int, trade_id: int, price_ticks: int, qty_lots: int, taker_buys: bool) -> None:
        """Take a trade."""
        for bars, length_ns in ((self._seconds, NS_PER_S), (self._minutes, NS_PER_MINUTE)):
            if not bars or ts_ns >= bars[-1].end_ns:
                open_ns = ts_ns // length_ns * length_ns
                end_ns = open_ns + length_ns
                bars.append(Kline(open_ns, end_ns, price_ticks, price_ticks, price_ticks, price_ticks))
                bars[-1].first_id = trade_id
                if len(bars) >= 2 * _KEPT:
                    del bars[:_KEPT]
            bar, quote = bars[-1], price_ticks * qty_lots
            bar.high, bar.low = max(bar.high, price_ticks), min(bar.low, price_ticks)
            bar.close = price_ticks
            bar.volume_lots += qty_lots
            bar.quote += quote
            bar.n_trades += 1
            bar.last_id = trade_id
            if taker_buys:
                bar.taker_buy_lots += qty_lots
                bar.taker_buy_quote += quote

    def at(self, interval: str, ts_ns: int) -> Kline | None:
        """Return the bar that holds a time, as it is now; None before the first trade."""
        return next(self.between(interval, bounds(interval, ts_ns)[0], ts_ns), None)

    def between(self, interval: str, begin_ns: int, now_ns: int) -> Iterator[Kline]:
        """Yield the bars that open from `begin_ns` on and not after `now_ns`, in order, without holes."""
        bars = self._seconds if interval == "1s" else self._minutes
        if not bars:
            return
        open_ns, end_ns = bounds(interval, max(begin_ns, bars[0].open_ns))
        if open_ns < begin_ns:
            open_ns, end_ns = bounds(interval, end_ns)
        at = bisect_left(bars, open_ns, key=attrgetter("open_ns"))
        close = bars[at - 1].close if at else bars[0].open
        while open_ns <= now_ns:
            whole: Kline | None = None
            while at < len(bars) and bars[at].open_ns < end_ns:
                if whole is None:
                    whole = msgspec.structs.replace(bars[at], open_ns=open_ns, end_ns=end_ns)
                else:
                    whole.take(bars[at])
                at += 1
            yield whole or Kline(open_ns, end_ns, close, close, close, close)
            close = whole.close if whole is not None else close
            open_ns, end_ns = bounds(interval, end_ns)

    def over(self, length_ns: int, now_ns: int) -> Kline | None:
        """Return the time since `length_ns` before now as one bar, to the second, from an hour on to the minute.

        None before the first trade; without trades in it it is empty, at the last close.
        """
        bars = self._seconds if length_ns < NS_PER_HOUR else self._minutes
        if not bars:
            return None
        begin_ns = now_ns - length_ns
        at = bisect_left(bars, begin_ns, key=attrgetter("open_ns"))
        if at == len(bars):
            close = bars[-1].close
            return Kline(begin_ns, now_ns, close, close, close, close)
        whole = msgspec.structs.replace(bars[at], open_ns=begin_ns, end_ns=now_ns)
        for bar in bars[at + 1 :]:
            whole.take(bar)
        return whole
