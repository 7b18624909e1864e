"""What does a usual line of a raw Binance capture say? Bytes in, rows of exact integers out, 8 bytes at a time.

A line is `<receive time, ns> <JSON>`. Each kind of line has one usual form: keys in the venue's order, no spaces, no
escapes. `parse_lines` takes lines of these forms and stops before the first that deviates in any byte; whoever calls
it reads that line another way and calls again behind it. Prices and quantities come out in units of 1e-8.
"""

from typing import Any

from njord.kernels._jit import kernel
from njord.kernels.capture_text import (
    BACKSLASH,
    BRACE,
    BRACKET,
    COLON,
    COMMA,
    M2,
    M5,
    M6,
    M7,
    NEWLINE,
    QUOTE,
    SPACE,
    ByteArray,
    IntArray,
    WordArray,
    eight_digits,
    read_amount,
    read_flag,
    read_symbol,
    read_venue_ns,
    read_whole,
    word,
)

# What `parse_lines` keeps between calls, by position in its state.
POSITION = 0  # First byte that is not parsed yet.
LAST_NS = 1  # Receive time of the last line: an earlier one is no usual line.
N_TRADES = 2  # Rows so far in the four tables.
N_AGG_TRADES = 3
N_BOOK = 4
N_QUOTES = 5
LINES_TRADE = 6  # Lines so far of the four kinds.
LINES_AGG_TRADE = 7
LINES_DEPTH = 8
LINES_QUOTE = 9
STATE_SIZE = 10

# Rows of a table: the symbol's index, then the columns of the stored kind.
TRADE_ROWS = 7
BOOK_ROWS = 8
QUOTE_ROWS = 7
_BOOK_BID, _BOOK_ASK, _BOOK_END = 1, 2, 8  # As storage/store/kinds.py has them.
_STREAM_BYTES_MAX = 80

# What stands between the values of the usual forms.
_STREAM_1, _STREAM_2, _DATA = word(b'{"stream'), word(b'tream":"'), word(b'","data"')
_TRADE_1, _TRADE_2 = word(b'{"e":"tr'), word(b'ade","E"')
_AGG_1, _AGG_2, _AGG_3 = word(b'{"e":"ag'), word(b'gTrade",'), word(b'de","E":')
_DEPTH_1, _DEPTH_2, _DEPTH_3 = word(b'{"e":"de'), word(b"pthUpdat"), word(b'te","E":')
_QUOTE_1 = word(b'{"u":')
_T_ID, _A_ID, _T_TIME, _B_ORDER = word(b'","t":'), word(b'","a":'), word(b'","T":'), word(b'","b":')
_F_ID, _L_ID, _I_TIME, _A_ORDER = word(b'","f":'), word(b',"l":'), word(b',"T":'), word(b',"a":')
_U_FIRST, _U_LAST, _BIDS, _ASKS = word(b'","U":'), word(b',"u":'), word(b',"b":['), word(b'],"a":[')
_PRICE, _QTY, _MAKER, _BEST = word(b',"p":"'), word(b'","q":"'), word(b',"m":'), word(b',"M":')
_Q_BID, _Q_BID_QTY, _Q_ASK, _Q_ASK_QTY = (word(b'","' + key + b'":"') for key in (b"b", b"B", b"a", b"A"))
_LEVEL = word(b'["')


@kernel
def _put_trade(
    table: IntArray, row: int, symbol: int, ts_ns: int, venue_ns: int, trade_id: int, is_maker: int,
    price: int, qty: int,
) -> None:  # fmt: skip
    table[0, row] = symbol
    table[1, row] = ts_ns
    table[2, row] = venue_ns
    table[3, row] = trade_id
    table[4, row] = 1 - 2 * is_maker  # The buyer was the maker: the seller took.
    table[5, row] = price
    table[6, row] = qty


