"""`njord live --check`: every live lock and its state; nothing is sent to trade."""

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from rich.table import Table

from njord.adapters.config_loader import load_config
from njord.adapters.logging import register_secrets
from njord.apps.live_check import check_live
from njord.apps.live_locks import LockState
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.summary import make_console


def run(account: str, settings: Mapping[str, str], json_out: bool, root: Path) -> int:
    """Look at the live locks and return the exit code: 0 only if all of them are open.

    Args:
        account: As it was passed; empty if it was not.
        settings: Those that were given on the command line.
        json_out: One JSON object instead of a table.
        root: The folder that njord runs in.
    """
    loaded = load_config(root, settings)
    register_secrets(loaded.secrets)
    locks = check_live(
        loaded, root, account, on_wait=lambda why: print(f"njord: waiting: {why}", file=sys.stderr)
    )
    is_open = all(lock.state is LockState.OPEN for lock in locks)
    if json_out:
        print(msgspec.json.encode({"open": is_open, "locks": locks}).decode())
    else:
        table = Table(box=None, show_header=False)
        for lock in locks:
            table.add_row(lock.state.upper(), lock.name, lock.seen)
            if lock.next:
                table.add_row("", "", f"next: {lock.next}")
        console = make_console()
        console.print(table)
        last = "all locks are open: live orders would be sent" if is_open else "no live order is sent"
        console.print(last, highlight=False)
    return EXIT_OK if is_open else EXIT_CHECK_FAILED
