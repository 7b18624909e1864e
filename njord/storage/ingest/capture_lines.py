"""What does any line of a raw Binance capture say? One line of bytes in, its rows as exact integers out, or why not.

This is the slow, strict reading of `kernels/capture.py`: keys in any order, white space, unknown keys. A property holds
the two equal. Kinds of line, told by their content: depthUpdate, trade, aggTrade, bookTicker, and the snapshot of a
book as REST gives it, which names no symbol. Prices and quantities are text and come out in units of 1e-8.
"""

import re
from enum import IntEnum
from functools import lru_cache

import msgspec

from njord.kernels.capture_text import MS_END, MS_FIRST, RECEIVE_END, RECEIVE_FIRST, US_END, US_FIRST
from njord.storage.bars_text import one_line
from njord.storage.store.kinds import BOOK_ASK, BOOK_BID, BOOK_EVENT_END, BOOK_SNAPSHOT

DECIMALS = 8
_INT64_MAX = 2**63 - 1
_RECEIVED = re.compile(rb"([0-9]{1,30})[ \t]+")
_SYMBOL = re.compile(r"[A-Z0-9_]{1,24}")
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,40}))?")
_NOT_STORED = "no market data that is stored"
_Row = tuple[int, ...]


class LineKind(IntEnum):
    """What a line holds; the number is its table's in the reader."""

    TRADE = 0
    AGG_TRADE = 1
    DEPTH = 2
    QUOTE = 3
    SNAPSHOT = 4
    SKIPPED = 5


class Line(msgspec.Struct, frozen=True):
    """One line: when it was received, what it holds, of which symbol, as rows of the stored columns.

    Attributes:
        name: What the venue calls it; for a skipped line the name it is counted under.
        symbol: As the venue writes it; "" for a snapshot and for what is skipped.
        rows: The kind's columns behind ts_ns, in units of 1e-8; none for what is skipped.
        reason: Why it is skipped.
    """

    kind: LineKind
    name: str
    ts_ns: int
    symbol: str = ""
    rows: tuple[_Row, ...] = ()
    reason: str = ""


