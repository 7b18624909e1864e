"""What did a request ask for? Its parameters as text in, checked values out; what is wrong with one is said in the dialect."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl

from njord.exchange import errors

_DECIMAL: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER: Final = r"^[0-9]{1,20}$"
_CLIENT_ID: Final = r"^[a-zA-Z0-9-_]{1,36}$"
_CHOICE_CODES: Final = {
    "timeInForce": (-1115, "Invalid timeInForce."),
    "type": (-1116, "Invalid orderType."),
    "side": (-1117, "Invalid side."),
    "cancelRestrictions": (-1145, "Invalid cancelRestrictions"),
}


class Params:
    """The parameters of one request, by name.

    Args:
        values: As they were sent, decoded.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def sent(self, *names: str) -> str:
        """Return the first of some parameters that was sent, as it was sent; empty if none was."""
        return next((self.values[name] for name in names if name in self.values), "")

    def renamed(self, names: Mapping[str, str]) -> "Params":
        """Return those of the parameters that `names` lists, under the names that it gives them."""
        return Params({name: self.values[sent] for sent, name in names.items() if sent in self.values})

    def refuse_others(self, allowed: Collection[str]) -> None:
        """Refuse names that nobody reads.

        Raises:
            ApiError: There is one.
        """
        n_read = sum(1 for name in self.values if name in allowed)
        if n_read < len(self.values):
            raise errors.unread(n_read, len(self.values))

    def refuse(self, *names: str) -> None:
        """Refuse parameters that have no meaning beside the others.

        Raises:
            ApiError: One of them is there.
        """
        for name in names:
            if name in self.values:
                raise errors.not_required(name)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a parameter; without a default it must be there.

        Raises:
            ApiError: It is missing, or empty.
        """
        value = self.values.get(name)
        if value is None:
            if default is None:
                raise errors.missing(name)
            return default
        if not value:
            raise errors.empty(name)
        return value

    def symbol(self) -> str:
        """Return the symbol as it was sent.

        Raises:
            ApiError: It is missing, or no symbol could be written so.
        """
        return self._matching("symbol", r"^[A-Z0-9-_.]{1,20}$")

    def client_id(self, name: str) -> str:
        """Return an id that a client chose.

        Raises:
            ApiError: It is missing, too long, or has other characters than the venue allows.
        """
        return self._matching(name, _CLIENT_ID)

    def decimal(self, name: str) -> Decimal:
        """Return a positive decimal number.

        Raises:
            ApiError: It is missing, or not written as one.
        """
        return Decimal(self._matching(name, _DECIMAL))

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number, not negative; without a default it must be there.

        Raises:
            ApiError: It is missing, or not written as one.
        """
        if name not in self.values and default is not None:
            return default
        return int(self._matching(name, _INTEGER))

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are asked for, 1 to `most`.

        Raises:
            ApiError: It is not written as a number, or 0.
        """
        limit = self.integer("limit", default)
        if limit < 1:
            raise errors.ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, most)

    def choice(self, name: str, of: Collection[str], default: str | None = None) -> str:
        """Return one of some words.

        Raises:
            ApiError: It is missing, or another word.
        """
        value = self.text(name, default)
        if value not in of:
            words = f"Data sent for parameter '{name}' is not valid."
            raise errors.ApiError(*_CHOICE_CODES.get(name, (-1130, words)))
        return value

    def _matching(self, name: str, legal: str) -> str:
        value = self.text(name)
        # Not `match`: for that `$` is also in front of a newline at the end.
        if not re.fullmatch(legal, value, re.ASCII):
            raise errors.illegal_characters(name, legal)
        return value


def parse(*texts: str) -> Params:
    """Return the parameters of query and form.

    Raises:
        ApiError: One is sent twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        for name, value in parse_qsl(text, keep_blank_values=True):
            if name in values:
                raise errors.sent_twice()
            values[name] = value
    return Params(values)
