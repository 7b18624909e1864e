"""A result as JSON, in pieces: its long lists are encoded a part at a time, so that none is ever in memory as a whole."""

from collections.abc import Iterator, Sequence

import msgspec

from njord.backtest.result import BacktestResult

_LONG = ("fills", "round_trips")  # In the order of the result's fields.
_PIECE_ROWS = 4_096


def encode_result(result: BacktestResult) -> bytes:
    """Return the result as indented JSON, ended by a newline; the same result gives the same bytes."""
    return b"".join(pieces_of(result))


def pieces_of(result: BacktestResult) -> Iterator[bytes]:
    """Yield what `encode_result` returns, piece by piece."""
    short = msgspec.structs.replace(result, **{name: [] for name in _LONG})
    rest = _indented(short)
    for name in _LONG:
        # One space and the name begin a line nowhere but at a field of the result itself.
        place = f'\n "{name}": ['.encode()
        before, _, rest = rest.partition(place)
        yield before + place
        yield from _rows(name, getattr(result, name))
    yield rest + b"\n"


# The rows with the line breaks around them, as they stand between the brackets of the field.
def _rows(name: str, rows: Sequence[msgspec.Struct]) -> Iterator[bytes]:
    begins, ends = f'{{\n "{name}": ['.encode(), b"\n ]\n}"
    for first in range(0, len(rows), _PIECE_ROWS):
        piece = _indented({name: rows[first : first + _PIECE_ROWS]})
        yield b"," * (first > 0) + piece.removeprefix(begins).removesuffix(ends)
    if rows:
        yield b"\n "


def _indented(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