# The tail that trades and aggregate trades share: time, maker flag, and the flag that nobody needs; behind its brace.
@kernel
def _trade_tail(data: ByteArray, words: WordArray, at: int) -> tuple[int, int, int]:
    venue_ns, at = read_venue_ns(data, at)
    if at < 0 or (words[at] & M5) != _MAKER:
        return 0, 0, -1
    is_maker, at = read_flag(words, at + 5)
    if at < 0 or (words[at] & M5) != _BEST:
        return 0, 0, -1
    _, at = read_flag(words, at + 5)
    if at < 0 or data[at] != BRACE:
        return 0, 0, -1
    return venue_ns, is_maker, at + 1


# Price and quantity from ,"p":" on, both > 0; up to the quantity's closing quote.
@kernel
def _price_qty(data: ByteArray, words: WordArray, at: int) -> tuple[int, int, int]:
    if (words[at] & M6) != _PRICE:
        return 0, 0, -1
    price, at = read_amount(data, words, at + 6)
    if at < 0 or price == 0 or (words[at] & M7) != _QTY:
        return 0, 0, -1
    qty, at = read_amount(data, words, at + 7)
    if at < 0 or qty == 0:
        return 0, 0, -1
    return price, qty, at


@kernel
def _trade(
    data: ByteArray, words: WordArray, at: int, ts_ns: int, keys: WordArray, values: IntArray, table: IntArray, row: int
) -> int:  # fmt: skip
    # {"e":"trade","E":1,"s":"X","t":1,"p":"1.0","q":"1.0",["b":1,"a":1,]"T":1,"m":true,"M":true}
    if words[at + 8] != _TRADE_2 or data[at + 16] != COLON or row >= table.shape[1]:
        return -1
    _, at = read_venue_ns(data, at + 17)
    if at < 0:
        return -1
    symbol, at = read_symbol(data, words, at, keys, values)
    if at < 0 or (words[at] & M6) != _T_ID:
        return -1
    trade_id, at = read_whole(data, at + 6)
    if at < 0:
        return -1
    price, qty, at = _price_qty(data, words, at)
    if at < 0:
        return -1
    if (words[at] & M6) == _T_TIME:
        at += 6
    elif (words[at] & M6) == _B_ORDER:  # Recordings before 2023 name the orders.
        _, at = read_whole(data, at + 6)
        if at < 0 or (words[at] & M5) != _A_ORDER:
            return -1
        _, at = read_whole(data, at + 5)
        if at < 0 or (words[at] & M5) != _I_TIME:
            return -1
        at += 5
    else:
        return -1
    venue_ns, is_maker, at = _trade_tail(data, words, at)
    if at >= 0:
        _put_trade(table, row, symbol, ts_ns, venue_ns, trade_id, is_maker, price, qty)
    return at


@kernel
def _agg_trade(
    data: ByteArray, words: WordArray, at: int, ts_ns: int, keys: WordArray, values: IntArray, table: IntArray, row: int
) -> int:  # fmt: skip
    # {"e":"aggTrade","E":1,"s":"X","a":1,"p":"1.0","q":"1.0","f":1,"l":1,"T":1,"m":true,"M":true}
    if words[at + 8] != _AGG_2 or words[at + 12] != _AGG_3 or row >= table.shape[1]:
        return -1
    _, at = read_venue_ns(data, at + 20)
    if at < 0:
        return -1
    symbol, at = read_symbol(data, words, at, keys, values)
    if at < 0 or (words[at] & M6) != _A_ID:
        return -1
    trade_id, at = read_whole(data, at + 6)
    if at < 0:
        return -1
    price, qty, at = _price_qty(data, words, at)
    if at < 0 or (words[at] & M6) != _F_ID:
        return -1
    _, at = read_whole(data, at + 6)
    if at < 0 or (words[at] & M5) != _L_ID:
        return -1
    _, at = read_whole(data, at + 5)
    if at < 0 or (words[at] & M5) != _I_TIME:
        return -1
    venue_ns, is_maker, at = _trade_tail(data, words, at + 5)
    if at >= 0:
        _put_trade(table, row, symbol, ts_ns, venue_ns, trade_id, is_maker, price, qty)
    return at


