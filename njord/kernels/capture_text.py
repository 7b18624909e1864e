"""How is a piece of a usual capture line read? A position in; an exact integer and the position behind it out.

The bytes are read through `words_of`, where element i holds bytes i to i+7 of the buffer: a key is compared by one
load, and eight digits become a number in a dozen operations. A position of -1 says that the text is not of its usual
form. Compiled as calls: inlined into the line readers they ran a third faster and took 21 s to compile instead of 3.5.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import kernel

ByteArray = NDArray[np.uint8]
WordArray = NDArray[np.uint64]
IntArray = NDArray[np.int64]

PADDING = 32  # Bytes that a buffer has behind its last line, whatever they hold.
WHOLE_DIGITS_MAX = 10  # Of a usual price or quantity: 1e10 in units of 1e-8 is within int64.
SYMBOL_BYTES_MAX = 16  # Of a usual symbol.
_ID_DIGITS_MAX = 18
# 19 digits are nanoseconds from 2001 to 2261, 13 are milliseconds and 16 microseconds of the same years.
RECEIVE_FIRST, RECEIVE_END = 10**18, 92 * 10**17
MS_FIRST, MS_END = 10**12, 92 * 10**11
US_FIRST, US_END = 10**15, 92 * 10**14
NO_SYMBOL = -1

QUOTE, COMMA, DOT, COLON, BRACE, BRACKET, BACKSLASH = 34, 44, 46, 58, 125, 93, 92
_ZERO, SPACE, NEWLINE = 48, 32, 10


def word(text: bytes) -> Any:
    """Return the bytes of `text`, 8 at most, as one word in the machine's byte order, zeros behind them."""
    return np.frombuffer(text.ljust(8, b"\0"), np.uint64)[0]


M2, M4, M5, M6, M7 = (word(b"\xff" * n) for n in (2, 4, 5, 6, 7))  # The first n bytes of a word.
_SYMBOL, _TRUE, _FALSE, _ALSE = word(b',"s":"'), word(b"true"), word(b"fals"), word(b"alse")
_ZEROS, _HIGHS, _LOWS, _ABOVE_9 = word(b"0" * 8), word(b"\x80" * 8), word(b"\x7f" * 8), word(b"\x76" * 8)
# How neighboring digits become numbers of two, four and eight digits; the first digit lies in the lowest byte.
_PAIRS, _QUADS, _EIGHT = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)
_S8, _S16, _S32 = np.uint64(8), np.uint64(16), np.uint64(32)
_TEN, _HUNDRED, _MYRIAD = np.uint64(10), np.uint64(100), np.uint64(10_000)
_NO_WORD = np.uint64(0)
_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)  # Masks of the first n bytes.
_POWERS = np.array([10**n for n in range(9)], dtype=np.int64)
_MIX_1, _MIX_2 = np.uint64(40), np.uint64(17)


def words_of(data: ByteArray) -> WordArray:
    """Return the overlapping 8-byte words of a buffer: element i is made of bytes i to i+7."""
    return np.lib.stride_tricks.as_strided(data[:8].view(np.uint64), shape=(len(data) - 7,), strides=(1,))


@kernel
def symbol_slot(keys: WordArray, values: IntArray, first: Any, second: Any) -> Any:
    """Return the slot of a symbol in the table, or the free slot where it belongs.

    Args:
        keys: Shape (2, n_slots), n_slots a power of two and at least one slot free; the symbol's bytes as two words.
        values: Shape (n_slots,), the symbol's index or NO_SYMBOL.
        first: The symbol's first 8 bytes as a word.
        second: Its next 8, zeros behind the end.
    """
    n_slots = len(values)
    mixed = first ^ (first >> _MIX_1) ^ (first >> _MIX_2) ^ second ^ (second >> _MIX_2)
    slot = np.int64(mixed & _EIGHT) & (n_slots - 1)
    while values[slot] != NO_SYMBOL and (keys[0, slot] != first or keys[1, slot] != second):
        slot = (slot + 1) & (n_slots - 1)
    return slot


