"""What does the order book look like after this change? One flat array per book, whole ticks and lots, any price.

This is the one book of live, paper, simulation and `njord data book`. Each side keeps its levels near the best price in
a dense window, one element per tick, with two layers of bits over it that find the next best level; the levels deeper
than the window lie in a hash table, in no order. Both sides are one code: a level's key is its price for asks and minus
its price for bids, so that the best level has the lowest key. The best level is always inside the window, which moves
when it would not be.

The state is one int64 array: `new_book` lays it out, a copy of it is a snapshot, and rows of a two-dimensional array
are many books. Prices are from 1 to PRICE_MAX, quantities from 0 to 2**63-1; nothing here checks that.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from njord.kernels._jit import bare_kernel

IntArray = NDArray[np.int64]

BID, ASK = 0, 1
PRICE_MAX = 2**62 - 1
INT64_MAX = 2**63 - 1
NO_LEVEL = INT64_MAX  # The best key of an empty side.

# A book: its header, then one block per side.
WINDOW = 0  # Ticks that a window spans: a power of two, 64 at least.
ROOM = 1  # Slots of a side's table: a power of two.
SIDE = 2  # Elements of a side's block.
HEADER = 3
# A side's block: its own header, the lots in the window, bits, bits over the bits, the table's keys, the table's lots.
BASE = 0  # The window's first key.
BEST = 1  # The lowest key, NO_LEVEL while empty.
N_DENSE = 2  # Levels in the window.
N_FAR = 3  # Levels in the table.
LOTS = 4

# Bits lie 32 to an element: their sign then never matters. The index of a lone bit by multiplication: each window of
# five bits in this constant (a de Bruijn sequence) occurs once.
_DE_BRUIJN = 0x077CB531
_INDEX = np.zeros(32, dtype=np.int64)
for _bit in range(32):
    _INDEX[((_DE_BRUIJN << _bit) & 0xFFFFFFFF) >> 27] = _bit


def new_book(window: int = 2**16, room: int = 2**10) -> IntArray:
    """Return an empty book.

    Args:
        window: Ticks of each side held densely, a power of two and 64 at least.
        room: Slots for levels beyond, a power of two and 2 at least; `grown` doubles them.
    """
    side = LOTS + window + window // 32 + max(1, window // 1024) + 2 * room
    book = np.zeros(HEADER + 2 * side, dtype=np.int64)
    book[:HEADER] = window, room, side
    book[HEADER + BEST] = book[HEADER + side + BEST] = NO_LEVEL
    return book


def grown(book: IntArray) -> IntArray:
    """Return the same book with twice the room for levels beyond the windows."""
    window, room = int(book[WINDOW]), int(book[ROOM])
    wider = new_book(window, 2 * room)
    for side in (BID, ASK):
        old, new = int(_block(book, side)), int(_block(wider, side))
        n_dense = int(far_at(book))
        wider[new : new + n_dense] = book[old : old + n_dense]
        wider[new + N_FAR] = 0
        far = old + n_dense
        for slot in np.flatnonzero(book[far : far + room]):
            _far_put(wider, new, book[far + slot], book[far + room + slot])
    return wider


@bare_kernel
def _block(book: IntArray, side: int) -> Any:
    return HEADER + side * book[SIDE]


# Where a side's bits, their bits, and its table begin, from its block's start.
@bare_kernel
def _bits(book: IntArray) -> Any:
    return LOTS + book[WINDOW]


@bare_kernel
def _tops(book: IntArray) -> Any:
    return LOTS + book[WINDOW] + (book[WINDOW] >> 5)


@bare_kernel
def far_at(book: IntArray) -> Any:
    """Return where a side's table of levels beyond the window begins, from the side's start."""
    return LOTS + book[WINDOW] + (book[WINDOW] >> 5) + max(1, book[WINDOW] >> 10)


@bare_kernel
def _lowest(bits: int) -> Any:
    return _INDEX[(((bits & -bits) * _DE_BRUIJN) & 0xFFFFFFFF) >> 27]


@bare_kernel
def next_index(book: IntArray, at: int, index: int) -> Any:
    """Return the first level at `index` or deeper in the window of the side that begins at `at`; -1 if there is none."""
    window = book[WINDOW]
    if index >= window:
        return -1
    bits = at + _bits(book)
    word = index >> 5
    rest = book[bits + word] >> (index & 31)
    if rest:
        return index + _lowest(rest)
    word += 1
    if word >= window >> 5:
        return -1
    tops = at + _tops(book)
    top = word >> 5
    rest = book[tops + top] >> (word & 31)
    if rest:
        word += _lowest(rest)
    else:
        n_tops = max(1, window >> 10)
        top += 1
        while top < n_tops and not book[tops + top]:
            top += 1
        if top >= n_tops:
            return -1
        word = (top << 5) + _lowest(book[tops + top])
    return (word << 5) + _lowest(book[bits + word])


@bare_kernel
def _mark(book: IntArray, at: int, index: int) -> None:
    word = index >> 5
    book[at + _bits(book) + word] |= 1 << (index & 31)
    book[at + _tops(book) + (word >> 5)] |= 1 << (word & 31)


@bare_kernel
def _unmark(book: IntArray, at: int, index: int) -> None:
    word = index >> 5
    bits = at + _bits(book) + word
    book[bits] &= ~(1 << (index & 31))
    if not book[bits]:
        book[at + _tops(book) + (word >> 5)] &= ~(1 << (word & 31))


# --- the table of levels beyond the window: open addressing, linear probing, 0 is a free slot ---


@bare_kernel
def far_slot(book: IntArray, at: int, key: int) -> Any:
    """Return the slot of a key in the table of the side that begins at `at`: its own, or the free one it would take."""
    mask = book[ROOM] - 1
    keys = at + far_at(book)
    slot = (key ^ (key >> 16)) & mask
    while book[keys + slot] != 0 and book[keys + slot] != key:
        slot = (slot + 1) & mask
    return slot


@bare_kernel
def _far_put(book: IntArray, at: int, key: int, lots: int) -> None:
    keys = at + far_at(book)
    slot = far_slot(book, at, key)
    if not book[keys + slot]:
        book[keys + slot] = key
        book[at + N_FAR] += 1
    book[keys + book[ROOM] + slot] = lots


@bare_kernel
def _far_take(book: IntArray, at: int, key: int) -> None:
    room = book[ROOM]
    mask = room - 1
    keys = at + far_at(book)
    hole = far_slot(book, at, key)
    if not book[keys + hole]:
        return
    book[at + N_FAR] -= 1
    slot = hole
    while True:  # What was pushed past the hole moves back into it.
        slot = (slot + 1) & mask
        other = book[keys + slot]
        if not other:
            break
        home = (other ^ (other >> 16)) & mask
        if ((slot - home) & mask) >= ((slot - hole) & mask):
            book[keys + hole] = other
            book[keys + room + hole] = book[keys + room + slot]
            hole = slot
    book[keys + hole] = 0


# --- the window ---


# Moves the window toward better prices, so that `key` lies a quarter into it; what it leaves behind goes to the table.
@bare_kernel
def _move(book: IntArray, at: int, key: int) -> None:
    window = book[WINDOW]
    shift = book[at + BASE] - (key - (window >> 2))
    bits = at + _bits(book)
    for word in range((window >> 5) - 1, -1, -1):
        if not book[bits + word]:
            continue
        for index in range((word << 5) + 31, (word << 5) - 1, -1):
            lots = book[at + LOTS + index]
            if not lots:
                continue
            book[at + LOTS + index] = 0
            _unmark(book, at, index)
            if index + shift < window:
                book[at + LOTS + index + shift] = lots
                _mark(book, at, index + shift)
            else:
                _far_put(book, at, book[at + BASE] + index, lots)
                book[at + N_DENSE] -= 1
    book[at + BASE] -= shift


# Fills an empty window with the best levels of the table.
@bare_kernel
def _refill(book: IntArray, at: int) -> None:
    window, room = book[WINDOW], book[ROOM]
    keys = at + far_at(book)
    best = NO_LEVEL
    for slot in range(room):
        key = book[keys + slot]
        if key != 0 and key < best:
            best = key
    base = best - (window >> 2)
    book[at + BASE] = base
    book[at + BEST] = best
    for slot in range(room):
        while book[keys + slot] != 0 and book[keys + slot] - base < window:
            key = book[keys + slot]
            book[at + LOTS + key - base] = book[keys + room + slot]
            _mark(book, at, key - base)
            book[at + N_DENSE] += 1
            _far_take(book, at, key)  # Another that belongs here may come into this slot.


@bare_kernel
def set_level(book: IntArray, side: int, price: int, lots: int) -> bool:
    """Set the quantity at `price` on one side, 0 to remove it; return False, unchanged, if the book must grow first.

    Args:
        book: From `new_book`.
        side: BID or ASK.
        price: Ticks, 1 to PRICE_MAX.
        lots: >= 0.
    """
    at = HEADER + side * book[SIDE]
    key = price if side == ASK else -price
    index = key - book[at + BASE]
    if 0 <= index < book[WINDOW] and book[at + BEST] != NO_LEVEL:
        before = book[at + LOTS + index]
        book[at + LOTS + index] = lots
        if lots:
            if not before:
                _mark(book, at, index)
                book[at + N_DENSE] += 1
                book[at + BEST] = min(book[at + BEST], key)
        elif before:
            _unmark(book, at, index)
            book[at + N_DENSE] -= 1
            if key == book[at + BEST]:
                _find_best(book, at, index)
        return True
    return _set_outside(book, at, key, lots)


@bare_kernel
def _find_best(book: IntArray, at: int, index: int) -> None:
    if book[at + N_DENSE]:
        book[at + BEST] = book[at + BASE] + next_index(book, at, index)
    elif book[at + N_FAR]:
        _refill(book, at)
    else:
        book[at + BEST] = NO_LEVEL


@bare_kernel
def _set_outside(book: IntArray, at: int, key: int, lots: int) -> bool:
    window, half = book[WINDOW], book[ROOM] >> 1
    if book[at + BEST] == NO_LEVEL:
        if lots:
            book[at + BASE] = key - (window >> 2)
            book[at + BEST] = key
            book[at + LOTS + (window >> 2)] = lots
            book[at + N_DENSE] = 1
            _mark(book, at, window >> 2)
        return True
    if key > book[at + BASE]:
        if not lots:
            _far_take(book, at, key)
            return True
        if book[at + N_FAR] >= half:
            return False
        _far_put(book, at, key, lots)
        return True
    if lots:
        if book[at + N_FAR] + book[at + N_DENSE] > half:
            return False
        _move(book, at, key)
        book[at + LOTS + (window >> 2)] = lots
        book[at + N_DENSE] += 1
        book[at + BEST] = key
        _mark(book, at, window >> 2)
    return True


@bare_kernel
def clear(book: IntArray) -> None:
    """Remove every level."""
    for side in range(2):
        at = HEADER + side * book[SIDE]
        book[at : at + book[SIDE]] = 0
        book[at + BEST] = NO_LEVEL


# --- questions ---


@bare_kernel
def best(book: IntArray, side: int) -> tuple[int, int]:
    """Return (price, lots) of the best level of a side; (0, 0) if it is empty."""
    at = HEADER + side * book[SIDE]
    key = book[at + BEST]
    if key == NO_LEVEL:
        return 0, 0
    return (key if side == ASK else -key), book[at + LOTS + key - book[at + BASE]]


@bare_kernel
def n_levels(book: IntArray, side: int) -> Any:
    """Return how many levels a side has."""
    at = HEADER + side * book[SIDE]
    return book[at + N_DENSE] + book[at + N_FAR]
