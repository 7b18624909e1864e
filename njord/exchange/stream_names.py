"""Which market stream is meant? Names as the venue writes them in; what is to be told, of what and how often, out."""

import re
from typing import NamedTuple

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.market_klines import INTERVALS

TRADE, AGG_TRADE, BEST, DIFF, PARTIAL, KLINE, TICKER, MINI = (
    "trade", "aggTrade", "bookTicker", "depth", "partial", "kline", "ticker", "miniTicker",
)  # fmt: skip
AT_ONCE = 0
FAST_NS = 100 * NS_PER_MS
SLOW_NS = NS_PER_S

_PLAIN = {
    "trade": (TRADE, AT_ONCE),
    "aggTrade": (AGG_TRADE, AT_ONCE),
    "bookTicker": (BEST, AT_ONCE),
    "ticker": (TICKER, SLOW_NS),
    "miniTicker": (MINI, SLOW_NS),
    "depth": (DIFF, SLOW_NS),
    "depth@1000ms": (DIFF, SLOW_NS),
    "depth@100ms": (DIFF, AT_ONCE),
}
_OF_ALL = {
    "!bookTicker": (BEST, AT_ONCE),
    "!ticker@arr": (TICKER, SLOW_NS),
    "!miniTicker@arr": (MINI, SLOW_NS),
}
_PARTIAL = re.compile(r"depth(5|10|20)(@100ms|@1000ms)?")
_KLINE = re.compile(r"kline_(\w+)")


class Wish(NamedTuple):
    """What one stream tells.

    Attributes:
        kind: TRADE to MINI.
        symbol: As the wire has it, in capitals; empty for all symbols.
        every_ns: Between tellings; AT_ONCE where each event is told as it happens.
        levels: Of a partial book.
        interval: Of bars.
    """

    kind: str
    symbol: str
    every_ns: int
    levels: int = 0
    interval: str = ""


def wish_of(name: str) -> Wish | None:
    """Return what a stream's name asks for; None if it is none, such as a number in a path."""
    if name in _OF_ALL:
        kind, every_ns = _OF_ALL[name]
        return Wish(kind, "", every_ns)
    symbol, _, what = name.partition("@")
    if not symbol.isalnum() or symbol != symbol.lower():
        return None
    symbol = symbol.upper()
    if what in _PLAIN:
        kind, every_ns = _PLAIN[what]
        return Wish(kind, symbol, every_ns)
    if partial := _PARTIAL.fullmatch(what):
        every_ns = FAST_NS if partial[2] == "@100ms" else SLOW_NS
        return Wish(PARTIAL, symbol, every_ns, levels=int(partial[1]))
    if (bars := _KLINE.fullmatch(what)) and bars[1] in INTERVALS:
        return Wish(KLINE, symbol, SLOW_NS, interval=bars[1])
    return None
