"""How does the report page write a number? Values of a result come in; short text goes out, with what is undefined
said to be undefined, why, and never shown as 0.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S, plain, quantum, round_half_even

MINUS = "\N{MINUS SIGN}"
_TEXT_MAX = 2_000  # Longer than any honest name or message; a page has a size budget.
_NS_PER_HOUR = 60 * NS_PER_MINUTE


class Cell(msgspec.Struct, frozen=True):
    """One value as text.

    Attributes:
        text: What is shown.
        tone: "gain", "loss", "warn", "undefined" or "" for plain.
        note: Why it is undefined, or what it means; shown on hover.
    """

    text: str
    tone: str = ""
    note: str = ""


class Row(msgspec.Struct, frozen=True):
    """A named value with a sentence about it."""

    name: str
    cell: Cell
    about: str = ""


def undefined(why: str) -> Cell:
    """Return the cell of a value that has no meaning here."""
    return Cell("undefined", "undefined", why)


def clip(value: object) -> str:
    """Return `value` as text of bounded length."""
    text = str(value)
    return (
        text
        if len(text) <= _TEXT_MAX
        else f"{text[:_TEXT_MAX]}\N{HORIZONTAL ELLIPSIS} ({len(text):,} characters)"
    )


def amount(value: Decimal | str | float, signed: bool = False) -> str:
    """Return money with thousands separators: two decimals from 1 on, up to eight below."""
    number = Decimal(str(value))
    size = number.copy_abs()
    if size >= 1 or not size:
        text = f"{round_half_even(size, quantum(2)):,f}"
    else:
        text = plain(round_half_even(size, quantum(8)))
        text = f"{size:.2e}" if text == "0" else text  # Below the eighth decimal is still not nothing.
    return _sign(number < 0, number > 0 and signed) + text


def exact(value: str) -> str:
    """Return a decimal string as it is, with a typographic minus."""
    return value.replace("-", MINUS)


def percent(value: Any, why: str, signed: bool = False, decimals: int = 2) -> Cell:
    """Return a fraction in percent; `why` explains a null."""
    if not isinstance(value, int | float):
        return _not_a_number(value, why)
    tone = ("gain" if value > 0 else "loss" if value < 0 else "") if signed else ""
    return Cell(_sign(value < 0, value > 0 and signed) + f"{abs(value):,.{decimals}%}", tone)


def ratio(value: Any, why: str) -> Cell:
    """Return a ratio with two decimals; `why` explains a null."""
    if not isinstance(value, int | float):
        return _not_a_number(value, why)
    return Cell(_sign(value < 0, False) + f"{abs(value):,.2f}")


def money(value: Any, asset: str, why: str, signed: bool = False) -> Cell:
    """Return an amount of `asset`; `why` explains a null."""
    if value is None or value in ("inf", "-inf"):
        return _not_a_number(value, why)
    number = Decimal(str(value))
    tone = ("gain" if number > 0 else "loss" if number < 0 else "") if signed else ""
    return Cell(f"{amount(number, signed)} {asset}", tone)


def when(ts_ns: int | None) -> str:
    """Return a time as people read it, UTC, with seconds only where there are any."""
    if ts_ns is None:
        return "never"
    try:
        moment = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{ts_ns} ns"
    return moment.strftime("%Y-%m-%d %H:%M:%S" if moment.second else "%Y-%m-%d %H:%M")


def day(days: int) -> str:
    """Return the date of a day counted since 1970."""
    return when(days * NS_PER_DAY)[:10]


def duration(span_ns: float | None) -> str:
    """Return a span in its two largest units: 31 d 6 h, 25 min, 1.5 s."""
    if span_ns is None:
        return "undefined"
    units = ((NS_PER_DAY, "d"), (_NS_PER_HOUR, "h"), (NS_PER_MINUTE, "min"), (NS_PER_S, "s"))
    for index, (size, unit) in enumerate(units):
        if span_ns >= size:
            whole, rest = divmod(span_ns, size)
            finer = units[index + 1 : index + 2]
            second = int(rest // finer[0][0]) if finer else 0
            return f"{whole:.0f} {unit}" + (f" {second} {finer[0][1]}" if second else "")
    return "0 s" if not span_ns else f"{span_ns / NS_PER_S:.3g} s"


def count(value: int) -> str:
    """Return a count with thousands separators."""
    return f"{value:,}"


def _sign(negative: bool, positive: bool) -> str:
    return MINUS if negative else "+" if positive else ""


def _not_a_number(value: Any, why: str) -> Cell:
    if value in ("inf", "-inf"):
        return Cell(
            f"{MINUS if value == '-inf' else ''}\N{INFINITY}", "", "Not bounded: divided by nothing lost."
        )
    return undefined(why)