class _Head(msgspec.Struct):
    """Enough to tell what an object is."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    e: str | None = None
    lastUpdateId: msgspec.Raw = msgspec.Raw()
    b: msgspec.Raw = msgspec.Raw()
    B: msgspec.Raw = msgspec.Raw()
    X: str = ""  # Futures: NA marks a trade that is none.


_Level = tuple[str, str]


class _Depth(msgspec.Struct):
    E: int
    s: str
    U: int
    u: int
    b: list[_Level]
    a: list[_Level]
    pu: int | None = None


class _Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: list[_Level]
    asks: list[_Level]
    E: int | None = None


class _Trade(msgspec.Struct):
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _AggTrade(msgspec.Struct):
    E: int
    s: str
    a: int
    p: str
    q: str
    T: int
    m: bool


class _Quote(msgspec.Struct):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


_as_any, _as_head = msgspec.json.Decoder(), msgspec.json.Decoder(_Head)
_as_depth, _as_snapshot = msgspec.json.Decoder(_Depth), msgspec.json.Decoder(_Snapshot)
_as_trade, _as_agg_trade = msgspec.json.Decoder(_Trade), msgspec.json.Decoder(_AggTrade)
_as_quote = msgspec.json.Decoder(_Quote)


def read_line(line: bytes) -> Line:
    """Return what `line` (without its newline) holds.

    Raises:
        ValueError: It is not `<receive ns> <JSON object>`, or not what its kind must be; the message is one line.
    """
    text = line.strip(b" \t\r")
    begin = _RECEIVED.match(text)
    if begin is None:
        raise ValueError(f"does not begin with a receive time in ns: {_shown(text)}")
    ts_ns = int(begin[1])
    if not RECEIVE_FIRST <= ts_ns < RECEIVE_END:
        raise ValueError(f"receive time {one_line(ts_ns, 40)} is not in ns of the years 2001 to 2261")
    content = text[begin.end() :]
    try:
        content.decode("utf-8")
        return _read(content, ts_ns)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 at byte {begin.end() + error.start + 1}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise ValueError(f"{one_line(error, 120)}: {_shown(content)}") from None


def is_cut_off(line: bytes) -> bool:
    """Return whether a last line without newline is the beginning of a line and no more."""
    begin = _RECEIVED.match(line)
    if begin is None:
        return True
    try:
        _as_any.decode(line[begin.end() :])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True
    return False


def _read(content: bytes, ts_ns: int) -> Line:
    if not content.startswith(b"{"):
        _as_any.decode(content)
        return _skip("no object", ts_ns)
    head = _as_head.decode(content)
    stream = head.stream
    if stream is not None and bytes(head.data):
        content = bytes(head.data)
        if not content.lstrip().startswith(b"{"):
            return _skip(_stream_kind(stream), ts_ns)
        head = _as_head.decode(content)
    event = head.e
    if event == "depthUpdate":
        return _depth(_as_depth.decode(content), ts_ns)
    if event == "trade":
        if head.X == "NA":
            return _skip("trade NA", ts_ns, "no trade between two accounts")
        trade = _as_trade.decode(content)
        return _trade(LineKind.TRADE, trade, trade.t, ts_ns)
    if event == "aggTrade":
        agg = _as_agg_trade.decode(content)
        return _trade(LineKind.AGG_TRADE, agg, agg.a, ts_ns)
    if event == "bookTicker" or (event is None and bytes(head.b) and bytes(head.B)):
        return _quote(_as_quote.decode(content), ts_ns)
    if event is None and bytes(head.lastUpdateId):
        if stream is not None:
            return _skip("partial depth", ts_ns, "a few levels of a book, which no change can be applied to")
        return _snapshot(_as_snapshot.decode(content), ts_ns)
    return _skip(event or _stream_kind(stream), ts_ns)


def _skip(name: str, ts_ns: int, reason: str = _NOT_STORED) -> Line:
    return Line(LineKind.SKIPPED, one_line(name, 40), ts_ns, reason=reason)


def _stream_kind(stream: str | None) -> str:
    return "no event" if stream is None else stream.partition("@")[2] or stream or "no event"


def _trade(kind: LineKind, trade: _Trade | _AggTrade, trade_id: int, ts_ns: int) -> Line:
    name = "trade" if kind is LineKind.TRADE else "aggTrade"
    _venue_ns(trade.E, "E")
    row = (
        _venue_ns(trade.T, "T"), _id(trade_id, "trade id"), -1 if trade.m else 1,
        _amount(trade.p, "price"), _amount(trade.q, "quantity"),
    )  # fmt: skip
    if not row[3] or not row[4]:
        return _skip(f"{name} of nothing", ts_ns, "its price or quantity is 0")
    return _of_symbol(kind, name, ts_ns, trade.s, (row,))


def _quote(quote: _Quote, ts_ns: int) -> Line:
    row = (
        _id(quote.u, "u"), _amount(quote.b, "bid price"), _amount(quote.B, "bid quantity"),
        _amount(quote.a, "ask price"), _amount(quote.A, "ask quantity"),
    )  # fmt: skip
    return _of_symbol(LineKind.QUOTE, "bookTicker", ts_ns, quote.s, (row,))


def _depth(depth: _Depth, ts_ns: int) -> Line:
    venue_ns = _venue_ns(depth.E, "E")
    last = _id(depth.u, "u")
    # Futures name the update before: what follows it is this event's first, in the terms of spot.
    first = _id(depth.U, "U") if depth.pu is None else _id(depth.pu, "pu") + 1
    if first > last:
        raise ValueError(f"first update id {first} must be at most the last, {last}")
    return _of_symbol(
        LineKind.DEPTH, "depthUpdate", ts_ns, depth.s, _levels(venue_ns, first, last, 0, depth.b, depth.a)
    )


def _snapshot(book: _Snapshot, ts_ns: int) -> Line:
    venue_ns = ts_ns if book.E is None else _venue_ns(book.E, "E")
    last = _id(book.lastUpdateId, "lastUpdateId")
    rows = _levels(venue_ns, last, last, BOOK_SNAPSHOT, book.bids, book.asks)
    return Line(LineKind.SNAPSHOT, "snapshot", ts_ns, "", rows)


def _levels(
    venue_ns: int, first: int, last: int, flags: int, bids: list[_Level], asks: list[_Level]
) -> tuple[_Row, ...]:
    rows = []
    for side, levels in ((BOOK_BID, bids), (BOOK_ASK, asks)):
        for price_text, qty_text in levels:
            price = _amount(price_text, "price")
            if not price:
                raise ValueError("price of a level must be > 0, was 0")
            rows.append((venue_ns, first, last, flags | side, price, _amount(qty_text, "quantity")))
    if not rows:
        rows.append((venue_ns, first, last, flags, 0, 0))
    _, _, _, side, price, qty = rows[-1]
    rows[-1] = (venue_ns, first, last, side | BOOK_EVENT_END, price, qty)
    return tuple(rows)


def _of_symbol(kind: LineKind, name: str, ts_ns: int, symbol: str, rows: tuple[_Row, ...]) -> Line:
    if not _SYMBOL.fullmatch(symbol):
        return _skip(f"{name} of {symbol}", ts_ns, "its symbol is not made of capitals and digits")
    return Line(kind, name, ts_ns, symbol, rows)


def _id(value: int, what: str) -> int:
    if not 0 <= value <= _INT64_MAX:
        raise ValueError(f"{what} must be from 0 to 2**63-1, was {one_line(value)}")
    return value


def _venue_ns(value: int, what: str) -> int:
    if MS_FIRST <= value < MS_END:
        return value * 1_000_000
    if US_FIRST <= value < US_END:
        return value * 1_000
    raise ValueError(f"{what} must be a time in ms or us of the years 2001 to 2261, was {one_line(value)}")


def _amount(text: str, what: str) -> int:
    try:
        return _units(text)
    except ValueError as error:
        raise ValueError(f"{what} {error}, was {one_line(repr(text))}") from None


# The same prices and quantities come again and again.
@lru_cache(maxsize=2**15)
def _units(text: str) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError("must be a decimal >= 0 in plain digits")
    decimals = (match[2] or "").rstrip("0")
    if len(decimals) > DECIMALS:
        raise ValueError(f"must have {DECIMALS} decimals at most")
    value = int(match[1] + decimals.ljust(DECIMALS, "0"))
    if value > _INT64_MAX:
        raise ValueError("must be below 2**63 x 1e-8")
    return value


def _shown(content: bytes) -> str:
    return one_line(repr(content[:60].decode("utf-8", errors="replace")), 80)
