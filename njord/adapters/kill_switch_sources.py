"""The kill switch as a file: the source that is always there. Whatever can not be read counts as tripped.

No file in a readable folder is ACTIVE. A file that holds one of our records has that record's state; anything else
in its place (an empty file from `touch`, a folder, a pipe, foreign text, a file that may not be read) is HALTED. Every
trip and clear is appended, with who, when and why, to a log beside it. Redis keeps the same record under a key:
`kill_switch_redis.py`.
"""

import os
import stat
from pathlib import Path

import msgspec

from njord.adapters.state_lock import sync_folder, write_durably
from njord.core.errors import ConfigError
from njord.core.types import TradingState

LOG_SUFFIX = ".log.ndjson"
SIZE_MAX = 64 * 1024  # No more is read of a record: what is cut off there is none.


class KillRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trip or clear: the state from then on, and who decided it, when and why.

    `flatten` closes all positions; that needs REDUCE_ONLY, since HALTED lets no order pass.
    """

    state: TradingState
    reason: str
    operator: str
    ts_ns: int
    flatten: bool = False

    def __post_init__(self) -> None:
        if self.flatten and self.state is not TradingState.REDUCE_ONLY:
            raise ValueError(f"flatten needs {TradingState.REDUCE_ONLY}, the state was {self.state}")


class KillReading(msgspec.Struct, frozen=True, kw_only=True):
    """What a source says now.

    Attributes:
        state: What counts.
        detail: Where it was read, for a person at this machine.
        record: Who decided it, and why; None where no record says so.
        doubt: Why it counts as tripped although no record says so; names nothing of this machine.
    """

    state: TradingState
    detail: str
    record: KillRecord | None = None
    doubt: str = ""


def doubtful(doubt: str, detail: str) -> KillReading:
    """Return the reading of whatever is not known for sure."""
    return KillReading(state=TradingState.HALTED, detail=detail, doubt=doubt)


def decode_record(content: bytes) -> KillRecord | None:
    """Return the record that `content` is, None if it is none."""
    try:
        return msgspec.json.decode(content, type=KillRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def read_kill_file(path: Path) -> KillReading:
    """Return the state that `path` stands for; never raises, since doubt is an answer: HALTED."""
    try:
        content = _content(path)
    except FileNotFoundError:
        return _absent(path)
    except OSError as error:
        doubt = f"the file can not be read: {error.strerror}"
        return doubtful(doubt, f"{path} can not be read: {error.strerror}")
    record = decode_record(content)
    if record is None:
        return doubtful("the file holds no record of ours", f"{path} holds no record of ours")
    return KillReading(state=record.state, detail=f"{path} says so", record=record)


# Of a pipe or a device nothing is read: it would let its reader wait. A folder says itself that it is one.
def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        return os.read(descriptor, SIZE_MAX + 1) if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else b""
    finally:
        os.close(descriptor)


# Absent is only believed of a folder that can be listed: else the file might be there and out of sight.
def _absent(path: Path) -> KillReading:
    try:
        present = path.name in os.listdir(path.parent)
    except FileNotFoundError:
        return KillReading(state=TradingState.ACTIVE, detail=f"no file at {path}")
    except OSError as error:
        doubt = f"the file's folder can not be listed: {error.strerror}"
        return doubtful(doubt, f"{path.parent} can not be listed: {error.strerror}")
    if present:
        return doubtful("the file is a dangling link", f"{path} is a dangling link")
    return KillReading(state=TradingState.ACTIVE, detail=f"no file at {path}")


def trip_kill_file(path: Path, record: KillRecord) -> None:
    """Write `record` so that it survives a power cut; tripping again replaces the record.

    Where the disk takes no record an empty file still trips: HALTED.

    Raises:
        ConfigError: The reason is missing, or something that is no file stands in its place.
        OSError: The record or its line in the log could not be written.
    """
    _check(path, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_durably(path, msgspec.json.encode(record) + b"\n")
    except OSError:
        path.touch()
        raise
    _log(path, record)


def clear_kill_file(path: Path, record: KillRecord) -> None:
    """Remove the file, durably; clearing what is clear only adds a line to the log.

    Raises:
        ConfigError: The reason is missing, or something that is no file stands in its place.
        OSError: The file could not be removed, or the line in the log not be written.
    """
    _check(path, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
    _log(path, record)


def check_reason(reason: str) -> None:
    """Refuse a change of the switch that says not why.

    Raises:
        ConfigError: The reason is empty.
    """
    if not reason.strip():
        raise ConfigError("--reason must say why, was empty", 'for example --reason "venue outage over"')


def _check(path: Path, record: KillRecord) -> None:
    check_reason(record.reason)
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
