"""Which intents were decided? In come ids, out goes whether one was there before, in memory that stays small.

Ids are counters, `<owner>-<n>`, and come in nearly their order: what is kept of an owner is ranges of numbers, one
range as long as none is left out. Ids of any other form are kept whole.
"""

from bisect import bisect_right
from operator import itemgetter

_NUMBER_DIGITS = 18
_NUMBER_MAX = 10**_NUMBER_DIGITS - 1
_first = itemgetter(0)


class DecidedIds:
    """A set of intent ids that only grows.

    Attributes:
        expected: The id that comes next of each owner, with the owner and its newest range: never one that was decided,
            and nearly always the one that comes. Then nothing needs to be taken apart. Only to be looked at.
    """

    __slots__ = ("_others", "_ranges", "expected")

    def __init__(self) -> None:
        self._ranges: dict[str, list[list[int]]] = {}  # Owner -> [first, last], ascending and apart.
        self._others: set[str] = set()
        self.expected: dict[str, tuple[str, list[int]]] = {}

    def __contains__(self, intent_id: str) -> bool:
        if intent_id in self.expected:
            return False
        owner, number = _split(intent_id)
        if not number:
            return intent_id in self._others
        ranges = self._ranges.get(owner)
        if not ranges or number > ranges[-1][1]:
            return False
        at = bisect_right(ranges, number, key=_first) - 1
        return at >= 0 and number <= ranges[at][1]

    def add(self, intent_id: str) -> None:
        """Remember `intent_id`; remembering it again changes nothing."""
        expected = self.expected.pop(intent_id, None)
        if expected is not None:
            owner, newest = expected
            newest[1] = number = newest[1] + 1
            if number < _NUMBER_MAX:
                self.expected[f"{owner}-{number + 1}"] = expected
            return
        owner, number = _split(intent_id)
        if not number:
            self._others.add(intent_id)
            return
        ranges = self._ranges.setdefault(owner, [])
        if ranges:
            self.expected.pop(f"{owner}-{ranges[-1][1] + 1}", None)
        _include(ranges, number)
        newest = ranges[-1]
        if newest[1] < _NUMBER_MAX:
            self.expected[f"{owner}-{newest[1] + 1}"] = (owner, newest)

    @property
    def n_kept(self) -> int:
        """How many ranges and whole ids are in memory."""
        return sum(map(len, self._ranges.values())) + len(self._others)


def _include(ranges: list[list[int]], number: int) -> None:
    at = bisect_right(ranges, number, key=_first)
    before = ranges[at - 1] if at else None
    if before is not None and number <= before[1] + 1:
        before[1] = max(before[1], number)
    else:
        before = [number, number]
        ranges.insert(at, before)
        at += 1
    if at < len(ranges) and ranges[at][0] == before[1] + 1:
        before[1] = ranges.pop(at)[1]


# The number is 0 where the id is no counter; `a-07` is not the same id as `a-7`.
def _split(intent_id: str) -> tuple[str, int]:
    owner, dash, digits = intent_id.rpartition("-")
    if not dash or not digits.isascii() or not digits.isdigit():
        return intent_id, 0
    if digits[0] == "0" or len(digits) > _NUMBER_DIGITS:
        return intent_id, 0
    return owner, int(digits)
