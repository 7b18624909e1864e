"""`njord kill`: trip, clear and read the kill switch, in its file and, where `redis.url` is set, in Redis."""

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_redis import RedisSwitch
from njord.adapters.kill_switch_sources import KillRecord, check_reason, clear_kill_file, trip_kill_file
from njord.adapters.kill_switch_watch import FILE, REDIS, Reading, read_once, strictest
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.core.errors import ConfigError, UserError
from njord.core.types import ACTIVE, TradingState

_MS = 1e-3


class _Sources(msgspec.Struct, frozen=True):
    """Where the switch is."""

    path: Path
    redis: RedisSwitch | None
    state: Path

    def write_redis(self, record: KillRecord) -> dict[str, str]:
        """Write the record; return what went wrong, empty if nothing did, by the source's name."""
        return {} if self.redis is None else {REDIS: self.redis.write(record)}


def trip(reason: str, reduce_only: bool, json_out: bool, root: Path, flatten: bool = False) -> int:
    """Trip every source and show the switch; 0 if every one was written.

    One that can not be written is said, and keeps no other from being tripped.
    """
    check_reason(reason)
    if reduce_only and flatten:
        raise ConfigError("--flatten and --reduce-only exclude each other", "give one: --flatten closes too")
    state = TradingState.REDUCE_ONLY if reduce_only or flatten else TradingState.HALTED
    record = _record(state, reason, flatten)
    with _sources(root) as sources:
        troubles = {
            FILE: _trouble(lambda: trip_kill_file(sources.path, record)),
            **sources.write_redis(record),
        }
        _show(sources, json_out, troubles)
    return EXIT_CHECK_FAILED if any(troubles.values()) else EXIT_OK


def clear(reason: str, json_out: bool, root: Path) -> int:
    """Clear every source and show the switch, if the last session leaves no question open."""
    from njord.apps.kill_clearance import (
        check_clearance,
    )  # It reads journals; tripping must not wait for that.

    check_reason(reason)
    record = _record(ACTIVE, reason)
    with _sources(root) as sources:
        looked_at = check_clearance(sources.state)
        clear_kill_file(sources.path, record)
        troubles = {FILE: "", **sources.write_redis(record)}
        return _show(sources, json_out, troubles, looked_at)


def check(json_out: bool, root: Path) -> int:
    """Show the switch; tripped, or in any doubt, is exit code 1."""
    with _sources(root) as sources:
        return _show(sources, json_out, {})


@contextmanager
def _sources(root: Path) -> Iterator[_Sources]:
    config = load_config(root).config
    url, risk = config.redis.url, config.risk
    redis = None
    if url is not None:
        timeout_s = risk.kill_switch_max_age_ms * _MS
        redis = RedisSwitch(url.get_secret_value(), risk.kill_switch_key, timeout_s)
    try:
        yield _Sources(root / risk.kill_switch_file, redis, root / config.paths.state)
    finally:
        if redis is not None:
            redis.close()


# What keeps one source from being written must not keep the other from it.
def _trouble(write: Callable[[], None]) -> str:
    try:
        write()
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"the system refused: {error.strerror or error}"
    return ""


# What can not be printed can not stand in a record either, and keeps nobody from tripping.
def _record(state: TradingState, reason: str, flatten: bool = False) -> KillRecord:
    shown = "".join(letter if letter.isprintable() else "?" for letter in reason)
    return KillRecord(
        state=state, reason=shown, operator=getpass.getuser(), ts_ns=WallClock().now_ns(), flatten=flatten
    )


def _show(sources: _Sources, json_out: bool, troubles: dict[str, str], looked_at: str = "") -> int:
    words = read_once(sources.path, sources.redis)
    counts = strictest(words)
    if json_out:
        shown = {"state": counts.state, "source": counts.source, "sources": words}
        if troubles:
            shown["not_written"] = {name: trouble for name, trouble in troubles.items() if trouble}
        if looked_at:
            shown["clearance"] = looked_at
        print(msgspec.json.encode(shown).decode())
    else:
        _print(words, counts, troubles, looked_at)
    return EXIT_OK if counts.state is ACTIVE else EXIT_CHECK_FAILED


def _print(words: dict[str, Reading], counts: Reading, troubles: dict[str, str], looked_at: str) -> None:
    if looked_at:
        print(f"clearance: {looked_at}")
    for name, trouble in troubles.items():
        if trouble:
            print(f"NOT written: {name}, {trouble}")
    print(f"{'CLEAR' if counts.state is ACTIVE else 'TRIPPED'} {_said(counts)}")
    if len(words) > 1:
        for name, word in words.items():
            print(f"  {name:<5} {_said(word)}")


def _said(word: Reading) -> str:
    flattens = ", closing all positions" if word.flattens else ""
    why = f': "{word.reason}", by {word.operator}' if word.operator else ""
    return f"({word.state}{flattens}), {word.detail}{why}"
