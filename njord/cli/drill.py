"""`njord drill kill`: trip a node of our own, say how fast it stopped, and keep the outcome."""

import getpass
import os
from pathlib import Path
from typing import Any

import msgspec

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.apps.drill import ALL_CANCELED_WITHIN_S, NO_NEW_ORDERS_WITHIN_S, Drill, drill_kill_switch
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK

DRILLS_FILE = "drills.ndjson"
_MS = 1e3


def run(json_out: bool, root: Path, data: Path | None = None) -> int:
    """Run the verb and return its exit code: 1 if a bound was missed."""
    config = load_config(root).config
    state = root / config.paths.state
    drill = drill_kill_switch(state, config.risk.kill_switch_max_age_ms, data)
    facts = _facts(drill)
    _keep(state / DRILLS_FILE, facts)
    if json_out:
        print(msgspec.json.encode(facts).decode())
    else:
        _print(drill, state / DRILLS_FILE)
    return EXIT_OK if drill.passed else EXIT_CHECK_FAILED


def _facts(drill: Drill) -> dict[str, Any]:
    return {
        "drill": "kill",
        "ts_ns": WallClock().now_ns(),
        "operator": getpass.getuser(),
        "passed": drill.passed,
        "rounds": [
            {
                "source": each.source,
                "passed": each.passed,
                "n_working": each.n_working,
                "no_new_orders_ms": _rounded_ms(each.no_new_orders_s),
                "all_canceled_ms": _rounded_ms(each.all_canceled_s),
                "n_late": each.n_late,
            }
            for each in drill.rounds
        ],
        "no_new_orders_within_ms": _rounded_ms(NO_NEW_ORDERS_WITHIN_S),
        "all_canceled_within_ms": _rounded_ms(ALL_CANCELED_WITHIN_S),
        "n_orders": drill.n_orders,
        "orders_per_s": round(drill.orders_per_s),
        "left_out": drill.left_out,
    }


def _rounded_ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * _MS, 1)


def _keep(path: Path, facts: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, msgspec.json.encode(facts) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _print(drill: Drill, kept: Path) -> None:
    print(f"{'tripped by':<12}{'at work':>8}{'no new order':>15}{'all canceled':>15}{'late orders':>13}")
    for each in drill.rounds:
        print(
            f"{each.source:<12}{each.n_working:>8}{_ms(each.no_new_orders_s):>15}{_ms(each.all_canceled_s):>15}"
            f"{each.n_late:>13}  {'passed' if each.passed else 'MISSED'}"
        )
    limits = f"{_ms(NO_NEW_ORDERS_WITHIN_S)} and {_ms(ALL_CANCELED_WITHIN_S)}"
    print(f"limits {limits}; under {drill.orders_per_s:,.0f} orders a second, {drill.n_orders:,} in all")
    if drill.left_out:
        print(f"not drilled: {drill.left_out}")
    print(f"kept in {kept}")


def _ms(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds * _MS:,.0f} ms"
