"""What does an answer of Binance.US mean, for the order, the key, the clock and the budget? One table says it.

In comes an answer or its absence, out goes a `Verdict`. The venue's rule is that a 4xx is the sender's fault and that a
5xx says nothing about what was done. A code alone is not enough: -2010 is every refusal of the engine, among them the
answer to an id that it has already, which is no refusal of the order. What stands in no row is UNKNOWN.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from njord.core.types import OrderReason
from njord.core.units import NS_PER_S
from njord.venues.broker_wire import Answer, NoAnswer

_TEXT_MAX = 160
_RETRY_AFTER_MAX_S = 3 * 24 * 3600
_RETRY_AFTER_DEFAULT_S = {429: 10, 418: 120}


class Meaning(StrEnum):
    """What is known after an answer."""

    DONE = "done"  # A 2xx: its body says what.
    REFUSED = "refused"  # Decided: nothing exists, and nothing will.
    UNSENT = "unsent"  # Not a byte has left.
    SLOW_DOWN = "slow_down"  # Refused in front of the engine, for the budget's sake: may be repeated later.
    BANNED = "banned"  # The address is shut out for a while.
    CLOCK = "clock"  # Refused in front of the engine, for its timestamp: may be repeated once it is right.
    KEY = "key"  # Refused for the key: final.
    ABSENT = "absent"  # The venue knows no such order, now.
    ARCHIVED = "archived"  # It ended without a fill, very long ago.
    DUPLICATE = "duplicate"  # The venue has that id already: which order that is must be asked.
    NO_LISTEN_KEY = "no_listen_key"
    HALVES = "halves"  # Of a replacement: not both halves were done; `binance_replacement.py` reads which.
    UNKNOWN = "unknown"  # It may have been done.


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The meaning of one answer.

    Attributes:
        meaning: What is known.
        reason: Of a refusal, for the order's update.
        evidence: One line for a person: status, code, words; printable, and cut.
        retry_after_ns: How long the venue wants to be left alone.
        is_behind: Of CLOCK: the venue's clock is behind what it was taken for: it was set back, or ours ahead.
    """

    meaning: Meaning
    reason: OrderReason = OrderReason.NONE
    evidence: str = ""
    retry_after_ns: int = 0
    is_behind: bool = False


class _Error(msgspec.Struct, frozen=True):
    code: int
    msg: str = ""


_M, _R = Meaning, OrderReason


def _row(
    words: str, meaning: Meaning, reason: OrderReason = _R.NONE
) -> tuple[re.Pattern[str], Meaning, OrderReason]:
    return re.compile(words, re.IGNORECASE), meaning, reason


# What the matching engine says, under -1010, -2010 and, of some, -1013. The first row that fits counts.
_ENGINE = (
    _row(r"^duplicate order sent", _M.DUPLICATE),
    _row(r"insufficient balance", _M.REFUSED, _R.INSUFFICIENT_FUNDS),
    _row(r"would immediately match and take", _M.REFUSED, _R.POST_ONLY_WOULD_TAKE),
    _row(r"would trigger immediately", _M.REFUSED, _R.FILTER_TRIGGER),
    _row(r"^market is closed|not permitted for this account", _M.REFUSED, _R.SYMBOL_HALTED),
    _row(
        r"are not supported for this symbol|^unsupported order combination", _M.REFUSED, _R.TYPE_NOT_OFFERED
    ),
    _row(r"^filter failure: (PRICE_FILTER|PERCENT_PRICE)", _M.REFUSED, _R.FILTER_PRICE),
    _row(r"^filter failure: (LOT_SIZE|MARKET_LOT_SIZE)", _M.REFUSED, _R.FILTER_QTY),
    _row(r"^filter failure: (MIN_NOTIONAL|NOTIONAL)", _M.REFUSED, _R.FILTER_NOTIONAL),
    _row(r"^filter failure: TRAILING_DELTA", _M.REFUSED, _R.FILTER_TRIGGER),
    _row(r"^filter failure: \w*(MAX_NUM|MAXIMUM)\w*", _M.REFUSED, _R.RATE_LIMITED),
    _row(r"^invalid quantity", _M.REFUSED, _R.FILTER_QTY),
    _row(r"^invalid price", _M.REFUSED, _R.FILTER_PRICE),
    _row("", _M.REFUSED, _R.VENUE_REFUSED),
)
_REFUSED = (_row("", _M.REFUSED, _R.VENUE_REFUSED),)
_KEY = (_row("", _M.KEY, _R.VENUE_REFUSED),)
_UNKNOWN = (_row("", _M.UNKNOWN),)

