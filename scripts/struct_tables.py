"""What the code says of its own structs, as Markdown: docstrings, fields, types and defaults in; tables out."""

import inspect
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, get_args, get_type_hints

import msgspec

from njord.core.units import plain

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*)$")
# As a reader of JSON meets them; a float that is not defined is null there.
_JSON_TYPES = (
    ("Decimal", "decimal text"),
    ("float", "number or null"),
    ("str", "text"),
    ("none", "null"),
    ("bool", "true or false"),
    ("dict", "object"),
    ("tuple", "list"),
)
_FIELD_COMMENT = re.compile(r"^ {4}(\w+): [^#]*#\s*(.+)$")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def code(text: str) -> str:
    """Return `text` as inline code, nothing for nothing."""
    return f"`{text}`" if text else ""


def prose(text: str) -> str:
    """Return a docstring's text on one line."""
    return " ".join(text.split())


def summary_of(owner: object) -> str:
    """Return the docstring up to its first section, on one line."""
    text = inspect.getdoc(owner) or ""
    return prose(
        re.split(
            r"^(?:Attributes|Args|Raises|Returns|Source|Example|Exit codes):", text, maxsplit=1, flags=re.M
        )[0]
    )


def attributes_of(owner: type) -> dict[str, str]:
    """Return what a class says of its fields: its "Attributes:" section, else the comment on the field's line."""
    said: dict[str, str] = {}
    for base in reversed(owner.__mro__[:-1]):
        if base.__module__.startswith("njord"):
            lines = inspect.getsource(base).splitlines()
            said |= {found[1]: found[2] for line in lines if (found := _FIELD_COMMENT.match(line))}
    section = (inspect.getdoc(owner) or "").partition("Attributes:\n")[2]
    name = ""
    for line in section.splitlines():
        if found := _ATTRIBUTE.match(line):
            name = found[1]
            said[name] = found[2]
        elif name and line.startswith(" " * 8):
            said[name] += " " + line.strip()
    return said


def type_name(kind: Any) -> str:
    """Return a type as a reader says it: without modules, `Annotated` bounds as a comparison."""
    if isinstance(kind, type) and not get_args(kind):
        return "none" if kind is type(None) else kind.__name__
    metadata = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    if metadata:
        bound = f" > {metadata[0].gt}" if metadata[0].gt is not None else f" >= {metadata[0].ge}"
        return type_name(kind.__origin__) + bound
    text = str(kind)
    for alias, shown in (
        ("Annotated[int, msgspec.Meta(gt=0)]", "int > 0"),
        ("Annotated[int, msgspec.Meta(ge=0)]", "int >= 0"),
    ):
        text = text.replace(f"typing.{alias}", shown)
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text).replace("NoneType", "none").replace("None", "none")


def shown_value(value: object) -> str:
    """Return a default as a reader types it."""
    if isinstance(value, Enum):
        return str(value.value) or '""'
    if isinstance(value, Decimal):
        return plain(value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(shown_value, value)) + "]"
    return '""' if value == "" else str(value)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Return a field's default, "required" if it has none."""
    if field.required:
        return "required"
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return code(shown_value(made))


def json_table(owner: type[msgspec.Struct]) -> str:
    """Return the table of a struct's fields as they stand in JSON: name, type, meaning."""
    said, hints = attributes_of(owner), get_type_hints(owner)
    rows = [
        [code(field.name), _json_type(hints[field.name]), json_words(said.get(field.name, ""))]
        for field in msgspec.structs.fields(owner)
    ]
    return table(["field", "type", "meaning"], rows)


def _json_type(kind: Any) -> str:
    text = type_name(kind)
    for word, shown in _JSON_TYPES:
        text = re.sub(rf"\b{word}\b", shown, text)
    return text


def json_words(text: str) -> str:
    """Return a sentence about a struct as it holds of its JSON."""
    return re.sub(r"\b(NaN|None)\b", "null", text)


def fields_table(owner: type[msgspec.Struct], skip: frozenset[str] = frozenset()) -> str:
    """Return the table of a struct's fields: name, type, default, meaning."""
    said, hints = attributes_of(owner), get_type_hints(owner, include_extras=True)
    rows = [
        [code(field.name), type_name(hints[field.name]), default_of(field), said.get(field.name, "")]
        for field in msgspec.structs.fields(owner)
        if field.name not in skip
    ]
    return table(["field", "type", "default", "meaning"], rows)
