"""The kill switch as a file: the source that is always there. Whatever can not be read counts as tripped.

No file in a readable folder is ACTIVE. A file that holds one of our records has that record's state; anything else
in its place (an empty file from `touch`, a folder, foreign text, a file that may not be read) is HALTED. Every trip
and clear is appended, with who, when and why, to a log beside it.
"""

import os
from pathlib import Path

import msgspec

from njord.core.errors import ConfigError
from njord.core.types import TradingState

LOG_SUFFIX = ".log.ndjson"
_SIZE_MAX = 64 * 1024


class KillRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trip or clear: the state from then on, and who decided it, when and why."""

    state: TradingState
    reason: str
    operator: str
    ts_ns: int


class KillReading(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says now; `detail` explains a state that no record gave."""

    state: TradingState
    detail: str
    record: KillRecord | None = None


def read_kill_file(path: Path) -> KillReading:
    """Return the state that `path` stands for; never raises, since doubt is an answer: HALTED."""
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_MAX + 1)
    except FileNotFoundError:
        return _absent(path)
    except OSError as error:
        return KillReading(state=TradingState.HALTED, detail=f"{path} can not be read: {error.strerror}")
    try:
        record = msgspec.json.decode(content, type=KillRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return KillReading(state=TradingState.HALTED, detail=f"{path} holds no record of ours")
    return KillReading(state=record.state, detail=f"{path} says so", record=record)


# Absent is only believed of a folder that can be listed: else the file might be there and out of sight.
def _absent(path: Path) -> KillReading:
    try:
        present = path.name in os.listdir(path.parent)
    except FileNotFoundError:
        return KillReading(state=TradingState.ACTIVE, detail=f"no file at {path}")
    except OSError as error:
        return KillReading(
            state=TradingState.HALTED, detail=f"{path.parent} can not be listed: {error.strerror}"
        )
    if present:
        return KillReading(state=TradingState.HALTED, detail=f"{path} is a dangling link")
    return KillReading(state=TradingState.ACTIVE, detail=f"no file at {path}")


def trip_kill_file(path: Path, record: KillRecord) -> None:
    """Write `record` so that it survives a power cut; tripping again replaces the record.

    Raises:
        ConfigError: The reason is missing, or something that is no file stands in its place.
    """
    _check(path, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    _write_durably(partial, msgspec.json.encode(record) + b"\n")
    os.replace(partial, path)
    _sync_folder(path.parent)
    _log(path, record)


def clear_kill_file(path: Path, record: KillRecord) -> None:
    """Remove the file, durably; clearing what is clear only adds a line to the log.

    Raises:
        ConfigError: The reason is missing, or something that is no file stands in its place.
    """
    _check(path, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)
    _log(path, record)


def _check(path: Path, record: KillRecord) -> None:
    if not record.reason.strip():
        raise ConfigError("--reason must say why, was empty", 'for example --reason "venue outage over"')
    if path.is_dir():
        raise ConfigError(f"{path} is a folder, which counts as tripped", f"remove it: rmdir {path}")


def _log(path: Path, record: KillRecord) -> None:
    log = path.with_name(path.name + LOG_SUFFIX)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, msgspec.json.encode(record) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