# Under a 4xx. A code that stands nowhere is UNKNOWN: an order is not called refused on a guess.
_TABLE: Mapping[int, tuple[tuple[re.Pattern[str], Meaning, OrderReason], ...]] = {
    -1000: _UNKNOWN,  # "An unknown error occurred while processing the request."
    -1001: _UNKNOWN,  # "Internal error; unable to process your request."
    -1002: _KEY,  # "You are not authorized to execute this request."
    -1003: (_row("", _M.SLOW_DOWN, _R.RATE_LIMITED),),
    -1004: _UNKNOWN,  # "Server is busy."
    -1006: _UNKNOWN,  # "Execution status unknown."
    -1007: _UNKNOWN,  # "Send status unknown; execution status unknown."
    -1008: _UNKNOWN,  # "Server is currently overloaded."
    -1010: _ENGINE,
    -1013: _ENGINE,
    -1014: (_row("", _M.REFUSED, _R.TYPE_NOT_OFFERED),),
    -1015: (
        _row("", _M.REFUSED, _R.RATE_LIMITED),
    ),  # Too many orders: the engine's own count, of orders alone.
    -1016: _UNKNOWN,  # "This service is no longer available": of an order, whether it came through is not said.
    -1020: (_row("", _M.REFUSED, _R.TYPE_NOT_OFFERED),),
    -1021: (_row("", _M.CLOCK, _R.VENUE_REFUSED),),
    -1022: _KEY,  # A wrong secret.
    **dict.fromkeys((-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1111), _REFUSED),
    -1112: (_row("", _M.REFUSED, _R.NO_LIQUIDITY),),
    -1114: _REFUSED,
    -1115: (_row("", _M.REFUSED, _R.TYPE_NOT_OFFERED),),
    -1116: (_row("", _M.REFUSED, _R.TYPE_NOT_OFFERED),),
    **dict.fromkeys((-1117, -1118, -1119, -1120, -1127, -1128, -1130, -1131, -1135), _REFUSED),
    -1121: (_row("", _M.REFUSED, _R.SYMBOL_HALTED),),
    -1122: (_row("", _M.REFUSED, _R.SYMBOL_HALTED),),
    -1125: (_row("", _M.NO_LISTEN_KEY),),
    -2010: _ENGINE,
    -2011: (_row("", _M.ABSENT),),  # Of a cancel: not open, or not there, or not yet. It must be asked.
    -2013: (_row("", _M.ABSENT),),
    -2014: _KEY,
    -2015: _KEY,
    -2016: (_row("", _M.REFUSED, _R.SYMBOL_HALTED),),
    **dict.fromkeys((-2021, -2022), (_row("", _M.HALVES),)),
    -2026: (_row("", _M.ARCHIVED),),
}
_decode = msgspec.json.Decoder(_Error).decode


def judge(answer: Answer | NoAnswer) -> Verdict:
    """Return what an answer, or its absence, means."""
    if isinstance(answer, NoAnswer):
        meaning = Meaning.UNKNOWN if answer.was_sent else Meaning.UNSENT
        return Verdict(
            meaning=meaning, reason=_R.VENUE_NOT_READY, evidence=_line(f"no answer: {answer.detail}")
        )
    status = answer.status
    if 200 <= status < 300:
        return Verdict(meaning=Meaning.DONE)
    error = _error_in(answer.body)
    said = f"{error.code} {error.msg}" if error else "no readable words"
    evidence = _line(f"HTTP {status}, {said}")
    if status in (429, 418):
        meaning = Meaning.BANNED if status == 418 else Meaning.SLOW_DOWN
        if status == 429 and error is not None and error.code == -1015:
            meaning = Meaning.REFUSED
        return Verdict(
            meaning=meaning, reason=_R.RATE_LIMITED, evidence=evidence, retry_after_ns=retry_after_ns(answer)
        )
    if status in (401, 403) and (error is None or error.code not in _TABLE):
        return Verdict(meaning=Meaning.KEY, evidence=evidence)
    if error is None or not 400 <= status < 500:
        return Verdict(meaning=Meaning.UNKNOWN, evidence=evidence)
    for words, meaning, reason in _TABLE.get(error.code, ()):
        if words.search(error.msg):
            return Verdict(
                meaning=meaning,
                reason=reason,
                evidence=evidence,
                retry_after_ns=retry_after_ns(answer, default_s=0),
                is_behind=meaning is Meaning.CLOCK and "ahead of" in error.msg,
            )
    return Verdict(meaning=Meaning.UNKNOWN, evidence=evidence)


def retry_after_ns(answer: Answer, default_s: int | None = None) -> int:
    """Return how long the venue asks to be left alone; a missing or unreadable header counts as a default."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(int(text), _RETRY_AFTER_MAX_S) * NS_PER_S
    seconds = _RETRY_AFTER_DEFAULT_S.get(answer.status, 1) if default_s is None else default_s
    return seconds * NS_PER_S


def _error_in(body: bytes) -> _Error | None:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# For people and logs: whatever the other side wrote stays on one line.
def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_TEXT_MAX])
