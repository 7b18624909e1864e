"""What was asked for? A raw query in; typed parameters out, or the venue's own refusal with its code."""

import re

import msgspec

from njord.core.units import NS_PER_MS
from njord.exchange import errors
from njord.exchange.errors import ApiError
from njord.exchange.params import parse

_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}")
_SYMBOLS_TEXT = re.compile(r'\[("[A-Z0-9\-_.]{1,20}"(,"[A-Z0-9\-_.]{1,20}")*)?\]')
_NUMBER = re.compile(r"[0-9]{1,19}")
_MAX_MS = 2**63 // NS_PER_MS - 1


class Query:
    """The parameters of one request; each is to be read, and at the end none may be left.

    Args:
        text: Percent-encoded, without "?".

    Raises:
        ApiError: A parameter comes twice.
    """

    def __init__(self, text: str) -> None:
        self._values = dict(parse(text).values)
        self._n_sent = len(self._values)

    def is_sent(self, name: str) -> bool:
        """Say whether a parameter is there and was not read yet."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return a parameter as it was sent; None if it was not."""
        value = self._values.pop(name, None)
        if value == "":
            raise errors.empty(name)
        return value

    def number(self, name: str, least: int = 0) -> int | None:
        """Return a whole number of at least `least`; None if it was not sent."""
        text = self.text(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise errors.illegal_characters(name, "^[0-9]{1,20}$")
        if int(text) < least:
            raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
        return int(text)

    def limit(self, usual: int, most: int) -> int:
        """Return `limit`: what is more than the most is the most."""
        given = self.number("limit", 1)
        return usual if given is None else min(given, most)

    def time_ns(self, name: str) -> int | None:
        """Return a time given in ms; None if it was not sent."""
        ms = self.number(name)
        return None if ms is None else min(ms, _MAX_MS) * NS_PER_MS

    def symbol(self) -> str:
        """Return `symbol`, which must be there."""
        found = self.symbol_or_none()
        if found is None:
            raise errors.missing("symbol")
        return found

    def symbol_or_none(self) -> str | None:
        """Return `symbol`; None if it was not sent."""
        text = self.text("symbol")
        if text is not None and not _SYMBOL.fullmatch(text):
            raise errors.illegal_characters("symbol", "^[A-Z0-9-_.]{1,20}$")
        return text

    def symbols(self) -> list[str] | None:
        """Return what `symbol` or `symbols` (a JSON list) names; None if neither was sent."""
        one, many = self.symbol_or_none(), self.text("symbols")
        if many is None:
            return None if one is None else [one]
        if one is not None:
            raise errors.bad_combination()
        if not _SYMBOLS_TEXT.fullmatch(many):
            raise errors.illegal_characters("symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$')
        return msgspec.json.decode(many, type=list[str])

    def end(self) -> None:
        """Refuse what was sent and is no parameter of the request."""
        if self._values:
            raise errors.unread(self._n_sent - len(self._values), self._n_sent)
