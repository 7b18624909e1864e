"""`njord doctor`: what this machine has, what is missing, and the command that mends it."""

from pathlib import Path

import msgspec
from rich.table import Table

from njord.adapters.doctor import checks
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.summary import make_console


def run(json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    found = checks(root)
    is_well = all(check.ok is not False for check in found)
    if json_out:
        print(msgspec.json.format(msgspec.json.encode({"ok": is_well, "checks": found}), indent=1).decode())
        return EXIT_OK if is_well else EXIT_CHECK_FAILED
    table = Table(box=None, show_header=False)
    for check in found:
        mark = {True: "ok", False: "MISSING", None: "optional"}[check.ok]
        fix = f"fix: {check.fix}" if check.ok is not True and check.fix else ""
        table.add_row(mark, check.name, check.detail, fix)
    console = make_console()
    console.print(table)
    console.print("everything needed is here" if is_well else "something needed is missing", highlight=False)
    return EXIT_OK if is_well else EXIT_CHECK_FAILED
