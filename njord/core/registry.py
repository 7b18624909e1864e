"""Names to strategy classes, and text to typed parameters. Finding the files is an adapter's work."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from njord.core.errors import StrategyError


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a remedy for an unknown `name`: the closest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"


def parse_params(owner: str, params: type[msgspec.Struct], given: Sequence[str]) -> Any:
    """Return `params` filled from `key=value` texts.

    Raises:
        StrategyError: Not of that form, an unknown key, or a value that the type or the class refuses.
    """
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals:
            raise StrategyError(f"--param takes key=value, was {text!r}", "for example --param fast=10")
        if key not in params.__struct_fields__:
            raise StrategyError(f"{owner} has no parameter {key!r}", nearest(key, params.__struct_fields__))
        values[key] = None if value.strip().lower() in ("none", "null") else value.strip()
    return convert_params(owner, params, values)


def convert_params(owner: str, params: type[msgspec.Struct], values: Mapping[str, Any]) -> Any:
    """Return `params` filled from plain values, converted to the declared types.

    Raises:
        StrategyError: A value does not fit.
    """
    try:
        return msgspec.convert(dict(values), params, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise StrategyError(f"{owner}: {_reason(error, values)}", "correct --param") from None


# msgspec says "Expected `int`, got `str` - at `$.fast`"; people want the name and the value.
def _reason(error: Exception, values: Mapping[str, Any]) -> str:
    expected, at, place = str(error).partition(" - at `$.")
    name = place.rstrip("`")
    if at and name in values:
        kind = expected.removeprefix("Expected ").partition(", got")[0].replace("`", "")
        return f"{name} must be {kind}, was {values[name]!r}"
    return str(error)


def canonical_params(params: msgspec.Struct) -> str:
    """Return the parameters as canonical JSON: sorted keys, decimals as text."""
    return msgspec.json.encode(params, order="sorted").decode()
