"""What is wrong with a configuration, in one line: key, expectation, value, place, and the next thing to do.

Comes in: pydantic's errors and the entries that the layers were made of. Goes out: a `ConfigError`. A value that is
or may be a secret is never part of it.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, ValidationError

from njord.adapters.yaml_text import shown
from njord.core.config import SECRET_KEYS, Config, RiskProfile
from njord.core.errors import ConfigError
from njord.core.units import plain

MASK = "***"
KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of one layer."""

    path: KeyPath
    value: object
    origin: str
    secret: bool = False


def get_at(tree: Mapping[str, object], path: KeyPath) -> object:
    """Return the value at `path`, None where there is nothing."""
    node: object = tree
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def value_text(value: object) -> str:
    """Return `value` as a person would type it."""
    if value is None:
        return "(not set)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "keys and values" if value else "{}"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "(none)"
    return str(value) or "empty"


def suggestion(name: str, known: list[str], otherwise: str, prefix: str = "") -> str:
    """Return the known name next to `name` as a question, or `otherwise`."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {prefix}{close[0]}?" if close else otherwise


def one_line(
    error: ValidationError, entries: Mapping[KeyPath, Entry], tree: Mapping[str, object]
) -> ConfigError:
    """Return pydantic's first error as one line; how many more there are stands in brackets."""
    # An unknown key first: what is missing is then most often its right spelling.
    first, *rest = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
    more = f" (and {len(rest)} more)" if rest else ""
    message = first["msg"].removeprefix("Value error, ")
    for start in ("Input should", "String should", "Tuple should"):
        message = message.replace(start, "must")
    path = tuple(part for part in first["loc"] if isinstance(part, str) and part != "[key]")
    if not path:  # A rule over several sections names its key itself.
        name, _, message = message.partition(" ")
        path = tuple(name.split("."))
    key = shown(".".join(path))
    entry = _nearest_entry(path, entries)
    origin = entry.origin if entry else "default"
    match first["type"]:
        case "extra_forbidden":
            return ConfigError(f"unknown key {key} ({origin}){more}", _nearest_key(path))
        case "missing":
            return ConfigError(f"{key} is missing ({origin}){more}", _nearest_profile(path))
        case "model_type" | "mapping_type" | "dict_type":
            message = "must hold keys and values"
        case "tuple_type":
            message = "must be a list"
    value = path[-1] if "[key]" in first["loc"] else get_at(tree, path)
    hidden = (entry is not None and entry.secret) or any(
        f"{name}.".startswith(f"{key}.") for name in SECRET_KEYS
    )
    was = MASK if hidden else shown(value_text(value))
    return ConfigError(f"{key} {message}, was {was} ({origin}){more}", "correct it there")


def _nearest_entry(path: KeyPath, entries: Mapping[KeyPath, Entry]) -> Entry | None:
    # The value itself or one inside it; else whatever was said next to it.
    for length in range(len(path), 0, -1):
        for where, entry in entries.items():
            if where[:length] == path[:length]:
                return entry
    return None


def _nearest_key(path: KeyPath) -> str:
    *parents, last = path
    model: BaseModel | type[BaseModel] = Config
    if len(parents) == 1:
        model = type(getattr(Config(), parents[0]))
    elif parents:
        model = RiskProfile
    fields = list(model.model_fields)
    close = difflib.get_close_matches(last, fields, n=1, cutoff=0.5)
    if close:
        return f"did you mean {'.'.join((*parents, close[0]))}?"
    return f"the keys here are {', '.join('.'.join((*parents, field)) for field in fields)}"


def _nearest_profile(path: KeyPath) -> str:
    # Only a profile has keys without a default, and a new one is most often an old one misspelt.
    *parents, name, _ = path
    close = difflib.get_close_matches(name, list(Config().risk.profiles), n=1, cutoff=0.6)
    return f"did you mean {'.'.join((*parents, close[0]))}?" if close and close[0] != name else "add it there"
