"""Ids are counters and hashes: the same run has the same ids, and no two orders share one."""

import base64
import hashlib

CLIENT_ID_PREFIX = "NJ-"
_NUMBER_DIGITS = 18
_BATCH = 32
_MADE_MAX = 1_024
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LETTERS = bytes.maketrans(bytes(range(32)), _BASE32.encode())
_ID_BYTES = 20  # One letter each, which stands for five bits.


# The same bits of every lane; an id takes one lane of 160 bits, which falls into four of 40.
def _lanes(n_lanes: int, lane_bits: int, offset: int, width: int) -> int:
    return sum(((1 << width) - 1) << (lane_bits * lane + offset) for lane in range(n_lanes))


_QUARTERS = tuple(_lanes(_BATCH, 160, 25 * quarter, 25) for quarter in range(4))
_FIVES = tuple(_lanes(4 * _BATCH, 40, 5 * group, 5) for group in range(5))


def client_order_id(account_id: str, run_id: str, intent_id: str, attempt: int = 0) -> str:
    """Return `NJ-` and 20 base32 characters (100 bits) of the hash of its arguments.

    Short and plain enough for any venue's limit on client ids; deterministic, so that a retry after a crash can not
    become a second order.
    """
    return _spelled([_digest(f"{account_id}\x1f{run_id}\x1f{intent_id}\x1f{attempt}")])[0]


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
            number = int(digits)
            ahead = [f"{owner}-{number + later}" for later in range(1, _BATCH)]
            before = f"{self._account_id}\x1f{self._run_id}\x1f"
            made = _spelled([_digest(f"{before}{each}\x1f0") for each in (intent_id, *ahead)])
            self._made.update(zip(ahead, made[1:], strict=True))
            return made[0]
        return client_order_id(self._account_id, self._run_id, intent_id)


def leg_id(order_id: str, revision: int) -> str:
    """Return the name of an order's leg at a venue that replaces an order to change it; the first one is the order's own.

    Args:
        order_id: The client order id.
        revision: How many amendments were sent up to this leg.
    """
    return f"{order_id}-{revision}" if revision else order_id


def order_of(leg: str) -> str:
    """Return the client order id behind a leg's name; any other text stays as it is."""
    order_id, dash, revision = leg.rpartition("-")
    is_leg = (
        dash and len(order_id) == len(CLIENT_ID_PREFIX) + _ID_BYTES and order_id.startswith(CLIENT_ID_PREFIX)
    )
    return order_id if is_leg and revision.isascii() and revision.isdigit() else leg


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


# The first 100 bits of each of up to `_BATCH` digests in letters, all at once: what is done to a lane is done to every
# lane of one large number. Four quarters of 25 bits go apart, then the five groups of five of all of them, so that each
# group has a byte of its own.
def _spelled(digests: list[bytes]) -> list[str]:
    bits = int.from_bytes(b"".join([digest[:_ID_BYTES] for digest in digests])) >> 60
    first, second, third, fourth = _QUARTERS
    bits = bits & first | (bits & second) << 15 | (bits & third) << 30 | (bits & fourth) << 45
    one, two, three, four, five = _FIVES
    bits = bits & one | (bits & two) << 3 | (bits & three) << 6 | (bits & four) << 9 | (bits & five) << 12
    letters = bits.to_bytes(_ID_BYTES * len(digests)).translate(_LETTERS).decode()
    return [CLIENT_ID_PREFIX + letters[at : at + _ID_BYTES] for at in range(0, len(letters), _ID_BYTES)]


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
