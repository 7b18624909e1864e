"""Lines of raw captures, usual and not, for tests of their parsers."""

from pathlib import Path

import numpy as np

from njord.kernels.capture import (
    BOOK_ROWS,
    N_TRADES,
    POSITION,
    QUOTE_ROWS,
    STATE_SIZE,
    TRADE_ROWS,
    parse_lines,
)
from njord.kernels.capture_text import NO_SYMBOL, PADDING, symbol_slot, words_of
from njord.storage.ingest.capture_lines import Line, LineKind

T0 = 1_723_161_254_000_000_000
MS = 1_000_000
ROOM = 2_000  # Rows of a line.
E0 = 1_723_161_255_308


def stream(name: str, payload: str, ts_ns: int = T0) -> str:
    """A line of a combined stream."""
    return f'{ts_ns} {{"stream":"{name}","data":{payload}}}'


def raw(payload: str, ts_ns: int = T0) -> str:
    """A line without an envelope."""
    return f"{ts_ns} {payload}"


def trade(
    trade_id: int = 7, price: str = "2683.80000000", qty: str = "0.00200000", maker: str = "true",
    symbol: str = "ETHUSDT", at: int = E0, orders: str = "",
) -> str:  # fmt: skip
    """A trade's payload."""
    return (
        f'{{"e":"trade","E":{at},"s":"{symbol}","t":{trade_id},"p":"{price}","q":"{qty}",{orders}'
        f'"T":{at},"m":{maker},"M":true}}'
    )


def agg_trade(trade_id: int = 9, price: str = "2683.80000000", qty: str = "0.00200000", symbol: str = "ETHUSDT") -> str:  # fmt: skip
    """An aggregate trade's payload."""
    return (
        f'{{"e":"aggTrade","E":{E0},"s":"{symbol}","a":{trade_id},"p":"{price}","q":"{qty}","f":100,"l":105,'
        f'"T":{E0},"m":false,"M":true}}'
    )


def levels(*pairs: tuple[str, str]) -> str:
    """Levels as the venue writes them."""
    return "[" + ",".join(f'["{price}","{qty}"]' for price, qty in pairs) + "]"


def depth(first: int, last: int, bids: str = "[]", asks: str = "[]", symbol: str = "ETHUSDT") -> str:
    """A change of the book."""
    return f'{{"e":"depthUpdate","E":{E0},"s":"{symbol}","U":{first},"u":{last},"b":{bids},"a":{asks}}}'


def snapshot(update_id: int, bids: str = "[]", asks: str = "[]") -> str:
    """A book as REST gives it."""
    return f'{{"lastUpdateId":{update_id},"bids":{bids},"asks":{asks}}}'


def ticker(update_id: int = 5, bid: str = "2683.80000000", symbol: str = "ETHUSDT") -> str:
    """Best bid and ask."""
    return f'{{"u":{update_id},"s":"{symbol}","b":"{bid}","B":"3.02920000","a":"2683.81000000","A":"31.43950000"}}'


def session() -> list[str]:
    """A small capture of one symbol: every kind of line, a snapshot among the changes."""
    return [
        stream("ethusdt@bookTicker", ticker(99), T0),
        stream("ethusdt@depth@100ms", depth(98, 100, levels(("2683.80", "1"))), T0 + MS),
        raw(snapshot(100, levels(("2683.80", "1"), ("2683.70", "2.5")), levels(("2683.81", "3"))), T0 + 2 * MS),
        stream("ethusdt@depth@100ms", depth(101, 104, "[]", levels(("2683.81", "0"), ("2683.9", "4.00001"))), T0 + 3 * MS),
        raw(trade(1, maker="false"), T0 + 4 * MS),
        stream("ethusdt@trade", trade(2, price="2683.9"), T0 + 5 * MS),
        stream("ethusdt@kline_1m", '{"e":"kline","E":1,"s":"ETHUSDT","k":{}}', T0 + 6 * MS),
        raw('{"result":null,"id":1}', T0 + 6 * MS),
        stream("ethusdt@depth@100ms", depth(105, 105), T0 + 7 * MS),
        stream("ethusdt@bookTicker", ticker(105), T0 + 8 * MS),
    ]  # fmt: skip


def write(path: Path, lines: list[str] | bytes) -> Path:
    """Write a capture and return its path."""
    data = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(data)
    return path


class Usual:
    """The compiled parser on its own, with tables of its own, for one line at a time."""

    def __init__(self, *symbols: str) -> None:
        self.keys = np.zeros((2, 64), dtype=np.uint64)
        self.values = np.full(64, NO_SYMBOL, dtype=np.int64)
        self.tables = [np.zeros((rows, ROOM), dtype=np.int64) for rows in (TRADE_ROWS, TRADE_ROWS, BOOK_ROWS, QUOTE_ROWS)]  # fmt: skip
        for index, symbol in enumerate(symbols):
            first, second = np.frombuffer(symbol.encode().ljust(16, b"\0"), np.uint64)
            slot = symbol_slot(self.keys, self.values, first, second)
            self.keys[:, slot], self.values[slot] = (first, second), index
        self.symbols = symbols

    def read(self, line: bytes) -> Line | None:
        """Return what the compiled parser makes of one line, None if it leaves it to the strict reading."""
        text = bytearray(line + b"\n" + bytes(PADDING))
        data = np.frombuffer(text, np.uint8)
        state = np.zeros(STATE_SIZE, dtype=np.int64)
        if not parse_lines(data, words_of(data), len(line) + 1, state, self.keys, self.values, *self.tables):
            assert state[POSITION] == 0
            assert not state[N_TRADES:].any()
            return None
        assert state[POSITION] == len(line) + 1
        (kind,) = np.flatnonzero(state[N_TRADES : N_TRADES + 4]).tolist()
        rows = self.tables[kind][:, : state[N_TRADES + kind]].T.tolist()
        assert state[N_TRADES + 4 :].tolist() == [int(each == kind) for each in range(4)]
        name = ("trade", "aggTrade", "depthUpdate", "bookTicker")[kind]
        assert len({(row[0], row[1]) for row in rows}) == 1
        return Line(
            LineKind(kind), name, rows[0][1], self.symbols[rows[0][0]], tuple(tuple(row[2:]) for row in rows)
        )
