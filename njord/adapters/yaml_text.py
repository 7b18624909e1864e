"""YAML as people write it: a file in, its leaves out, each with the line where it stands.

This is YAML without its traps. `no` and `on` stay text, numbers are decimal and exact (Decimal, never a binary
float), tags, anchors and aliases are refused, so nothing expands or executes; a key may stand once only. In
values `${NAME}` and `${NAME:-default}` stand for environment variables, `$${` for a plain `${`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import yaml

from njord.core.errors import ConfigError

BYTES_MAX = 1 << 20
DEPTH_MAX = 16
ITEMS_MAX = 10_000
NUMBER_CHARS_MAX = 40

Scalar = str | int | Decimal | bool | None
Item = Scalar | dict[str, Scalar]
Value = Scalar | list[Item] | dict[str, object]

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]{1,4})?")
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\})?")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a file: the keys that lead to it, the line, and the variables that it was made of."""

    path: tuple[str, ...]
    value: Value
    line: int
    variables: tuple[str, ...] = ()


def shown(text: object) -> str:
    """Return `text` on one line, short and printable, for an error message."""
    line = text if isinstance(text, str) and text.isprintable() else ascii(text)
    return line if len(line) <= 80 else f"{line[:77]}..."


def resolve(text: str) -> Scalar:
    """Return the value that an unquoted `text` shows: null, true, false, a number, or the text itself.

    Raises:
        ValueError: A number of more than 40 characters.
    """
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    is_int = _INT.fullmatch(text)
    if is_int is None and _DECIMAL.fullmatch(text) is None:
        return text
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError(f"a number may have {NUMBER_CHARS_MAX} characters at most")
    return int(text) if is_int else Decimal(text)


