"""Ids are counters and hashes: the same run has the same ids, and no two orders share one."""

import base64
import hashlib

CLIENT_ID_PREFIX = "NJ-"
_NUMBER_DIGITS = 18
_BATCH = 32
_MADE_MAX = 1_024
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LETTERS = bytes.maketrans(bytes(range(32)), _BASE32.encode())


# A mask of `width` bits in each of four lanes.
def _lanes(lane: int, offset: int, width: int) -> int:
    return sum(((1 << width) - 1) << (lane * index + offset) for index in range(4))


_QUARTERS = tuple(((1 << 25) - 1) << (25 * index) for index in range(4))
_FIVES = tuple(_lanes(40, 5 * index, 5) for index in range(5))


def client_order_id(account_id: str, run_id: str, intent_id: str, attempt: int = 0) -> str:
    """Return `NJ-` and 20 base32 characters (100 bits) of the hash of its arguments.

    Short and plain enough for any venue's limit on client ids; deterministic, so that a retry after a crash can not
    become a second order.
    """
    text = f"{account_id}\x1f{run_id}\x1f{intent_id}\x1f{attempt}"
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:13]) >> 4
    return CLIENT_ID_PREFIX + _spread(bits).to_bytes(20).translate(_LETTERS).decode()


class ClientOrderIds:
    """The client order ids of one run.

    Intents are numbered, so that the ids of the next ones can be made together: an order comes once in many bars, and
    what its id takes has left the processor's caches by then.

    Args:
        account_id: As for `client_order_id`.
        run_id: Likewise.
    """

    __slots__ = ("_account_id", "_made", "_run_id")

    def __init__(self, account_id: str, run_id: str) -> None:
        self._account_id = account_id
        self._run_id = run_id
        self._made: dict[str, str] = {}

    def of(self, intent_id: str) -> str:
        """Return `client_order_id` of the intent, first attempt."""
        return self._made.pop(intent_id, None) or self._make(intent_id)

    def _make(self, intent_id: str) -> str:
        owner, dash, digits = intent_id.rpartition("-")
        if dash and digits.isascii() and digits.isdigit() and len(digits) <= _NUMBER_DIGITS:
            if len(self._made) > _MADE_MAX:
                self._made.clear()  # Of intents that were refused, or never came.
            for number in range(int(digits) + 1, int(digits) + _BATCH):
                ahead = f"{owner}-{number}"
                self._made[ahead] = client_order_id(self._account_id, self._run_id, ahead)
        return client_order_id(self._account_id, self._run_id, intent_id)


# 20 groups of five bits, each in a byte of its own: four quarters apart first, then the five groups of all at once. A
# table of letter pairs is three times slower where it matters, once in many bars, when it has left the caches.
def _spread(bits: int) -> int:
    first, second, third, fourth = _QUARTERS
    bits = bits & first | (bits & second) << 15 | (bits & third) << 30 | (bits & fourth) << 45
    one, two, three, four, five = _FIVES
    return bits & one | (bits & two) << 3 | (bits & three) << 6 | (bits & four) << 9 | (bits & five) << 12


def short_hash(*parts: str) -> str:
    """Return 12 base32 characters (60 bits) of the hash of `parts`, in lower case: names of runs."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return base64.b32encode(digest).decode("ascii")[:12].lower()


class Counter:
    """Numbers ids `<prefix>-<n>` from 1, and can go on where a journal ended."""

    def __init__(self, prefix: str, last: int = 0) -> None:
        self.prefix = prefix
        self.last = last

    def next(self) -> str:
        """Return the next id."""
        self.last += 1
        return f"{self.prefix}-{self.last}"