@kernel
def _quote(
    data: ByteArray, words: WordArray, at: int, ts_ns: int, keys: WordArray, values: IntArray, table: IntArray, row: int
) -> int:  # fmt: skip
    # {"u":1,"s":"X","b":"1.0","B":"1.0","a":"1.0","A":"1.0"}
    if row >= table.shape[1]:
        return -1
    update_id, at = read_whole(data, at + 5)
    if at < 0:
        return -1
    symbol, at = read_symbol(data, words, at, keys, values)
    if at < 0 or (words[at] & M7) != _Q_BID:
        return -1
    bid, at = read_amount(data, words, at + 7)
    if at < 0 or (words[at] & M7) != _Q_BID_QTY:
        return -1
    bid_qty, at = read_amount(data, words, at + 7)
    if at < 0 or (words[at] & M7) != _Q_ASK:
        return -1
    ask, at = read_amount(data, words, at + 7)
    if at < 0 or (words[at] & M7) != _Q_ASK_QTY:
        return -1
    ask_qty, at = read_amount(data, words, at + 7)
    if at < 0 or data[at + 1] != BRACE:
        return -1
    table[0, row] = symbol
    table[1, row] = ts_ns
    table[2, row] = update_id
    table[3, row] = bid
    table[4, row] = bid_qty
    table[5, row] = ask
    table[6, row] = ask_qty
    return at + 2


# The levels of one side, from behind its bracket to the bracket that closes it; (rows behind the last, position).
@kernel
def _levels(
    data: ByteArray, words: WordArray, at: int, flag: int, table: IntArray, row: int
) -> tuple[int, int]:
    if data[at] == BRACKET:
        return row, at
    while (words[at] & M2) == _LEVEL and row < table.shape[1]:
        price, at = read_amount(data, words, at + 2)
        if at < 0 or price == 0 or data[at + 1] != COMMA or data[at + 2] != QUOTE:
            return row, -1
        qty, at = read_amount(data, words, at + 3)
        if at < 0 or data[at + 1] != BRACKET:
            return row, -1
        table[5, row] = flag
        table[6, row] = price
        table[7, row] = qty
        row += 1
        at += 2
        if data[at] == BRACKET:
            return row, at
        if data[at] != COMMA:
            return row, -1
        at += 1
    return row, -1


@kernel
def _depth(
    data: ByteArray, words: WordArray, at: int, ts_ns: int, keys: WordArray, values: IntArray, table: IntArray, row: int
) -> tuple[int, int]:  # fmt: skip
    # {"e":"depthUpdate","E":1,"s":"X","U":1,"u":1,"b":[["1.0","1.0"]],"a":[]}; returns (rows behind, position behind).
    if words[at + 8] != _DEPTH_2 or words[at + 15] != _DEPTH_3:
        return 0, -1
    venue_ns, at = read_venue_ns(data, at + 23)
    if at < 0:
        return 0, -1
    symbol, at = read_symbol(data, words, at, keys, values)
    if at < 0 or (words[at] & M6) != _U_FIRST:
        return 0, -1
    first_id, at = read_whole(data, at + 6)
    if at < 0 or (words[at] & M5) != _U_LAST:
        return 0, -1
    last_id, at = read_whole(data, at + 5)
    if at < 0 or last_id < first_id or (words[at] & M6) != _BIDS:
        return 0, -1
    end, at = _levels(data, words, at + 6, _BOOK_BID, table, row)
    if at < 0 or (words[at] & M7) != _ASKS:
        return 0, -1
    end, at = _levels(data, words, at + 7, _BOOK_ASK, table, end)
    if at < 0 or data[at + 1] != BRACE:
        return 0, -1
    if end == row:
        if row >= table.shape[1]:
            return 0, -1
        table[5, row] = 0
        table[6, row] = 0
        table[7, row] = 0
        end += 1
    for each in range(row, end):
        table[0, each] = symbol
        table[1, each] = ts_ns
        table[2, each] = venue_ns
        table[3, each] = first_id
        table[4, each] = last_id
    table[5, end - 1] |= _BOOK_END
    return end, at + 2


