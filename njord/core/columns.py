"""Where do hundreds of thousands of values stay without an object each? Short texts come in many at a time, or over and
over again, and go out by their place, or their place by the text; a table of rows makes a row when somebody looks at it.

To pack one row at a time costs several times as much as to pack many: who records as things happen keeps the newest rows
as the objects that they came in, and packs `BATCH` of them together.
"""

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import TypeVar, overload
from zlib import crc32

BATCH = 512  # Rows that are packed together: few enough to be still in the processor's caches.
_ROOM = 32_768  # Slots of an empty index: a power of two.
_Row = TypeVar("_Row")


class Rows(Sequence[_Row]):
    """A sequence whose rows are made when they are asked for; equal to any sequence of the same rows."""

    @abstractmethod
    def at(self, index: int) -> _Row:
        """Return the row at `index`, from 0 to below the length."""

    def many(self, places: Sequence[int]) -> list[_Row]:
        """Return the rows at some places, each from 0 to below the length."""
        return [self.at(place) for place in places]

    @overload
    def __getitem__(self, index: int) -> _Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[_Row]: ...
    def __getitem__(self, index: int | slice) -> _Row | list[_Row]:
        places = range(len(self))[index]
        return self.at(places) if isinstance(places, int) else self.many(places)

    def __iter__(self) -> Iterator[_Row]:
        places = range(len(self))
        for first in range(0, len(self), BATCH):
            yield from self.many(places[first : first + BATCH])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))


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
        ends = self._ends
        return self._data[ends[index] : ends[index + 1]].decode()

    def raw(self, index: int) -> bytes:
        """Return the bytes of the text at `index` (0 is the first)."""
        ends = self._ends
        return bytes(self._data[ends[index] : ends[index + 1]])

    def many(self, places: Sequence[int]) -> list[str]:
        """Return the texts at some places."""
        data, ends = self._data, self._ends
        return [data[ends[place] : ends[place + 1]].decode() for place in places]

    def extend(self, texts: Sequence[str]) -> None:
        """Add texts at the end."""
        joined = "".join(texts)
        raw = joined.encode()
        if len(raw) == len(joined):  # A byte for each letter.
            self._add(raw, map(len, texts))
        else:
            self.extend_raw([text.encode() for text in texts])

    def extend_raw(self, raws: Sequence[bytes]) -> None:
        """Add the bytes of texts."""
        self._add(b"".join(raws), map(len, raws))

    def _add(self, raw: bytes, lengths: Iterable[int]) -> None:
        ends = accumulate(lengths, initial=len(self._data))
        self._ends.extend(islice(ends, 1, None))
        self._data += raw


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
        check = crc32(text.encode())
        slots = self._slots
        last = len(slots) - 1
        at = check & last
        while number := slots[at]:
            if self._checks[number - 1] == check and self._texts.raw(number - 1) == text.encode():
                return number - 1
            at = (at + 1) & last
        return -1

    def extend(self, texts: Sequence[str]) -> None:
        """Number texts that have never come; each is another one."""
        raws = [text.encode() for text in texts]
        new = array("I", map(crc32, raws))
        first = len(self._checks)
        self._texts.extend_raw(raws)
        self._checks += new
        room = len(self._slots)
        while 2 * len(self._checks) > room:
            room *= 4
        if room > len(self._slots):
            self._slots = array("i", bytes(4 * room))
            self._place(self._checks, 1)
        else:
            self._place(new, first + 1)

    def _place(self, checks: "array[int]", first: int) -> None:
        slots = self._slots
        last = len(slots) - 1
        for number, check in enumerate(checks, first):
            at = check & last
            while slots[at]:
                at = (at + 1) & last
            slots[at] = number


class Words(dict[str, int]):
    """The few different texts that a column is made of, by text: numbered from 0 as they are asked for.

    Attributes:
        texts: By number.
    """

    def __init__(self, *first: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        for text in first:
            self[text]

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self.texts)
        self.texts.append(str(text))  # Of an enum, its text.
        return number