def substitute(text: str, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return `text` with its `${NAME}` and `${NAME:-default}` filled in, and the names used; once, not again.

    Raises:
        ValueError: A variable is not set and has no default, or `${` is not closed.
    """
    names: list[str] = []

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return "${"
        parts = _NAME.fullmatch(match[1]) if match[2] else None
        if parts is None:
            raise ValueError(
                f"{shown(match[0])} is not ${{NAME}} or ${{NAME:-default}}; write $${{ for a plain ${{"
            )
        name, default = parts[1], parts[3]
        names.append(name)
        value = environ.get(name, default)
        if value is None:
            raise ValueError(f"${{{name}}} is not set; export {name}=... or give a default: ${{{name}:-...}}")
        return value

    return _VARIABLE.sub(fill, text), tuple(names)


def read_yaml(path: Path, label: str, environ: Mapping[str, str], *, typed: bool = True) -> list[Leaf]:
    """Return the leaves of the YAML file at `path` in order; a file of comments has none.

    Args:
        path: An existing file of 1 MiB at most, UTF-8, one mapping.
        label: The file's name in messages.
        environ: What `${NAME}` is looked up in.
        typed: False keeps every value as text.

    Raises:
        ConfigError: The file is not what it should be; one line names it, the line and what to do.
    """
    return list(_Reader(label, environ, typed).leaves(_read_text(path, label)))


def _read_text(path: Path, label: str) -> str:
    if not path.is_file():
        raise ConfigError(f"{label} is not a regular file", "put a YAML file there or remove it")
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{label} can not be read ({error.strerror})", f"chmod u+r {label}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    if len(raw) > BYTES_MAX:
        raise ConfigError(
            f"{label} is larger than {BYTES_MAX >> 20} MiB", "a configuration is a few pages at most"
        )
    return text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


class _Reader:
    """Walks the parser's events with its own limits; PyYAML's constructors never run."""

    def __init__(self, label: str, environ: Mapping[str, str], typed: bool) -> None:
        self._label = label
        self._environ = environ
        self._typed = typed
        self._count = 0

    def leaves(self, text: str) -> Iterator[Leaf]:
        try:
            self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
            next(self._events)  # The stream's start.
            if isinstance(next(self._events), yaml.StreamEndEvent):
                return
            top = self._next()
            if isinstance(top, yaml.ScalarEvent) and top.value == "" and top.implicit[0]:
                return
            if not isinstance(top, yaml.MappingStartEvent):
                raise self._error(
                    top, "the file must hold keys and values", "write for example backtest: {seed: 42}"
                )
            yield from self._mapping((), top)
            self._next()  # The document's end.
            if not isinstance(after := next(self._events), yaml.StreamEndEvent):
                raise self._error(after, "a second document (---) is not read", "keep one document per file")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{self._label}:{mark.line + 1}" if mark else self._label
            remedy = (
                "indent with spaces"
                if "\\t" in (error.problem or "")
                else "look at the indentation and the quotes"
            )
            raise ConfigError(
                f"{where} is not YAML: {shown(error.problem or error.context)}", remedy
            ) from None
        except yaml.YAMLError as error:
            problem = shown(str(error).splitlines()[0])
            raise ConfigError(f"{self._label} is not YAML: {problem}", "save it as plain text") from None

    def _error(self, event: yaml.Event, problem: str, remedy: str) -> ConfigError:
        return ConfigError(f"{self._label}:{_line(event)}: {problem}", remedy)

    def _next(self) -> yaml.Event:
        event = next(self._events)
        self._count += 1
        if self._count > ITEMS_MAX:
            raise self._error(
                event, f"more than {ITEMS_MAX} keys and values", "a configuration has a few hundred"
            )
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise self._error(
                event, f"anchors and aliases ({shown(event.anchor)}) are not read", "write the value out"
            )
        if (tag := getattr(event, "tag", None)) is not None:
            raise self._error(event, f"tags ({shown(tag)}) are not read", "write the plain value")
        return event

    def _mapping(self, path: tuple[str, ...], start: yaml.Event) -> Iterator[Leaf]:
        if len(path) >= DEPTH_MAX:
            raise self._error(start, f"nested deeper than {DEPTH_MAX} levels", "no setting lies that deep")
        first_line: dict[str, int] = {}
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self._error(key, "a key must be plain text", "write key: value")
            if key.value in first_line:
                problem = f"key {shown(key.value)} stands here and in line {first_line[key.value]}"
                raise self._error(key, problem, "keep one of them")
            first_line[key.value] = _line(key)
            yield from self._value((*path, key.value), key)
        if not first_line:
            yield Leaf(path, {}, _line(start))

    def _value(self, path: tuple[str, ...], key: yaml.Event) -> Iterator[Leaf]:
        event = self._next()
        if isinstance(event, yaml.MappingStartEvent):
            yield from self._mapping(path, event)
            return
        value: Value
        variables: tuple[str, ...] = ()
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Item] = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                found, names = self._item(path, item)
                items.append(found)
                variables += names
            value = items
        else:
            value, variables = self._scalar(path, event)
        yield Leaf(path, value, _line(key), variables)

    # A list holds plain values, or flat mappings of them such as the tiers of a fee.
    def _item(self, path: tuple[str, ...], event: yaml.Event) -> tuple[Item, tuple[str, ...]]:
        if not isinstance(event, yaml.MappingStartEvent):
            return self._scalar(path, event)
        found: dict[str, Scalar] = {}
        variables: tuple[str, ...] = ()
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or key.value in found:
                raise self._error(key, "a key must be plain text, and stand once", "write key: value")
            found[key.value], names = self._scalar((*path, key.value), self._next())
            variables += names
        return found, variables

    def _scalar(self, path: tuple[str, ...], event: yaml.Event) -> tuple[Scalar, tuple[str, ...]]:
        key = shown(".".join(path))
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(
                event,
                f"{key}: a list may hold plain values, or mappings of plain values",
                "write for example [BTC/USDT, ETH/USDT]",
            )
        try:
            text, variables = substitute(event.value, self._environ)
            plain = self._typed and event.implicit[0]
            value = resolve(text) if plain else text
        except ValueError as error:
            problem, _, remedy = str(error).partition("; ")
            raise self._error(event, f"{key}: {problem}", remedy) from None
        if text.startswith("ENC["):
            remedy = "decrypt the file and put the value into an environment variable: ${NAME}"
            raise self._error(event, f"{key} is still encrypted (sops)", remedy)
        return value, variables
