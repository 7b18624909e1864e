"""Where do hundreds of thousands of values stay without an object each? Short texts come in one by one, or over and over
again, and go out by their place, or their place by the text; a table of rows makes a row when somebody looks at it.
"""

from abc import abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from typing import TypeVar, overload
from zlib import crc32

_ROOM = 1_024  # Slots of an empty index: a power of two.
_Row = TypeVar("_Row")


class Rows(Sequence[_Row]):
    """A sequence whose rows are made when they are asked for; equal to any sequence of the same rows."""

    @abstractmethod
    def at(self, index: int) -> _Row:
        """Return the row at `index`, from 0 to below the length."""

    @overload
    def __getitem__(self, index: int) -> _Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[_Row]: ...
    def __getitem__(self, index: int | slice) -> _Row | list[_Row]:
        places = range(len(self))[index]
        return self.at(places) if isinstance(places, int) else [self.at(place) for place in places]

    def __iter__(self) -> Iterator[_Row]:
        return map(self.at, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # May grow: never a key.


class TextColumn(Rows[str]):
    """Texts by the order in which they came, one behind the other: their bytes, and 8 for where each ends."""

    __slots__ = ("_data", "_ends")

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("q", (0,))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def at(self, index: int) -> str:
        """Return the text at `index`; 0 is the first."""
        return self.raw(index).decode()

    def raw(self, index: int) -> bytes:
        """Return the bytes of the text at `index` (0 is the first)."""
        return bytes(self._data[self._ends[index] : self._ends[index + 1]])

    def append(self, text: str) -> None:
        """Add a text at the end."""
        self.append_raw(text.encode())

    def append_raw(self, raw: bytes) -> None:
        """Add the bytes of a text."""
        data = self._data
        data += raw
        self._ends.append(len(data))


class TextIndex:
    """Different texts, numbered from 0 as they come, and found again by the text.

    A table of numbers in which a text's place is told by its checksum; where that is taken, the next one is.
    """

    __slots__ = ("_checks", "_slots", "_texts")

    def __init__(self) -> None:
        self._texts = TextColumn()
        self._checks = array("I")
        self._slots = array("i", bytes(4 * _ROOM))  # Number + 1; 0 = free.

    def __len__(self) -> int:
        return len(self._checks)

    def __getitem__(self, number: int) -> str:
        return self._texts.at(number)

    def find(self, text: str) -> int:
        """Return the number of a text, -1 if it never came."""
        raw = text.encode()
        check = crc32(raw)
        slots, checks = self._slots, self._checks
        last = len(slots) - 1
        at = check & last
        while number := slots[at]:
            if checks[number - 1] == check and self._texts.raw(number - 1) == raw:
                return number - 1
            at = (at + 1) & last
        return -1

    def add(self, text: str) -> int:
        """Number a text that has never come, and return the number."""
        checks = self._checks
        if 2 * len(checks) >= len(self._slots):
            self._slots = array("i", bytes(8 * len(self._slots)))
            for number, check in enumerate(checks, 1):
                self._place(check, number)
        raw = text.encode()
        check = crc32(raw)
        self._texts.append_raw(raw)
        checks.append(check)
        number = len(checks)
        slots = self._slots
        at = check & (len(slots) - 1)
        if slots[at]:
            self._place(check, number)
        else:
            slots[at] = number
        return number - 1

    def _place(self, check: int, number: int) -> None:
        slots = self._slots
        last = len(slots) - 1
        at = check & last
        while slots[at]:
            at = (at + 1) & last
        slots[at] = number


class Words:
    """The few different texts that a column is made of, numbered from 0 as they come."""

    __slots__ = ("_numbers", "_texts")

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []

    def __getitem__(self, number: int) -> str:
        return self._texts[number]

    def number(self, text: str) -> int:
        """Return the number of a text."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return number
