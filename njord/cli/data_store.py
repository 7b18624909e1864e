"""What the verbs of `njord data` share: where the store is, and how things are shown."""

from pathlib import Path

import msgspec

from njord.adapters.config_loader import load_config
from njord.cli.flags import parse_time
from njord.core.errors import ConfigError
from njord.storage.store.store import Store

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
GRADE_STYLES = {
    "A": "green",
    "B": "green",
    "C": "yellow",
    "D": "yellow",
    "E": "red",
    "F": "bold red",
    "-": "dim",
}


def store_folder(given: Path | None, root: Path) -> Path:
    """Return the store's folder: the one given, else the configured one."""
    return given if given is not None else root / load_config(root).config.paths.data


def open_store(given: Path | None, root: Path, create: bool = False) -> Store:
    """Return the store that a verb works on.

    Raises:
        DataError: There is none.
    """
    return Store(store_folder(given, root), create=create)


def show_bytes(n_bytes: int) -> str:
    """Return a size for people, in powers of 1,024."""
    size, unit = float(n_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:,.0f} {_UNITS[unit]}" if unit == 0 else f"{size:,.1f} {_UNITS[unit]}"


def print_json(document: object) -> None:
    """Print one JSON document, indented; decimals as text."""
    print(msgspec.json.format(msgspec.json.encode(document), indent=1).decode())


def range_of(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """Return [start, end) in nanoseconds.

    Raises:
        ConfigError: A time is none, or the range is empty.
    """
    start_ns, end_ns = parse_time("--start", start), parse_time("--end", end)
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise ConfigError("--start must lie before --end", "ranges are [start, end)")
    return start_ns, end_ns