# Each reader below takes the position where its text begins and returns (value, position behind it); the position
# is -1 where the text is not of the usual form.


@kernel
def eight_digits(words: WordArray, at: int) -> Any:
    """Return the number that the eight bytes at `at` show, or -1 if one of them is no digit."""
    # No step overflows: each lane holds what its digits can amount to.
    digits = words[at] ^ _ZEROS
    if (((digits & _LOWS) + _ABOVE_9) | digits) & _HIGHS:
        return -1
    pairs = (digits * _TEN + (digits >> _S8)) & _PAIRS
    quads = (pairs * _HUNDRED + (pairs >> _S16)) & _QUADS
    return np.int64((quads * _MYRIAD + (quads >> _S32)) & _EIGHT)


@kernel
def read_whole(data: ByteArray, at: int) -> tuple[int, int]:
    """Read a JSON integer >= 0 of 18 digits at most."""
    value: Any = np.int64(0)
    position = at
    while True:
        digit = np.int64(data[position]) - _ZERO
        if digit < 0 or digit > 9:
            break
        if position - at >= _ID_DIGITS_MAX:
            return 0, -1
        value = value * 10 + digit
        position += 1
    if position == at or (data[at] == _ZERO and position > at + 1):
        return 0, -1
    return value, position


@kernel
def read_venue_ns(data: ByteArray, at: int) -> tuple[int, int]:
    """Read a time in ms or us since 1970, as ns."""
    value, position = read_whole(data, at)
    if MS_FIRST <= value < MS_END:
        return value * 1_000_000, position
    if US_FIRST <= value < US_END:
        return value * 1_000, position
    return 0, -1


@kernel
def read_amount(data: ByteArray, words: WordArray, at: int) -> tuple[int, int]:
    """Read a decimal in units of 1e-8, up to its closing quote."""
    value: Any = np.int64(0)
    position = at
    while True:
        digit = np.int64(data[position]) - _ZERO
        if digit < 0 or digit > 9:
            break
        if position - at >= WHOLE_DIGITS_MAX:
            return 0, -1
        value = value * 10 + digit
        position += 1
    if position == at or (data[at] == _ZERO and position > at + 1):
        return 0, -1
    if data[position] == QUOTE:
        return value * 100_000_000, position
    if data[position] != DOT:
        return 0, -1
    position += 1
    decimals = eight_digits(words, position)
    if decimals >= 0:
        position += 8
    else:
        decimals = np.int64(0)
        first = position
        while True:
            digit = np.int64(data[position]) - _ZERO
            if digit < 0 or digit > 9:
                break
            decimals = decimals * 10 + digit
            position += 1
        if position == first:
            return 0, -1
        decimals = decimals * _POWERS[8 - (position - first)]
    if data[position] != QUOTE:
        return 0, -1
    return value * 100_000_000 + decimals, position


@kernel
def read_symbol(
    data: ByteArray, words: WordArray, at: int, keys: WordArray, values: IntArray
) -> tuple[int, int]:
    """Read the symbol key and return the index of a known symbol, up to its closing quote."""
    if (words[at] & M6) != _SYMBOL:
        return 0, -1
    first = at + 6
    position = first
    while data[position] != QUOTE:
        position += 1
        if position - first > SYMBOL_BYTES_MAX:
            return 0, -1
    n = position - first
    low = words[first] & _BYTES[min(n, 8)]
    high = words[first + 8] & _BYTES[n - 8] if n > 8 else _NO_WORD
    index = values[symbol_slot(keys, values, low, high)]
    return (index, position) if index != NO_SYMBOL else (0, -1)


@kernel
def read_flag(words: WordArray, at: int) -> tuple[int, int]:
    """Read true or false as 1 or 0."""
    word = words[at] & M4
    if word == _TRUE:
        return 1, at + 4
    if word == _FALSE and (words[at + 1] & M4) == _ALSE:
        return 0, at + 5
    return 0, -1
