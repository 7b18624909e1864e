"""`njord kill`: trip, clear and read the kill switch file."""

import getpass
from pathlib import Path

import msgspec

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_sources import KillRecord, clear_kill_file, read_kill_file, trip_kill_file
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.core.types import TradingState


def trip(reason: str, reduce_only: bool, json_out: bool, root: Path) -> int:
    """Trip the switch and show it; tripping is what was asked for, so the exit code is 0."""
    state = TradingState.REDUCE_ONLY if reduce_only else TradingState.HALTED
    trip_kill_file(_path(root), _record(state, reason))
    check(json_out, root)
    return EXIT_OK


def clear(reason: str, json_out: bool, root: Path) -> int:
    """Clear the switch and show it."""
    clear_kill_file(_path(root), _record(TradingState.ACTIVE, reason))
    return check(json_out, root)


def check(json_out: bool, root: Path) -> int:
    """Show the switch; tripped, or in any doubt, is exit code 1."""
    reading = read_kill_file(_path(root))
    if json_out:
        print(msgspec.json.encode(reading).decode())
    else:
        record = reading.record
        why = f': "{record.reason}", by {record.operator}' if record is not None else ""
        word = "CLEAR" if reading.state is TradingState.ACTIVE else "TRIPPED"
        print(f"{word} ({reading.state}), {reading.detail}{why}")
    return EXIT_OK if reading.state is TradingState.ACTIVE else EXIT_CHECK_FAILED


def _path(root: Path) -> Path:
    return root / load_config(root).config.risk.kill_switch_file


def _record(state: TradingState, reason: str) -> KillRecord:
    return KillRecord(state=state, reason=reason, operator=getpass.getuser(), ts_ns=WallClock().now_ns())
