"""`njord config show`: every setting in force, and where it came from."""

from pathlib import Path

import msgspec
from rich.table import Table

from njord.adapters.config_loader import explain, load_config
from njord.cli import EXIT_OK
from njord.cli.summary import make_console


def show(origin: bool, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    rows = explain(load_config(root))
    if json_out:
        document = [{"key": key, "value": value, "origin": where} for key, value, where in rows]
        print(msgspec.json.format(msgspec.json.encode(document), indent=1).decode())
        return EXIT_OK
    table = Table(show_header=True, box=None, header_style="bold")
    table.add_column("key", overflow="fold")
    table.add_column("value", overflow="fold")
    if origin:
        table.add_column("from", overflow="fold")
    for key, value, where in rows:
        table.add_row(key, value, *([where] if origin else []))
    make_console().print(table)
    return EXIT_OK