# From behind the receive time: the position of the payload, and whether an envelope is around it.
@kernel
def _payload(data: ByteArray, words: WordArray, at: int) -> tuple[int, int]:
    if words[at] != _STREAM_1:
        return 0, at
    if words[at + 3] != _STREAM_2:
        return 0, -1
    position = at + 11
    while data[position] != QUOTE:
        character = data[position]
        if character < SPACE or character > 126 or character == BACKSLASH:
            return 0, -1
        position += 1
        if position - at > _STREAM_BYTES_MAX:
            return 0, -1
    if words[position] != _DATA or data[position + 8] != COLON:
        return 0, -1
    return 1, position + 9


# The time of receipt that a line begins with; -1 if it does not, or with one outside of 2001 to 2261.
@kernel
def _received(data: ByteArray, words: WordArray, at: int) -> Any:
    high = eight_digits(words, at)
    middle = eight_digits(words, at + 8)
    low = eight_digits(words, at + 11)
    if high < 10_000_000 or high >= 92_000_000 or middle < 0 or low < 0 or data[at + 19] != SPACE:
        return -1
    return high * 100_000_000_000 + middle * 1_000 + low % 1_000


@kernel
def parse_lines(
    data: ByteArray,
    words: WordArray,
    end: int,
    state: IntArray,
    keys: WordArray,
    values: IntArray,
    trades: IntArray,
    agg_trades: IntArray,
    book: IntArray,
    quotes: IntArray,
) -> bool:
    """Parse usual lines from state[POSITION] on; return whether all of them were usual.

    Args:
        data: The buffer, with at least PADDING bytes behind `end`.
        words: `words_of(data)`.
        end: Position behind the last line's newline.
        state: As the constants above number it; POSITION, LAST_NS and the counts are moved on.
        keys: The known symbols, see `symbol_slot`.
        values: Their indices.
        trades: Table to append to, shape (TRADE_ROWS, room); room for a row per 60 bytes of text. A line for whose
            rows a table has no room is not taken.
        agg_trades: The same for aggregate trades.
        book: Shape (BOOK_ROWS, room), room for a row per 10 bytes of text.
        quotes: Shape (QUOTE_ROWS, room), room for a row per 60 bytes of text.

    Returns:
        False if the line at state[POSITION] deviates from its usual form, or runs backwards in receive time.
    """
    at = state[POSITION]
    while at < end:
        ts_ns = _received(data, words, at)
        if ts_ns < 0 or ts_ns < state[LAST_NS]:
            return False
        wrapped, begin = _payload(data, words, at + 20)
        if begin < 0:
            return False
        word = words[begin]
        kind, position, row = -1, -1, 0
        if (word & M5) == _QUOTE_1:
            row, kind = state[N_QUOTES] + 1, N_QUOTES
            position = _quote(data, words, begin, ts_ns, keys, values, quotes, row - 1)
        elif word == _DEPTH_1:
            kind = N_BOOK
            row, position = _depth(data, words, begin, ts_ns, keys, values, book, state[N_BOOK])
        elif word == _TRADE_1:
            row, kind = state[N_TRADES] + 1, N_TRADES
            position = _trade(data, words, begin, ts_ns, keys, values, trades, row - 1)
        elif word == _AGG_1:
            row, kind = state[N_AGG_TRADES] + 1, N_AGG_TRADES
            position = _agg_trade(data, words, begin, ts_ns, keys, values, agg_trades, row - 1)
        if position < 0:
            return False
        if wrapped:
            if data[position] != BRACE:
                return False
            position += 1
        if data[position] != NEWLINE:
            return False
        state[kind] = row
        state[kind + LINES_TRADE - N_TRADES] += 1
        state[LAST_NS] = ts_ns
        at = position + 1
        state[POSITION] = at
    return True
