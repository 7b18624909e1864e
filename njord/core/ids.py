"""Ids are counters and hashes: the same run has the same ids, and no two orders share one."""

import base64
import hashlib

CLIENT_ID_PREFIX = "NJ-"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = tuple(first + second for first in _BASE32 for second in _BASE32)
_SHIFTS = tuple(range(90, -1, -10))  # Ten pairs of letters, of five bits each.


def client_order_id(account_id: str, run_id: str, intent_id: str, attempt: int = 0) -> str:
    """Return `NJ-` and 20 base32 characters (100 bits) of the hash of its arguments.

    Short and plain enough for any venue's limit on client ids; deterministic, so that a retry after a crash can not
    become a second order.
    """
    text = f"{account_id}\x1f{run_id}\x1f{intent_id}\x1f{attempt}"
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:13]) >> 4
    return CLIENT_ID_PREFIX + "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


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
